//! What is generated from the code is what is committed, and what is given as an example can be used.

use std::path::PathBuf;

use super::*;
use crate::config::{clients, file, read::Section};

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn committed(path: &str) -> String {
    fs_err::read_to_string(root().join(path)).expect("it is committed")
}

#[test]
fn the_schema_is_the_committed_one() {
    assert_eq!(
        schema(),
        committed("docs/config.schema.json"),
        "write it with: mcp-router schema > docs/config.schema.json"
    );
}

#[test]
fn the_example_of_variables_is_the_committed_one() {
    assert_eq!(
        environment::example(),
        committed(".env.example"),
        "write it with: mcp-router --help | sed -n '/^# Every/,$p'"
    );
    let (lines, flaws) = dotenv::parse(&environment::example());
    assert_eq!((lines, flaws), (vec![], vec![]), "as it stands, it sets nothing");
}

#[test]
fn every_example_can_be_used() {
    let keys = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY", "AZURE_API_KEY", "CONFLUENCE_TOKEN"];
    let mut loaded = 0;
    for entry in fs_err::read_dir(root().join("examples")).expect("there are examples") {
        let path = entry.expect("an entry").path();
        if !path.extension().is_some_and(|extension| extension == "yaml" || extension == "json") {
            continue;
        }
        let environment = keys.iter().map(|name| ((*name).to_owned(), Secret::new("x".to_owned()))).collect();
        let flags = Flags { config: Some(path.clone()), ..Flags::default() };
        let (config, _) = super::super::load(&flags, &environment).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.file, Some(path));
        loaded += 1;
    }
    assert!(loaded >= 2);
}

/// The keys of a section, with those of other programs.
fn keys<S: Section>() -> Vec<&'static str> {
    let mut keys: Vec<_> = S::KEYS.iter().copied().chain(S::FOREIGN.iter().map(|(key, _)| *key)).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn schema_and_reader_know_the_same_keys() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let sections = [
        ("", keys::<file::File>()),
        ("ProviderFile", keys::<file::ProviderFile>()),
        ("TimeoutFile", keys::<file::TimeoutFile>()),
        ("RetryFile", keys::<file::RetryFile>()),
        ("BreakerFile", keys::<file::BreakerFile>()),
        ("LimitFile", keys::<file::LimitFile>()),
        ("ChaosFile", keys::<file::ChaosFile>()),
        ("Server", keys::<file::ServerFile>()),
        ("AuthFile", keys::<auth::AuthFile>()),
        ("EgressFile", keys::<auth::EgressFile>()),
        ("CacheFile", keys::<file::CacheFile>()),
        ("StandbyFile", keys::<standby::StandbyFile>()),
        ("AliasMap", keys::<aliases::AliasMap>()),
        ("KeepFile", keys::<aliases::KeepFile>()),
        ("PromptCacheFile", keys::<aliases::PromptCacheFile>()),
        ("ClientFile", keys::<clients::ClientFile>()),
        ("KnownFile", keys::<known::KnownFile>()),
        ("PriceFile", keys::<known::PriceFile>()),
        ("QuirksFile", keys::<known::QuirksFile>()),
        ("KeyFile", keys::<super::super::keys::KeyFile>()),
        ("LogFile", keys::<file::LogFile>()),
        ("InstancesFile", keys::<upkeep::InstancesFile>()),
        ("HealthFile", keys::<upkeep::HealthFile>()),
        ("RuntimeFile", keys::<upkeep::RuntimeFile>()),
        ("CatalogFile", keys::<catalog::CatalogFile>()),
        ("ViewFile", keys::<catalog::ViewFile>()),
        ("AllowFile", keys::<catalog::AllowFile>()),
        ("OverrideFile", keys::<catalog::OverrideFile>()),
    ];
    let described = schema["$defs"].as_object().unwrap();
    let mappings = described.values().filter(|definition| definition.get("properties").is_some()).count();
    assert_eq!(mappings + 1, sections.len(), "a section is missing in this test");
    for (name, expected) in sections {
        let definition = if name.is_empty() { &schema } else { &described[name] };
        let mut found: Vec<_> = definition["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn every_key_of_the_schema_is_described() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let definitions = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for (key, property) in definitions.filter_map(|definition| definition["properties"].as_object()).flatten() {
        assert!(property["description"].is_string(), "{key}");
    }
}
