//! What of the MCP servers is offered, and how it is put together.

use std::sync::Arc;

use router_core::Raw;
use router_mcp::catalog::{Alias as ToolAlias, Filter, Filters, Lazy, Override, Prefix, Terms};

use super::{
    good::{server, tools},
    *,
};
use crate::config::settings::{CatalogSettings, ViewSettings};

#[test]
fn what_servers_offer() {
    let rows: Vec<(&str, ServerSettings)> = vec![
        (
            "{ command: x, disabledTools: [rm], tools: { allow: [get_*], deny: [get_all] }, includeTools: [put] }",
            ServerSettings {
                terms: tools(Filter {
                    allow: Some(vec!["get_*".into(), "put".into()]),
                    deny: vec!["get_all".into(), "rm".into()],
                }),
                ..server("a", "x")
            },
        ),
        (
            "{ command: x, tools: [get_*], prefix: on_conflict, resources: { deny: [\"file:///etc/*\"] } }",
            ServerSettings {
                terms: Terms {
                    prefix: Prefix::OnConflict,
                    filters: Filters {
                        tools: Filter { allow: Some(vec!["get_*".into()]), deny: Vec::new() },
                        resources: Filter { allow: None, deny: vec!["file:///etc/*".into()] },
                        ..Filters::default()
                    },
                    ..Terms::default()
                },
                ..server("a", "x")
            },
        ),
        (
            "{ command: x, overrides: { get: { name: fetch, title: T, annotations: { readOnlyHint: true }, arguments: { n: 1, s: \"1\", t: [a, { b: 1.5 }], k: \"${KEY}\" } } } }",
            ServerSettings {
                terms: Terms {
                    overrides: [(
                        "get".to_owned(),
                        Override {
                            name: Some("fetch".into()),
                            title: Some("T".into()),
                            description: None,
                            annotations: Some(Raw::trusted(r#"{"readOnlyHint":true}"#)),
                            arguments: Some(Raw::trusted(r#"{"n":1,"s":"1","t":["a",{"b":1.5}],"k":"k"}"#)),
                        },
                    )]
                    .into(),
                    ..Terms::default()
                },
                ..server("a", "x")
            },
        ),
    ];
    for (text, expected) in rows {
        let text = format!("mcpServers:\n  a: {text}\n");
        let (config, _) = loaded(&Case { text: &text, environment: &[("KEY", "k")], listen: None });
        assert_eq!(config.servers, std::slice::from_ref(&expected), "{text}");
    }
}

#[test]
fn a_catalog_is_put_together_and_seen_in_parts() {
    let text = r#"
mcpServers: { a: { command: x }, b: { command: y, prefix: never } }
catalog:
  prefix: on_conflict
  max_name: 64
  client_prefix: mcp__r__
  page_size: 50
  lazy: auto
  lazy_above_tools: 40
  aliases: { find: a__search }
views:
  dev: { servers: [b, a], tools: { allow: ["a__get_*"] }, prefix: always, lazy: true, instructions: Be brief., page_size: 10 }
  all: {}
keys:
  - { name: me, key: 0123456789abcdef, view: dev }
  - { name: you, key: fedcba9876543210, views: [all, dev] }
"#;
    let config = load(text);
    let above = Lazy::Above { tools: 40, tokens: 20_000 };
    let alias = ToolAlias { server: "a".into(), tool: "search".into() };
    assert_eq!(
        config.catalog,
        CatalogSettings {
            max_name: 56,
            page_size: 50,
            lazy: above,
            lazy_above: above,
            aliases: Arc::new([("find".to_owned(), alias)].into()),
        }
    );
    assert_eq!(
        config.servers.iter().map(|server| server.terms.prefix).collect::<Vec<_>>(),
        [Prefix::OnConflict, Prefix::Never]
    );
    let all = ViewSettings {
        name: "all".into(),
        servers: None,
        filters: Filters::default(),
        prefix: None,
        lazy: above,
        instructions: None,
        page_size: 50,
    };
    let dev = ViewSettings {
        name: "dev".into(),
        servers: Some(vec!["b".into(), "a".into()]),
        filters: Filters {
            tools: Filter { allow: Some(vec!["a__get_*".into()]), deny: Vec::new() },
            ..Filters::default()
        },
        prefix: Some(Prefix::Always),
        lazy: Lazy::Always,
        instructions: Some("Be brief.".into()),
        page_size: 10,
    };
    assert_eq!(config.views, [dev, all]);
    let views: Vec<Vec<&str>> = config.keys.iter().map(|key| key.views.iter().map(|view| &**view).collect()).collect();
    assert_eq!(views, [vec!["dev"], vec!["all", "dev"]]);
}
