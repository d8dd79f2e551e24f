//! How the router signs in to servers, and whom it asks for that, as it is written.

use schemars::JsonSchema;

use super::{
    leaf::{Hidden, Text, words},
    read::{Read, Reader, Spanned, section},
    tree::{Node, Value},
};

section! {
    /// How the router signs in to a server.
    AuthFile {
        /// In which way.
        kind as "type": AuthType,
        /// As whom, where you registered the router yourself; otherwise it registers itself.
        client_id: Text,
        /// What proves it.
        client_secret: Hidden,
        /// What proves it, where it is a key: EC P-256, RSA or Ed25519 in PKCS#8 (`-----BEGIN PRIVATE KEY-----`).
        private_key: Hidden,
        /// The authorization server, where the server's own word for it is not to be taken.
        issuer: Text,
        /// What the router asks to be allowed; otherwise what the server asks for.
        scopes: Vec<Spanned<Text>>,
        /// What tokens are given for.
        grant: GrantWord,
        /// For whom somebody signs in.
        per: PerWord,
    }
}

words! {
    /// A way to sign in.
    AuthType, "is not a way to sign in" {
        /// OAuth 2.1.
        OAuth = "oauth",
        /// None: the server's headers are all there is.
        None = "none",
    }
}

words! {
    /// What tokens are given for.
    GrantWord, "is not a grant" {
        /// The consent of a person.
        AuthorizationCode = "authorization_code",
        /// The router's own secret or key.
        ClientCredentials = "client_credentials",
    }
}

words! {
    /// For whom somebody signs in.
    PerWord, "is neither shared nor caller" {
        /// Once, for everybody who may call.
        Shared = "shared",
        /// Each caller for himself.
        Caller = "caller",
    }
}

/// How the router signs in: a word, or more.
#[derive(Clone, Debug)]
pub(super) struct Auth(pub(super) AuthFile);

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes to editors what is read into `Auth`")]
enum WordOrAuth {
    Word(AuthType),
    File(Box<AuthFile>),
}

impl JsonSchema for Auth {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Auth".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WordOrAuth::json_schema(generator)
    }
}

impl Read for Auth {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Scalar(_) => Some(Self(AuthFile { kind: Some(reader.value(node)?), ..AuthFile::default() })),
            Value::Null | Value::List(_) | Value::Map(_) => AuthFile::read(node, reader).map(Self),
        }
    }
}

section! {
    /// Which addresses that others name are called.
    EgressFile {
        /// Hosts and ranges of your own network that may be: `auth.corp.example`, `10.0.0.0/8`.
        allow_private: Vec<Spanned<Text>>,
    }
}
