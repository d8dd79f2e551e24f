//! The providers that are built in, as data: what they speak, where they are, how they are told who asks.

use http::HeaderName;

use crate::dialect::{
    Language, Quirks, anthropic::ANTHROPIC, ollama::OLLAMA, openai_chat::OPENAI_CHAT,
    openai_responses::OPENAI_RESPONSES,
};

/// A kind of provider: the word that the configuration has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// OpenAI.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// OpenRouter.
    OpenRouter,
    /// Azure OpenAI and Azure AI Foundry.
    Azure,
    /// Ollama.
    Ollama,
    /// LM Studio.
    LmStudio,
    /// Any other server that speaks one of the dialects.
    Compatible,
}

impl ProviderKind {
    /// Every kind that has a name of its own.
    pub const NAMED: [Self; 6] =
        [Self::OpenAi, Self::Anthropic, Self::OpenRouter, Self::Azure, Self::Ollama, Self::LmStudio];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::OpenRouter => "openrouter",
            Self::Azure => "azure",
            Self::Ollama => "ollama",
            Self::LmStudio => "lmstudio",
            Self::Compatible => "compatible",
        }
    }

    /// Whether it keeps what it answered by [`Api::Responses`], and can be asked to go on from there by the reply's id
    /// (OpenAI's, Azure's and LM Studio's guides; OpenRouter's and Ollama's say that theirs keep nothing).
    pub const fn keeps_replies(self) -> bool {
        matches!(self, Self::OpenAi | Self::Azure | Self::LmStudio)
    }

    /// The kind that a word means.
    pub fn named(word: &str) -> Option<Self> {
        Self::NAMED.into_iter().chain([Self::Compatible]).find(|kind| kind.as_str() == word)
    }
}

/// The interface by which a provider is asked: a dialect, and where its questions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// `POST .../chat/completions`.
    OpenAi,
    /// `POST .../v1/messages`.
    Anthropic,
    /// `POST .../api/chat`.
    Ollama,
    /// `POST .../responses`.
    Responses,
}

impl Api {
    /// Every interface.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Ollama, Self::Responses];

    /// The word that the configuration's `dialect` has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
            Self::Responses => "responses",
        }
    }

    /// The interface that a word means.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.as_str() == word)
    }

    /// What is spoken there.
    pub fn language(self) -> &'static dyn Language {
        match self {
            Self::OpenAi => &OPENAI_CHAT,
            Self::Anthropic => &ANTHROPIC,
            Self::Ollama => &OLLAMA,
            Self::Responses => &OPENAI_RESPONSES,
        }
    }
}

/// How a provider is told who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// The key alone, in a header of this name, in lower case.
    Header(&'static str),
}

impl Auth {
    /// The header, and what stands in it before the key.
    pub fn header(self) -> (HeaderName, &'static str) {
        match self {
            Self::Bearer => (http::header::AUTHORIZATION, "Bearer "),
            Self::Header(name) => (HeaderName::from_static(name), ""),
        }
    }
}

/// Whether a provider answers without a key at its own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// It does not.
    Needed,
    /// It does.
    Optional,
}

/// A provider of a kind, asked by one of its interfaces.
#[derive(Debug)]
pub struct Preset {
    /// The kind.
    pub kind: ProviderKind,
    /// The interface.
    pub api: Api,
    /// Where it is, without a path; `None` where everybody has an address of his own.
    pub origin: Option<&'static str>,
    /// The folder in which the interface stands there.
    pub folder: &'static str,
    /// How it is told who asks.
    pub auth: Auth,
    /// Whether it must be told.
    pub key: Key,
    /// Its ways, whichever model is asked.
    pub quirks: Quirks,
    /// How one gets it running, for the error that says that it is not.
    pub start: Option<&'static str>,
}

impl Preset {
    /// The preset of a kind: by the interface asked for, or by the one that the kind is best asked by.
    pub fn of(kind: ProviderKind, api: Option<Api>) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.kind == kind && api.is_none_or(|api| preset.api == api))
    }
}

