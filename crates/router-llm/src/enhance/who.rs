//! Which rule a client is treated by: the signs by which it can be known, from the surest to the vaguest.

use std::{collections::BTreeMap, sync::Arc};

use router_core::{Error, Kind, Result};

use super::rule::ClientRule;
use crate::route::near::nearest;

/// The rule of all clients that have none of their own.
pub const DEFAULT: &str = "default";

/// What a request tells of its client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signs<'a> {
    /// From the path it came by: `/c/{client}`. Somebody wrote it into the client's settings, so it has to be right.
    pub path: Option<&'a str>,
    /// What the client calls itself, in its question or its headers.
    pub says: Option<&'a str>,
    /// The name of its key.
    pub key: Option<&'a str>,
    /// The product that its `user-agent` begins with.
    pub agent: Option<&'a str>,
}

/// The rules, by the names of their clients.
pub(super) struct Roll {
    /// By lower-case name; with the name as it was written.
    rules: BTreeMap<Box<str>, (Arc<str>, ClientRule)>,
    by_key: BTreeMap<Arc<str>, Arc<str>>,
}

impl Roll {
    pub(super) fn new(rules: impl IntoIterator<Item = (Arc<str>, ClientRule)>) -> Self {
        let rules: BTreeMap<Box<str>, _> =
            rules.into_iter().map(|(name, rule)| (folded(&name), (name, rule))).collect();
        let by_key =
            rules.values().map(|(name, rule)| (Arc::clone(rule.key.as_ref().unwrap_or(name)), Arc::clone(name)));
        Self { by_key: by_key.collect(), rules }
    }

    /// The client, by the name of the first rule that a sign leads to; without one, by its own word.
    pub(super) fn client(&self, signs: Signs<'_>) -> Result<Option<Arc<str>>> {
        if let Some(path) = signs.path {
            return self.own(path).map(|(name, _)| Some(Arc::clone(name))).ok_or_else(|| self.unknown(path));
        }
        let own = |name: Option<&str>| self.own(name?).map(|(name, _)| Arc::clone(name));
        let by_key = || self.by_key.get(signs.key?).cloned();
        let known = own(signs.says).or_else(by_key).or_else(|| own(signs.agent));
        Ok(known.or_else(|| signs.says.or(signs.agent).map(Arc::from)))
    }

    /// The rule of a client, or the one of all others.
    pub(super) fn rule(&self, client: Option<&str>) -> Option<&(Arc<str>, ClientRule)> {
        if self.rules.is_empty() {
            return None;
        }
        client.and_then(|client| self.own(client)).or_else(|| self.own(DEFAULT))
    }

    fn own(&self, name: &str) -> Option<&(Arc<str>, ClientRule)> {
        if self.rules.is_empty() { None } else { self.rules.get(&folded(name)) }
    }

    fn unknown(&self, name: &str) -> Error {
        let names = || self.rules.values().map(|(name, _)| &**name);
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean {near:?}?"),
            None if self.rules.is_empty() => "add it under `clients` of the configuration".to_owned(),
            None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
        };
        Error::new(Kind::NotFound, format!("there is no client {name:?}")).hint(hint)
    }
}

fn folded(name: &str) -> Box<str> {
    name.to_lowercase().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client, and the key that is his.
    type Known = (&'static str, Option<&'static str>);

    fn roll(names: &[Known]) -> Roll {
        let rule = |key: Option<&str>| ClientRule { key: key.map(Arc::from), ..ClientRule::default() };
        Roll::new(names.iter().map(|(name, key)| (Arc::from(*name), rule(*key))))
    }

    #[test]
    fn the_surest_sign_that_leads_to_a_rule_counts() {
        let roll = roll(&[("Raycast", Some("laptop")), ("cursor", None), ("claude-cli", None)]);
        let (path, says) = (Some("cursor"), Some("claude-cli"));
        let (key, agent) = (Some("laptop"), Some("claude-cli"));
        let table = [
            (Signs { path, says, key, agent }, Some("cursor")),
            (Signs { path: Some("CURSOR"), ..Signs::default() }, Some("cursor")),
            (Signs { says, key, agent, path: None }, Some("claude-cli")),
            (Signs { key, agent, ..Signs::default() }, Some("Raycast")),
            (Signs { says: Some("unheard-of"), key, ..Signs::default() }, Some("Raycast")),
            (Signs { key: Some("cursor"), ..Signs::default() }, Some("cursor")),
            (Signs { key: Some("Raycast"), agent, ..Signs::default() }, Some("claude-cli")),
            (Signs { says: Some("unheard-of"), agent: Some("curl"), ..Signs::default() }, Some("unheard-of")),
            (Signs { agent: Some("curl"), key: Some("other"), ..Signs::default() }, Some("curl")),
            (Signs::default(), None),
        ];
        for (signs, expected) in table {
            assert_eq!(roll.client(signs).unwrap().as_deref(), expected, "{signs:?}");
        }
    }

    #[test]
    fn an_unknown_client_on_a_path_is_told_what_was_meant() {
        let table: [(&[Known], &str, &str); 3] = [
            (&[("raycast", None)], "raycst", "there is no client \"raycst\" (did you mean \"raycast\"?)"),
            (&[("b", None), ("a", None)], "cursor", "there is no client \"cursor\" (there are: a, b)"),
            (&[], "x", "there is no client \"x\" (add it under `clients` of the configuration)"),
        ];
        for (names, path, expected) in table {
            let error = roll(names).client(Signs { path: Some(path), ..Signs::default() }).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (Kind::NotFound, expected));
        }
    }

    #[test]
    fn those_without_a_rule_have_the_one_for_all() {
        let some = roll(&[("raycast", None)]);
        let all = roll(&[("raycast", None), ("default", None)]);
        let name = |roll: &Roll, client| roll.rule(client).map(|(name, _)| name.to_string());
        assert_eq!(name(&some, Some("RAYCAST")), Some("raycast".into()));
        assert_eq!(name(&some, Some("cursor")), None);
        assert_eq!(name(&all, Some("cursor")), Some("default".into()));
        assert_eq!(name(&all, None), Some("default".into()));
    }
}
