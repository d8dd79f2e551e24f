//! What a provider is asked beside questions: how many tokens one takes, and what it tells of its models.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Limited};
use router_core::chat::{Chat, Meta, Shape};
use router_http::Pieces;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Provider, ProviderKind, question};
use crate::models::{Abilities, Price, Told};

/// How long a count may take before our own has to do.
const COUNT_TIME: Duration = Duration::from_secs(3);

/// How long a list of models may take.
const LIST_TIME: Duration = Duration::from_secs(10);

/// What a list of models may weigh.
const LIST_BYTES: usize = 16 << 20;

/// Models of one Ollama that are asked after one by one.
const MOST_SHOWN: usize = 64;

impl Provider {
    /// How many tokens a question takes, as Anthropic itself counts; `None` where it is not asked, or does not answer.
    pub async fn count(&self, chat: &Chat) -> Option<u64> {
        let wire = chat.wire().filter(|wire| wire.dialect.name() == self.language.name())?;
        let counts = self.preset.kind == ProviderKind::Anthropic;
        let place = counts.then(|| self.beside("/messages/count_tokens")).flatten()?;
        let mut request =
            Request::post(place).body(question::splice(&wire.body, &wire.model, &chat.model).ok()?).ok()?;
        *request.headers_mut() = question::headers(self, Some(&chat.meta), Shape::Whole);
        let told = timeout(COUNT_TIME, self.fetch(request)).await.ok()??;
        told.get("input_tokens")?.as_u64()
    }

    /// Whether it tells of its models, so that asking again from time to time is worth it.
    pub fn tells(&self) -> bool {
        use ProviderKind::{Anthropic, Azure, Compatible, LmStudio, Ollama, OpenAi, OpenRouter};
        match self.preset.kind {
            Anthropic | OpenRouter | Ollama | LmStudio => true,
            OpenAi | Azure | Compatible => false,
        }
    }

    /// What it tells of its models, each by the name it has for it; `None` where it does not answer.
    pub async fn told_of_models(&self) -> Option<Vec<(String, Told)>> {
        timeout(LIST_TIME, self.ask_for_models()).await.ok()?
    }

    async fn ask_for_models(&self) -> Option<Vec<(String, Told)>> {
        match self.preset.kind {
            ProviderKind::Anthropic => {
                let list = self.get(self.beside("/models?limit=1000")?).await?;
                Some(entries(&list, "data", "id", of_anthropic))
            }
            ProviderKind::OpenRouter => {
                let list = self.get(self.beside("/models")?).await?;
                Some(entries(&list, "data", "id", of_openrouter))
            }
            ProviderKind::LmStudio => {
                // What it does not know it answers with a status of success, too.
                let list = self.get(self.endpoint.at_origin("/api/v1/models")?).await;
                if let Some(list) = list.filter(|list| list.get("models").is_some()) {
                    return Some(entries(&list, "models", "key", of_lm_studio));
                }
                let list = self.get(self.endpoint.at_origin("/api/v0/models")?).await?;
                Some(entries(&list, "data", "id", of_older_lm_studio))
            }
            ProviderKind::Ollama => {
                let list = self.get(self.endpoint.at_origin("/api/tags")?).await?;
                let names: Vec<_> = entries(&list, "models", "name", |_| Told::default());
                let place = self.endpoint.at_origin("/api/show")?;
                let mut told = Vec::new();
                for (name, _) in names.into_iter().take(MOST_SHOWN) {
                    let body = Bytes::from(json!({ "model": name }).to_string());
                    if let Some(shown) = self.exchange_json(Method::POST, place.clone(), body).await {
                        told.push((name, of_ollama(&shown)));
                    }
                }
                Some(told)
            }
            ProviderKind::OpenAi | ProviderKind::Azure | ProviderKind::Compatible => None,
        }
    }

    /// A place beside that of its questions, the same for all models.
    fn beside(&self, place: &str) -> Option<Uri> {
        self.endpoint.beside(place).ok()?.address("").ok()
    }

    async fn get(&self, place: Uri) -> Option<Value> {
        self.exchange_json(Method::GET, place, Bytes::new()).await
    }

    async fn exchange_json(&self, method: Method, place: Uri, body: Bytes) -> Option<Value> {
        let mut request = Request::builder().method(method).uri(place).body(Pieces::from(body)).ok()?;
        *request.headers_mut() = question::headers(self, None::<&Meta>, Shape::Whole);
        self.fetch(request).await
    }

    async fn fetch(&self, request: Request<Pieces>) -> Option<Value> {
        let response = self.client.send(request).await.ok().filter(|response| response.status().is_success())?;
        let body = Limited::new(response.into_body(), LIST_BYTES).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok()
    }
}

/// The entries of a list, by name.
fn entries(list: &Value, within: &str, name: &str, told: fn(&Value) -> Told) -> Vec<(String, Told)> {
    let entries = list.get(within).and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| Some((entry.get(name)?.as_str()?.to_owned(), told(entry)))).collect()
}

fn number(entry: &Value, pointer: &str) -> Option<u64> {
    entry.pointer(pointer)?.as_u64().filter(|number| *number > 0)
}

/// Anthropic's API reference, "List Models".
fn of_anthropic(entry: &Value) -> Told {
    Told { window: number(entry, "/max_input_tokens"), max_output: number(entry, "/max_tokens"), ..Told::default() }
}

