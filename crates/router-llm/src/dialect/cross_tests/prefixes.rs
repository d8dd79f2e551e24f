//! A conversation that goes on is written as it was, with more at its end: providers' prompt caches count on it.

use bytes::Bytes;
use proptest::prelude::*;
use router_core::{chat::Losses, scan};
use serde_json::{Value, json};

use super::tongues::{TONGUES, upstreams};
use crate::dialect::{Ask, Language};

/// What the upstream gets: what stands before the conversation (tools, system text), and the conversation. `None` where
/// it takes no such question.
fn sent(from: &dyn Language, to: &dyn Language, body: &Value) -> Option<(String, String)> {
    let prompt = from.decode(&Bytes::from(body.to_string())).unwrap();
    let body = to.encode(&Ask::of(&prompt, "m"), &mut Losses::default()).ok()?;
    let found = |name: &str| String::from_utf8(scan::find(&body, name).unwrap_or_default().to_vec()).unwrap();
    let before = ["/tools", "/system", "/instructions"].map(found).concat();
    Some((before, ["/messages", "/input"].map(found).concat()))
}

/// Every question of the conversation that `body` is the last one of: a turn is over where the model speaks next.
fn turns(body: &Value) -> Vec<Value> {
    let Some(field) = ["messages", "input"].into_iter().find(|field| body[*field].is_array()) else { return vec![] };
    let messages = body[field].as_array().unwrap();
    let is_asked = |at: usize| !is_answer(&messages[at - 1]) && messages.get(at).is_none_or(is_answer);
    let until = |at: usize| {
        let mut earlier = body.clone();
        earlier[field] = messages[..at].to_vec().into();
        earlier
    };
    (1..=messages.len()).filter(|at| is_asked(*at)).map(until).collect()
}

/// Whether the model said it: a message, or an item of OpenAI's responses.
fn is_answer(message: &Value) -> bool {
    let kind = message["type"].as_str().unwrap_or_default();
    message["role"] == "assistant" || kind == "reasoning" || kind.ends_with("_call")
}

/// No turn of white space alone: Anthropic refuses such texts, so that they are left out of what it is sent.
fn words() -> impl Strategy<Value = String> {
    "[a-zé\"\\\\][a-zé\"\\\\\n]{0,11}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_was_said_before_is_the_same_bytes(said in prop::collection::vec((words(), words()), 1..4)) {
        let mut compared = 0;
        for client in &TONGUES {
            let mut body = (client.question)();
            if let Some(field) = ["messages", "input"].into_iter().find(|field| body[*field].is_array()) {
                let messages = body[field].as_array_mut().unwrap();
                for (answer, question) in &said {
                    messages.push(json!({ "role": "assistant", "content": answer }));
                    messages.push(json!({ "role": "user", "content": question }));
                }
            }
            for (upstream, _) in upstreams() {
                let bodies: Vec<_> =
                    turns(&body).iter().filter_map(|body| sent(client.language, upstream, body)).collect();
                for pair in bodies.windows(2) {
                    let [(tools, before), (same_tools, after)] = pair else { continue };
                    let pair = format!("{} -> {}", client.language.name(), upstream.name());
                    prop_assert_eq!(tools, same_tools, "{}", pair);
                    let earlier = before.strip_suffix(']').unwrap();
                    prop_assert!(after.starts_with(earlier), "{}: {}\nbegins otherwise than\n{}", pair, after, before);
                    compared += 1;
                }
            }
        }
        prop_assert!(compared >= 9, "{} pairs of turns were compared", compared);
    }
}
