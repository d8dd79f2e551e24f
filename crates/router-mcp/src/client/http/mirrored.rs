//! The headers that repeat arguments of a call (from 2026-07-28 on): which they are is learnt from the lists that the
//! server gives, since whoever calls may come from where there are no headers.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderValue};
use router_core::{Name, Raw};

use super::headers;
use crate::{
    fields,
    mirror::{self, Mirror},
};

/// Which arguments of which tools are repeated: none, with most servers; nothing is known before the first list.
#[derive(Default)]
pub(super) struct Mirrored(ArcSwapOption<HashMap<String, Arc<[Mirror]>>>);

impl Mirrored {
    /// Whether the server has given a list yet.
    pub(super) fn is_known(&self) -> bool {
        self.0.load().is_some()
    }

    /// Reads a page of the server's tools, and takes those out whose annotations are wrong, as a client has to.
    pub(super) fn learn(&self, server: &Name, page: Raw) -> Raw {
        let mut all = self.0.load_full().map(|known| (*known).clone()).unwrap_or_default();
        if all.is_empty() && !mirror::is_annotated(&page) {
            self.0.store(Some(Arc::new(all)));
            return page;
        }
        let tools = fields::get(&page, "tools").map(|tools| fields::elements(&tools)).unwrap_or_default();
        let count = tools.len();
        let kept: Vec<Raw> = tools.into_iter().filter(|tool| is_right(server, tool)).collect();
        for tool in &kept {
            let (name, mirrors) = (fields::text(tool, "name").unwrap_or_default(), Mirror::all(tool));
            if mirrors.is_empty() {
                all.remove(&name);
            } else {
                all.insert(name, mirrors);
            }
        }
        self.0.store(Some(Arc::new(all)));
        if kept.len() == count { page } else { fields::with_field(&page, "tools", &fields::array(&kept)) }
    }

    /// Adds the headers of a tool call.
    pub(super) fn mirror(&self, headers: &mut HeaderMap, params: &Raw) {
        let Some(all) = self.0.load_full().filter(|all| !all.is_empty()) else { return };
        let Some(mirrors) = fields::text(params, "name").and_then(|name| all.get(&name).cloned()) else { return };
        let Some(arguments) = fields::get(params, "arguments") else { return };
        for mirror in mirrors.iter() {
            let value = mirror.argument(&arguments).and_then(|argument| written(&argument));
            if let (Some(name), Some(value)) = (mirror.name(), value) {
                headers.insert(name, value);
            }
        }
    }
}

fn is_right(server: &Name, tool: &Raw) -> bool {
    let Some(flaw) = mirror::flaw(tool) else { return true };
    let tool = fields::text(tool, "name").unwrap_or_default();
    tracing::warn!(%server, tool, "a tool is left out, because its x-mcp-header is wrong: {flaw}");
    false
}

/// A string says what it says, numbers and booleans are written as they stand; nothing else is ever repeated.
fn written(argument: &Raw) -> Option<HeaderValue> {
    let text = match argument.bytes().first() {
        Some(b'"') => fields::said(argument)?,
        Some(b'{' | b'[') | None => return None,
        Some(_) => argument.as_str().to_owned(),
    };
    HeaderValue::try_from(headers::encoded(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Raw {
        Raw::trusted(json.to_owned())
    }

    fn tool(name: &str, annotation: &str) -> String {
        format!(
            r#"{{"name":"{name}","inputSchema":{{"properties":{{"a":{{"type":"string"{annotation}}},"o":{{"properties":{{"n":{{"type":"integer","x-mcp-header":"N"}}}}}}}}}}}}"#
        )
    }

    fn sent(mirrored: &Mirrored, params: &str) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        mirrored.mirror(&mut headers, &raw(params));
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
    }

    #[test]
    fn arguments_are_repeated_as_the_server_wants() {
        let mirrored = Mirrored::default();
        let plain = raw(r#"{"tools":[{"name":"t"}]}"#);
        assert_eq!(mirrored.learn(&"s".into(), plain.clone()), plain);
        let (right, wrong) = (tool("t", r#","x-mcp-header":"A""#), tool("w", r#","x-mcp-header":"n""#));
        let page = mirrored.learn(&"s".into(), raw(&format!(r#"{{"x":1.0,"tools":[{right}, {wrong}],"ttlMs":5}}"#)));
        assert_eq!(page, raw(&format!(r#"{{"x":1.0,"tools":[{right}],"ttlMs":5}}"#)));
        for (params, expected) in [
            (
                r#"{"name":"t","arguments":{"a":"x y","o":{"n":42}}}"#,
                vec![("mcp-param-a", "x y"), ("mcp-param-n", "42")],
            ),
            (r#"{"name":"t","arguments":{"a":" ü","o":{"n":null}}}"#, vec![("mcp-param-a", "=?base64?IMO8?=")]),
            (r#"{"name":"t","arguments":{"a":"","o":{"n":true}}}"#, vec![("mcp-param-a", ""), ("mcp-param-n", "true")]),
            (r#"{"name":"t","arguments":{"a":[1]}}"#, vec![]),
            (r#"{"name":"t"}"#, vec![]),
            (r#"{"name":"u","arguments":{"a":"x"}}"#, vec![]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            assert_eq!(sent(&mirrored, params), expected, "{params}");
        }
        mirrored.learn(&"s".into(), plain);
        assert_eq!(sent(&mirrored, r#"{"name":"t","arguments":{"a":"x"}}"#), []);
    }
}
