//! Where the questions for a provider go: its address as people write it, completed.

use std::net::IpAddr;

use http::Uri;
use router_core::{Error, Kind, Result};

use super::preset::{Api, Preset};

/// How the addresses of interfaces end.
const INTERFACES: [&str; 4] = ["/chat/completions", "/responses", "/messages", "/chat"];

/// The folders in which they stand, at servers that have more than one.
const FOLDERS: [&str; 2] = ["/api", "/v1"];

/// Where a provider is asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Endpoint {
    /// One address for all models.
    Fixed(Uri),
    /// Azure's older addresses, which name the model's deployment in their path.
    PerModel {
        /// What stands before the deployment's name.
        before: String,
        /// What stands after it.
        after: String,
    },
}

impl Endpoint {
    /// Completes `base_url`, or the preset's own address, to the place where its interface stands.
    ///
    /// People write such an address in many ways: bare, with the folder that SDKs want (`/v1`), with the interface
    /// itself, and for Azure with a deployment and an `api-version`. All of them are understood.
    pub(super) fn of(preset: &Preset, base_url: Option<&str>) -> Result<Self> {
        let Some(base) = base_url.or(preset.origin) else {
            return Err(Error::new(Kind::Invalid, "its base_url is missing")
                .hint("Azure: `https://RESOURCE.openai.azure.com`; other servers: where they listen"));
        };
        let address = Address::read(base)?;
        // The older addresses know no responses: those stand under `/openai/responses` for all deployments.
        if preset.api == Api::Responses && address.leaves_the_deployment_open() {
            return address.at("/openai/responses").map(Self::Fixed);
        }
        if address.leaves_the_deployment_open() {
            let before = format!("{}/openai/deployments/", address.origin);
            return Ok(Self::PerModel { before, after: format!("/chat/completions{}", address.query) });
        }
        address.at(&path(preset, address.folder)).map(Self::Fixed)
    }

    /// The place beside this one: `other`, with any query string of its own, stands where the interface does.
    pub(super) fn beside(&self, other: &str) -> Result<Self> {
        let moved = |address: &str| {
            let (path, query) = address.split_at(address.find('?').unwrap_or(address.len()));
            let folder = INTERFACES.iter().find_map(|name| path.strip_suffix(name)).unwrap_or(path);
            let query = if other.contains('?') { query.replacen('?', "&", 1) } else { query.to_owned() };
            format!("{folder}{other}{query}")
        };
        match self {
            Self::Fixed(uri) => parse(&moved(&uri.to_string())).map(Self::Fixed),
            Self::PerModel { before, after } => Ok(Self::PerModel { before: before.clone(), after: moved(after) }),
        }
    }

    /// A place on the same host, before which only a folder that is not the interface's may stand.
    pub(super) fn at_origin(&self, place: &str) -> Option<Uri> {
        let Ok(Self::Fixed(folder)) = self.beside("") else { return None };
        let before = FOLDERS.iter().find_map(|name| folder.path().strip_suffix(name))?;
        parse(&format!("{}://{}{before}{place}", folder.scheme_str()?, folder.authority()?)).ok()
    }

    /// The address for a question to `model`.
    pub(super) fn address(&self, model: &str) -> Result<Uri> {
        match self {
            Self::Fixed(uri) => Ok(uri.clone()),
            Self::PerModel { before, after } => parse(&format!("{before}{}{after}", escaped(model))),
        }
    }

    /// The address for a question to `model` that came with a query string of its own.
    pub(super) fn queried(&self, model: &str, query: Option<&str>) -> Result<Uri> {
        let address = self.address(model)?;
        let Some(query) = query else { return Ok(address) };
        let joint = if address.query().is_some() { '&' } else { '?' };
        parse(&format!("{address}{joint}{query}"))
    }

    /// Whether models of Azure AI Foundry are asked there that are not OpenAI's.
    pub(super) fn is_foundrys(&self) -> bool {
        matches!(self, Self::Fixed(uri) if uri.path() == "/models/chat/completions")
    }

