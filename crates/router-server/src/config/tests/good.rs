//! What a file, the variables and the flags mean: whole values, row by row.

use std::{sync::Arc, time::Duration};

use router_core::layer::{
    breaker::BreakerPolicy,
    cache::CachePolicy,
    chaos::{ChaosKind, ChaosPolicy},
    limit::LimitPolicy,
    retry::RetryPolicy,
    timeout::TimeoutPolicy,
};
use router_mcp::oauth::{GrantKind, Per, Scopes, Terms as SignIn};

use super::*;
use crate::config::{
    address::Address,
    settings::{
        Alias, CatalogSettings, GuardSettings, KeySettings, PromptCacheSettings, ServerCache, ServerIsolation,
        Timeouts, Upkeep,
    },
};
use router_mcp::{
    catalog::{Filter, Filters, Lazy, Terms},
    client::Transport,
};

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn times(first: u64, idle: u64, total: u64) -> Timeouts {
    let attempt = TimeoutPolicy {
        first_content: Some(seconds(first)),
        idle: Some(seconds(idle)),
        whole: None,
        total: Some(seconds(total)),
        adaptive: false,
    };
    Timeouts { connect: seconds(3), attempt }
}

fn guard() -> GuardSettings {
    GuardSettings {
        breaker: BreakerPolicy::default(),
        retry: RetryPolicy::default(),
        limit: LimitPolicy::default(),
        chaos: None,
    }
}

/// A provider of which nothing else is said.
fn provider(name: &str, kind: ProviderKind) -> ProviderSettings {
    ProviderSettings {
        name: name.into(),
        kind,
        dialect: None,
        base_url: None,
        api_key: None,
        headers: Vec::new(),
        path: None,
        model: None,
        num_ctx_max: None,
        schema_retries: 1,
        timeout: times(60, 60, 900),
        guard: guard(),
    }
}

fn keyed(name: &str, kind: ProviderKind, key: &str) -> ProviderSettings {
    ProviderSettings { api_key: Some(secret(key)), ..provider(name, kind) }
}

fn echo() -> ProviderSettings {
    provider("echo", ProviderKind::Echo)
}

/// A catalog of which nothing is said.
pub(super) fn usual_catalog() -> CatalogSettings {
    CatalogSettings {
        max_name: 47,
        page_size: 1_000,
        lazy: Lazy::Never,
        lazy_above: Lazy::Above { tools: 128, tokens: 20_000 },
        aliases: Arc::default(),
    }
}

/// A server whose tools are chosen.
pub(super) fn tools(tools: Filter) -> Terms {
    Terms { filters: Filters { tools, ..Filters::default() }, ..Terms::default() }
}

/// A server that is started, of which nothing else is said.
pub(super) fn server(name: &str, command: &str) -> ServerSettings {
    ServerSettings {
        name: name.into(),
        launch: Launch::Stdio { command: command.into(), args: Vec::new(), env: Vec::new(), cwd: None },
        protocol: ProtocolEra::Auto,
        timeout: times(30, 30, 300),
        guard: GuardSettings { limit: LimitPolicy { concurrency: Some(32), ..LimitPolicy::default() }, ..guard() },
        cache: None,
        trusted: false,
        on_error: Vec::new(),
        on_timeout: None,
        terms: Terms::default(),
        upkeep: Upkeep::default(),
        roots: Vec::new(),
        auth: None,
        pin: PinPolicy::Quarantine,
    }
}

