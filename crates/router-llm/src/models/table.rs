//! The table of models: what their makers publish of them, and the ways in which they differ from their dialect.
//!
//! A row holds for every name that its pattern fits, and the first one that fits counts. What is left out is not known.
//! Prices are those of the short, uncached, interactive call in US dollars per million tokens, as of 2026-11; they hold
//! where the maker's own price is paid. Each section names its sources; whatever the configuration says goes before all.

use super::known::{Abilities, Known, Long, Price, Tokenizer};
use crate::{
    dialect::Quirks,
    provider::ProviderKind::{self, Anthropic, Azure, Compatible, OpenAi, OpenRouter},
    route::fits,
};

/// Looks a model up, by the name that a provider of `kind` has for it.
pub(super) fn find(kind: ProviderKind, model: &str) -> Known {
    let name = plain(model);
    let found = SECTIONS.iter().find_map(|section| {
        let row = section.rows.iter().find(|row| fits(row.pattern, &name))?;
        Some(section.known(row, kind))
    });
    found.unwrap_or_default()
}

/// The name without its maker's, in lower case; `claude-3.7-sonnet` and `claude-3-7-sonnet` are one model.
fn plain(model: &str) -> String {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    if name.starts_with("claude") { name.replace('.', "-") } else { name }
}

/// The models of one maker.
struct Section {
    tokenizer: Tokenizer,
    /// Where the maker's own price is paid.
    sellers: &'static [ProviderKind],
    /// Whether the quirks are those of the sellers' interface, and not of the model wherever it runs.
    only_there: bool,
    rows: &'static [Row],
}

impl Section {
    fn known(&self, row: &Row, kind: ProviderKind) -> Known {
        let sold = self.sellers.contains(&kind);
        Known {
            window: row.window,
            max_output: row.max_output,
            abilities: row.abilities,
            tokenizer: row.tokenizer.unwrap_or(self.tokenizer),
            price: row.price.filter(|_| sold),
            quirks: if sold || !self.only_there { row.quirks } else { Quirks::NONE },
        }
    }
}

/// The models of one pattern.
struct Row {
    pattern: &'static str,
    window: Option<u64>,
    max_output: Option<u64>,
    abilities: Abilities,
    tokenizer: Option<Tokenizer>,
    price: Option<Price>,
    quirks: Quirks,
}

const fn model(pattern: &'static str) -> Row {
    let (abilities, quirks) = (UNKNOWN, Quirks::NONE);
    Row { pattern, window: None, max_output: None, abilities, tokenizer: None, price: None, quirks }
}

impl Row {
    /// Tokens that question and answer may have together.
    const fn window(self, tokens: u64) -> Self {
        Self { window: Some(tokens), ..self }
    }

    /// Tokens that an answer may have; more is refused, so more is not asked for.
    const fn output(self, tokens: u64) -> Self {
        let quirks = Quirks { max_output: Some(tokens), ..self.quirks };
        Self { max_output: Some(tokens), quirks, ..self }
    }

    const fn can(self, abilities: Abilities) -> Self {
        Self { abilities, ..self }
    }

    const fn counted(self, tokenizer: Tokenizer) -> Self {
        Self { tokenizer: Some(tokenizer), ..self }
    }

    /// Dollars for a million tokens: read, written, read from the cache, written to it.
    const fn costs(self, input: f64, output: f64, cache_read: f64, cache_write: f64) -> Self {
        Self { price: Some(Price { input, output, cache_read, cache_write, long: None }), ..self }
    }

    /// A question above so many tokens costs so many times as much, and its answer so many times.
    const fn above(self, above: u64, input: f64, output: f64) -> Self {
        let Some(price) = self.price else { return self };
        Self { price: Some(Price { long: Some(Long { above, input, output }), ..price }), ..self }
    }

    /// What it does otherwise than its dialect; its limit of an answer stays.
    const fn ways(self, quirks: Quirks) -> Self {
        Self { quirks: Quirks { max_output: self.quirks.max_output, ..quirks }, ..self }
    }
}

const UNKNOWN: Abilities = Abilities { tools: None, images: None, documents: None, schema: None, thinking: None };
const FULL: Abilities = Abilities {
    tools: Some(true),
    images: Some(true),
    documents: Some(true),
    schema: Some(true),
    thinking: Some(true),
};
const NONE: Abilities = Abilities {
    tools: Some(false),
    images: Some(false),
    documents: Some(false),
    schema: Some(false),
    thinking: Some(false),
};
/// Everything but thinking.
const CHATS: Abilities = Abilities { thinking: Some(false), ..FULL };
/// Everything but thinking and JSON schemas.
const CHATS_FREELY: Abilities = Abilities { schema: Some(false), ..CHATS };
/// Everything but JSON schemas.
const THINKS_FREELY: Abilities = Abilities { schema: Some(false), ..FULL };
/// Text only, with tools and schemas, and thinking.
const READS_AND_THINKS: Abilities = Abilities { images: Some(false), documents: Some(false), ..FULL };
/// Text and tools: a model that is older than JSON schemas.
const EARLY: Abilities = Abilities { tools: Some(true), ..NONE };
/// An open model: whether it keeps to a schema is up to the program that runs it.
const OPEN: Abilities = Abilities { tools: Some(true), schema: None, ..NONE };
const OPEN_THINKS: Abilities = Abilities { thinking: Some(true), ..OPEN };
const OPEN_SEES: Abilities = Abilities { images: Some(true), ..OPEN };
const OPEN_SEES_AND_THINKS: Abilities = Abilities { images: Some(true), ..OPEN_THINKS };
/// An open model that calls no tools.
const OPEN_TALKS: Abilities = Abilities { tools: Some(false), ..OPEN };

