//! Lazy discovery: three tools that never change in place of hundreds: one finds, one describes, one calls.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use router_core::{
    Cx, Error, Kind, Name, Raw, Result,
    tool::{Answer, ToolCall},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Catalog, board::Board, list::List, page::Page, search};
use crate::{fields, rpc};

/// What the tools are called.
const SEARCH: &str = "search_tools";
const DESCRIBE: &str = "describe_tools";
const CALL: &str = "call_tool";

/// How many tools a search tells when nobody says otherwise, and at the most.
const FOUND: usize = 10;
const MOST_FOUND: usize = 50;
/// How many tools are described at once.
const MOST_DESCRIBED: usize = 20;
/// How much of a description a search tells, in bytes.
const GIST: usize = 200;
/// How long a search waits to know what its question means.
const MEANING_TIME: Duration = Duration::from_secs(1);
/// How many of the nearest in meaning count.
const NEAREST: usize = 50;
/// Texts whose meaning is asked for at once.
const AT_ONCE: usize = 64;

/// When tools are to be searched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lazy {
    /// Never: they are all listed.
    #[default]
    Never,
    /// Always.
    Always,
    /// When there are more of them.
    Above {
        /// This many tools are listed still.
        tools: usize,
        /// As are tools of this many tokens.
        tokens: u64,
    },
}

/// Tells what texts mean.
pub trait Meaning: Send + Sync + 'static {
    /// A vector for each text.
    fn vectors(&self, texts: Vec<String>) -> BoxFuture<'static, Result<Vec<Vec<f32>>>>;
}

/// What lazy discovery does to a client's context, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// A list was told that was so much shorter.
    Saved(u64),
    /// A search or a description was told.
    Spent(u64),
}

/// Hears of what was saved and spent, under the view's name.
pub type Counted = dyn Fn(&Name, Tokens) + Send + Sync;

/// When tools are searched for, and with whose help.
#[derive(Clone)]
pub struct Laziness {
    /// When.
    pub when: Lazy,
    /// How many tokens a text is to a model, about.
    pub tokens: fn(&[u8]) -> u64,
    /// Who tells what texts mean; without one, words alone count.
    pub meaning: Option<Arc<dyn Meaning>>,
    /// Who counts.
    pub counted: Arc<Counted>,
}

impl Default for Laziness {
    fn default() -> Self {
        let tokens = |text: &[u8]| u64::try_from(text.len() / 4).unwrap_or(u64::MAX);
        Self { when: Lazy::Never, tokens, meaning: None, counted: Arc::new(|_, _| {}) }
    }
}

impl fmt::Debug for Laziness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Laziness").field("when", &self.when).finish_non_exhaustive()
    }
}

/// Where tools are asked for.
pub(super) struct Desk {
    says: Laziness,
    /// The three tools, as a list.
    tools: Raw,
    /// What texts mean, as far as somebody has told.
    meanings: Arc<Meanings>,
}

#[derive(Default)]
struct Meanings {
    known: Mutex<HashMap<[u8; 16], Arc<[f32]>>>,
    /// Held by whoever asks for those that are not known.
    asking: tokio::sync::Mutex<()>,
}

