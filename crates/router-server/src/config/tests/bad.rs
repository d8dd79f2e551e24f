//! What is wrong with a file, as people read it.

use std::fmt::Write;

use super::*;

/// Files with something wrong in them. What is told of each is in the snapshot.
const FILES: Pairs<'_> = &[
    ("a key that nobody knows", "lisetn: 127.0.0.1:4100"),
    ("a key that is like none", "colour: red"),
    ("another system's key", "mcpServers: { a: { command: x, breaker: { failure_threshold: 3 } } }"),
    ("no unit", "mcpServers:\n  github:\n    command: npx\n    breaker:\n      recovery: 30"),
    ("a unit that is none", "mcpServers: { a: { command: x, timeout: { idle: 5sec } } }"),
    ("no time at all", "mcpServers: { a: { command: x, timeout: 0s } }"),
    ("a single value for a mapping", "providers: { ollama: { timeout: 30 } }"),
    ("a mapping for a single value", "listen: { host: x }"),
    ("a single value for a list", "keys: me"),
    ("a list for a mapping", "mcpServers: [fetch]"),
    ("a number that is none", "mcpServers: { a: { command: x, limit: { concurrency: many } } }"),
    ("a number that is too small", "mcpServers: { a: { command: x, breaker: { failures: 0 } } }"),
    ("a share above the whole", "chaos: { rate: 150% }"),
    ("a rate without a unit", "mcpServers: { a: { command: x, limit: { rate: 10 } } }"),
    ("a size without a unit", "mcpServers: { a: { command: x, cache: { max_bytes: 100 } } }"),
    ("neither true nor false", "mcpServers: { a: { command: x, trusted: yes } }"),
    ("a word that is misspelt", "providers: { local: { base_url: http://localhost:9000, dialect: openia } }"),
    ("a word that is like none", "log: { format: xml }"),
    ("a level that is none", "log: { level: loud }"),
    ("a variable that is not set", "providers: { openai: { api_key: \"${MISSING}\" } }"),
    ("a reference without an end", "state: \"${HOME\""),
    ("a reference in braces without quotes", "providers: { openai: { api_key: ${OPENAI_API_KEY} } }"),
    ("a source that comes later", "providers: { openai: { api_key: \"${vault:kv/openai#key}\" } }"),
    ("a file that is not there", "providers: { openai: { api_key: \"${file:no-such-file}\" } }"),
    ("the value of a variable is wrong", "chaos: { rate: \"${SECRET}\" }"),
    ("a provider that is misspelt", "providers: { opnai: { api_key: x } }"),
    ("a provider without an address", "providers: { house: { api_key: x } }"),
    ("a provider without a key", "providers: { anthropic: }"),
    ("a provider with an empty key", "providers: { openai: { api_key: \"\" } }"),
    ("azure without an address", "providers: { azure: { api_key: x } }"),
    ("model2vec without a folder", "providers: { local: { kind: model2vec } }"),
    ("model2vec with a folder that is not there", "providers: { local: { kind: model2vec, path: ./no-such-folder } }"),
    ("model2vec with a folder of something else", "providers: { local: { kind: model2vec, path: / } }"),
    ("a folder for a vendor", "providers: { ollama: { path: ./potion } }"),
    ("a name with a slash", "providers: { a/b: { base_url: http://localhost:1 } }"),
    (
        "two words for one address",
        "providers: { azure: { api_key: x, endpoint: https://a.example, base_url: https://b.example } }",
    ),
    ("an address that is none", "providers: { lmstudio: { base_url: localhost:1234 } }"),
    ("an address with a credential", "providers: { lmstudio: { base_url: \"http://me:hunter2@localhost:1234\" } }"),
    ("our own address", "providers: { lmstudio: { base_url: \"http://localhost:4100/v1\" } }"),
    ("a dialect that is not spoken", "providers: { openai: { api_key: x, dialect: ollama } }"),
    ("a default that is not there", "providers: { ollama: }\ndefault_provider: olama"),
    ("a model of nobody", "providers: { ollama: }\nmodels: { fast: [olama/llama3, mistral/large] }"),
    ("a model without a name", "models: { fast: [echo/] }"),
    ("an alias in an alias", "models: { a: echo/x, b: [a] }"),
    ("an alias without models", "models: { fast: [] }"),
    ("an alias that says all but its models", "models: { fast: { cache: { exact: true } } }"),
    ("a way of keeping that is none", "models: { fast: { candidates: echo/x, cache: { exact: maybe, tll: 1h } } }"),
    (
        "a view of a server that is not there",
        "mcpServers: { github: { command: x } }\nviews: { dev: { servers: [githb] } }",
    ),
    ("a view that no path can name", "views: { \"a/b\": {} }"),
    ("a key for a view that is not there", "views: { dev: {} }\nkeys: [{ name: me, key: 0123456789abcdef, view: dv }]"),
    ("a key for no view", "keys: [{ name: me, key: 0123456789abcdef, views: [] }]"),
    ("an alias of no tool", "mcpServers: { a: { command: x } }\ncatalog: { aliases: { find: a_search } }"),
    (
        "an alias in the place of a server's tool",
        "mcpServers: { a: { command: x } }\ncatalog: { aliases: { a__x: a__y } }",
    ),
    ("an alias that no model takes", "mcpServers: { a: { command: x } }\ncatalog: { aliases: { \"find it\": a__y } }"),
    ("no room for names", "catalog: { client_prefix: mcp__a_name_that_is_longer_than_all_names_of_all_tools__ }"),
    ("a prefix that is no policy", "catalog: { prefix: sometimes }"),
    ("tools renamed to one name", "mcpServers: { a: { command: x, overrides: { b: { name: d }, c: { name: d } } } }"),
    ("arguments that are no mapping", "mcpServers: { a: { command: x, overrides: { b: { arguments: [1] } } } }"),
    ("patterns that are no list", "mcpServers: { a: { command: x, tools: { allow: get_* } } }"),
    ("an alias with a slash", "models: { a/b: echo/x }"),
    (
        "a prompt that names what is not there",
        "clients:\n  raycast:\n    prompt: |\n      Be short.\n      You are {{ clientt }}.",
    ),
    ("a prompt that is not closed", "clients: { raycast: { prompt: \"{% if client %}\" } }"),
    (
        "a client with a key of nobody",
        "keys: [{ name: laptop, key: 0123456789abcdef }]\nclients: { raycast: { key: labtop } }",
    ),
    ("one key of two clients", "keys: [{ name: k, key: 0123456789abcdef }]\nclients: { a: { key: k }, b: { key: k } }"),
    ("one client twice", "clients: { raycast: { model: echo/x }, Raycast: { model: echo/y } }"),
    ("nobody to rewrite", "clients: { raycast: { mode: rewrite, prompt: Improve it. } }"),
    (
        "models after the end of a fallback",
        "clients: { a: { mode: rewrite, rewrite_model: echo/x, fallback: [unchanged, echo/y] } }",
    ),
    ("a temperature that is none", "clients: { raycast: { temperature: warm, max_tokens: 0 } }"),
    ("a level of privacy that is none", "clients: { raycast: { privacy: local, privacy_level: any } }"),
    ("a client with a model of nobody", "clients: { raycast: { model: groq/llama } }"),
    ("a server that is not told how to reach", "mcpServers: { a: {} }"),
    ("a server that is reached in two ways", "mcpServers: { a: { command: x, url: http://localhost:1 } }"),
    ("a server without a program", "mcpServers: { a: { command: \"\" } }"),
    ("a server with our name", "mcpServers: { v: { command: x } }"),
    ("two servers with one name", "mcpServers: { a b: { command: x }, a_b: { command: y } }"),
    ("a misspelt key of a server", "mcpServers: { a: { command: x, tiemout: 5s } }"),
    ("a header that is none", "mcpServers: { a: { url: http://localhost:1, headers: { \"a b\": x } } }"),
    ("a variable that is none", "mcpServers: { a: { command: x, env: { A=B: x } } }"),
    ("a stand-in that is none", "mcpServers: { a: { command: x, on_error: [stael] } }"),
    ("a stand-in that is not here", "mcpServers: { a: { command: x, on_timeout: [backup, default] } }"),
    (
        "servers that stand in for one another",
        "mcpServers: { a: { command: x, on_error: { server: bb } }, b: { command: x, on_error: { server: c } }, c: { command: x, on_timeout: { server: b } } }",
    ),
    ("two stand-ins in one", "mcpServers: { a: { command: x, on_error: [{ backup: /tmp, default: y }] } }"),
    ("a way to sign in that is none", "mcpServers: { a: { url: http://localhost:1, auth: basic } }"),
    (
        "a sign-in that lacks what it needs",
        "mcpServers:\n  a:\n    url: http://localhost:1\n    auth: { grant: client_credentials, per: caller, client_secret: x, private_key: y, issuer: as.example }",
    ),
    (
        "a sign-in beside a credential",
        "mcpServers: { a: { url: http://localhost:1, headers: { authorization: x }, auth: { scopes: [a] } } }",
    ),
    ("an address of ours that anybody can listen at", "public_url: http://router.example.com"),
    ("a network that is none", "egress: { allow_private: [10.0.0.0/64, \"https://a.example\"] }"),
    ("servers twice", "mcpServers: { a: { command: x } }\nservers: { b: { command: y } }"),
    ("a key without a name", "keys: [{ key: 0123456789abcdefgh }]"),
    ("one key twice", "keys: [{ name: a, key: 0123456789abcdefgh }, { name: b, key: 0123456789abcdefgh }]"),
    ("one name twice", "keys: [{ name: a, key: 0123456789abcdefgh }, { name: a, key: 1123456789abcdefgh }]"),
    ("an address that others can reach", "listen: 0.0.0.0:4100"),
    ("an address without a port", "listen: 127.0.0.1"),
    ("a port without an address", "listen: 4100"),
    ("any origin", "allowed_origins: [\"*\", app.example.com]"),
    ("an address for a host", "allowed_hosts: [\"https://router.example.com\"]"),
    (
        "models of which too little or nonsense is said",
        "known_models: { q: { price: { input: 1 }, tokenizer: o20k, quirks: { efforts: [loud] } }, r: { price: { input: -1, output: x } } }",
    ),
    ("no redis", "redis: localhost:6379"),
    ("a cache that is emptied at no time", "mcpServers: { a: { command: x, cache: { purge: 0 25 * * * } } }"),
    ("a key for states that can be guessed", "state_key: hunter2"),
    ("a home that only a shell knows", "state: ~/router"),
    ("one key of a mapping twice", "log: { level: info }\nlog: { level: debug }"),
    ("a second document", "log: { level: info }\n---\nlog: { level: debug }"),
    ("tabs", "log:\n\tlevel: info"),
    ("a bracket that is not closed", "models: { a: [echo/x }"),
    ("an alias of nothing", "log: *nobody"),
    ("a value of a map is missing", "mcpServers: { a: { url: \"https://example.com\", headers: { TOKEN: } } }"),
    ("a client's key beside ours", "theme: dark\nlog: { level: info }\nmcpServers: { a: { command: x } }"),
    ("many at once", "listen: 0.0.0.0:1\nproviders:\n  opnai: {}\nmodels: { big: [x/y] }\nlog: { level: loud }"),
];

