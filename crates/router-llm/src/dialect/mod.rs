//! The wire formats: each decodes and encodes, as pure functions over bytes.
//!
//! `router-core`'s [`Dialect`] reads; a [`Language`] also writes, and finds its way in bytes without decoding them.

mod abroad;
mod amend;
pub mod anthropic;
mod blocks;
pub mod embeddings;
mod envelope;
mod fields;
mod glimpse;
mod infill;
mod json;
pub mod ollama;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;
mod prepend;
mod proof;
mod refusal;
mod stops;
mod think_tags;
mod too_long;

#[cfg(test)]
mod cross_tests;

use std::ops::Range;

pub(crate) use amend::Amend;
use bytes::Bytes;
use router_core::{
    Error, Result,
    chat::{Dialect, Event, Losses, Meta, Needs, Prompt, Shape, Usage},
};
use tokio::time::Instant;

/// How the system text begins in which Claude Code keeps its books. It changes with every request, means nothing to a
/// model of another vendor, and would spoil his prompt cache.
pub(crate) const BOOKKEEPING: &str = "x-anthropic-billing-header:";

/// A dialect in full: everything a front door or a provider needs of it.
pub trait Language: Dialect {
    /// Finds what routing needs in a question, in one scan that also checks depth, duplicate keys of the envelope and
    /// the JSON grammar, without building a tree.
    fn head(&self, body: &Bytes) -> Result<Head>;

    /// Writes a question for an upstream, and notes what of it the dialect has no words for.
    fn encode(&self, ask: &Ask<'_>, losses: &mut Losses) -> Result<Bytes>;

    /// The tools whose names the dialect cannot spell: as [`Language::encode`] writes them, and as the client has them.
    /// A reply that calls one is given the client's name back.
    fn respelled(&self, _: &Prompt) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The texts that end the answer and that [`Language::encode`] leaves out, because the upstream takes only so many:
    /// whoever asks enforces them on the reply.
    fn unsent_stops(&self, _: &Ask<'_>) -> Vec<String> {
        Vec::new()
    }

    /// Whether a client's bytes can go to an upstream of the same dialect as they are.
    fn carries(&self, _: &[u8]) -> bool {
        true
    }

    /// Looks, without decoding, at one whole event of a stream (SSE: the lines up to the blank one; NDJSON: the line),
    /// or at the body of a whole reply.
    fn scan(&self, event: &[u8], shape: Shape) -> Mark;

    /// Puts `model` where the upstream's bytes name another one; `None` when there is nothing to change.
    fn rename(&self, frame: &Bytes, model: &str) -> Option<Bytes>;

    /// What an upstream's refusal means; a `status` of success is that of an answer that holds an error nevertheless, whose
    /// words then tell which status it deserves.
    fn failure(&self, status: u16, meta: &Meta, body: Bytes) -> Error;

    /// Writes a reply for a client, event by event or, for [`Shape::Whole`], all at its end.
    fn writer(&self, told: Told, shape: Shape) -> Box<dyn ReplyWriter>;

    /// An error as this dialect's clients know it: status and body.
    fn error(&self, error: &Error, request_id: &str) -> (u16, Bytes);

    /// The same for a path at which nothing is.
    fn nowhere(&self, error: &Error, request_id: &str) -> (u16, Bytes) {
        self.error(error, request_id)
    }

    /// The same in a stream that has begun.
    fn error_event(&self, error: &Error, request_id: &str) -> Bytes;

    /// The same after `before`, the last that was sent of the stream, for dialects that number their events.
    fn error_event_after(&self, _before: &[u8], error: &Error, request_id: &str) -> Bytes {
        self.error_event(error, request_id)
    }

    /// Whether its streams number their events, so that the last that was sent has to be known.
    fn numbers_events(&self) -> bool {
        false
    }

    /// What keeps a silent stream alive.
    fn ping(&self) -> Bytes;

    /// What of a question its reply says again; nothing in most dialects.
    fn repeated(&self, _: &Bytes) -> Bytes {
        Bytes::new()
    }

    /// How its streams are framed.
    fn framing(&self) -> Framing;
}

/// Writes one reply in a dialect.
pub trait ReplyWriter: Send {
    /// Writes what happens. For a stream each call appends whole events to `out`.
    fn write(&mut self, events: Vec<Event>, out: &mut Vec<u8>) -> Result<()>;