impl Desk {
    /// A desk for the tools of these servers; none where tools are never searched for.
    pub(super) fn new<'a>(says: &Laziness, servers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let tools = Raw::trusted(tools(&servers.collect::<Vec<_>>().join(", ")).to_string());
        (says.when != Lazy::Never).then(|| Self { says: says.clone(), tools, meanings: Arc::default() })
    }

    /// Whether a list of tools has to wait for the servers' own.
    pub(super) fn needs_lists(&self) -> bool {
        self.says.when != Lazy::Always
    }

    /// Whether tools are searched for, when these are all.
    pub(super) fn is_open(&self, board: &Board) -> bool {
        match self.says.when {
            Lazy::Never => false,
            Lazy::Always => true,
            Lazy::Above { tools, tokens } => board.entries.len() > tools || board.tokens(self.says.tokens) > tokens,
        }
    }

    /// The list of the three, in place of that of all.
    pub(super) fn page(&self, view: &Name, board: &Board) -> Page {
        let ours = (self.says.tokens)(self.tools.bytes());
        (self.says.counted)(view, Tokens::Saved(board.tokens(self.says.tokens).saturating_sub(ours)));
        Page::unchanging(List::Tools, &self.tools)
    }

    /// Answers a call of one of the three; gives back any other.
    pub(super) async fn serve(&self, catalog: &Catalog, cx: &Cx, call: ToolCall) -> Result<Answer, Passed> {
        let asked = call.arguments.clone().unwrap_or_else(fields::empty);
        let said = match &*call.name {
            SEARCH => self.search(catalog, &asked).await,
            DESCRIBE => self.describe(catalog, &asked).await,
            CALL => return self.call(catalog, cx, (call, asked)).await.map_err(Passed::Failed),
            _ => return Err(Passed::On(call)),
        };
        let said = said.map_err(Passed::Failed)?;
        let answer = json_answer(&said);
        (self.says.counted)(catalog.name(), Tokens::Spent((self.says.tokens)(said.bytes())));
        Ok(answer)
    }

    async fn search(&self, catalog: &Catalog, asked: &Raw) -> Result<Raw> {
        let question = fields::text(asked, "query").ok_or_else(|| lacks("query", "what the tool should do"))?;
        let limit = fields::number(asked, "limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(FOUND);
        let only = fields::text(asked, "server");
        let (board, _) = catalog.current(List::Tools).await?;
        let by_words = board.searched().search(&question);
        let hits = match self.by_meaning(catalog, &board, &question).await {
            Some(by_meaning) => search::fused([&by_words, &by_meaning]),
            None => by_words,
        };
        let is_wanted = |server: &str| only.as_deref().is_none_or(|only| only == server);
        let wanted = hits.iter().filter_map(|(place, _)| board.entries.get(*place));
        let wanted: Vec<_> = wanted.filter(|entry| is_wanted(catalog.server(entry.server))).collect();
        let told = wanted.iter().take(limit.clamp(1, MOST_FOUND)).filter_map(|entry| {
            let item = board.item(entry)?;
            let mut told = serde_json::Map::from_iter([
                ("name".to_owned(), json!(&*entry.name)),
                ("server".to_owned(), json!(catalog.server(entry.server))),
            ]);
            told.extend(fields::text(&item.told, "title").map(|title| ("title".to_owned(), json!(title))));
            let about =
                fields::text(&item.told, "description").map(|about| ("description".to_owned(), json!(gist(&about))));
            told.extend(about);
            Some(Value::Object(told))
        });
        let told: Vec<Value> = told.collect();
        Raw::encode(&json!({ "tools": told, "found": wanted.len(), "of": board.entries.len() }))
    }

    async fn describe(&self, catalog: &Catalog, asked: &Raw) -> Result<Raw> {
        let names = fields::get(asked, "names").map(|names| fields::elements(&names)).unwrap_or_default();
        let names: Vec<String> = names.iter().filter_map(fields::said).take(MOST_DESCRIBED).collect();
        if names.is_empty() {
            return Err(lacks("names", "names that search_tools told"));
        }
        let (mut tools, mut unknown) = (Vec::new(), Vec::new());
        for name in names {
            match catalog.definition(&name).await {
                Some(tool) => tools.push(tool),
                None => unknown.push(rpc::quoted(&name)),
            }
        }
        let (tools, unknown) = (fields::array(&tools), fields::array(&unknown));
        Ok(fields::with_fields(&fields::empty(), &[("tools", &tools), ("unknown", &unknown)]))
    }

    /// Calls the tool itself, as if the client had, with what else he said: the same stack, the same answer, the same errors.
    async fn call(&self, catalog: &Catalog, cx: &Cx, (call, asked): (ToolCall, Raw)) -> Result<Answer> {
        let ([name, arguments], _) = fields::split(&asked, ["name", "arguments"]);
        let name = name.and_then(|name| fields::said(&name)).ok_or_else(|| lacks("name", "the tool to call"))?;
        if arguments.as_ref().is_some_and(|arguments| !fields::is_object(arguments)) {
            return Err(Error::new(Kind::Invalid, "`arguments` has to be an object"));
        }
        let extra = call.extra.map(|extra| fields::without_fields(&extra, &["name", "arguments"]));
        catalog.call_tool(cx, ToolCall { name: name.into(), arguments, extra, ..call }).await
    }

    /// The nearest in meaning; `None` where nobody tells, or not in time.
    async fn by_meaning(&self, catalog: &Catalog, board: &Arc<Board>, question: &str) -> Option<Vec<search::Hit>> {
        let meaning = self.says.meaning.as_ref()?;
        let texts: Vec<String> = board.told().map(|(entry, told)| about(&entry.name, &told)).collect();
        let known = self.meanings.of(&texts);
        if known.iter().any(Option::is_none) {
            catalog.background(Arc::clone(&self.meanings).learn(Arc::clone(meaning), texts));
            return None;
        }
        let asked = timeout(MEANING_TIME, meaning.vectors(vec![question.to_owned()])).await.ok()?.ok()?.pop()?;
        let near = known.iter().enumerate().filter_map(|(place, known)| {
            let near = search::nearness(known.as_ref()?, &asked);
            (near > 0.0).then_some((place, near))
        });
        let mut near = search::ranked(near.collect());
        near.truncate(NEAREST);
        Some(near)
    }
}

/// What a desk does not answer itself.
pub(super) enum Passed {
    /// It is none of the three.
    On(ToolCall),
    Failed(Error),
}

impl Meanings {
    fn of(&self, texts: &[String]) -> Vec<Option<Arc<[f32]>>> {
        let known = self.known.lock();
        texts.iter().map(|text| known.get(&digest(text)).cloned()).collect()
    }

