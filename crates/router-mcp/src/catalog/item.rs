//! One tool, resource, template or prompt of a server: read only as far as routing needs it.

use std::{collections::BTreeMap, sync::Arc};

use router_core::Raw;

use super::{Terms, amend::Override, list::List};
use crate::{fields, mirror::Mirror, rpc};

/// The longest description of one thing, in bytes.
const MAX_DESCRIPTION: usize = 8 << 10;
/// The largest schema of a tool, in bytes.
const MAX_SCHEMA: usize = 256 << 10;

/// One thing that a server has.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its server's name for it, or its URI.
    pub(super) key: Arc<str>,
    /// The name that it goes by, before anything is put in front of it.
    pub(super) shown: Arc<str>,
    /// As its server tells it, which is what is pinned.
    pub(super) own: Raw,
    /// As it is told, under the name it goes by.
    pub(super) told: Raw,
    pub(super) read_only: bool,
    pub(super) idempotent: bool,
    pub(super) mirrors: Arc<[Mirror]>,
    /// Whether its server runs it as a task.
    pub(super) task: TaskSupport,
}

/// Whether a tool can be called as a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TaskSupport {
    /// It cannot.
    #[default]
    Forbidden,
    /// It can.
    Optional,
    /// It has to be.
    Required,
}

impl TaskSupport {
    fn of(tool: &Raw) -> Self {
        let said = fields::get(tool, "execution").and_then(|execution| fields::text(&execution, "taskSupport"));
        match said.as_deref() {
            Some("required") => Self::Required,
            Some("optional") => Self::Optional,
            _ => Self::Forbidden,
        }
    }
}

/// Why a thing is left out, or not told in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Blemish {
    /// It has no name.
    Nameless,
    /// It says something twice: what is pinned and filtered might not be what a client reads.
    Ambiguous,
    /// Another one has its name.
    Twin,
    /// There are too many.
    TooMany,
    /// What comes before it is too large already.
    TooLarge,
    /// Its schema is too large.
    LargeSchema,
    /// Its description is too long, and was cut.
    LongDescription,
}

impl Blemish {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Nameless => "left out: no name",
            Self::Ambiguous => "left out: a key comes twice",
            Self::Twin => "left out: named twice",
            Self::TooMany => "left out: more than 1000",
            Self::TooLarge => "left out and more: the list is above 64 MiB",
            Self::LargeSchema => "left out: schema above 256 KiB",
            Self::LongDescription => "description cut to 8 KiB",
        }
    }
}

impl Item {
    /// A thing as its server tells it, and what there was to find fault with; `None` leaves it out.
    pub(super) fn read(list: List, terms: &Terms, own: Raw) -> (Option<Self>, Option<Blemish>) {
        let Some(key) = fields::text(&own, list.key()) else { return (None, Some(Blemish::Nameless)) };
        if fields::repeats_a_key(&own) {
            return (None, Some(Blemish::Ambiguous));
        }
        let (told, blemish) = curtailed(&own);
        if list != List::Tools {
            let key: Arc<str> = key.into();
            let shown = Arc::clone(&key);
            let item = Self {
                key,
                shown,
                own,
                told,
                read_only: false,
                idempotent: false,
                mirrors: Arc::default(),
                task: TaskSupport::Forbidden,
            };
            return (Some(item), blemish);
        }
        if schemas(&own).any(|schema| schema.bytes().len() > MAX_SCHEMA) {
            return (None, Some(Blemish::LargeSchema));
        }
        (Some(Self::tool(own, &told, key.into(), &terms.overrides)), blemish)
    }

    fn tool(own: Raw, told: &Raw, key: Arc<str>, overrides: &BTreeMap<String, Override>) -> Self {
        let said = overrides.get(&*key);
        let told = said.map_or_else(|| told.clone(), |said| said.of_tool(told));
        let shown = said.and_then(|said| said.name.as_deref()).map_or_else(|| Arc::clone(&key), Arc::from);
        let told = if shown == key { told } else { fields::with_field(&told, "name", &rpc::quoted(&shown)) };
        let annotations = fields::get(&told, "annotations");
        let hints = |hint: &str| annotations.as_ref().is_some_and(|annotations| fields::is_true(annotations, hint));
        let (read_only, idempotent) = (hints("readOnlyHint"), hints("idempotentHint"));
        let (mirrors, task) = (Mirror::all(&own), TaskSupport::of(&own));
        Self { key, shown, own, told, read_only, idempotent, mirrors, task }
    }

