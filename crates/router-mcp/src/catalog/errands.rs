//! Which server of a view is meant by a method that only its extension gives a meaning to, and which extensions can
//! therefore be used through us.

use std::collections::BTreeMap;

use router_core::{
    Cx, Error, Kind, Outcome, Raw, Result,
    tool::{Answer, Errand},
};

use super::{Catalog, shelf::Company, tasks::EXTENSION};
use crate::{
    client::failure,
    fields,
    rpc::{RpcError, code},
};

/// The extensions that several servers can have at once, because their messages are those of the protocol itself.
const SHARED: [&str; 1] = ["io.modelcontextprotocol/ui"];

/// Where a server announces what is not of the protocol itself.
const ANNOUNCED: [&str; 2] = ["extensions", "experimental"];

impl Catalog {
    /// The extensions that clients can use here, as the first server says it that has them: those whose methods lead to
    /// one server. Those of tasks are told by [`Catalog::tasks`].
    pub(crate) fn extensions(&self) -> Vec<(String, Raw)> {
        let said = self.view.servers.iter().filter_map(|shown| shown.shelf.said(&["extensions"]));
        let mut all: BTreeMap<String, (usize, Raw)> = BTreeMap::new();
        for (name, about) in said.flat_map(|said| fields::entries(&said)).filter(|(name, _)| name != EXTENSION) {
            all.entry(name).or_insert((0, about)).0 += 1;
        }
        let usable = all.into_iter().filter(|(name, (servers, _))| *servers == 1 || SHARED.contains(&name.as_str()));
        usable.map(|(name, (_, about))| (name, about)).collect()
    }

    /// Hands a request to the one server that can know it.
    pub(crate) async fn errand(&self, cx: &Cx, errand: Errand) -> Result<Answer> {
        let method = &errand.method;
        let mut meant: Vec<_> = self.view.servers.iter().map(|shown| &shown.shelf).collect();
        if self.view.company == Company::Among {
            meant.retain(|shelf| shelf.capabilities().is_some_and(|said| announces(&said, method)));
        }
        match meant.as_slice() {
            [only] => only.errand(cx, errand).await,
            [] => {
                Err(unknown(format!("method not found: {method} (no server here announces an extension that has it)")))
            }
            [..] => {
                let names: Vec<_> = meant.iter().map(|shelf| &*shelf.offer.name).collect();
                let servers = names.join(", ");
                let message = format!(
                    "method not found: {method} (several servers announce its extension: {servers}; ask one at /mcp/SERVER)"
                );
                Err(unknown(message))
            }
        }
    }

    /// Hands a request to a server of that name, where it is to be seen here.
    pub(crate) async fn errand_to(&self, server: &str, cx: &Cx, errand: Errand) -> Result<Answer> {
        let shown = self.view.servers.iter().find(|shown| *shown.shelf.offer.name == *server);
        let away = || Error::new(Kind::NotFound, "its server is not to be seen here").outcome_is(Outcome::NotSent);
        shown.ok_or_else(away)?.shelf.errand(cx, errand).await
    }
}

fn unknown(message: String) -> Error {
    failure(&RpcError::new(code::METHOD_NOT_FOUND, message)).outcome_is(Outcome::NotSent)
}

/// Whether a method belongs to something that a server announces: it begins with the whole name of the extension, or with
/// the part of it behind the vendor (`com.example/search` has `search/run`).
fn announces(capabilities: &Raw, method: &str) -> bool {
    let area = method.split('/').next().unwrap_or(method);
    let has = |name: &str| {
        let begins = method.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        begins || name.rsplit_once('/').is_some_and(|(_, own)| own == area)
    };
    let said = ANNOUNCED.iter().filter_map(|place| fields::get(capabilities, place));
    said.flat_map(|said| fields::entries(&said)).any(|(name, _)| has(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_belongs_to_the_extension_that_it_begins_with() {
        let said = Raw::trusted(r#"{"tools":{},"extensions":{"com.example/search":{}},"experimental":{"beta":{}}}"#);
        for (method, expected) in [
            ("search/run", true),
            ("com.example/search/run", true),
            ("com.example/search", true),
            ("com.example/searches", false),
            ("com.example/other", false),
            ("beta/x", true),
            ("beta", true),
            ("betas/x", false),
            ("tools/run", false),
            ("", false),
        ] {
            assert_eq!(announces(&said, method), expected, "{method}");
        }
    }
}