/// Takes `max_completion_tokens`, and refuses `max_tokens` and any sampling but the default.
const REASONS: Quirks = Quirks { reasoning_model: true, ..Quirks::NONE };
const HIGH: Quirks = Quirks { efforts: &["high"], ..REASONS };
const LOW_TO_HIGH: Quirks = Quirks { efforts: &["low", "medium", "high"], ..REASONS };
const MINIMAL_TO_HIGH: Quirks = Quirks { efforts: &["minimal", "low", "medium", "high"], ..REASONS };
const NONE_TO_HIGH: Quirks = Quirks { efforts: &["none", "low", "medium", "high"], ..REASONS };
const NONE_TO_MAX: Quirks = Quirks { efforts: &["none", "low", "medium", "high", "xhigh", "max"], ..REASONS };
const LOW_TO_MAX: Quirks = Quirks { efforts: &["low", "medium", "high", "xhigh", "max"], ..REASONS };
/// Does not think, and refuses `reasoning_effort`.
const UNTHINKING: Quirks = Quirks { no_effort: true, ..Quirks::NONE };
/// Wants its thoughts back beside its tool calls.
const REPLAYS: Quirks = Quirks { replays_thinking: true, ..Quirks::NONE };
/// Wants its own words between what a tool answered and what the user says (Mistral's validator).
const ANSWERS_TOOLS: Quirks = Quirks { no_user_after_tool: true, ..Quirks::NONE };
/// A Claude that is told how hard to think by a budget of tokens.
const BUDGETED: Quirks = Quirks { usual_output: Some(32_000), ..Quirks::NONE };
/// A Claude that is told so by a level of effort.
const ADAPTIVE: Quirks = Quirks { takes_effort: true, ..BUDGETED };

static SECTIONS: [Section; 3] = [
    Section { tokenizer: Tokenizer::O200k, sellers: &[OpenAi, Azure, OpenRouter], only_there: true, rows: OPENAI },
    Section {
        tokenizer: Tokenizer::Claude3,
        sellers: &[Anthropic, OpenRouter, Azure],
        only_there: false,
        rows: CLAUDE,
    },
    Section { tokenizer: Tokenizer::Open, sellers: &[OpenRouter, Compatible], only_there: false, rows: OTHERS },
];