    /// The reply has ended well: writes what closes it (for [`Shape::Whole`]: all of it).
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()>;
}

/// What routing needs of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The model asked for.
    pub model: String,
    /// Where its name stands in the body, with its quotes.
    pub model_at: Range<usize>,
    /// One message or a stream.
    pub shape: Shape,
    /// Whether a stream should tell its usage; dialects that always do say `true`.
    pub usage: bool,
    /// Where the number stands that limits the answer.
    pub limit_at: Option<Range<usize>>,
    /// What it asks of a model beside words.
    pub needs: Needs,
}

/// A question to be written for an upstream.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// What it says.
    pub prompt: &'a Prompt,
    /// The model, as the provider names it.
    pub model: &'a str,
    /// One message or a stream.
    pub shape: Shape,
    /// The provider's and the model's own ways.
    pub quirks: &'a Quirks,
    /// The context window to ask for, in tokens, where the dialect lets one ask (Ollama's `num_ctx`).
    pub window: Option<u64>,
}

impl<'a> Ask<'a> {
    /// A question to `model`, to be answered whole, by a provider that does everything as its dialect says.
    pub const fn of(prompt: &'a Prompt, model: &'a str) -> Self {
        Self { prompt, model, shape: Shape::Whole, quirks: &Quirks::NONE, window: None }
    }

    /// The limit of the answer that the client set, as far as the model goes: a higher one is refused, and clients
    /// cannot recover from that.
    pub fn max_tokens(&self) -> Option<u64> {
        self.prompt.max_tokens.map(|asked| asked.min(self.quirks.max_output.unwrap_or(u64::MAX)))
    }
}

/// What a provider or model does otherwise than its dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of one another")]
pub struct Quirks {
    /// Takes `max_completion_tokens` and refuses `max_tokens`, `temperature` and `top_p` (OpenAI's reasoning models).
    pub reasoning_model: bool,
    /// Refuses `top_k` (OpenAI, Azure).
    pub no_top_k: bool,
    /// Takes one system message, first (strict chat templates).
    pub one_system_message: bool,
    /// Does not think and refuses to be told how hard to (models before the reasoning ones).
    pub no_effort: bool,
    /// The levels of effort it lists, lowest first; empty where that is not known.
    pub efforts: &'static [&'static str],
    /// Wants its thoughts back beside its tool calls (DeepSeek, Kimi).
    pub replays_thinking: bool,
    /// Refuses a conversation that ends with its own words, to be gone on with.
    pub no_prefill: bool,
    /// The most tokens that an answer may have; more is refused.
    pub max_output: Option<u64>,
    /// The limit that an answer is given whose client named none, where the dialect wants one.
    pub usual_output: Option<u64>,
    /// Is told how hard to think by a level of effort, and not by a budget of tokens (Anthropic's since Claude 4.6).
    pub takes_effort: bool,
    /// Refuses a user message right after what a tool answered (Mistral's chat templates).
    pub no_user_after_tool: bool,
    /// Understands Anthropic's `cache_control` in OpenAI's words (OpenRouter).
    pub keeps_cache_control: bool,
    /// Takes a JSON schema, and refuses to be told that any JSON will do (LM Studio).
    pub no_json_object: bool,
    /// Wants the `reasoning_details` back that it gave, as it gave them (OpenRouter).
    pub replays_details: bool,
    /// Calls without results, and results without calls, are mended for it instead of being refused.
    pub repairs_calls: bool,
}