#[test]
fn everything_wrong_is_told_with_its_place_and_a_remedy() {
    let mut told = String::new();
    for (what, text) in FILES {
        let case = Case { text, environment: &[("SECRET", "canary-7"), ("HOME", "/home/me")], listen: None };
        let problems = case.load().map(|_| ()).expect_err(what);
        assert!(!problems.to_string().contains("canary-7"), "{what}");
        write!(told, "# {what}\n{problems}\n\n").unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn variables_and_flags_are_told_by_their_names() {
    let cases: &[(Pairs<'_>, Option<&str>)] = &[
        (&[("LLM_PROVIDER", "opnai")], None),
        (&[("LLM_PROVIDER", "openai")], None),
        (&[("ROUTER_HOST", "0.0.0.0")], None),
        (&[("ROUTER_HOST", "myhost")], None),
        (&[("PORT", "x")], None),
        (&[("OPENAI_API_KEY", "canary-7"), ("OPENAI_BASE_URL", "canary-7")], None),
        (&[("OLLAMA_HOST", "a b")], None),
        (&[("REQUEST_TIMEOUT", "soon"), ("OPENAI_API_KEY", "k")], None),
        (&[("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml")], None),
        (&[], Some("0.0.0.0:80")),
        (&[], Some("localhost")),
    ];
    let mut told = String::new();
    for (environment, listen) in cases {
        let case = Case { text: "", environment, listen: *listen };
        let problems = case.load().map(|_| ()).expect_err("something is wrong with it");
        writeln!(told, "{environment:?} {listen:?}\n{problems}\n").unwrap();
    }
    assert_eq!(told.matches("canary-7").count(), 2, "only where this test tells what it set");
    insta::assert_snapshot!(told);
}

#[test]
fn what_was_meant_otherwise_is_warned_of() {
    let text = r#"
redis: redis://localhost:6379
inputs: []
models: { fast: [echo/one], faq: { candidates: echo/one, cache: { semantic: true } } }
clients: { raycast: { model: fats, rewrite_model: echo/one } }
keys: [{ name: me, key: short }]
mcpServers:
  a b: { command: x, type: http, timeout: 60, autoApprove: [y], someEditorsKey: 1, headers: { A: b } }
  c: { url: "https://example.com/mcp", type: ws, timeout: 30000, args: [x], on_error: [stale, { backup: ./none }] }
  d: { command: z, disabled: true, env: { TOKEN: "${UNSET}" } }
"#;
    let (config, warnings) = loaded(&Case { text, ..Case::default() });
    assert_eq!(config.servers.iter().map(|server| &*server.name).collect::<Vec<_>>(), ["a_b", "c"]);
    insta::assert_snapshot!(warnings.join("\n"));
}

#[test]
fn a_clients_own_settings_are_only_read_for_their_servers() {
    let text = r#"{
"theme": "dark", "model": "opus", "env": { "SOME": ["canary-7"] },
"mcpServers": { "a": { "command": "x", "timeout": 0, "env": { "A": "1", "B": null } } }
}"#;
    let (config, warnings) = loaded(&Case { text, ..Case::default() });
    let usual = load("mcpServers: { a: { command: x, env: { A: 1 } } }");
    assert_eq!(config.servers, usual.servers);
    let warnings = warnings.join("\n");
    assert!(!warnings.contains("canary-7"));
    insta::assert_snapshot!(warnings);
}

#[test]
fn warnings_are_told_beside_problems() {
    let text = "inputs: []\nlisetn: 127.0.0.1:4100";
    let problems = Case { text, ..Case::default() }.load().map(|_| ()).expect_err("a key that nobody knows");
    assert_eq!((problems.count(), problems.warnings().len()), (1, 1));
}

#[test]
fn variables_that_are_not_meant_for_us_are_left_alone() {
    let environment = [
        ("OPENAI_BASE_URL", "http://127.0.0.1:4100/v1"),
        ("ANTHROPIC_BASE_URL", "http://localhost:4100"),
        ("ANTHROPIC_MODEL", "big"),
        ("AZURE_API_KEY", "k"),
        ("HOST", "my-machine"),
    ];
    let (config, warnings) = loaded(&Case { environment: &environment, ..Case::default() });
    assert_eq!(config.providers.iter().map(|provider| &*provider.name).collect::<Vec<_>>(), ["echo"]);
    insta::assert_snapshot!(warnings.join("\n"));
}

#[test]
fn no_file_can_exhaust_us() {
    let bomb: String = (1..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        let before = n - 1;
        text + &format!("a{n}: &a{n} [*a{before}, *a{before}]\n")
    });
    let deep = "[".repeat(10_000);
    let nested = "a: &a [*a]";
    for text in [bomb.as_str(), deep.as_str(), nested] {
        let problems = Case { text, ..Case::default() }.load().map(|_| ()).expect_err("too much");
        assert_eq!(problems.count(), 1);
    }
}
