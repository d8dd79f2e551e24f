//! Typed reading of the tree: whatever is wrong is noted and the rest is read all the same.
//!
//! [`section!`] declares a mapping once; its reader, its list of keys and its JSON Schema come from that declaration,
//! so they cannot disagree.

use std::{borrow::Cow, fmt::Display, ops::Deref};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{
    mask,
    problem::{At, Findings, Flaw},
    source::{Source, Span},
    substitute::{self, Lookup},
    suggest,
    tree::{Entry, Node, Value},
};

/// The longest value that a message repeats.
const MAX_SHOWN: usize = 80;

/// The most keys that are listed to say what a mapping looks like.
const MAX_LISTED: usize = 7;

/// A value with the place where it was configured.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) at: At,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// What can be read from a node. `None` says that a problem was noted.
pub(super) trait Read: Sized {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;

    /// What stands for a key without a value, where that makes sense (`ollama:` alone is a provider).
    fn empty() -> Option<Self> {
        None
    }
}

/// A value that is written as one word, number or text.
pub(super) trait Leaf: Sized {
    /// Whether the value must never be shown.
    const SECRET: bool = false;

    /// Reads what is written, after its references are followed.
    fn parse(text: &str, source: &Source) -> Result<Self, Flaw>;
}

/// A key that belongs to other programs that read the same block, and what we do about it.
pub(super) type Foreign = (&'static str, &'static str);

/// A mapping with named keys; implemented by [`section!`].
pub(super) trait Section {
    /// Its keys, as they are written.
    const KEYS: &'static [&'static str];

    /// Keys that it may hold for somebody else.
    const FOREIGN: &'static [Foreign];

    /// Whether a key that nobody knows is a mistake, or somebody else's.
    const OPENNESS: Openness;

    /// Whether these are somebody else's settings, of which we only read the servers.
    fn is_theirs(entries: &[Entry]) -> bool {
        let is_ours = |entry: &Entry| Self::KEYS.contains(&entry.key.as_str()) && !SHARED.contains(&entry.key.as_str());
        Self::OPENNESS == Openness::Shared
            && entries.iter().any(|entry| entry.key == SERVERS)
            && !entries.iter().any(is_ours)
    }
}

/// What a key is that nobody knows.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Openness {
    /// A mistake.
    Closed,
    /// A mistake, unless the whole file is another program's.
    Shared,
    /// Somebody else's.
    Open,
}

/// The key for which people hand us a client's own settings.
const SERVERS: &str = "mcpServers";

/// Our keys that other programs' settings have, too.
const SHARED: [&str; 2] = [SERVERS, "$schema"];

/// What is said of a key that nobody knows and that is no mistake.
const NOT_OURS: &str = "this key is another program's, and has no effect here";

