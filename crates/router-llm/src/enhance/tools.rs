//! Whether a question offers tools: then its bytes are an agent's, and nobody's to touch.

use memchr::memmem;
use router_core::{Result, chat::Chat, scan};

/// The fields in which the dialects offer tools; the second is OpenAI's older one.
const KEYS: [&[u8]; 2] = [b"tools", b"functions"];

/// Whether tools are on offer, looked up in the bytes where the question still has them.
pub(super) fn offered(chat: &Chat) -> Result<bool> {
    match chat.wire() {
        Some(wire) => Ok(written(&wire.body)),
        None => Ok(!chat.prompt()?.tools.is_empty()),
    }
}

/// Most questions without tools do not have the word either, and are not walked through.
fn written(body: &[u8]) -> bool {
    KEYS.iter().any(|key| memmem::find(body, key).is_some())
        && scan::members(body).any(|(key, value)| KEYS.contains(&key) && scan::items(value).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_for_a_list_that_is_not_empty() {
        let table = [
            (r#"{"model":"m","tools":[{"name":"a"}]}"#, true),
            (r#"{"functions" : [{"name":"a"}],"model":"m"}"#, true),
            (r#"{"model":"m","tools":[ ]}"#, false),
            (r#"{"model":"m","tools":null}"#, false),
            (r#"{"model":"m","messages":[{"content":"the \"tools\": [1]","tools":[1]}]}"#, false),
            (r#"{"model":"m"}"#, false),
        ];
        for (body, expected) in table {
            assert_eq!(written(body.as_bytes()), expected, "{body}");
        }
    }
}
