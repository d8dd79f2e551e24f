//! What is said of models and of who asks them: whole values.

use router_core::{
    Name,
    chat::{Keeping, Reach},
};
use router_llm::enhance::Template;

use super::*;
use crate::config::settings::{Alias, ClientSettings, PromptCacheSettings, RewriteSettings};

#[test]
fn models_and_clients() {
    let text = "
models: { fast: ollama/llama3, big: [echo/a/b, gpt] }
clients:
  raycast: { model: fast, prompt: Be short. }
  desktop: { model: ollama/x }
  other:
";
    let choice = |provider: &str, model: &str| Choice { provider: provider.into(), model: model.into() };
    let config = load(text);
    let fast = Alias {
        name: "fast".into(),
        choices: vec![choice("ollama", "llama3")],
        on_loss: None,
        keeping: None,
        default: None,
    };
    let big = Alias {
        name: "big".into(),
        choices: vec![choice("echo", "a/b"), choice("echo", "gpt")],
        on_loss: None,
        keeping: None,
        default: None,
    };
    assert_eq!(config.models, [fast, big]);
    let client = |name: &str, model, prompt: Option<&str>| ClientSettings {
        name: name.into(),
        model,
        prompt: prompt.map(|prompt| Template::parse(prompt).expect("a prompt")),
        ..ClientSettings::default()
    };
    assert_eq!(
        config.clients,
        [
            client("raycast", Some(ModelName::Alias("fast".into())), Some("Be short.")),
            client("desktop", Some(ModelName::Choice(choice("ollama", "x"))), None),
            client("other", None, None),
        ]
    );
    let probed: Vec<&Name> = config.probe.iter().map(|provider| &provider.name).collect();
    assert_eq!(probed, [&Name::from("lmstudio")], "whoever is named is not probed for");
}

#[test]
fn a_rule_in_full_and_one_that_is_switched_off() {
    let text = "
keys: [{ name: laptop, key: 0123456789abcdef }]
models: { small: [echo/s] }
clients:
  raycast:
    key: laptop
    mode: rewrite
    rewrite_model: small
    fallback: [echo/t, unchanged]
    input_cap: 100
    timeout: 2s
    temperature: 0.3
    max_tokens: 300
    privacy: local_only
    touch_tools: true
  cursor: { enabled: false, prompt: Be short., privacy: local_only }
";
    let choice = Choice { provider: "echo".into(), model: "t".into() };
    let raycast = ClientSettings {
        name: "raycast".into(),
        key: Some("laptop".into()),
        model: None,
        prompt: Some(Template::usual_rewriting()),
        rewriting: Some(RewriteSettings {
            models: vec![ModelName::Alias("small".into()), ModelName::Choice(choice)],
            input_cap: 100,
            timeout: Duration::from_secs(2),
        }),
        temperature: Some(0.3),
        max_tokens: Some(300),
        privacy: Privacy::LocalOnly,
        touch_tools: true,
        keeping: None,
    };
    let cursor = ClientSettings { name: "cursor".into(), ..ClientSettings::default() };
    assert_eq!(load(text).clients, [raycast, cursor]);
}

#[test]
fn what_is_said_when_nobody_can_answer() {
    let config = load("models: { big: { candidates: echo/x, default: Later. }, small: echo/y }");
    let texts: Vec<_> = config.models.iter().map(|alias| alias.default.as_deref()).collect();
    assert_eq!(texts, [Some("Later."), None]);
}

#[test]
fn what_is_kept_of_the_answers_of_models() {
    let keeping = |reach, ttl| Some(Keeping { reach, ttl });
    let table = [
        ("big: { candidates: echo/x }", None),
        ("big: { candidates: [echo/x], cache: {} }", keeping(Reach::Off, None)),
        ("big: { candidates: [echo/x], cache: { exact: true } }", keeping(Reach::Exact, None)),
        ("big: { candidates: [echo/x], cache: { exact: true, ttl: 2m } }", keeping(Reach::Exact, Some(seconds(120)))),
        ("big: { candidates: [echo/x], cache: { semantic: true } }", keeping(Reach::Semantic, None)),
    ];
    for (alias, expected) in table {
        let config = load(&format!("models: {{ {alias} }}"));
        let choices = vec![Choice { provider: "echo".into(), model: "x".into() }];
        assert_eq!(
            config.models,
            [Alias { name: "big".into(), choices, on_loss: None, keeping: expected, default: None }],
            "{alias}"
        );
    }
    let config = load("clients: { raycast: { cache: { exact: true } } }");
    assert_eq!(config.clients[0].keeping, keeping(Reach::Exact, None));
    let text = "
prompt_cache:
  { ttl: 10m, max_bytes: 1MiB, max_entry_bytes: 8KiB, key: k, max_questions: 5, threshold: 0.9, max_temperature: 0,
    embed: ollama/all-minilm, embed_timeout: 1s }
";
    let expected = PromptCacheSettings {
        ttl: seconds(600),
        stale: seconds(24 * 600),
        max_bytes: 1 << 20,
        max_entry_bytes: 8 << 10,
        key: Some(secret("k")),
        max_questions: 5,
        threshold: 0.9,
        max_temperature: 0.0,
        embed: "ollama/all-minilm".into(),
        embed_timeout: seconds(1),
    };
    assert_eq!(load(text).prompt_cache, expected);
    assert_eq!(load("prompt_cache: { stale: 0s }").prompt_cache.stale, Duration::ZERO);
}

#[test]
fn the_models_of_older_systems() {
    let rows: [(Pairs<'_>, Choice); 3] = [
        (
            &[("OPENROUTER_API_KEY", "k"), ("ANTHROPIC_MODEL", "anthropic/claude-sonnet-4")],
            Choice { provider: "openrouter".into(), model: "anthropic/claude-sonnet-4".into() },
        ),
        (
            &[("ANTHROPIC_API_KEY", "k"), ("ANTHROPIC_MODEL", "anthropic/claude-sonnet-4")],
            Choice { provider: "anthropic".into(), model: "claude-sonnet-4".into() },
        ),
        (&[("ANTHROPIC_MODEL", "claude")], Choice { provider: "echo".into(), model: "claude".into() }),
    ];
    for (environment, expected) in rows {
        let (config, _) = loaded(&Case { environment, ..Case::default() });
        assert_eq!(
            config.models,
            [Alias { name: "big".into(), choices: vec![expected], on_loss: None, keeping: None, default: None }],
            "{environment:?}"
        );
    }
}