/// OpenAI's. Sources: developers.openai.com/api/docs/models/* (windows, limits, prices, efforts of each model),
/// /api/docs/pricing, the API reference (`max_completion_tokens`, `reasoning_effort`); tiktoken's table of models.
const OPENAI: &[Row] = &[
    // They run anywhere, so their maker's interface is not the one they are asked by.
    model("gpt-oss*").window(131_072).can(OPEN_THINKS),
    // ChatGPT's models take sampling and do not think.
    model("gpt-5*-chat*").window(128_000).output(16_384).can(CHATS).ways(UNTHINKING),
    model("gpt-6.2-astra*").window(1_050_000).output(128_000).can(FULL).ways(LOW_TO_MAX),
    model("gpt-6.2-sol*")
        .window(1_050_000)
        .output(128_000)
        .can(FULL)
        .ways(LOW_TO_MAX)
        .costs(2.0, 10.0, 0.1, 2.5)
        .above(272_000, 2.0, 1.5),
    model("gpt-6.1-sol*").window(1_050_000).output(128_000).can(FULL).ways(LOW_TO_MAX),
    model("gpt-6-astra*")
        .window(1_050_000)
        .output(128_000)
        .can(FULL)
        .ways(REASONS)
        .costs(10.0, 50.0, 1.0, 12.5)
        .above(272_000, 2.0, 1.5),
    model("gpt-6-sol*")
        .window(1_050_000)
        .output(128_000)
        .can(FULL)
        .ways(NONE_TO_MAX)
        .costs(2.0, 10.0, 0.2, 2.5)
        .above(272_000, 2.0, 1.5),
    model("gpt-6-luna*")
        .window(1_050_000)
        .output(128_000)
        .can(FULL)
        .ways(NONE_TO_MAX)
        .costs(0.1, 0.5, 0.01, 0.125)
        .above(272_000, 2.0, 1.5),
    model("gpt-6*").window(1_050_000).output(128_000).can(FULL).ways(REASONS),
    // The family of 5.6 was repriced more than once.
    model("gpt-5.6*").window(1_050_000).output(128_000).can(FULL).ways(REASONS),
    model("gpt-5.5-pro*").window(1_050_000).output(128_000).can(FULL).ways(REASONS).costs(30.0, 180.0, 30.0, 30.0),
    model("gpt-5.5*")
        .window(1_050_000)
        .output(128_000)
        .can(FULL)
        .ways(REASONS)
        .costs(5.0, 30.0, 0.5, 5.0)
        .above(272_000, 2.0, 1.5),
    model("gpt-5.4-mini*").window(400_000).output(128_000).can(FULL).ways(REASONS).costs(0.75, 4.5, 0.075, 0.75),
    model("gpt-5.4-nano*").window(400_000).output(128_000).can(FULL).ways(REASONS).costs(0.2, 1.25, 0.02, 0.2),
    model("gpt-5.4-pro*").window(1_050_000).output(128_000).can(FULL).ways(REASONS).costs(30.0, 180.0, 30.0, 30.0),
    model("gpt-5.4*")
        .window(1_050_000)
        .output(128_000)
        .can(FULL)
        .ways(REASONS)
        .costs(2.5, 15.0, 0.25, 2.5)
        .above(272_000, 2.0, 1.5),
    model("gpt-5.3-codex-spark*").window(128_000).can(FULL).ways(REASONS),
    model("gpt-5.3*").window(400_000).output(128_000).can(FULL).ways(REASONS).costs(1.75, 14.0, 0.175, 1.75),
    model("gpt-5.2-pro*").window(400_000).output(128_000).can(FULL).ways(REASONS).costs(21.0, 168.0, 21.0, 21.0),
    model("gpt-5.2*").window(400_000).output(128_000).can(FULL).ways(REASONS).costs(1.75, 14.0, 0.175, 1.75),
    model("gpt-5.1-codex-mini*").window(400_000).output(128_000).can(FULL).ways(REASONS).costs(0.25, 2.0, 0.025, 0.25),
    model("gpt-5.1-codex-max*").window(400_000).output(128_000).can(FULL).ways(REASONS).costs(1.25, 10.0, 0.125, 1.25),
    model("gpt-5.1*").window(400_000).output(128_000).can(FULL).ways(NONE_TO_HIGH).costs(1.25, 10.0, 0.125, 1.25),
    model("gpt-5.*").window(400_000).output(128_000).can(FULL).ways(REASONS),
    model("gpt-5-codex-mini*")
        .window(400_000)
        .output(128_000)
        .can(FULL)
        .ways(LOW_TO_HIGH)
        .costs(0.25, 2.0, 0.025, 0.25),
    model("gpt-5-codex*").window(400_000).output(128_000).can(FULL).ways(LOW_TO_HIGH).costs(1.25, 10.0, 0.125, 1.25),
    model("gpt-5-pro*").window(400_000).output(272_000).can(FULL).ways(HIGH).costs(15.0, 120.0, 15.0, 15.0),
    model("gpt-5-mini*").window(400_000).output(128_000).can(FULL).ways(MINIMAL_TO_HIGH).costs(0.25, 2.0, 0.025, 0.25),
    model("gpt-5-nano*").window(400_000).output(128_000).can(FULL).ways(MINIMAL_TO_HIGH).costs(0.05, 0.4, 0.005, 0.05),
    model("gpt-5*").window(400_000).output(128_000).can(FULL).ways(MINIMAL_TO_HIGH).costs(1.25, 10.0, 0.125, 1.25),
    model("codex-mini*").window(200_000).output(100_000).can(FULL).ways(REASONS).costs(1.5, 6.0, 0.375, 1.5),
    model("codex-*").can(FULL).ways(REASONS),
    model("o1-mini*").window(128_000).output(65_536).can(OPEN_THINKS).ways(LOW_TO_HIGH).costs(1.1, 4.4, 0.55, 1.1),
    model("o1-preview*").window(128_000).output(32_768).can(OPEN_THINKS).ways(LOW_TO_HIGH).costs(15.0, 60.0, 7.5, 15.0),
    model("o1-pro*").window(200_000).output(100_000).can(FULL).ways(LOW_TO_HIGH).costs(150.0, 600.0, 150.0, 150.0),
    model("o1*").window(200_000).output(100_000).can(FULL).ways(LOW_TO_HIGH).costs(15.0, 60.0, 7.5, 15.0),
    model("o3-mini*")
        .window(200_000)
        .output(100_000)
        .can(READS_AND_THINKS)
        .ways(LOW_TO_HIGH)
        .costs(1.1, 4.4, 0.55, 1.1),
    model("o3-pro*").window(200_000).output(100_000).can(FULL).ways(LOW_TO_HIGH).costs(20.0, 80.0, 20.0, 20.0),
    model("o3-deep-research*").window(200_000).output(100_000).can(FULL).ways(LOW_TO_HIGH).costs(10.0, 40.0, 2.5, 10.0),
    model("o3*").window(200_000).output(100_000).can(FULL).ways(LOW_TO_HIGH).costs(2.0, 8.0, 0.5, 2.0),
    model("o4-mini-deep-research*")
        .window(200_000)
        .output(100_000)
        .can(FULL)
        .ways(LOW_TO_HIGH)
        .costs(2.0, 8.0, 0.5, 2.0),
    model("o4-mini*").window(200_000).output(100_000).can(FULL).ways(LOW_TO_HIGH).costs(1.1, 4.4, 0.275, 1.1),
    model("o4*").can(FULL).ways(LOW_TO_HIGH),
    model("gpt-4.1-nano*").window(1_047_576).output(32_768).can(CHATS).ways(UNTHINKING).costs(0.1, 0.4, 0.025, 0.1),
    model("gpt-4.1-mini*").window(1_047_576).output(32_768).can(CHATS).ways(UNTHINKING).costs(0.4, 1.6, 0.1, 0.4),
    model("gpt-4.1*").window(1_047_576).output(32_768).can(CHATS).ways(UNTHINKING).costs(2.0, 8.0, 0.5, 2.0),
    model("gpt-4.5*").window(128_000).output(16_384).can(CHATS).ways(UNTHINKING).costs(75.0, 150.0, 37.5, 75.0),
    model("gpt-4o-mini*").window(128_000).output(16_384).can(CHATS).ways(UNTHINKING).costs(0.15, 0.6, 0.075, 0.15),
    model("gpt-4o-2024-05-13")
        .window(128_000)
        .output(4096)
        .can(CHATS_FREELY)
        .ways(UNTHINKING)
        .costs(5.0, 15.0, 5.0, 5.0),
    model("gpt-4o*").window(128_000).output(16_384).can(CHATS).ways(UNTHINKING).costs(2.5, 10.0, 1.25, 2.5),
    model("chatgpt-4o*").window(128_000).output(16_384).can(CHATS).ways(UNTHINKING).costs(5.0, 15.0, 5.0, 5.0),
    model("chatgpt-*").can(CHATS).ways(UNTHINKING),
    model("gpt-4-turbo*")
        .window(128_000)
        .output(4096)
        .can(CHATS_FREELY)
        .ways(UNTHINKING)
        .counted(Tokenizer::Cl100k)
        .costs(10.0, 30.0, 10.0, 10.0),
    model("gpt-4-*-preview")
        .window(128_000)
        .output(4096)
        .can(EARLY)
        .ways(UNTHINKING)
        .counted(Tokenizer::Cl100k)
        .costs(10.0, 30.0, 10.0, 10.0),
    model("gpt-4-32k*")
        .window(32_768)
        .can(EARLY)
        .ways(UNTHINKING)
        .counted(Tokenizer::Cl100k)
        .costs(60.0, 120.0, 60.0, 60.0),
    model("gpt-4*").window(8192).can(EARLY).ways(UNTHINKING).counted(Tokenizer::Cl100k).costs(30.0, 60.0, 30.0, 30.0),
    model("gpt-3.5-turbo-instruct*")
        .window(4096)
        .can(NONE)
        .ways(UNTHINKING)
        .counted(Tokenizer::Cl100k)
        .costs(1.5, 2.0, 1.5, 1.5),
    model("gpt-3.5*")
        .window(16_385)
        .output(4096)
        .can(EARLY)
        .ways(UNTHINKING)
        .counted(Tokenizer::Cl100k)
        .costs(0.5, 1.5, 0.5, 0.5),
    model("gpt-35-*").window(16_385).output(4096).can(EARLY).ways(UNTHINKING).counted(Tokenizer::Cl100k),
    model("text-embedding-3-small*").window(8192).can(NONE).counted(Tokenizer::Cl100k).costs(0.02, 0.0, 0.02, 0.02),
    model("text-embedding-3-large*").window(8192).can(NONE).counted(Tokenizer::Cl100k).costs(0.13, 0.0, 0.13, 0.13),
    model("text-embedding-ada-002*").window(8192).can(NONE).counted(Tokenizer::Cl100k).costs(0.1, 0.0, 0.1, 0.1),
];