/// Reads a tree, and knows where in it it is.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) lookup: &'a dyn Lookup,
    pub(super) findings: &'a mut Findings,
    path: String,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source, lookup: &'a dyn Lookup, findings: &'a mut Findings) -> Self {
        Self { source, lookup, findings, path: String::new() }
    }

    /// The place of `span` under the key that is being read.
    pub(super) fn at(&self, span: Span) -> At {
        At { span: Some(span), path: self.path.clone() }
    }

    /// Reads `node`, remembering where it stands.
    pub(super) fn value<T: Read>(&mut self, node: &Node) -> Option<Spanned<T>> {
        let at = self.at(node.span);
        T::read(node, self).map(|value| Spanned { value, at })
    }

    /// Reads the value of a key; a key without one counts as not given.
    pub(super) fn field<T: Read>(&mut self, entry: &Entry) -> Option<Spanned<T>> {
        self.within(&entry.key, |reader| match entry.node.value {
            Value::Null => T::empty().map(|value| Spanned { value, at: reader.at(entry.key_span) }),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => reader.value(&entry.node),
        })
    }

    /// Runs `read` one key deeper.
    pub(super) fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !self.path.is_empty() && !key.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(key);
        let value = read(self);
        self.path.truncate(length);
        value
    }

    /// The entries of a mapping; nothing written is an empty one. `known` are its keys, where it has names for them.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, known: &[&str]) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            Value::Null => Some(&[]),
            Value::Scalar(_) | Value::List(_) if (1..=MAX_LISTED).contains(&known.len()) => {
                self.mismatch(node, format!("{{ {}: ... }}", known.join(": ..., ")))
            }
            Value::Scalar(_) | Value::List(_) => self.mismatch(node, "a mapping of keys and values"),
        }
    }

    /// Notes that something else was expected.
    pub(super) fn mismatch<T>(&mut self, node: &Node, expected: impl Display) -> Option<T> {
        let found = match &node.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        let at = self.at(node.span);
        self.findings.problem(&at, format!("this is {found}, where {expected} is expected"));
        None
    }

    /// Notes that nothing of `node` must ever be shown.
    fn hide(&mut self, node: &Node) {
        match &node.value {
            Value::Null => {}
            Value::Scalar(_) => self.findings.mask(node.span),
            Value::List(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.hide(&entry.node)),
        }
    }

    /// Tells of a key among `entries` that the section does not have.
    pub(super) fn unknown<S: Section>(&mut self, entry: &Entry, entries: &[Entry]) {
        let key = &entry.key;
        let theirs = S::is_theirs(entries);
        if theirs
            || mask::is_telling(key)
            || matches!(&entry.node.value, Value::Scalar(text) if mask::may_be_secret(text))
        {
            self.hide(&entry.node);
        }
        let at = self.within(key, |reader| reader.at(entry.key_span));
        if let Some((_, says)) = S::FOREIGN.iter().find(|(foreign, _)| foreign == key) {
            self.findings.warning(&at, *says);
            return;
        }
        let near = suggest::nearest(key, S::KEYS.iter().copied()).or_else(|| synonym(key, S::KEYS));
        match near {
            Some(known) if theirs => {
                self.findings.warning(&at, NOT_OURS).remedy(format!("did you mean \"{known}\"?"));
            }
            Some(known) => {
                self.findings.problem(&at, "there is no such key").remedy(format!("did you mean \"{known}\"?"));
            }
            None if theirs || S::OPENNESS == Openness::Open => {
                self.findings.warning(&at, NOT_OURS);
            }
            None => {
                self.findings
                    .problem(&at, "there is no such key")
                    .remedy(format!("known here: {}", S::KEYS.join(", ")));
            }
        }
    }
}

/// What other systems call our keys.
fn synonym(key: &str, known: &'static [&'static str]) -> Option<&'static str> {
    const SYNONYMS: [(&str, &str); 18] = [
        ("failure_threshold", "failures"),
        ("recovery_timeout", "recovery"),
        ("reset_timeout", "recovery"),
        ("success_threshold", "successes"),
        ("max_retries", "retries"),
        ("attempts", "retries"),
        ("api_base", "base_url"),
        ("ttl", "fresh"),
        ("max_size", "max_entries"),
        ("max_concurrent", "concurrency"),
        ("environment", "env"),
        ("working_directory", "cwd"),
        ("fallback", "on_error"),
        ("servers", "mcpServers"),
        ("system_prompt", "prompt"),
        ("enhance_model", "rewrite_model"),
        ("privacy_level", "privacy"),
        ("fallback_chain", "fallback"),
    ];
    let (_, ours) = SYNONYMS.iter().find(|(theirs, ours)| *theirs == key && known.contains(ours))?;
    Some(ours)
}

impl<T: Leaf> Read for T {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Scalar(text) = &node.value else {
            return reader.mismatch(node, "a single value");
        };
        if T::SECRET && !substitute::is_reference(text) {
            reader.findings.mask(node.span);
        }
        let at = reader.at(node.span);
        let resolved = match substitute::resolve(text, reader.lookup, reader.source) {
            Ok(resolved) => resolved,
            Err(flaw) => {
                reader.findings.flaw(&at, None, flaw);
                return None;
            }
        };
        let flaw = match T::parse(&resolved.text, reader.source) {
            Ok(value) => return Some(value),
            Err(flaw) => flaw,
        };
        // What came through a reference, or is a secret, is not told: neither by us nor by a remedy made of it.
        let shown = match &resolved.reference {
            Some(reference) => format!("the value of {reference}"),
            None if T::SECRET || text.len() > MAX_SHOWN || mask::may_be_secret(text) => "the value".to_owned(),
            None => format!("\"{text}\""),
        };
        let flaw = if resolved.reference.is_some() { Flaw { remedy: None, ..flaw } } else { flaw };
        reader.findings.flaw(&at, Some(&shown), flaw);
        None
    }
}