    /// Whether it is this machine's own, as its spelling tells: no name but `localhost` is looked up for it.
    pub(super) fn is_loopback(&self) -> bool {
        let Ok(address) = self.address("") else { return false };
        let host = address.host().unwrap_or_default().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// An address as it was written, in its parts.
struct Address<'a> {
    origin: &'a str,
    /// The path without slashes at its end.
    folder: &'a str,
    /// From the question mark on; or nothing.
    query: &'a str,
}

impl<'a> Address<'a> {
    fn read(base: &'a str) -> Result<Self> {
        let uri = parse(base)?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong(base, "it must begin with http:// or https://")),
        };
        let start = if secure { "https://".len() } else { "http://".len() };
        let (address, query) = base.split_at(base.find('?').unwrap_or(base.len()));
        let host = address.get(start..).unwrap_or_default();
        let end = host.find('/').map_or(address.len(), |at| start + at);
        let (origin, folder) = address.split_at(end);
        if origin.contains('@') {
            return Err(wrong(origin.split('@').next_back().unwrap_or_default(), "a key in it would end up in logs")
                .hint("write it as `api_key`"));
        }
        Ok(Self { origin, folder: folder.trim_end_matches('/'), query })
    }

    fn at(&self, path: &str) -> Result<Uri> {
        parse(&format!("{}{path}{}", self.origin, self.query))
    }

    /// Whether it is an older one of Azure's (these have an `api-version`) that names no deployment.
    fn leaves_the_deployment_open(&self) -> bool {
        self.query.contains("api-version=") && matches!(self.folder, "" | "/openai" | "/openai/deployments")
    }
}

/// The path of the interface, seen from the folder that was written.
fn path(preset: &Preset, written: &str) -> String {
    let (version, name) = match preset.api {
        Api::OpenAi => ("", "/chat/completions"),
        Api::Anthropic => ("/v1", "/messages"),
        Api::Ollama => ("/api", "/chat"),
        Api::Responses => ("", "/responses"),
    };
    // What other programs call Ollama's address often ends in the folder of its OpenAI interface.
    let written = if preset.api == Api::Ollama { written.strip_suffix("/v1").unwrap_or(written) } else { written };
    if written.ends_with(&format!("{version}{name}")) {
        return written.to_owned();
    }
    if preset.folder.starts_with(written) {
        return format!("{}{name}", preset.folder);
    }
    match written.strip_suffix(version) {
        Some(folder) => format!("{folder}{version}{name}"),
        None => format!("{written}{version}{name}"),
    }
}

fn parse(address: &str) -> Result<Uri> {
    address.parse().map_err(|error: http::uri::InvalidUri| wrong(address, &error.to_string()))
}

fn wrong(address: &str, why: &str) -> Error {
    Error::new(Kind::Invalid, format!("{address:?} is no address of a provider: {why}"))
}

