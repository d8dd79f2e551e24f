//! Who answers when a server cannot.

use schemars::JsonSchema;

use super::{
    leaf::{FilePath, Text, words},
    read::{Read, Reader, Spanned, section},
    tree::{Node, Value},
};

/// One of them, or several in the order in which they are tried.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes to editors what is read into `Standbys`")]
enum OneOrMore {
    One(Standby),
    More(Vec<Standby>),
}

/// Who answers, in this order.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(with = "OneOrMore")]
pub(super) struct Standbys(pub(super) Vec<Spanned<Standby>>);

impl Read for Standbys {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Scalar(_) | Value::Map(_) => Some(Self(vec![reader.value(node)?])),
            Value::Null | Value::List(_) => Vec::read(node, reader).map(Self),
        }
    }
}

/// Who answers when a server cannot.
#[derive(Clone, Debug)]
pub(super) enum Standby {
    Word(StandbyWord),
    File(Box<StandbyFile>),
}

section! {
    /// Who answers when a server cannot.
    StandbyFile {
        /// A file or folder.
        backup: FilePath,
        /// Another of the servers, which has a tool of the same name.
        server: Text,
        /// A fixed text.
        default: Text,
    }
}

words! {
    /// Who answers when a server cannot.
    StandbyWord, "answers nothing" {
        /// What the cache still has.
        Stale = "stale",
        /// What lies in the server's `backup`.
        Backup = "backup",
        /// The server's `default`.
        Default = "default",
        /// Nobody: the answer says that the server was left out.
        Skip = "skip",
    }
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes to editors what is read into `Standby`")]
enum WordOrStandby {
    Word(StandbyWord),
    File(Box<StandbyFile>),
}

impl JsonSchema for Standby {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Standby".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WordOrStandby::json_schema(generator)
    }
}

impl Read for Standby {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Scalar(_) => StandbyWord::read(node, reader).map(Self::Word),
            Value::Null | Value::List(_) | Value::Map(_) => {
                StandbyFile::read(node, reader).map(|file| Self::File(Box::new(file)))
            }
        }
    }
}