fn called(name: &str, url: &str) -> ServerSettings {
    ServerSettings {
        launch: Launch::Http { url: address(url), headers: Vec::new(), transport: Transport::Auto },
        guard: guard(),
        auth: Some(SignIn::default()),
        ..server(name, "")
    }
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let found = |name, kind, url| ProviderSettings { base_url: Some(address(url)), ..provider(name, kind) };
    let expected = Config {
        file: None,
        listen: "127.0.0.1:4100".parse().unwrap(),
        max_connections: 4096,
        providers: vec![echo()],
        probe: vec![
            found("ollama", ProviderKind::Ollama, "http://127.0.0.1:11434"),
            found("lmstudio", ProviderKind::LmStudio, "http://127.0.0.1:1234"),
        ],
        default_provider: "echo".into(),
        models: Vec::new(),
        known_models: Vec::new(),
        strict_version: true,
        prompt_cache: PromptCacheSettings::default(),
        servers: Vec::new(),
        catalog: usual_catalog(),
        views: Vec::new(),
        clients: Vec::new(),
        keys: Vec::new(),
        redis: None,
        log: LogSettings { format: LogFormat::Text, level: "info".into() },
        state: "/var/lib/mcp-router".into(),
        state_key: None,
        public_url: None,
        allow_private: Vec::new(),
        tool_lock: "/var/lib/mcp-router/tools.lock.json".into(),
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
        base_environment: Vec::new(),
    };
    for text in ["", "# nothing\n", "{}", "providers:\nmcpServers:\n", "\u{feff}---\n"] {
        assert_eq!(load(text), expected, "{text:?}");
    }
}

#[test]
fn providers_of_a_file() {
    use ProviderKind::{Anthropic, Azure, Compatible, LmStudio, Ollama, OpenAi};
    let at = |url, provider| ProviderSettings { base_url: Some(address(url)), ..provider };
    let rows: Vec<(&str, ProviderSettings)> = vec![
        ("openai: { api_key: k }", keyed("openai", OpenAi, "k")),
        ("openai: { api_key: \"${KEY}\" }", keyed("openai", OpenAi, "from-environment")),
        ("openai: { api_key: 123 }", keyed("openai", OpenAi, "123")),
        ("second: { kind: anthropic, api_key: k }", keyed("second", Anthropic, "k")),
        ("ollama:", provider("ollama", Ollama)),
        ("ollama: {}", provider("ollama", Ollama)),
        ("openai: { base_url: http://localhost:9 }", at("http://localhost:9", provider("openai", OpenAi))),
        ("house: { base_url: http://localhost:9/ }", at("http://localhost:9", provider("house", Compatible))),
        ("azure: { endpoint: https://a.example, api_key: k }", at("https://a.example", keyed("azure", Azure, "k"))),
        (
            "openai: { dialect: responses, api_key: k }",
            ProviderSettings { dialect: Some(DialectName::Responses), ..keyed("openai", OpenAi, "k") },
        ),
        (
            "lmstudio: { dialect: anthropic, model: qwen }",
            ProviderSettings {
                dialect: Some(DialectName::Anthropic),
                model: Some("qwen".into()),
                ..provider("lmstudio", LmStudio)
            },
        ),
        (
            "ollama: { headers: { X-Team: a }, timeout: { first_byte: 5m, total: 1h } }",
            ProviderSettings {
                headers: vec![("X-Team".into(), secret("a"))],
                timeout: Timeouts {
                    attempt: TimeoutPolicy { whole: Some(Duration::from_mins(5)), ..times(300, 60, 3600).attempt },
                    ..times(300, 60, 3600)
                },
                ..provider("ollama", Ollama)
            },
        ),
    ];
    for (text, expected) in rows {
        let text = format!("providers:\n  {text}\n");
        let (config, _) = loaded(&Case { text: &text, environment: &[("KEY", "from-environment")], listen: None });
        assert_eq!(config.default_provider, expected.name, "{text}");
        assert_eq!(config.providers, [expected, echo()], "{text}");
        assert_eq!(config.probe, [], "{text}");
    }
}

