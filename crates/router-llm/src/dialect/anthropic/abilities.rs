//! What Anthropic's models can do, as far as their names tell.

/// Models from before effort and adaptive thinking, by the beginning of their names without the vendor's prefix.
const BUDGETED: [&str; 12] = [
    "claude-2",
    "claude-3",
    "claude-instant",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-opus-4-2025",
    "claude-opus-4-5",
    "claude-sonnet-4-0",
    "claude-sonnet-4-2025",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
    "claude-4-",
];

/// The most tokens that an answer may have, of models where that is little.
const MOST: [(&str, u64); 8] = [
    ("claude-2", 4096),
    ("claude-instant", 4096),
    ("claude-3-5", 8192),
    ("claude-3-7", 128_000),
    ("claude-3", 4096),
    ("claude-opus-4-0", 32_000),
    ("claude-opus-4-1", 32_000),
    ("claude-opus-4-2025", 32_000),
];

/// The limit of an answer of which `asked` tokens are wanted. The field is required here, while other dialects' clients
/// who name none expect no cut; and one that is too high is refused, which clients cannot recover from.
pub(super) fn max_tokens(model: &str, asked: Option<u64>) -> u64 {
    let name = plain(model);
    let most = MOST.iter().find(|(start, _)| name.starts_with(start)).map_or(u64::MAX, |(_, most)| *most);
    // A model of a compatible server may have a small window.
    let usual = if name.starts_with("claude") { 32_000 } else { 4096 };
    asked.unwrap_or(usual).min(most)
}

/// Whether it takes `output_config.effort` and thinks adaptively; the others take a budget.
pub(super) fn takes_effort(model: &str) -> bool {
    let name = plain(model);
    let exact = ["claude-opus-4", "claude-sonnet-4"].contains(&name.as_str());
    name.starts_with("claude") && !exact && !BUDGETED.iter().any(|start| name.starts_with(start))
}

/// `anthropic/claude-3.7-sonnet` and `claude-3-7-sonnet` are one model.
fn plain(model: &str) -> String {
    model.rsplit('/').next().unwrap_or(model).replace('.', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_old_models_by_their_names() {
        let cases = [
            ("claude-opus-5-5", true, 32_000),
            ("claude-opus-4-6", true, 32_000),
            ("anthropic/claude-sonnet-4", false, 32_000),
            ("anthropic/claude-sonnet-4.5", false, 32_000),
            ("claude-sonnet-4-20250514", false, 32_000),
            ("claude-haiku-4-5-20251001", false, 32_000),
            ("claude-3-5-haiku-latest", false, 8192),
            ("anthropic/claude-3.7-sonnet", false, 32_000),
            ("claude-3-haiku-20240307", false, 4096),
            ("qwen3-coder", false, 4096),
        ];
        for (model, effort, most) in cases {
            assert_eq!((takes_effort(model), max_tokens(model, None)), (effort, most), "{model}");
        }
        assert_eq!(max_tokens("claude-3-5-haiku-latest", Some(128_000)), 8192);
        assert_eq!(max_tokens("claude-opus-5-5", Some(128_000)), 128_000);
        assert_eq!(max_tokens("claude-3-haiku", Some(0)), 0);
    }
}
