//! A model provider: a preset, an address and a key. Everything it does, it does as its dialect says.

mod answer;
mod embed;
mod endpoint;
mod events;
mod inquiry;
mod portions;
mod preset;
mod question;
mod relay;
mod routing;
mod thoughts;
mod window;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use router_core::{
    Cx, Error, Kind, Meter, Name, NoMeter, Outcome, Reply, Result, Secret, Upstream,
    chat::{Chat, ChatReply},
};
use router_http::HttpClient;

use crate::{
    dialect::Language,
    models::KnownModels,
    tokens::{Counter, Weight},
};
use endpoint::Endpoint;
pub use preset::{Api, Auth, Key, Preset, ProviderKind};
pub use question::QUERY;
pub use thoughts::Thoughts;
use thoughts::Witness;
use window::{Counted, Windows};

/// Foundry's models refuse fields that its own interface does not name, unless they are told to look at them.
const EXTRA: (&str, &str) = ("extra-parameters", "pass-through");

/// A provider as the configuration describes it.
#[derive(Clone, Debug)]
pub struct ProviderSpec {
    /// Its name there.
    pub name: Name,
    /// Its kind.
    pub kind: ProviderKind,
    /// The interface to ask it by, where the kind has a choice.
    pub dialect: Option<Api>,
    /// Where it is; the kind's own address when nothing is said.
    pub base_url: Option<String>,
    /// The key.
    pub api_key: Option<Secret<String>>,
    /// Headers to send along; they beat every other.
    pub headers: Vec<(String, Secret<String>)>,
    /// Whether a question in a version of a dialect that no longer takes all of it is refused, though it is translated.
    pub strict_version: bool,
}

/// A provider that can be asked.
pub struct Provider {
    name: Name,
    preset: &'static Preset,
    language: &'static dyn Language,
    endpoint: Endpoint,
    headers: HeaderMap,
    strict_version: bool,
    client: HttpClient,
    shared: Shared,
    /// The largest context window to ask for, in tokens.
    max_window: Option<u64>,
    windows: Windows,
}

/// What providers share.
#[derive(Clone)]
pub struct Shared {
    /// What is known of their models.
    pub known: Arc<KnownModels>,
    /// What counts the tokens of questions.
    pub counter: Arc<Counter>,
    /// Who is told what happens.
    pub meter: Arc<dyn Meter>,
    /// Whose the thoughts are that only one of them can read.
    pub thoughts: Thoughts,
}

impl Provider {
    /// Makes a provider of its description, or says what is wrong with that. Asks nobody yet.
    pub fn new(spec: ProviderSpec, client: HttpClient) -> Result<Self> {
        let ProviderSpec { name, kind, dialect, base_url, api_key, headers, strict_version } = spec;
        let preset = Preset::of(kind, dialect).ok_or_else(|| unspoken(kind, dialect))?;
        if preset.key == Key::Needed && api_key.is_none() && base_url.is_none() {
            let hint = format!("set `api_key` of provider {name}");
            return Err(Error::new(Kind::Invalid, "it answers nobody without a key").hint(hint));
        }
        let endpoint = Endpoint::of(preset, base_url.as_deref())?;
        let mut headers = standing(preset, api_key.as_ref(), &headers)?;
        if endpoint.is_foundrys() {
            headers.entry(EXTRA.0).or_insert(HeaderValue::from_static(EXTRA.1));
        }
        let known = Arc::new(KnownModels::new([(Arc::clone(&name), preset)], Vec::new()));
        let shared = Shared { known, counter: Arc::default(), meter: Arc::new(NoMeter), thoughts: Thoughts::default() };
        let (language, windows) = (preset.api.language(), Windows::default());
        Ok(Self {
            preset,
            language,
            endpoint,
            headers,
            client,
            name,
            shared,
            max_window: None,
            windows,
            strict_version,
        })
    }

    /// The same provider, which shares what is known and counted with others.
    #[must_use]
    pub fn sharing(self, shared: Shared) -> Self {
        Self { shared, ..self }
    }