#[test]
fn providers_of_the_environment() {
    use ProviderKind::{Anthropic, LmStudio, Ollama, OpenAi, OpenRouter};
    let at = |url, provider| ProviderSettings { base_url: Some(address(url)), ..provider };
    let rows: Vec<(Pairs<'_>, ProviderSettings)> = vec![
        (&[("OPENAI_API_KEY", "k")], keyed("openai", OpenAi, "k")),
        (&[("ANTHROPIC_API_KEY", "k"), ("OPENAI_API_KEY", "")], keyed("anthropic", Anthropic, "k")),
        (&[("LLM_PROVIDER", "openrouter"), ("OPENROUTER_API_KEY", "k")], keyed("openrouter", OpenRouter, "k")),
        (
            &[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://localhost:9/v1")],
            at("http://localhost:9/v1", keyed("openai", OpenAi, "k")),
        ),
        (
            &[("AZURE_OPENAI_API_KEY", "k"), ("AZURE_OPENAI_ENDPOINT", "https://a.example")],
            at("https://a.example", keyed("azure", ProviderKind::Azure, "k")),
        ),
        (&[("OLLAMA_HOST", "box")], at("http://box:11434", provider("ollama", Ollama))),
        (&[("OLLAMA_HOST", "0.0.0.0:1")], at("http://127.0.0.1:1", provider("ollama", Ollama))),
        (&[("OLLAMA_HOST", "https://box/x"), ("OLLAMA_PORT", "9")], at("https://box/x", provider("ollama", Ollama))),
        (&[("OLLAMA_PORT", "9")], at("http://localhost:9", provider("ollama", Ollama))),
        (
            &[("OLLAMA_MODEL", "llama3")],
            ProviderSettings { model: Some("llama3".into()), ..provider("ollama", Ollama) },
        ),
        (&[("LLM_PROVIDER", "LM Studio")], at("http://127.0.0.1:1234", provider("lmstudio", LmStudio))),
        (&[("LMSTUDIO_BASE_URL", "http://box:1")], at("http://box:1", provider("lmstudio", LmStudio))),
    ];
    for (environment, expected) in rows {
        let (config, _) = loaded(&Case { environment, ..Case::default() });
        assert_eq!(config.default_provider, expected.name, "{environment:?}");
        assert!(config.providers.contains(&expected), "{environment:?} {:#?}", config.providers);
        assert!(!config.probe.iter().any(|provider| provider.name == expected.name), "{environment:?}");
    }
}

#[test]
fn the_default_provider_is_chosen_by_variable_then_file_then_order() {
    let file = "providers: { ollama: , lmstudio: }\n";
    let named = "providers: { ollama: , lmstudio: }\ndefault_provider: lmstudio\n";
    let rows: [(&str, Pairs<'_>, &str); 7] = [
        (file, &[], "ollama"),
        (named, &[], "lmstudio"),
        (named, &[("LLM_PROVIDER", "echo")], "echo"),
        (named, &[("LLM_PROVIDER", "Anthropic"), ("ANTHROPIC_API_KEY", "k")], "anthropic"),
        (file, &[("OPENAI_API_KEY", "k")], "ollama"),
        ("", &[("ANTHROPIC_API_KEY", "k"), ("OPENAI_API_KEY", "k")], "openai"),
        ("default_provider: ollama", &[], "ollama"),
    ];
    for (text, environment, expected) in rows {
        let (config, _) = loaded(&Case { text, environment, listen: None });
        assert_eq!(&*config.default_provider, expected, "{text} {environment:?}");
        assert!(config.providers.iter().any(|provider| provider.name == config.default_provider));
    }
}

#[test]
fn a_variable_goes_before_the_file_and_says_so() {
    let text = "providers: { openai: { api_key: file, base_url: http://localhost:1 } }\nmodels: { big: echo/x }";
    let environment =
        [("OPENAI_API_KEY", "mine"), ("OPENAI_BASE_URL", "http://localhost:2"), ("ANTHROPIC_MODEL", "gpt-5")];
    let (config, warnings) = loaded(&Case { text, environment: &environment, listen: None });
    let expected = ProviderSettings {
        base_url: Some(address("http://localhost:2")),
        ..keyed("openai", ProviderKind::OpenAi, "mine")
    };
    assert_eq!(config.providers, [expected, echo()]);
    let choice = Choice { provider: "openai".into(), model: "gpt-5".into() };
    assert_eq!(
        config.models,
        [Alias { name: "big".into(), choices: vec![choice], on_loss: None, keeping: None, default: None }]
    );
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
}

#[test]
fn a_server_is_called_by_several_words() {
    let url = "https://e.example/sse";
    let launch = Launch::Http { url: address(url), headers: Vec::new(), transport: Transport::Sse };
    let expected = ServerSettings { launch, ..called("a", url) };
    assert_eq!(
        load("mcpServers: { a: { serverUrl: https://e.example/mcp } }").servers,
        [called("a", "https://e.example/mcp")]
    );
    for word in ["type: sse", "type: SSE", "transport: sse"] {
        let text = format!("mcpServers: {{ a: {{ url: \"{url}\", {word} }} }}");
        assert_eq!(load(&text).servers, std::slice::from_ref(&expected), "{word}");
    }
}

#[test]
fn servers_of_a_file() {
    let launch = |command: &str, args: &[&str], env: Pairs<'_>, cwd: Option<&str>| Launch::Stdio {
        command: command.into(),
        args: args.iter().map(|&arg| arg.into()).collect(),
        env: env.iter().map(|(name, value)| ((*name).into(), secret(value))).collect(),
        cwd: cwd.map(Into::into),
    };
    let http = |url, headers: &[(&str, &str)]| Launch::Http {
        url: address(url),
        headers: headers.iter().map(|(name, value)| ((*name).into(), secret(value))).collect(),
        transport: Transport::Auto,
    };
    let rows: Vec<(&str, ServerSettings)> = vec![
        ("{ command: uvx }", server("a", "uvx")),
        ("{ command: uvx, type: stdio, enabled: true }", server("a", "uvx")),
        (
            "{ command: npx, args: [-y, 3000], env: { PORT: 3000, TOKEN: \"${KEY}\" }, cwd: sub }",
            ServerSettings {
                launch: launch("npx", &["-y", "3000"], &[("PORT", "3000"), ("TOKEN", "k")], Some("sub")),
                ..server("a", "")
            },
        ),
        (
            "{ command: [npx, -y, x], args: [z] }",
            ServerSettings { launch: launch("npx", &["-y", "x", "z"], &[], None), ..server("a", "") },
        ),
        ("{ url: https://e.example/mcp }", called("a", "https://e.example/mcp")),
        ("{ httpUrl: https://e.example/mcp, type: http }", called("a", "https://e.example/mcp")),
        (
            "{ url: https://e.example/mcp, headers: { Authorization: \"Bearer ${KEY}\" } }",
            ServerSettings {
                launch: http("https://e.example/mcp", &[("Authorization", "Bearer k")]),
                auth: None,
                ..called("a", "https://e.example/mcp")
            },
        ),
        ("{ command: x, timeout: 5s }", ServerSettings { timeout: times(5, 5, 300), ..server("a", "x") }),
        ("{ command: x, timeout: 60 }", ServerSettings { timeout: times(60, 60, 300), ..server("a", "x") }),
        ("{ command: x, timeout: 30000 }", ServerSettings { timeout: times(30, 30, 300), ..server("a", "x") }),
        ("{ command: x, timeout: 10m }", ServerSettings { timeout: times(600, 600, 600), ..server("a", "x") }),
        (
            "{ command: x, timeout: { idle: 10s, total: 1m, adaptive: true } }",
            ServerSettings { timeout: adaptive(times(30, 10, 60)), ..server("a", "x") },
        ),
        ("{ command: x, protocol: legacy }", ServerSettings { protocol: ProtocolEra::Legacy, ..server("a", "x") }),
        ("{ command: x, trusted: true }", ServerSettings { trusted: true, pin: PinPolicy::Warn, ..server("a", "x") }),
        (
            "{ command: x, disabledTools: [rm], excludeTools: [mv] }",
            ServerSettings {
                terms: tools(Filter { deny: vec!["rm".into(), "mv".into()], ..Filter::default() }),
                ..server("a", "x")
            },
        ),
    ];
    for (text, expected) in rows {
        for text in [format!("mcpServers:\n  a: {text}\n"), format!("servers: {{ a: {text} }}")] {
            let (config, _) = loaded(&Case { text: &text, environment: &[("KEY", "k")], listen: None });
            assert_eq!(config.servers, std::slice::from_ref(&expected), "{text}");
        }
    }
}

#[test]
fn signing_in_to_servers() {
    let rows: Vec<(&str, ServerSettings)> = vec![
        (
            "{ url: https://e.example/mcp, auth: none }",
            ServerSettings { auth: None, ..called("a", "https://e.example/mcp") },
        ),
        (
            "{ url: https://e.example/mcp, auth: { type: oauth, client_id: me, client_secret: \"${KEY}\", \
             issuer: https://as.example/, scopes: [a, b c], grant: client_credentials } }",
            ServerSettings {
                auth: Some(SignIn {
                    client_id: Some("me".into()),
                    client_secret: Some(secret("k")),
                    private_key: None,
                    issuer: Some("https://as.example/".into()),
                    scopes: Some(Scopes::read("a b c")),
                    grant: GrantKind::ClientCredentials,
                    per: Per::Shared,
                }),
                ..called("a", "https://e.example/mcp")
            },
        ),
        (
            "{ url: https://e.example/mcp, auth: { per: caller } }",
            ServerSettings {
                auth: Some(SignIn { per: Per::Caller, ..SignIn::default() }),
                upkeep: Upkeep { isolation: ServerIsolation::PerCaller, ..Upkeep::default() },
                ..called("a", "https://e.example/mcp")
            },
        ),
    ];
    for (text, expected) in rows {
        let text = format!("mcpServers:\n  a: {text}\n");
        let (config, _) = loaded(&Case { text: &text, environment: &[("KEY", "k")], listen: None });
        assert_eq!(config.servers, [expected], "{text}");
    }
}

#[test]
fn the_way_back_and_the_way_out() {
    let config =
        load("public_url: https://Router.example.com/\negress: { allow_private: [auth.corp.example, 10.0.0.0/8] }");
    assert_eq!(config.public_url, Some(address("https://Router.example.com")));
    assert_eq!(config.allow_private, ["auth.corp.example", "10.0.0.0/8"].map(|text| text.parse().unwrap()));
    assert_eq!(config.allowed_hosts, ["router.example.com"]);
    assert_eq!(config.allowed_origins, ["https://router.example.com"]);
}

#[test]
fn the_layers_of_a_server() {
    let text = "
mcpServers:
  a:
    command: x
    retry: { retries: 0, base: 50ms, cap: 1s, budget: 10%, floor: 60/m, patience: 10s }
    breaker: { failures: 3, recovery: 30s, max_recovery: 5m, successes: 1, window: 1m, rate: 0.25, samples: 10 }
    limit: { concurrency: 4, queue: 8, wait: 1s, rate: 120/m, burst: 3 }
    chaos: { rate: 20%, latency: 1s, kinds: [hang, cut], seed: 7 }
    on_error: [stale, { backup: / }, { default: Sorry. }]
";
    let expected = ServerSettings {
        guard: GuardSettings {
            retry: RetryPolicy {
                retries: 0,
                base: Duration::from_millis(50),
                cap: seconds(1),
                budget: 0.1,
                floor: 1.0,
                patience: seconds(10),
            },
            breaker: BreakerPolicy {
                failures: 3,
                recovery: seconds(30),
                max_recovery: seconds(300),
                successes: 1,
                window: seconds(60),
                rate: 0.25,
                samples: 10,
            },
            limit: LimitPolicy { concurrency: Some(4), queue: 8, wait: seconds(1), rate: Some(2.0), burst: 3 },
            chaos: Some(ChaosPolicy {
                rate: 0.2,
                latency: Some(seconds(1)),
                kinds: vec![ChaosKind::Hang, ChaosKind::Cut],
                seed: 7,
            }),
        },
        on_error: vec![
            StandbySource::Stale(Duration::MAX),
            StandbySource::Backup("/".into()),
            StandbySource::Default("Sorry.".into()),
        ],
        ..server("a", "x")
    };
    assert_eq!(load(text).servers, [expected]);
}

#[test]
fn variables_are_the_defaults_of_layers() {
    let text = "
providers: { ollama: }
mcpServers: { a: { command: x, cache: }, b: { command: x, breaker: { failures: 9 } } }
";
    let environment = [
        ("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "3"),
        ("CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "30"),
        ("CIRCUIT_BREAKER_SUCCESS_THRESHOLD", "1"),
        ("REQUEST_TIMEOUT", "300"),
        ("MAX_CONCURRENT_REQUESTS", "10"),
        ("CACHE_TTL", "3600"),
        ("CACHE_MAX_SIZE", "1000"),
    ];
    let (config, _) = loaded(&Case { text, environment: &environment, listen: None });
    let breaker = BreakerPolicy { failures: 3, recovery: seconds(30), successes: 1, ..BreakerPolicy::default() };
    assert_eq!(config.providers[0].guard.breaker, breaker);
    assert_eq!(config.providers[0].guard.limit.concurrency, Some(10));
    assert_eq!(config.providers[0].timeout, times(60, 60, 300));
    assert_eq!(config.servers[0].guard.breaker, breaker);
    assert_eq!(config.servers[1].guard.breaker, BreakerPolicy { failures: 9, ..breaker });
    let kept = CachePolicy {
        fresh: seconds(3600),
        second: seconds(3600),
        stale: seconds(24 * 3600),
        negative: seconds(5),
        max_entries: 1000,
        ..CachePolicy::default()
    };
    let cache = ServerCache { policy: kept, tools: Vec::new(), invalidates: Vec::new(), purge: None };
    assert_eq!(config.servers[0].cache, Some(cache));
}

#[test]
fn one_drill_for_everybody_but_those_with_their_own() {
    let text = "chaos: { rate: 0.5 }\nmcpServers: { a: { command: x }, b: { command: x, chaos: { rate: 0 } } }";
    let drill = |rate| Some(ChaosPolicy { rate, latency: None, kinds: vec![ChaosKind::Fail], seed: 0 });
    let config = load(text);
    assert_eq!(
        config.servers.iter().map(|server| server.guard.chaos.clone()).collect::<Vec<_>>(),
        [drill(0.5), drill(0.0)]
    );
    assert_eq!(config.providers[0].guard.chaos, drill(0.5));
}

#[test]
fn where_to_listen() {
    let keys = "keys: [{ name: me, key: 0123456789abcdef0 }]\n";
    let rows: [(&str, Pairs<'_>, Option<&str>, &str); 10] = [
        ("", &[], None, "127.0.0.1:4100"),
        ("listen: 127.0.0.1:1", &[], None, "127.0.0.1:1"),
        ("listen: localhost:1", &[], None, "127.0.0.1:1"),
        ("listen: \"[::1]:1\"", &[], None, "[::1]:1"),
        ("listen: 0.0.0.0:1", &[], None, "0.0.0.0:1"),
        ("listen: 127.0.0.1:1", &[("PORT", "2")], None, "127.0.0.1:2"),
        ("", &[("ROUTER_HOST", "0.0.0.0"), ("ROUTER_PORT", "3"), ("PORT", "2")], None, "0.0.0.0:3"),
        ("", &[("HOST", "my-machine")], None, "127.0.0.1:4100"),
        ("", &[("PORT", "2")], Some("127.0.0.1:0"), "127.0.0.1:0"),
        ("listen: 127.0.0.1:1", &[], Some("0.0.0.0:9"), "0.0.0.0:9"),
    ];
    for (text, environment, listen, expected) in rows {
        let text = format!("{keys}{text}");
        let (config, _) = loaded(&Case { text: &text, environment, listen });
        assert_eq!(config.listen.to_string(), expected, "{text} {environment:?} {listen:?}");
    }
}

#[test]
fn who_may_call() {
    let text = "
keys:
  - { name: me, key: \"${KEY}\" }
  - { name: app, key: \"0123456789abcdef0\", tenant: team }
allowed_hosts: [Router.example.com, router:4100]
allowed_origins: [\"https://App.example.com/\", http://localhost:3000]
max_connections: 20000
";
    let (config, _) = loaded(&Case { text, environment: &[("KEY", "a-key-of-the-environment")], listen: None });
    let key = |name: &str, key: &str, tenant: &str| KeySettings {
        name: name.into(),
        key: secret(key),
        tenant: tenant.into(),
        admin: false,
        views: Vec::new(),
    };
    assert_eq!(config.keys, [key("me", "a-key-of-the-environment", "me"), key("app", "0123456789abcdef0", "team")]);
    assert_eq!(config.allowed_hosts, ["router.example.com", "router:4100"]);
    assert!(!load("strict_version: false").strict_version);
    assert_eq!(config.allowed_origins, ["https://app.example.com", "http://localhost:3000"]);
    assert_eq!(config.max_connections, 20_000);
}

#[test]
fn log_and_state() {
    let rows: [(&str, Pairs<'_>, LogFormat, &str); 5] = [
        ("log: { format: json, level: debug }", &[], LogFormat::Json, "debug"),
        ("log: { level: \"info,router_mcp=debug\" }", &[], LogFormat::Text, "info,router_mcp=debug"),
        ("log: { level: debug }", &[("LOG_LEVEL", "WARNING"), ("LOG_FORMAT", "json")], LogFormat::Json, "warn"),
        ("", &[("LOG_LEVEL", "CRITICAL")], LogFormat::Text, "error"),
        ("", &[("LOG_LEVEL", "")], LogFormat::Text, "info"),
    ];
    for (text, environment, format, level) in rows {
        let (config, _) = loaded(&Case { text, environment, listen: None });
        assert_eq!(config.log, LogSettings { format, level: level.into() }, "{text} {environment:?}");
    }
    let states: [(&str, Pairs<'_>, &str); 4] = [
        ("state: data", &[("HOME", "/h")], "data"),
        ("", &[("HOME", "/h")], "/h/.local/state/mcp-router"),
        ("", &[("HOME", "/h"), ("XDG_STATE_HOME", "/x")], "/x/mcp-router"),
        ("", &[("HOME", "/h"), ("XDG_STATE_HOME", "relative")], "/h/.local/state/mcp-router"),
    ];
    for (text, environment, expected) in states {
        let (config, _) = loaded(&Case { text, environment, listen: None });
        assert_eq!(config.state, PathBuf::from(expected), "{text} {environment:?}");
    }
}

#[test]
fn what_programs_get_of_our_environment() {
    let environment = [("PATH", "/bin"), ("OPENAI_API_KEY", "k"), ("HOME", "/h"), ("AWS_SECRET", "s")];
    let (config, _) = loaded(&Case { environment: &environment, ..Case::default() });
    let handed: Vec<_> = config.base_environment().collect();
    assert_eq!(handed, [("PATH".into(), "/bin".into()), ("HOME".into(), "/h".into())]);
}

#[test]
fn yaml_has_many_ways_to_say_the_same() {
    let plain = load("mcpServers: { a: { command: x, timeout: 5s }, b: { command: x, timeout: 5s } }");
    let others = [
        "mcpServers:\n  a: &a\n    command: x\n    timeout: 5s\n  b: *a\n",
        "mcpServers:\n  a: &a { command: x, timeout: 5s }\n  b:\n    <<: *a\n    timeout: 5s\n",
        r#"{"mcpServers": {"a": {"command": "x", "timeout": "5s"}, "b": {"command": "\u0078", "timeout": "5s"}}}"#,
        "{\n\t\"mcpServers\": {\n\t\t\"a\": {\"command\": \"x\", \"timeout\": \"5s\"},\n\t\t\"b\":\n\
         \t\t\t{\"command\": \"x\", \"timeout\": \"5s\"}\n\t}\n}",
        "mcpServers:\r\n  a: { command: x, timeout: 5s }\r\n  b: { command: 'x', timeout: \"5s\" }\r\n",
    ];
    for text in others {
        assert_eq!(load(text), plain, "{text}");
    }
}