    /// As it is told under `name`.
    pub(super) fn named(&self, name: &str) -> Raw {
        if *self.shown == *name {
            return self.told.clone();
        }
        fields::with_field(&self.told, "name", &rpc::quoted(name))
    }
}

fn schemas(tool: &Raw) -> impl Iterator<Item = Raw> {
    // Most tools are smaller than what a schema may be.
    let keys: &[&str] = if tool.bytes().len() > MAX_SCHEMA { &["inputSchema", "outputSchema"] } else { &[] };
    keys.iter().filter_map(|key| fields::get(tool, key))
}

/// The same with a description that is not too long.
fn curtailed(own: &Raw) -> (Raw, Option<Blemish>) {
    if own.bytes().len() <= MAX_DESCRIPTION {
        return (own.clone(), None);
    }
    match fields::text(own, "description").filter(|text| text.len() > MAX_DESCRIPTION) {
        None => (own.clone(), None),
        Some(mut text) => {
            text.truncate(text.floor_char_boundary(MAX_DESCRIPTION - '…'.len_utf8()));
            text.push('…');
            let told = fields::with_field(own, "description", &rpc::quoted(&text));
            (told, Some(Blemish::LongDescription))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::raw;

    #[test]
    fn a_description_has_its_bound() {
        for (length, kept) in [(MAX_DESCRIPTION, true), (MAX_DESCRIPTION + 1, false), (100 * MAX_DESCRIPTION, false)] {
            let tool =
                raw(&format!(r#"{{"name":"t","description":"{}"}}"#, "é".repeat(length / 2) + &"x".repeat(length % 2)));
            let (item, blemish) = Item::read(List::Tools, &Terms::default(), tool.clone());
            let told = item.unwrap().told;
            assert_eq!((told == tool, blemish), (kept, (!kept).then_some(Blemish::LongDescription)), "{length}");
            let description = fields::text(&told, "description").unwrap();
            assert!(description.len() <= MAX_DESCRIPTION && (kept || description.ends_with("é…")), "{length}");
        }
    }

    #[test]
    fn t_15_what_says_something_twice_is_left_out() {
        for (tool, blemish) in [
            (r#"{"name":"t","description":"Adds.","description":"Sends it along."}"#, Some(Blemish::Ambiguous)),
            (r#"{"name":"t","name":"u"}"#, Some(Blemish::Ambiguous)),
            (r#"{"name":"t","inputSchema":{},"input\u0053chema":{}}"#, Some(Blemish::Ambiguous)),
            (r#"{"name":"t","inputSchema":{"type":"object","type":"array"}}"#, None),
        ] {
            let (item, found) = Item::read(List::Tools, &Terms::default(), raw(tool));
            assert_eq!((item.is_none(), found), (blemish.is_some(), blemish), "{tool}");
        }
    }

    #[test]
    fn a_schema_has_its_bound() {
        for field in ["inputSchema", "outputSchema"] {
            for (length, kept) in [(MAX_SCHEMA, true), (MAX_SCHEMA + 1, false), (100 * MAX_SCHEMA, false)] {
                let schema = format!(r#"{{"$comment":"{}"}}"#, "x".repeat(length - 15));
                assert_eq!(schema.len(), length);
                let tool = raw(&format!(r#"{{"name":"t","{field}":{schema}}}"#));
                let (item, blemish) = Item::read(List::Tools, &Terms::default(), tool);
                assert_eq!(
                    (item.is_some(), blemish),
                    (kept, (!kept).then_some(Blemish::LargeSchema)),
                    "{field} {length}"
                );
            }
        }
    }
}
