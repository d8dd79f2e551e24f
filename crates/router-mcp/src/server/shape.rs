//! The last touches to a result: what its client's era wants to see in it, and where it is from.

use router_core::{CacheUse, Provenance, Raw, Reply, Source, tool::Answer};
use serde_json::json;

use super::{
    Told,
    meta::{META, SERVER_INFO},
    version::Version,
};
use crate::fields::{self, Defaults};

/// What every result of ours says.
pub(super) struct Shape {
    /// To a modern client.
    modern: Defaults,
    /// To a modern client who may keep it.
    cacheable: Defaults,
}

/// Whether the protocol lets a client keep the answer to a method.
pub(super) fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

impl Shape {
    pub(super) fn new(server: &Raw) -> Self {
        let meta = fields::with_path(&fields::empty(), &[SERVER_INFO], server);
        let complete = Raw::trusted("\"complete\"");
        let modern = fields::with_fields(&fields::empty(), &[("resultType", &complete), (META, &meta)]);
        let (never, nobody) = (Raw::trusted("0"), Raw::trusted("\"private\""));
        let cacheable = fields::with_fields(&modern, &[("ttlMs", &never), ("cacheScope", &nobody)]);
        Self { modern: Defaults::of(&modern), cacheable: Defaults::of(&cacheable) }
    }

    /// A result as a client of `version` is to see it.
    pub(super) fn fit(&self, Told { result, is_interim, .. }: &Told, method: &str, version: Version) -> Raw {
        if !version.is_modern() {
            return plain(result, is_cacheable(method));
        }
        let defaults = if is_cacheable(method) && !is_interim { &self.cacheable } else { &self.modern };
        defaults.fill(result)
    }
}

/// Without what a legacy client has never heard of, and might refuse.
fn plain(result: &Raw, hints: bool) -> Raw {
    fields::retain(result, |key, value| match key {
        "resultType" => value != b"\"complete\"",
        "ttlMs" | "cacheScope" => !hints,
        // Before 2026-07-28 structured content was an object, or nothing.
        "structuredContent" => value.first() == Some(&b'{'),
        _ => true,
    })
}

/// An upstream's answer as it is told; when it is not its word of just now, the result says so.
pub(super) fn told(answer: &Answer) -> Told {
    let provenance = answer.provenance();
    Told {
        result: marked(&answer.result, provenance),
        provenance: Some(provenance.clone()),
        is_interim: answer.is_interim,
        is_error: answer.is_error,
        page: None,
    }
}

fn marked(result: &Raw, provenance: &Provenance) -> Raw {
    if provenance.source == Source::Live {
        return result.clone();
    }
    let mut meta = json!({ "mcp-router/source": provenance.source.as_str() });
    if let Some(meta) = meta.as_object_mut() {
        if provenance.cache != CacheUse::None {
            meta.insert("mcp-router/cache".into(), provenance.cache.as_str().into());
        }
        let age = provenance.age.map(|age| age.as_secs().into());
        meta.extend(age.map(|age| ("mcp-router/age_seconds".into(), age)));
    }
    let meta = Raw::trusted(meta.to_string());
    Defaults::of(&fields::with_field(&fields::empty(), META, &meta)).fill(result)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn raw(json: &str) -> Raw {
        Raw::trusted(json.to_owned())
    }

    #[test]
    fn a_modern_client_gets_what_is_missing_and_a_legacy_one_what_he_knows() {
        let shape = Shape::new(&raw(r#"{"name":"r"}"#));
        let info = r#""io.modelcontextprotocol/serverInfo":{"name":"r"}"#;
        for (method, result, modern, legacy) in [
            (
                "tools/call",
                r#"{"content":[], "x-vendor":1e2}"#,
                format!(r#"{{"content":[], "x-vendor":1e2,"resultType":"complete","_meta":{{{info}}}}}"#),
                r#"{"content":[], "x-vendor":1e2}"#,
            ),
            (
                "tools/list",
                r#"{"ttlMs":5,"_meta":{"k":1},"resultType":"complete","tools":[]}"#,
                format!(
                    r#"{{"ttlMs":5,"_meta":{{"k":1,{info}}},"resultType":"complete","tools":[],"cacheScope":"private"}}"#
                ),
                r#"{"_meta":{"k":1},"tools":[]}"#,
            ),
            (
                "tools/call",
                r#"{"structuredContent":[1],"content":[]}"#,
                format!(r#"{{"structuredContent":[1],"content":[],"resultType":"complete","_meta":{{{info}}}}}"#),
                r#"{"content":[]}"#,
            ),
        ] {
            assert_eq!(shape.fit(&raw(result).into(), method, Version::Modern).as_str(), modern);
            assert_eq!(shape.fit(&raw(result).into(), method, Version::LastLegacy).as_str(), legacy);
        }
    }

    #[test]
    fn an_answer_that_is_not_live_says_so() {
        let mut answer = Answer::new(raw(r#"{"content":[]}"#));
        assert_eq!(told(&answer).result, answer.result);
        let provenance = answer.provenance_mut();
        provenance.source = Source::Cache;
        provenance.cache = CacheUse::Stale;
        provenance.age = Some(Duration::from_secs(90));
        assert_eq!(
            told(&answer).result.as_str(),
            r#"{"content":[],"_meta":{"mcp-router/source":"cache","mcp-router/cache":"stale","mcp-router/age_seconds":90}}"#
        );
    }
}