/// Anthropic's. Sources: platform.claude.com/docs/en/about-claude/models/overview and the page of each model,
/// /docs/en/about-claude/pricing (writing to the cache: for five minutes), /build-with-claude/effort,
/// /adaptive-thinking and /structured-outputs; the older limits from the pages of the time.
const CLAUDE: &[Row] = &[
    model("claude-fable-5-1*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(10.0, 50.0, 0.25, 12.5),
    model("claude-mythos-5-1*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(10.0, 50.0, 0.25, 12.5),
    model("claude-fable-5*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(10.0, 50.0, 1.0, 12.5),
    model("claude-mythos-5*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(10.0, 50.0, 1.0, 12.5),
    model("claude-opus-5-5*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(4.0, 20.0, 0.2, 5.0),
    model("claude-sonnet-5-5*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(2.0, 10.0, 0.2, 2.5),
    model("claude-haiku-5-5*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(0.1, 0.5, 0.01, 0.125)
        .above(100_000, 5.0, 5.0),
    model("claude-opus-5*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(5.0, 25.0, 0.5, 6.25),
    model("claude-sonnet-5*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(2.0, 10.0, 0.2, 2.5),
    model("claude-opus-4-8*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(5.0, 25.0, 0.5, 6.25),
    model("claude-opus-4-7*")
        .window(1_000_000)
        .output(128_000)
        .can(FULL)
        .ways(ADAPTIVE)
        .counted(Tokenizer::Claude5)
        .costs(5.0, 25.0, 0.5, 6.25),
    model("claude-opus-4-6*").window(1_000_000).output(128_000).can(FULL).ways(ADAPTIVE).costs(5.0, 25.0, 0.5, 6.25),
    model("claude-sonnet-4-6*").window(1_000_000).output(64_000).can(FULL).ways(ADAPTIVE).costs(3.0, 15.0, 0.3, 3.75),
    model("claude-opus-4-5*").window(200_000).output(64_000).can(FULL).ways(BUDGETED).costs(5.0, 25.0, 0.5, 6.25),
    model("claude-sonnet-4-5*")
        .window(200_000)
        .output(64_000)
        .can(FULL)
        .ways(BUDGETED)
        .costs(3.0, 15.0, 0.3, 3.75)
        .above(200_000, 2.0, 1.5),
    model("claude-haiku-4-5*").window(200_000).output(64_000).can(FULL).ways(BUDGETED).costs(1.0, 5.0, 0.1, 1.25),
    model("claude-opus-4-1*").window(200_000).output(32_000).can(FULL).ways(BUDGETED).costs(15.0, 75.0, 1.5, 18.75),
    model("claude-opus-4-0*")
        .window(200_000)
        .output(32_000)
        .can(THINKS_FREELY)
        .ways(BUDGETED)
        .costs(15.0, 75.0, 1.5, 18.75),
    model("claude-opus-4-2025*")
        .window(200_000)
        .output(32_000)
        .can(THINKS_FREELY)
        .ways(BUDGETED)
        .costs(15.0, 75.0, 1.5, 18.75),
    model("claude-opus-4")
        .window(200_000)
        .output(32_000)
        .can(THINKS_FREELY)
        .ways(BUDGETED)
        .costs(15.0, 75.0, 1.5, 18.75),
    model("claude-4-opus*")
        .window(200_000)
        .output(32_000)
        .can(THINKS_FREELY)
        .ways(BUDGETED)
        .costs(15.0, 75.0, 1.5, 18.75),
    model("claude-sonnet-4-0*")
        .window(200_000)
        .output(64_000)
        .can(THINKS_FREELY)
        .ways(BUDGETED)
        .costs(3.0, 15.0, 0.3, 3.75)
        .above(200_000, 2.0, 1.5),
    model("claude-sonnet-4-2025*")
        .window(200_000)
        .output(64_000)
        .can(THINKS_FREELY)
        .ways(BUDGETED)
        .costs(3.0, 15.0, 0.3, 3.75)
        .above(200_000, 2.0, 1.5),
    model("claude-sonnet-4")
        .window(200_000)
        .output(64_000)
        .can(THINKS_FREELY)
        .ways(BUDGETED)
        .costs(3.0, 15.0, 0.3, 3.75)
        .above(200_000, 2.0, 1.5),
    model("claude-4-*")
        .window(200_000)
        .output(64_000)
        .can(THINKS_FREELY)
        .ways(BUDGETED)
        .costs(3.0, 15.0, 0.3, 3.75)
        .above(200_000, 2.0, 1.5),
    model("claude-3-7*").window(200_000).output(128_000).can(THINKS_FREELY).ways(BUDGETED).costs(3.0, 15.0, 0.3, 3.75),
    model("claude-3-5-haiku*").window(200_000).output(8192).can(CHATS_FREELY).ways(BUDGETED).costs(0.8, 4.0, 0.08, 1.0),
    model("claude-3-5*").window(200_000).output(8192).can(CHATS_FREELY).ways(BUDGETED).costs(3.0, 15.0, 0.3, 3.75),
    model("claude-3-opus*").window(200_000).output(4096).can(CHATS_FREELY).ways(BUDGETED).costs(15.0, 75.0, 1.5, 18.75),
    model("claude-3-sonnet*").window(200_000).output(4096).can(CHATS_FREELY).ways(BUDGETED).costs(3.0, 15.0, 0.3, 3.75),
    model("claude-3-haiku*").window(200_000).output(4096).can(CHATS_FREELY).ways(BUDGETED).costs(0.25, 1.25, 0.03, 0.3),
    model("claude-3*").window(200_000).output(4096).can(CHATS_FREELY).ways(BUDGETED),
    model("claude-2-1*").window(200_000).output(4096).can(NONE).ways(BUDGETED).costs(8.0, 24.0, 8.0, 8.0),
    model("claude-2*").window(100_000).output(4096).can(NONE).ways(BUDGETED).costs(8.0, 24.0, 8.0, 8.0),
    model("claude-instant*").window(100_000).output(4096).can(NONE).ways(BUDGETED).costs(0.8, 2.4, 0.8, 0.8),
    // Whatever comes after them.
    model("claude*").can(FULL).ways(ADAPTIVE).counted(Tokenizer::Claude5),
];

/// Other makers'. Sources: ai.google.dev/gemini-api/docs/models and /pricing; the model cards on huggingface.co and
/// ollama.com/library (windows of open models: what they were trained for, which is more than programs give them unless
/// told); api-docs.deepseek.com and platform.moonshot.ai (thoughts go back beside tool calls); docs.mistral.ai; docs.z.ai.
const OTHERS: &[Row] = &[
    model("gemini-3.6-flash*").window(1_048_576).output(65_536).can(FULL).costs(1.5, 7.5, 0.15, 1.5),
    model("gemini-3.5-flash-lite*").window(1_048_576).output(65_536).can(FULL).costs(0.3, 2.5, 0.03, 0.3),
    model("gemini-3.5-flash*").window(1_048_576).output(65_536).can(FULL).costs(1.5, 9.0, 0.15, 1.5),
    model("gemini-3.1-flash-lite*").window(1_048_576).output(65_536).can(FULL).costs(0.25, 1.5, 0.025, 0.25),
    model("gemini-3.1-pro*")
        .window(1_048_576)
        .output(65_536)
        .can(FULL)
        .costs(2.0, 12.0, 0.2, 2.0)
        .above(200_000, 2.0, 1.5),
    model("gemini-3-pro*")
        .window(1_048_576)
        .output(65_536)
        .can(FULL)
        .costs(2.0, 12.0, 0.2, 2.0)
        .above(200_000, 2.0, 1.5),
    model("gemini-3-flash*").window(1_048_576).output(65_536).can(FULL).costs(0.5, 3.0, 0.05, 0.5),
    model("gemini-3*").window(1_048_576).output(65_536).can(FULL),
    model("gemini-2.5-pro*")
        .window(1_048_576)
        .output(65_536)
        .can(FULL)
        .costs(1.25, 10.0, 0.125, 1.25)
        .above(200_000, 2.0, 1.5),
    model("gemini-2.5-flash-lite*").window(1_048_576).output(65_536).can(FULL).costs(0.1, 0.4, 0.01, 0.1),
    model("gemini-2.5-flash*").window(1_048_576).output(65_536).can(FULL).costs(0.3, 2.5, 0.03, 0.3),
    model("gemini-2.0-flash-lite*").window(1_048_576).output(8192).can(CHATS).costs(0.075, 0.3, 0.01875, 0.075),
    model("gemini-2.0-flash*").window(1_048_576).output(8192).can(CHATS).costs(0.1, 0.4, 0.025, 0.1),
    model("gemini-1.5-pro*").window(2_097_152).output(8192).can(CHATS),
    model("gemini-1.5-flash*").window(1_048_576).output(8192).can(CHATS),
    model("gemini-embedding*").window(2048).can(NONE),
    model("llama-4-scout*").window(10_485_760).can(OPEN_SEES),
    model("llama-4-maverick*").window(1_048_576).can(OPEN_SEES),
    model("llama4*").window(1_048_576).can(OPEN_SEES),
    model("llama3.2-vision*").window(131_072).can(OPEN_SEES),
    model("llama-3.2-*-vision*").window(131_072).can(OPEN_SEES),
    model("llama3.1*").window(131_072).can(OPEN),
    model("llama3.2*").window(131_072).can(OPEN),
    model("llama3.3*").window(131_072).can(OPEN),
    model("llama-3.1*").window(131_072).can(OPEN),
    model("llama-3.2*").window(131_072).can(OPEN),
    model("llama-3.3*").window(131_072).can(OPEN),
    model("meta-llama-3.1*").window(131_072).can(OPEN),
    model("llama3*").window(8192).can(OPEN_TALKS),
    model("llama-3*").window(8192).can(OPEN_TALKS),
    model("llama2*").window(4096).can(OPEN_TALKS),
    model("llama-2*").window(4096).can(OPEN_TALKS),
    model("codellama*").window(16_384).can(OPEN_TALKS),
    model("qwen3-embedding*").window(32_768).can(NONE),
    model("qwen3-coder*").window(262_144).can(OPEN),
    model("qwen3-vl*").window(262_144).can(OPEN_SEES_AND_THINKS),
    model("qwen3-next*").window(262_144).can(OPEN_THINKS),
    model("qwen3-max*").window(262_144).can(OPEN_THINKS),
    model("qwen3-*-2507*").window(262_144).can(OPEN_THINKS),
    model("qwen3.*").window(262_144).can(OPEN_SEES_AND_THINKS),
    model("qwen3*").window(40_960).can(OPEN_THINKS),
    model("qwen2.5-vl*").window(128_000).can(OPEN_SEES),
    model("qwen2.5vl*").window(128_000).can(OPEN_SEES),
    model("qwen2.5-coder*").window(32_768).can(OPEN),
    model("qwen2.5*").window(32_768).can(OPEN),
    model("qwen2*").window(32_768).can(OPEN),
    model("qwq*").window(40_960).can(OPEN_THINKS),
    model("deepseek-v4*").window(1_000_000).can(OPEN_THINKS).ways(REPLAYS),
    model("deepseek-v3.*").window(131_072).can(OPEN_THINKS).ways(REPLAYS),
    model("deepseek-v3*").window(131_072).can(OPEN).ways(REPLAYS),
    model("deepseek-r1*").window(131_072).can(OPEN_THINKS).ways(REPLAYS),
    model("deepseek-coder-v2*").window(163_840).can(OPEN_TALKS).ways(REPLAYS),
    // Aliases that their maker points elsewhere from time to time.
    model("deepseek*").can(OPEN_THINKS).ways(REPLAYS),
    model("kimi-k2.6*").window(262_144).can(OPEN_SEES_AND_THINKS).ways(REPLAYS),
    model("kimi-k2.5*").window(262_144).can(OPEN_SEES_AND_THINKS).ways(REPLAYS),
    model("kimi-k2-thinking*").window(262_144).can(OPEN_THINKS).ways(REPLAYS),
    model("kimi-k2-0905*").window(262_144).can(OPEN).ways(REPLAYS),
    model("kimi-k2*").window(131_072).can(OPEN).ways(REPLAYS),
    model("kimi*").ways(REPLAYS),
    model("glm-4.5v*").window(65_536).can(OPEN_SEES_AND_THINKS),
    model("glm-4.5*").window(131_072).can(OPEN_THINKS),
    model("glm-4.6v*").window(131_072).can(OPEN_SEES_AND_THINKS),
    model("glm-4.6*").window(202_752).can(OPEN_THINKS),
    model("glm-4.7*").window(202_752).can(OPEN_THINKS),
    model("glm-5*").window(202_752).can(OPEN_THINKS),
    model("mistral-large-3*").window(262_144).can(OPEN_SEES).ways(ANSWERS_TOOLS),
    model("mistral-large*").window(131_072).can(OPEN).ways(ANSWERS_TOOLS),
    model("mistral-medium*").window(131_072).can(OPEN_SEES).ways(ANSWERS_TOOLS),
    model("mistral-small3.1*").window(131_072).can(OPEN_SEES).ways(ANSWERS_TOOLS),
    model("mistral-small3.2*").window(131_072).can(OPEN_SEES).ways(ANSWERS_TOOLS),
    model("mistral-small*").window(32_768).can(OPEN).ways(ANSWERS_TOOLS),
    model("mistral-nemo*").window(131_072).can(OPEN).ways(ANSWERS_TOOLS),
    model("mistral-embed*").window(8192).can(NONE),
    model("mistral*").window(32_768).can(OPEN).ways(ANSWERS_TOOLS),
    model("mixtral-8x22b*").window(65_536).can(OPEN).ways(ANSWERS_TOOLS),
    model("mixtral*").window(32_768).can(OPEN).ways(ANSWERS_TOOLS),
    model("ministral*").window(131_072).can(OPEN).ways(ANSWERS_TOOLS),
    model("magistral*").window(40_960).can(OPEN_THINKS).ways(ANSWERS_TOOLS),
    model("devstral*").window(131_072).can(OPEN).ways(ANSWERS_TOOLS),
    model("codestral-mamba*").window(262_144).can(OPEN_TALKS),
    model("codestral*").window(32_768).can(OPEN_TALKS),
    model("pixtral*").window(131_072).can(OPEN_SEES).ways(ANSWERS_TOOLS),
    model("gemma3n*").window(32_768).can(OPEN_TALKS),
    model("gemma3:1b*").window(32_768).can(OPEN_TALKS),
    model("gemma3*").window(131_072).can(Abilities { tools: Some(false), ..OPEN_SEES }),
    model("gemma-3n*").window(32_768).can(OPEN_TALKS),
    model("gemma-3-1b*").window(32_768).can(OPEN_TALKS),
    model("gemma-3*").window(131_072).can(Abilities { tools: Some(false), ..OPEN_SEES }),
    model("gemma2*").window(8192).can(OPEN_TALKS),
    model("gemma-2*").window(8192).can(OPEN_TALKS),
    model("phi4-mini-reasoning*").window(131_072).can(Abilities { thinking: Some(true), ..OPEN_TALKS }),
    model("phi4-mini*").window(131_072).can(OPEN),
    model("phi4-reasoning*").window(32_768).can(Abilities { thinking: Some(true), ..OPEN_TALKS }),
    model("phi4*").window(16_384).can(OPEN_TALKS),
    model("phi-4*").window(16_384).can(OPEN_TALKS),
    model("phi3*").window(131_072).can(OPEN_TALKS),
    model("granite3.3*").window(131_072).can(OPEN),
    model("granite4*").window(131_072).can(OPEN),
    model("command-a*").window(262_144).can(OPEN),
    model("command-r*").window(131_072).can(OPEN),
    model("smollm2*").window(8192).can(OPEN),
    model("llava*").window(4096).can(Abilities { tools: Some(false), ..OPEN_SEES }),
    model("grok-4*").can(OPEN_SEES_AND_THINKS),
    model("nomic-embed-text*").window(2048).can(NONE),
    model("mxbai-embed-large*").window(512).can(NONE),
    model("all-minilm*").window(256).can(NONE),
    model("bge-m3*").window(8192).can(NONE),
    model("embeddinggemma*").window(2048).can(NONE),
    model("snowflake-arctic-embed2*").window(8192).can(NONE),
];

#[cfg(test)]
mod tests {
    use super::{
        super::super::provider::ProviderKind::{LmStudio, Ollama},
        *,
    };

    #[test]
    fn models_are_known_by_their_names() {
        let table = [
            (OpenAi, "gpt-3.5-turbo-0125", Some(16_385), Some(4096), Tokenizer::Cl100k),
            (OpenAi, "gpt-4", Some(8192), None, Tokenizer::Cl100k),
            (OpenAi, "gpt-4-1106-preview", Some(128_000), Some(4096), Tokenizer::Cl100k),
            (OpenAi, "gpt-4.1-mini-2025-04-14", Some(1_047_576), Some(32_768), Tokenizer::O200k),
            (OpenAi, "gpt-6", Some(1_050_000), Some(128_000), Tokenizer::O200k),
            (OpenAi, "gpt-9", None, None, Tokenizer::O200k),
            (Azure, "gpt-35-turbo", Some(16_385), Some(4096), Tokenizer::Cl100k),
            (Anthropic, "claude-opus-5-5", Some(1_000_000), Some(128_000), Tokenizer::Claude5),
            (Anthropic, "claude-sonnet-4-5-20250929", Some(200_000), Some(64_000), Tokenizer::Claude3),
            (Anthropic, "claude-haiku-9", None, None, Tokenizer::Claude5),
            (OpenRouter, "anthropic/claude-3.7-sonnet:thinking", Some(200_000), Some(128_000), Tokenizer::Claude3),
            (OpenRouter, "google/gemini-2.5-pro", Some(1_048_576), Some(65_536), Tokenizer::Open),
            (Ollama, "llama3.1:8b-instruct-q4_K_M", Some(131_072), None, Tokenizer::Open),
            (Ollama, "llama3", Some(8192), None, Tokenizer::Open),
            (Ollama, "hf.co/unsloth/Qwen3-Coder-30B:Q4", Some(262_144), None, Tokenizer::Open),
            (Ollama, "gpt-oss:20b", Some(131_072), None, Tokenizer::O200k),
            (LmStudio, "qwen/qwen3-8b", Some(40_960), None, Tokenizer::Open),
            (Ollama, "my-own", None, None, Tokenizer::O200k),
        ];
        for (kind, model, window, max_output, tokenizer) in table {
            let known = find(kind, model);
            assert_eq!((known.window, known.max_output, known.tokenizer), (window, max_output, tokenizer), "{model}");
        }
    }

    #[test]
    fn a_price_is_known_where_the_maker_is_paid_and_never_nothing() {
        let table = [
            (OpenAi, "gpt-4o", Some((2.5, 10.0, 1.25, 2.5))),
            (OpenRouter, "openai/gpt-4o", Some((2.5, 10.0, 1.25, 2.5))),
            (LmStudio, "gpt-4o", None),
            (Anthropic, "claude-opus-5-5", Some((4.0, 20.0, 0.2, 5.0))),
            (Compatible, "claude-opus-5-5", None),
            (Ollama, "llama3", None),
            (OpenAi, "gpt-9", None),
        ];
        for (kind, model, expect) in table {
            let price = find(kind, model).price;
            let price = price.map(|price| (price.input, price.output, price.cache_read, price.cache_write));
            assert_eq!(price, expect, "{kind:?} {model}");
        }
        let prices = SECTIONS.iter().flat_map(|section| section.rows).filter_map(|row| Some((row.pattern, row.price?)));
        for (pattern, price) in prices {
            assert!(price.input > 0.0 && price.cache_read > 0.0 && price.cache_write > 0.0, "{pattern}");
            assert!(price.cache_read <= price.input && price.input <= price.output.max(price.input), "{pattern}");
        }
    }

    /// A row that another one before it covers would never be read.
    #[test]
    fn every_row_is_reached() {
        for section in &SECTIONS {
            for (place, row) in section.rows.iter().enumerate() {
                let name = row.pattern.replace('*', "-");
                let name = name.trim_end_matches('-');
                let first = section
                    .rows
                    .iter()
                    .position(|other| fits(other.pattern, name) || fits(other.pattern, &row.pattern.replace('*', "x")));
                assert_eq!(first, Some(place), "{}", row.pattern);
            }
        }
    }

    #[test]
    fn ways_are_known_by_names() {
        let levels: &[&str] = &["low", "medium", "high"];
        let thinks = Quirks { reasoning_model: true, ..Quirks::NONE };
        let most = |tokens, quirks| Quirks { max_output: Some(tokens), ..quirks };
        let claude = Quirks { usual_output: Some(32_000), ..Quirks::NONE };
        let effort = Quirks { takes_effort: true, ..claude };
        let table = [
            (OpenAi, "o3-mini", most(100_000, Quirks { efforts: levels, ..thinks })),
            (OpenAi, "gpt-5.6", most(128_000, thinks)),
            (OpenAi, "gpt-5-chat-latest", most(16_384, Quirks { no_effort: true, ..Quirks::NONE })),
            (OpenAi, "gpt-4o", most(16_384, Quirks { no_effort: true, ..Quirks::NONE })),
            (OpenRouter, "openai/o3", most(100_000, Quirks { efforts: levels, ..thinks })),
            (OpenRouter, "anthropic/claude-sonnet-4", most(64_000, claude)),
            (OpenRouter, "anthropic/claude-sonnet-4.5", most(64_000, claude)),
            (OpenRouter, "deepseek/deepseek-r1", Quirks { replays_thinking: true, ..Quirks::NONE }),
            (LmStudio, "openai/gpt-5-like", Quirks::NONE),
            (Anthropic, "claude-opus-5-5", most(128_000, effort)),
            (Anthropic, "claude-opus-4-6", most(128_000, effort)),
            (Anthropic, "claude-sonnet-4-20250514", most(64_000, claude)),
            (Anthropic, "claude-haiku-4-5-20251001", most(64_000, claude)),
            (Compatible, "claude-3-5-haiku-latest", most(8192, claude)),
            (Anthropic, "claude-3-haiku-20240307", most(4096, claude)),
            (Anthropic, "claude-haiku-9", effort),
            (Compatible, "qwen3-coder", Quirks::NONE),
            (Compatible, "mistral-large-latest", Quirks { no_user_after_tool: true, ..Quirks::NONE }),
            (Ollama, "devstral:24b", Quirks { no_user_after_tool: true, ..Quirks::NONE }),
        ];
        for (kind, model, expect) in table {
            assert_eq!(find(kind, model).quirks, expect, "{kind:?} {model}");
        }
    }
}