/// A list.
impl<T: Read> Read for Vec<Spanned<T>> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::List(items) => {
                let read = |(index, item)| reader.within(&format!("[{index}]"), |reader| reader.value(item));
                Some(items.iter().enumerate().filter_map(read).collect())
            }
            Value::Null => Some(Vec::new()),
            Value::Scalar(_) | Value::Map(_) => reader.mismatch(node, "a list"),
        }
    }
}

/// Names and what they stand for, in their order.
#[derive(Clone, Debug)]
pub(super) struct Map<T>(pub(super) Vec<(Spanned<String>, Spanned<T>)>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Read> Read for Map<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Vec::new();
        for entry in reader.entries(node, &[])? {
            let at = reader.within(&entry.key, |reader| reader.at(entry.key_span));
            if matches!(entry.node.value, Value::Null) && T::empty().is_none() {
                reader.findings.problem(&at, "there is no value");
                continue;
            }
            let name = Spanned { value: entry.key.clone(), at };
            read.extend(reader.field(entry).map(|value| (name, value)));
        }
        Some(Self(read))
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema + Read> JsonSchema for Map<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value =
            if T::empty().is_some() { generator.subschema_for::<Option<T>>() } else { generator.subschema_for::<T>() };
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}

/// Tells editors which keys a section may hold beside its own.
pub(super) fn describe_keys<S: Section>(schema: &mut Schema) {
    if S::OPENNESS != Openness::Open {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    let Some(properties) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) else { return };
    for (key, says) in S::FOREIGN {
        properties.insert((*key).to_owned(), serde_json::json!({ "description": says, "deprecated": true }));
    }
}

/// Declares a mapping with named keys, all of which may be left out: the type, its reader, its schema.
///
/// `key as "word"` gives a field another name in the file. `beside { "key": "what is done about it" }` lists keys of
/// other programs that read the same file, or whose own file it may be; `open { ... }` makes any further unknown key a
/// warning, too.
macro_rules! section {
    (
        $(#[$attribute:meta])*
        $name:ident {
            $( $(#[$about:meta])* $field:ident $(as $key:literal)? : $type:ty, )*
        }
        $( $openness:ident { $( $foreign:literal : $says:literal, )* } )?
    ) => {
        #[derive(Clone, Debug, Default, schemars::JsonSchema)]
        $(#[$attribute])*
        #[schemars(transform = $crate::config::read::describe_keys::<$name>)]
        pub(super) struct $name {
            $(
                $(#[$about])*
                $( #[schemars(rename = $key)] )?
                pub(super) $field: Option<$crate::config::read::Spanned<$type>>,
            )*
        }

        impl $crate::config::read::Section for $name {
            const KEYS: &'static [&'static str] = &[ $( section!(@key $field $($key)?), )* ];
            const FOREIGN: &'static [$crate::config::read::Foreign] = &[ $( $( ($foreign, $says), )* )? ];
            const OPENNESS: $crate::config::read::Openness = section!(@open $($openness)?);
        }

        impl $crate::config::read::Read for $name {
            fn read(node: &$crate::config::tree::Node, reader: &mut $crate::config::read::Reader<'_>) -> Option<Self> {
                let mut section = Self::default();
                let entries = reader.entries(node, <Self as $crate::config::read::Section>::KEYS)?;
                for entry in entries {
                    match entry.key.as_str() {
                        $( section!(@key $field $($key)?) => section.$field = reader.field(entry), )*
                        _ => reader.unknown::<Self>(entry, entries),
                    }
                }
                Some(section)
            }

            fn empty() -> Option<Self> {
                Some(Self::default())
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@open) => { $crate::config::read::Openness::Closed };
    (@open beside) => { $crate::config::read::Openness::Shared };
    (@open open) => { $crate::config::read::Openness::Open };
}

pub(super) use section;