/// OpenRouter's "Models" page; prices are texts, in dollars per token.
fn of_openrouter(entry: &Value) -> Told {
    let listed = |pointer: &str, word: &str| {
        let list = entry.pointer(pointer)?.as_array()?;
        Some(list.iter().any(|item| item.as_str() == Some(word)))
    };
    let dollars = |name: &str| {
        let text = entry.get("pricing")?.get(name)?.as_str()?;
        text.parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0).map(|price| price * 1e6)
    };
    let price = dollars("prompt").zip(dollars("completion")).map(|(input, output)| Price {
        input,
        output,
        cache_read: dollars("input_cache_read").unwrap_or(input),
        cache_write: dollars("input_cache_write").unwrap_or(input),
        long: None,
    });
    Told {
        window: number(entry, "/top_provider/context_length").or_else(|| number(entry, "/context_length")),
        max_output: number(entry, "/top_provider/max_completion_tokens"),
        abilities: Abilities {
            tools: listed("/supported_parameters", "tools"),
            images: listed("/architecture/input_modalities", "image"),
            documents: listed("/architecture/input_modalities", "file").filter(|reads| *reads),
            schema: listed("/supported_parameters", "structured_outputs"),
            thinking: listed("/supported_parameters", "reasoning"),
        },
        price,
    }
}

/// LM Studio's REST API: a model that is loaded has the window it was loaded with; one that is not will have its own
/// default, of which only the upper bound is known.
fn of_lm_studio(entry: &Value) -> Told {
    let ability = |name: &str| entry.pointer("/capabilities")?.get(name)?.as_bool();
    Told {
        window: number(entry, "/loaded_instances/0/config/context_length")
            .or_else(|| number(entry, "/max_context_length")),
        abilities: Abilities {
            tools: ability("trained_for_tool_use"),
            images: ability("vision"),
            ..Abilities::default()
        },
        ..Told::default()
    }
}

/// The same before its version 0.4 (its REST API v0).
fn of_older_lm_studio(entry: &Value) -> Told {
    let listed = entry.get("capabilities").and_then(Value::as_array);
    Told {
        window: number(entry, "/loaded_context_length").or_else(|| number(entry, "/max_context_length")),
        abilities: Abilities {
            tools: listed.map(|list| list.iter().any(|item| item == "tool_use")),
            images: entry.get("type").map(|kind| kind == "vlm"),
            ..Abilities::default()
        },
        ..Told::default()
    }
}

/// Ollama's API reference, "Show Model Information": the window stands under the name of the architecture.
fn of_ollama(shown: &Value) -> Told {
    let facts = shown.get("model_info").and_then(Value::as_object).into_iter().flatten();
    let window = facts.filter(|(name, _)| name.ends_with(".context_length")).find_map(|(_, value)| value.as_u64());
    let listed = shown.get("capabilities").and_then(Value::as_array);
    let ability = |word: &str| listed.map(|list| list.iter().any(|item| item.as_str() == Some(word)));
    Told {
        window: window.filter(|window| *window > 0),
        abilities: Abilities {
            tools: ability("tools"),
            images: ability("vision"),
            thinking: ability("thinking"),
            ..Abilities::default()
        },
        ..Told::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendor_tells_in_its_own_words() {
        let anthropic = json!({ "data": [{ "id": "claude-x", "max_input_tokens": 1_000_000, "max_tokens": 128_000 }, { "id": 1 }] });
        let told = Told { window: Some(1_000_000), max_output: Some(128_000), ..Told::default() };
        assert_eq!(entries(&anthropic, "data", "id", of_anthropic), [("claude-x".to_owned(), told)]);

        let openrouter = json!({
            "context_length": 200_000, "top_provider": { "context_length": 131_072, "max_completion_tokens": null },
            "pricing": { "prompt": "0.0000025", "completion": "0.00001", "input_cache_read": "0.00000125" },
            "supported_parameters": ["tools", "max_tokens"], "architecture": { "input_modalities": ["text", "image"] },
        });
        let Told { window, max_output, abilities, price } = of_openrouter(&openrouter);
        assert_eq!((window, max_output), (Some(131_072), None));
        let expect = Abilities {
            tools: Some(true),
            images: Some(true),
            documents: None,
            schema: Some(false),
            thinking: Some(false),
        };
        assert_eq!(abilities, expect);
        let price = price.unwrap();
        assert_eq!(
            [price.input, price.output, price.cache_read, price.cache_write].map(|p| format!("{p:.2}")),
            ["2.50", "10.00", "1.25", "2.50"]
        );
        assert_eq!(of_openrouter(&json!({ "pricing": { "prompt": "-1", "completion": "-1" } })).price, None);

        let loaded = json!({ "loaded_instances": [{ "config": { "context_length": 8192 } }], "max_context_length": 131_072, "capabilities": { "vision": false, "trained_for_tool_use": true } });
        assert_eq!((of_lm_studio(&loaded).window, of_lm_studio(&loaded).abilities.tools), (Some(8192), Some(true)));
        assert_eq!(of_lm_studio(&json!({ "loaded_instances": [], "max_context_length": 4096 })).window, Some(4096));

        let older = json!({ "id": "m", "type": "vlm", "state": "loaded", "max_context_length": 131_072, "loaded_context_length": 4096, "capabilities": ["tool_use"] });
        let Told { window, abilities, .. } = of_older_lm_studio(&older);
        assert_eq!((window, abilities.tools, abilities.images), (Some(4096), Some(true), Some(true)));
        let older = json!({ "id": "m", "type": "llm", "state": "not-loaded", "max_context_length": 8192 });
        let Told { window, abilities, .. } = of_older_lm_studio(&older);
        assert_eq!((window, abilities.tools, abilities.images), (Some(8192), None, Some(false)));

        let shown = json!({ "model_info": { "general.architecture": "llama", "llama.context_length": 131_072 }, "capabilities": ["completion", "tools"] });
        let Told { window, abilities, .. } = of_ollama(&shown);
        assert_eq!((window, abilities.tools, abilities.images), (Some(131_072), Some(true), Some(false)));
        assert_eq!(of_ollama(&json!({})), Told::default());
    }
}