const PLAIN: Preset = Preset {
    kind: ProviderKind::Compatible,
    api: Api::OpenAi,
    origin: None,
    folder: "/v1",
    auth: Auth::Bearer,
    key: Key::Optional,
    quirks: Quirks::NONE,
    start: None,
};

const OPENAI: Preset = Preset {
    kind: ProviderKind::OpenAi,
    origin: Some("https://api.openai.com"),
    key: Key::Needed,
    quirks: Quirks { no_top_k: true, no_prefill: true, ..Quirks::NONE },
    ..PLAIN
};

const AZURE: Preset = Preset {
    kind: ProviderKind::Azure,
    folder: "/openai/v1",
    auth: Auth::Header("api-key"),
    key: Key::Needed,
    quirks: OPENAI.quirks,
    ..PLAIN
};

const OPENROUTER: Preset = Preset {
    kind: ProviderKind::OpenRouter,
    origin: Some("https://openrouter.ai"),
    folder: "/api/v1",
    key: Key::Needed,
    quirks: Quirks { keeps_cache_control: true, replays_details: true, ..Quirks::NONE },
    ..PLAIN
};

const OLLAMA_NATIVE: Preset = Preset {
    kind: ProviderKind::Ollama,
    api: Api::Ollama,
    origin: Some("http://localhost:11434"),
    folder: "/api",
    start: Some("start it with `ollama serve`"),
    ..PLAIN
};

const LM_STUDIO: Preset = Preset {
    kind: ProviderKind::LmStudio,
    origin: Some("http://localhost:1234"),
    // https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/189
    quirks: Quirks { no_json_object: true, ..Quirks::NONE },
    start: Some("start its server with `lms server start` or on the Developer page"),
    ..PLAIN
};

/// Every provider; the first of a kind is the one that is taken when nobody asks for another interface.
///
/// Addresses and headers: the vendors' API references. Where a provider speaks Anthropic's dialect itself, that way is
/// offered too: what Claude Code says then arrives as it was said.
static PRESETS: [Preset; 20] = [
    OPENAI,
    Preset { api: Api::Responses, ..OPENAI },
    Preset {
        kind: ProviderKind::Anthropic,
        api: Api::Anthropic,
        origin: Some("https://api.anthropic.com"),
        auth: Auth::Header("x-api-key"),
        key: Key::Needed,
        ..PLAIN
    },
    OPENROUTER,
    Preset { api: Api::Anthropic, ..OPENROUTER },
    Preset { api: Api::Responses, ..OPENROUTER },
    AZURE,
    Preset { api: Api::Responses, ..AZURE },
    Preset {
        api: Api::Anthropic,
        folder: "/anthropic/v1",
        auth: Auth::Header("x-api-key"),
        quirks: Quirks::NONE,
        ..AZURE
    },
    OLLAMA_NATIVE,
    Preset { api: Api::OpenAi, folder: "/v1", ..OLLAMA_NATIVE },
    Preset { api: Api::Anthropic, folder: "/v1", ..OLLAMA_NATIVE },
    Preset { api: Api::Responses, folder: "/v1", ..OLLAMA_NATIVE },
    LM_STUDIO,
    Preset { api: Api::Anthropic, ..LM_STUDIO },
    Preset { api: Api::Responses, ..LM_STUDIO },
    PLAIN,
    Preset { api: Api::Anthropic, auth: Auth::Header("x-api-key"), ..PLAIN },
    Preset { api: Api::Ollama, folder: "/api", ..PLAIN },
    Preset { api: Api::Responses, ..PLAIN },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_preset_and_a_word() {
        for kind in ProviderKind::NAMED.into_iter().chain([ProviderKind::Compatible]) {
            assert_eq!(Preset::of(kind, None).map(|preset| preset.kind), Some(kind));
            assert_eq!(ProviderKind::named(kind.as_str()), Some(kind));
        }
        assert_eq!(Preset::of(ProviderKind::Ollama, None).map(|preset| preset.api), Some(Api::Ollama));
        assert!(Preset::of(ProviderKind::OpenAi, Some(Api::Ollama)).is_none());
    }
}
