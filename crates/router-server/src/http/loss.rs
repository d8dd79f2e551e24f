//! What a request says about what may be lost on its way: `x-mcp-router-on-loss`.

use http::HeaderMap;
use router_core::{Error, Kind, Result, chat::OnLoss};

const HEADER: &str = "x-mcp-router-on-loss";

/// Reads what `headers` say. A word that nobody knows is refused: whoever sends it relies on it.
pub fn read(headers: &HeaderMap) -> Result<Option<OnLoss>> {
    let Some(word) = headers.get(HEADER) else { return Ok(None) };
    match word.to_str().map(|word| word.trim().to_ascii_lowercase()).as_deref() {
        Ok("degrade") => Ok(Some(OnLoss::Degrade)),
        Ok("reject") => Ok(Some(OnLoss::Reject)),
        Ok(_) | Err(_) => Err(Error::new(Kind::Invalid, format!("{HEADER}: {word:?} is neither degrade nor reject"))
            .hint("send one of them, or leave it out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_says() {
        let table = [
            (None, Ok(None)),
            (Some("degrade"), Ok(Some(OnLoss::Degrade))),
            (Some(" Reject"), Ok(Some(OnLoss::Reject))),
            (Some("refuse"), Err(Kind::Invalid)),
            (Some(""), Err(Kind::Invalid)),
        ];
        for (word, expect) in table {
            let mut headers = HeaderMap::new();
            word.map(|word| headers.insert(HEADER, word.parse().expect("a header")));
            assert_eq!(read(&headers).map_err(|error| error.kind()), expect, "{word:?}");
        }
    }
}