    /// The same provider, whose models are given no larger context window than this, in tokens.
    #[must_use]
    pub fn with_max_window(self, max_window: Option<u64>) -> Self {
        Self { max_window, ..self }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What it speaks.
    pub fn language(&self) -> &'static dyn Language {
        self.language
    }

    /// Whether it is on this machine, as far as its address tells.
    pub fn is_local(&self) -> bool {
        self.endpoint.is_loopback()
    }

    async fn exchange(&self, cx: &Cx, chat: &Chat) -> Result<ChatReply> {
        let curious = self.preset.api == Api::Ollama || self.shared.counter.is_curious(&self.name, &chat.model);
        let weighed = curious.then(|| (self.shared.known.of(&self.name, &chat.model), Weight::of(chat)));
        let counted = weighed.as_ref().and_then(|(known, weight)| self.counted(chat, known, weight));
        let question = question::write(self, chat, counted)?;
        if !question.dropped.is_empty() {
            tracing::debug!(provider = %self.name, model = %chat.model, dropped = %question.dropped, "not carried");
            cx.trail().lose(&question.dropped);
        }
        let response = self.client.send(question.request).await?;
        let mut reply = answer::read(self.language, chat.shape, response, Witness::of(self)).await?;
        reply.provenance_mut().dropped = question.dropped;
        if let Some(counted) = counted {
            reply = self.watch_for_cuts(reply, counted, &chat.model);
        }
        if let Some((known, weight)) = weighed.filter(|_| counted.is_none_or(Counted::fits)) {
            reply = self.shared.counter.watch(reply, (&self.name, &chat.model), &known, &weight);
        }
        Ok(question.amend.apply(reply))
    }

    /// Names the provider in an error, and says how to help it where it cannot be reached or does not know our key.
    fn told(&self, error: Error) -> Error {
        let name = &self.name;
        let hint = match (error.kind(), error.outcome()) {
            _ if error.remedy().is_some() => None,
            (Kind::Unavailable, Outcome::NotSent) => {
                let start = self.preset.start.map(|start| format!("{start}, or "));
                Some(format!("{}set `base_url` of provider {name} to where it listens", start.unwrap_or_default()))
            }
            (Kind::Credential, _) => Some(format!("check `api_key` of provider {name}")),
            _ => None,
        };
        let error = error.at(name);
        hint.into_iter().fold(error, Error::hint)
    }
}

/// Asks the provider. The deadlines are those of the layers around it: it waits for as long as it is polled, and
/// dropping the future or the reply closes the request.
impl Upstream<Chat> for Provider {
    async fn call(&self, cx: &Cx, chat: Chat) -> Result<ChatReply> {
        let mut reply = self.exchange(cx, &chat).await.map_err(|error| self.told(error))?;
        let provenance = reply.provenance_mut();
        provenance.upstream = Some(Arc::clone(&self.name));
        provenance.model = Some(chat.model);
        Ok(reply)
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

fn unspoken(kind: ProviderKind, dialect: Option<Api>) -> Error {
    let dialect = dialect.map_or("", Api::as_str);
    let spoken = Api::ALL.into_iter().filter(|api| Preset::of(kind, Some(*api)).is_some()).map(Api::as_str);
    Error::new(Kind::Invalid, format!("a provider of kind {} does not speak {dialect:?}", kind.as_str()))
        .hint(format!("it speaks {}", spoken.collect::<Vec<_>>().join(", ")))
}

/// The headers that every question carries.
fn standing(preset: &Preset, key: Option<&Secret<String>>, more: &[(String, Secret<String>)]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // What is spliced and scanned must not be compressed.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(key) = key {
        let (name, before) = preset.auth.header();
        headers.insert(name, hidden("api_key", format!("{before}{}", key.expose()))?);
    }
    for (name, value) in more {
        let wrong = |_| Error::new(Kind::Invalid, format!("{name:?} is no name of a header"));
        headers.insert(HeaderName::try_from(name).map_err(wrong)?, hidden(name, value.expose().clone())?);
    }
    Ok(headers)
}

fn hidden(name: &str, value: String) -> Result<HeaderValue> {
    let wrong = |_| Error::new(Kind::Invalid, format!("the value of {name} holds what no header may hold"));
    let mut value = HeaderValue::try_from(value).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}