    /// Asks for what is not known, and forgets what is not asked for any more.
    async fn learn(self: Arc<Self>, meaning: Arc<dyn Meaning>, texts: Vec<String>) {
        let Ok(_asking) = self.asking.try_lock() else { return };
        let lacks = |text: &&String| !self.known.lock().contains_key(&digest(text));
        let missing: Vec<String> = texts.iter().filter(lacks).cloned().collect();
        for texts in missing.chunks(AT_ONCE) {
            match meaning.vectors(texts.to_vec()).await {
                Ok(vectors) if vectors.len() == texts.len() => {
                    let learnt = texts.iter().zip(vectors).map(|(text, vector)| (digest(text), vector.into()));
                    self.known.lock().extend(learnt);
                }
                Ok(_) => return,
                Err(error) => return tracing::warn!(%error, "tools are found by their words only"),
            }
        }
        let wanted: std::collections::HashSet<_> = texts.iter().map(|text| digest(text)).collect();
        self.known.lock().retain(|digest, _| wanted.contains(digest));
    }
}

fn digest(text: &str) -> [u8; 16] {
    let mut digest = [0; 16];
    blake3::Hasher::new().update(text.as_bytes()).finalize_xof().fill(&mut digest);
    digest
}

/// What a tool is about, in words.
fn about(name: &str, tool: &Raw) -> String {
    let title = fields::text(tool, "title").unwrap_or_default();
    let description = fields::text(tool, "description").unwrap_or_default();
    format!("{name} {title}\n{}", gist_of(&description, 4 * GIST))
}

fn gist(description: &str) -> String {
    gist_of(description, GIST)
}

/// The beginning of a text, up to the end of a sentence where there is one in time.
fn gist_of(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let beginning = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    match beginning.rfind(". ") {
        Some(end) => beginning.get(..=end).unwrap_or_default().to_owned(),
        None => format!("{beginning}…"),
    }
}

fn lacks(key: &str, what: &str) -> Error {
    Error::new(Kind::Invalid, format!("`{key}` is missing: {what}"))
}

/// An object as a tool's result: structured, and as the text that older clients read.
fn json_answer(said: &Raw) -> Answer {
    let text = rpc::quoted(said.as_str());
    let content = fields::with_fields(&Raw::trusted(r#"{"type":"text"}"#), &[("text", &text)]);
    let content = fields::array([&content]);
    Answer::new(fields::with_fields(&fields::empty(), &[("content", &content), ("structuredContent", said)]))
}

/// The three tools. They depend on the configuration only, so no client ever has to be told that they changed.
fn tools(servers: &str) -> Value {
    let reads = json!({ "readOnlyHint": true, "idempotentHint": true, "openWorldHint": false });
    let found = json!({ "type": "object", "properties": {
        "name": { "type": "string" }, "server": { "type": "string" },
        "title": { "type": "string" }, "description": { "type": "string" },
    }, "required": ["name", "server"] });
    json!([
        {
            "name": SEARCH,
            "title": "Search tools",
            "description": format!("Finds tools by what they do, the best first. There are tools of: {servers}. \
                Then read their schemas with {DESCRIBE}, and call one with {CALL}."),
            "inputSchema": { "type": "object", "properties": {
                "query": { "type": "string", "description": "What the tool should do, in a few words." },
                "server": { "type": "string", "description": "Only tools of this server." },
                "limit": { "type": "integer", "minimum": 1, "maximum": MOST_FOUND, "default": FOUND },
            }, "required": ["query"] },
            "outputSchema": { "type": "object", "properties": {
                "tools": { "type": "array", "items": found },
                "found": { "type": "integer", "description": "How many tools fit." },
                "of": { "type": "integer", "description": "How many tools there are." },
            }, "required": ["tools", "found", "of"] },
            "annotations": reads,
        },
        {
            "name": DESCRIBE,
            "title": "Describe tools",
            "description": format!("Tells the full definitions of tools, with the schemas of their arguments. \
                Read them before the first {CALL}."),
            "inputSchema": { "type": "object", "properties": {
                "names": { "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": MOST_DESCRIBED,
                    "description": format!("Names that {SEARCH} told.") },
            }, "required": ["names"] },
            "outputSchema": { "type": "object", "properties": {
                "tools": { "type": "array", "items": { "type": "object" } },
                "unknown": { "type": "array", "items": { "type": "string" } },
            }, "required": ["tools", "unknown"] },
            "annotations": reads,
        },
        {
            "name": CALL,
            "title": "Call a tool",
            "description": format!("Calls a tool that {SEARCH} found, and answers what it answers."),
            "inputSchema": { "type": "object", "properties": {
                "name": { "type": "string", "description": "The tool." },
                "arguments": { "type": "object", "description": "Its arguments, as its inputSchema wants them." },
            }, "required": ["name"] },
            "annotations": { "readOnlyHint": false, "destructiveHint": true, "openWorldHint": true },
        },
    ])
}
