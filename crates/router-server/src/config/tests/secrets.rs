//! No secret is ever shown: not in settings, not in problems, not in warnings.

use super::*;

/// Every place of a file that can hold a secret holds one.
const FILE: &str = r#"
providers:
  openai: { api_key: canary-1, headers: { X-Team: canary-2 } }
  lmstudio: { base_url: "http://localhost:1/v1?key=canary-3" }
mcpServers:
  a: { command: x, args: [--token, canary-4], env: { GITHUB: canary-5 } }
  b: { url: "https://example.com/mcp?key=canary-6", headers: { Authorization: Bearer canary-7 } }
keys: [{ name: me, key: canary-8 }]
redis: redis://:canary-9@localhost
"#;

#[test]
fn settings_do_not_show_them() {
    let environment = [("ANTHROPIC_API_KEY", "canary-10"), ("LLM_PROVIDER", "anthropic")];
    let (config, warnings) = loaded(&Case { text: FILE, environment: &environment, listen: None });
    assert!(!format!("{config:#?}").contains("canary-"), "{config:#?}");
    assert!(!warnings.join("\n").contains("canary-"), "{warnings:?}");
}

#[test]
fn problems_on_the_same_line_do_not_show_them() {
    let wrong = FILE
        .replace("api_key:", "nothing: 1, api_key:")
        .replace("base_url:", "wrong: 1, base_url:")
        .replace("command: x", "trusted: maybe, command: x")
        .replace("headers: { Auth", "trusted: maybe, headers: { Auth")
        .replace("name: me", "nam: me")
        .replace("redis: ", "redis: localhost?");
    let problems = Case { text: &wrong, ..Case::default() }.load().map(|_| ()).expect_err("six things are wrong");
    assert_eq!(problems.count(), 6, "{problems}");
    let shown = problems.to_string();
    // An argument is no field of secrets: only what looks like one is hidden there.
    assert_eq!(shown.replace("[--token, canary-4]", "").matches("canary-").count(), 0, "{shown}");
}

#[test]
fn a_file_that_is_no_yaml_does_not_show_them() {
    for line in ["api_key: canary-1 ] }: [", "  token = 'canary-1: }", "api_key: \"canary-1"] {
        let text = format!("providers: {{ openai: {{ {line}");
        let problems = Case { text: &text, ..Case::default() }.load().map(|_| ()).expect_err("no YAML");
        assert!(!problems.to_string().contains("canary-1"), "{problems}");
    }
}