impl Quirks {
    /// Does everything as its dialect says.
    pub const NONE: Self = Self {
        reasoning_model: false,
        no_top_k: false,
        one_system_message: false,
        no_effort: false,
        efforts: &[],
        replays_thinking: false,
        no_prefill: false,
        max_output: None,
        usual_output: None,
        takes_effort: false,
        no_user_after_tool: false,
        keeps_cache_control: false,
        no_json_object: false,
        replays_details: false,
        repairs_calls: false,
    };

    /// These and `more`: what either does, and the tighter of two limits.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            reasoning_model: self.reasoning_model || more.reasoning_model,
            no_top_k: self.no_top_k || more.no_top_k,
            one_system_message: self.one_system_message || more.one_system_message,
            no_effort: self.no_effort || more.no_effort,
            efforts: if self.efforts.is_empty() { more.efforts } else { self.efforts },
            replays_thinking: self.replays_thinking || more.replays_thinking,
            no_prefill: self.no_prefill || more.no_prefill,
            max_output: self.max_output.into_iter().chain(more.max_output).min(),
            usual_output: self.usual_output.or(more.usual_output),
            takes_effort: self.takes_effort || more.takes_effort,
            no_user_after_tool: self.no_user_after_tool || more.no_user_after_tool,
            keeps_cache_control: self.keeps_cache_control || more.keeps_cache_control,
            no_json_object: self.no_json_object || more.no_json_object,
            replays_details: self.replays_details || more.replays_details,
            repairs_calls: self.repairs_calls || more.repairs_calls,
        }
    }
}

/// What a cheap look at an event tells.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of one another")]
pub struct Mark {
    /// It carries content: text, a thought, a tool call, or the end of the reply.
    pub content: bool,
    /// It says nothing and only keeps the stream alive.
    pub idle: bool,
    /// After it a close is a clean end, though more (usage, a terminator) may follow.
    pub last: bool,
    /// Nothing follows it: the dialect's terminator.
    pub end: bool,
    /// It is an error under a status of success.
    pub error: bool,
    /// The look went through all of a whole reply, and it is JSON; where it did not, that is still to be seen.
    pub json: bool,
    /// The usage it tells.
    pub usage: Option<Usage>,
}

/// What a client is told beside the reply itself.
#[derive(Clone, Debug)]
pub struct Told {
    /// The id of the request, of which a reply has its own where its upstream gave none.
    pub request_id: String,
    /// The model, by the name the client asked for.
    pub model: String,
    /// Who answered, as `provider/model`: the fingerprint of a reply, in dialects that have one.
    pub answered_by: Option<String>,
    /// Unix time in seconds, for dialects that date their replies.
    pub created: i64,
    /// Whether the client of a stream asked for usage (OpenAI's `stream_options.include_usage`).
    pub usage: bool,
    /// When the question came, for dialects that tell how long an answer took.
    pub asked: Instant,
    /// What is repeated before the answer (the `echo` of OpenAI's legacy completions).
    pub echo: Option<String>,
    /// What of the question the reply says again, as [`Language::repeated`] found it.
    pub repeated: Bytes,
}

impl Told {
    /// What is told in any case: for the question `request_id`, which asks `model` at `created` (Unix time in seconds).
    pub fn of(request_id: impl Into<String>, model: impl Into<String>, created: i64) -> Self {
        let (request_id, model) = (request_id.into(), model.into());
        Self {
            request_id,
            model,
            answered_by: None,
            created,
            usage: false,
            asked: Instant::now(),
            echo: None,
            repeated: Bytes::new(),
        }
    }

    /// The id of a reply whose upstream gave none: that of its request, under the dialect's own prefix.
    pub fn reply_id(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.request_id.strip_prefix("req_").unwrap_or(&self.request_id))
    }
}

/// How a dialect's streams are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// One JSON value per line.
    Ndjson,
}
