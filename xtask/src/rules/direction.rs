//! Crates depend in one direction, and the core knows no transport and no vendor.

use super::Finding;
use crate::source::{Source, is_word, parts};

/// What each crate may see of the others. A new crate is added here, with thought.
const MAY_SEE: &[(&str, &[&str])] = &[
    ("router-core", &[]),
    ("router-http", &["router-core"]),
    ("router-llm", &["router-core", "router-http"]),
    ("router-mcp", &["router-core", "router-http"]),
    ("router-tools", &["router-core"]),
    ("router-server", &["router-core", "router-http", "router-llm", "router-mcp", "router-tools"]),
];

/// What only the product may depend on.
const ONLY_SERVER: &[&str] = &["axum", "clap", "prometheus-client"];

/// What the core may not depend on.
const NOT_IN_CORE: &[&str] = &["http", "http-body", "http-body-util", "hyper", "hyper-util", "hyper-rustls", "axum"];

/// Words that the core holds nowhere, comments included.
const CORE_IGNORES: &[&str] = &[
    "openai",
    "anthropic",
    "ollama",
    "openrouter",
    "azure",
    "lmstudio",
    "lm studio",
    "jsonrpc",
    "json-rpc",
    "axum",
    "hyper",
];

const DIRECTION: &str =
    "see the picture of the crates in ARCHITECTURE.md; what siblings share is a word of router-core";

/// The dependencies of a crate's manifest.
pub(super) fn dependencies(source: &Source) -> Vec<Finding> {
    let Some(krate) = source.krate().filter(|krate| source.path == format!("crates/{krate}/Cargo.toml")) else {
        return Vec::new();
    };
    let Some((_, may_see)) = MAY_SEE.iter().find(|(name, _)| *name == krate) else {
        return vec![Finding::new(
            source,
            1,
            format!("the crate {krate} has no place in the order"),
            "add it to MAY_SEE",
        )];
    };
    let forbidden = |name: &str| match name {
        _ if krate == "router-core" && NOT_IN_CORE.contains(&name) => true,
        _ if krate != "router-server" && ONLY_SERVER.contains(&name) => true,
        _ => name.starts_with("router-") && name != krate && !may_see.contains(&name),
    };
    dependency_names(&source.text)
        .into_iter()
        .filter(|(_, name)| forbidden(name))
        .map(|(line, name)| Finding::new(source, line, format!("{krate} may not depend on {name}"), DIRECTION))
        .collect()
}

/// The names of all dependencies of a manifest (also for tests and builds), with their lines.
fn dependency_names(manifest: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    let mut in_dependencies = false;
    for (line, text) in (1..).zip(manifest.lines()) {
        if let Some(section) = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            in_dependencies = section.ends_with("dependencies");
            if let Some((_, name)) = section.split_once("dependencies.") {
                names.push((line, name.to_owned()));
            }
        } else if in_dependencies {
            let name: String = text.chars().take_while(|&c| is_word(c) || c == '-').collect();
            if !name.is_empty() {
                names.push((line, name));
            }
        }
    }
    names
}

/// Words of transports and vendors in the core.
pub(super) fn core_words(source: &Source) -> Vec<Finding> {
    const REMEDY: &str = "say what it means for any upstream, or move it to the crate that speaks that language";
    if source.krate() != Some("router-core") || !source.is_rust() {
        return Vec::new();
    }
    let vendors = (1..).zip(source.text.lines()).flat_map(|(line, text)| {
        let text = text.to_lowercase();
        let found = CORE_IGNORES.iter().filter(move |word| holds(&text, word));
        found.map(move |word| (line, format!("router-core says \"{word}\"")))
    });
    let transport = source.words().into_iter().filter(|word| parts(word.text).iter().any(|part| part == "http"));
    let transport = transport.map(|word| (word.line, format!("router-core names `{}`", word.text)));
    vendors.chain(transport).map(|(line, what)| Finding::new(source, line, what, REMEDY)).collect()
}

/// Whether a line holds a word that does not run on into another one ("hyper", but not "hyperbolic").
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (line.split_at(at).0, line.split_at(at + word.len()).1);
        !before.ends_with(char::is_alphabetic) && !after.starts_with(|c: char| c.is_alphabetic() && word == "hyper")
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn dependencies() {
        table(
            super::dependencies,
            &[
                ("crates/router-core/Cargo.toml", "[dependencies]\nbytes = \"1\"\n", &[]),
                (
                    "crates/router-core/Cargo.toml",
                    "[dependencies]\nhttp.workspace = true\n[dev-dependencies]\nrouter-llm = { path = \"\" }\n",
                    &["2: router-core may not depend on http", "4: router-core may not depend on router-llm"],
                ),
                (
                    "crates/router-llm/Cargo.toml",
                    "[package]\nname = \"router-llm\"\n[dependencies.axum]\nversion = \"0.8\"\n[target.'cfg(unix)'.dependencies]\nrouter-mcp = \"1\"\n",
                    &["3: router-llm may not depend on axum", "6: router-llm may not depend on router-mcp"],
                ),
                ("crates/router-server/Cargo.toml", "[dependencies]\naxum = \"1\"\nrouter-mcp = \"1\"\n", &[]),
                ("crates/new/Cargo.toml", "[dependencies]\n", &["1: the crate new has no place in the order"]),
                ("bench/Cargo.toml", "[dependencies]\nclap = \"4\"\n", &[]),
            ],
        );
    }

    #[test]
    fn core_words() {
        table(
            super::core_words,
            &[
                ("crates/router-core/src/a.rs", "//! As OpenAI does.\n", &["1: router-core says \"openai\""]),
                ("crates/router-core/src/a.rs", "/// Over JSON-RPC.\n", &["1: router-core says \"json-rpc\""]),
                ("crates/router-core/src/a.rs", "struct AnthropicThing;\n", &["1: router-core says \"anthropic\""]),
                ("crates/router-core/src/a.rs", "use hyper::Body;\n", &["1: router-core says \"hyper\""]),
                ("crates/router-core/src/a.rs", "// a hyperbolic curve, rehyper\n", &[]),
                (
                    "crates/router-core/src/a.rs",
                    "fn http_status() {} // http\n",
                    &["1: router-core names `http_status`"],
                ),
                ("crates/router-llm/src/a.rs", "//! As OpenAI does.\n", &[]),
            ],
        );
    }
}