/// A name as one segment of a path (RFC 3986, 2.3).
fn escaped(name: &str) -> String {
    let segment = name.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    segment.collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::preset::ProviderKind::{self, Anthropic, Azure, Compatible, LmStudio, Ollama, OpenAi, OpenRouter},
        *,
    };

    fn place(kind: ProviderKind, api: Option<Api>, base_url: Option<&str>) -> String {
        let preset = Preset::of(kind, api).unwrap();
        Endpoint::of(preset, base_url).and_then(|place| place.address("gpt/4o")).unwrap().to_string()
    }

    #[test]
    fn every_kind_has_its_own_place() {
        let table = [
            (OpenAi, None, "https://api.openai.com/v1/chat/completions"),
            (Anthropic, None, "https://api.anthropic.com/v1/messages"),
            (OpenRouter, None, "https://openrouter.ai/api/v1/chat/completions"),
            (OpenRouter, Some(Api::Anthropic), "https://openrouter.ai/api/v1/messages"),
            (Ollama, None, "http://localhost:11434/api/chat"),
            (Ollama, Some(Api::OpenAi), "http://localhost:11434/v1/chat/completions"),
            (Ollama, Some(Api::Anthropic), "http://localhost:11434/v1/messages"),
            (OpenAi, Some(Api::Responses), "https://api.openai.com/v1/responses"),
            (OpenRouter, Some(Api::Responses), "https://openrouter.ai/api/v1/responses"),
            (Ollama, Some(Api::Responses), "http://localhost:11434/v1/responses"),
            (LmStudio, Some(Api::Responses), "http://localhost:1234/v1/responses"),
            (LmStudio, None, "http://localhost:1234/v1/chat/completions"),
            (LmStudio, Some(Api::Anthropic), "http://localhost:1234/v1/messages"),
        ];
        for (kind, api, expect) in table {
            assert_eq!(place(kind, api, None), expect);
        }
    }

    #[test]
    fn so_is_an_address_of_responses() {
        let responses = Some(Api::Responses);
        let table = [
            (Azure, responses, "https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1/responses"),
            (Azure, responses, "https://r.x/openai/v1/", "https://r.x/openai/v1/responses"),
            (
                Azure,
                responses,
                "https://r.x?api-version=2025-04-01-preview",
                "https://r.x/openai/responses?api-version=2025-04-01-preview",
            ),
            (Compatible, responses, "http://h", "http://h/v1/responses"),
            (Compatible, responses, "http://h/x/v1/responses", "http://h/x/v1/responses"),
        ];
        for (kind, api, base_url, expect) in table {
            assert_eq!(place(kind, api, Some(base_url)), expect, "{base_url}");
        }
    }

    #[test]
    fn an_address_is_understood_however_it_is_written() {
        let anthropic = Some(Api::Anthropic);
        let table = [
            (OpenAi, None, "http://h", "http://h/v1/chat/completions"),
            (OpenAi, None, "http://h/", "http://h/v1/chat/completions"),
            (OpenAi, None, "http://h:1/v1/", "http://h:1/v1/chat/completions"),
            (OpenAi, None, "http://h/v1/chat/completions", "http://h/v1/chat/completions"),
            (OpenRouter, None, "http://h/api", "http://h/api/v1/chat/completions"),
            (Compatible, None, "https://g/v1beta/openai/", "https://g/v1beta/openai/chat/completions"),
            (Compatible, anthropic, "https://api.z.ai/api/anthropic", "https://api.z.ai/api/anthropic/v1/messages"),
            (Compatible, anthropic, "http://h/x/v1", "http://h/x/v1/messages"),
            (Compatible, anthropic, "http://h/x/v1/messages", "http://h/x/v1/messages"),
            (Ollama, None, "http://h:11434/v1", "http://h:11434/api/chat"),
            (Ollama, None, "http://h/ollama", "http://h/ollama/api/chat"),
            (Ollama, None, "http://h/api/", "http://h/api/chat"),
            (Azure, None, "https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1/chat/completions"),
            (
                Azure,
                None,
                "https://r.openai.azure.com/openai/v1/",
                "https://r.openai.azure.com/openai/v1/chat/completions",
            ),
            (
                Azure,
                anthropic,
                "https://r.services.ai.azure.com/anthropic/",
                "https://r.services.ai.azure.com/anthropic/v1/messages",
            ),
            (
                Azure,
                None,
                "https://r.openai.azure.com?api-version=2024-10-21",
                "https://r.openai.azure.com/openai/deployments/gpt%2F4o/chat/completions?api-version=2024-10-21",
            ),
            (
                Azure,
                None,
                "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
                "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
            ),
            (
                Azure,
                None,
                "https://r.openai.azure.com/openai/deployments/d/?api-version=2024-10-21",
                "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
            ),
            (
                Azure,
                None,
                "https://r.services.ai.azure.com/models?api-version=2024-05-01-preview",
                "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
            ),
        ];
        for (kind, api, base_url, expect) in table {
            assert_eq!(place(kind, api, Some(base_url)), expect);
        }
    }

    #[test]
    fn its_own_machine_is_known() {
        let table = [
            (Ollama, None, true),
            (LmStudio, None, true),
            (OpenAi, None, false),
            (OpenAi, Some("http://LOCALHOST:1/v1"), true),
            (Compatible, Some("http://127.8.9.1"), true),
            (Compatible, Some("http://[::1]:8080"), true),
            (Ollama, Some("http://10.0.0.2:11434"), false),
            (Ollama, Some("http://localhost.evil.example:11434"), false),
            (Ollama, Some("http://127.0.0.1.evil.example"), false),
            (Compatible, Some("http://0.0.0.0:8080"), false),
            (Azure, Some("http://127.0.0.1?api-version=1"), true),
            (Azure, Some("https://r.openai.azure.com?api-version=1"), false),
        ];
        for (kind, base_url, expected) in table {
            let endpoint = Endpoint::of(Preset::of(kind, None).unwrap(), base_url).unwrap();
            assert_eq!(endpoint.is_loopback(), expected, "{base_url:?}");
        }
    }

    #[test]
    fn embeddings_are_asked_for_beside_chats() {
        let table = [
            (OpenAi, None, "https://api.openai.com/v1/embeddings"),
            (OpenAi, Some("http://h:1/v1/chat/completions"), "http://h:1/v1/embeddings"),
            (OpenRouter, None, "https://openrouter.ai/api/v1/embeddings"),
            (Azure, Some("https://r.openai.azure.com"), "https://r.openai.azure.com/openai/v1/embeddings"),
            (
                Azure,
                Some("https://r.openai.azure.com?api-version=2024-10-21"),
                "https://r.openai.azure.com/openai/deployments/text%2Fsmall/embeddings?api-version=2024-10-21",
            ),
            (
                Azure,
                Some("https://r.openai.azure.com/openai/deployments/d/?api-version=2024-10-21"),
                "https://r.openai.azure.com/openai/deployments/d/embeddings?api-version=2024-10-21",
            ),
        ];
        for (kind, base_url, expect) in table {
            let endpoint = Endpoint::of(Preset::of(kind, None).unwrap(), base_url).unwrap();
            let beside = endpoint.beside("/embeddings").unwrap();
            assert_eq!(beside.address("text/small").unwrap().to_string(), expect);
        }
        let ollama = Endpoint::of(Preset::of(Ollama, None).unwrap(), Some("http://h/chat/v1")).unwrap();
        let beside = ollama.beside("/embed").unwrap().address("m").unwrap();
        assert_eq!(beside.to_string(), "http://h/chat/api/embed");
    }

    #[test]
    fn models_are_asked_for_at_whichever_interface_is_spoken() {
        let all = [Api::OpenAi, Api::Anthropic, Api::Responses, Api::Ollama];
        for (kind, base, models, own) in [
            (LmStudio, "http://h:1", "http://h:1/v1/models?limit=9", "http://h:1/api/v1/models"),
            (LmStudio, "http://h/lm/v1", "http://h/lm/v1/models?limit=9", "http://h/lm/api/v1/models"),
            (Ollama, "http://h:1", "http://h:1/v1/models?limit=9", "http://h:1/api/v1/models"),
            (OpenRouter, "http://h/api/v1?x=1", "http://h/api/v1/models?limit=9&x=1", "http://h/api/api/v1/models"),
        ] {
            for preset in all.iter().filter_map(|api| Preset::of(kind, Some(*api))) {
                let endpoint = Endpoint::of(preset, Some(base)).unwrap();
                let beside = endpoint.beside("/models?limit=9").unwrap().address("m").unwrap().to_string();
                let expect =
                    if preset.api == Api::Ollama { models.replace("/v1/", "/api/") } else { models.to_owned() };
                assert_eq!(beside, expect, "{kind:?} {:?}", preset.api);
                assert_eq!(endpoint.at_origin("/api/v1/models").unwrap().to_string(), own, "{kind:?} {:?}", preset.api);
            }
        }
        let classic = Endpoint::of(Preset::of(Azure, None).unwrap(), Some("https://r.x?api-version=1")).unwrap();
        assert_eq!(classic.at_origin("/api/tags"), None);
    }

    #[test]
    fn a_wrong_address_is_named() {
        for (kind, base_url, expect) in [
            (Azure, None, "its base_url is missing"),
            (OpenAi, Some("api.openai.com"), "it must begin with http:// or https://"),
            (OpenAi, Some("ftp://h"), "it must begin with http:// or https://"),
            (OpenAi, Some("https://user:canary@h/v1"), "a key in it would end up in logs"),
            (OpenAi, Some("http://h h"), "invalid uri character"),
        ] {
            let error = Endpoint::of(Preset::of(kind, None).unwrap(), base_url).unwrap_err();
            assert!(error.message().contains(expect), "{error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
