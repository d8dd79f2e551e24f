//! What a request says about kept answers: `Cache-Control` as RFC 9111 has it, and our own `x-mcp-router-cache`.

use std::time::Duration;

use http::{HeaderMap, header};
use router_core::chat::{Keep, Keeping, Reach};

/// Reads what `headers` say. Words that nobody knows are passed over, as the RFC wants it.
pub fn read(headers: &HeaderMap) -> Keep {
    let mut keep = Keep { keeping: words(headers, "x-mcp-router-cache").find_map(reach), ..Keep::default() };
    for word in words(headers, header::CACHE_CONTROL.as_str()) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name.trim_end().to_ascii_lowercase().as_str() {
            "no-store" => keep.never = true,
            "no-cache" => keep.max_age = Some(Duration::ZERO),
            "max-age" => {
                let age = value.trim_matches([' ', '"']).parse().map(Duration::from_secs).ok();
                keep.max_age = [keep.max_age, age].into_iter().flatten().min();
            }
            _ => {}
        }
    }
    keep
}

fn words<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn reach(word: &str) -> Option<Keeping> {
    let reach = match word.to_ascii_lowercase().as_str() {
        "off" => Reach::Off,
        "exact" => Reach::Exact,
        "semantic" => Reach::Semantic,
        _ => return None,
    };
    Some(Keeping { reach, ttl: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_says() {
        let nothing = Keep::default;
        let aged = |seconds| Keep { max_age: Some(Duration::from_secs(seconds)), ..nothing() };
        let reaching = |reach| Keep { keeping: Some(Keeping { reach, ttl: None }), ..nothing() };
        let table: [(&[(&str, &str)], Keep); 12] = [
            (&[], nothing()),
            (&[("cache-control", "no-store")], Keep { never: true, ..nothing() }),
            (&[("cache-control", "No-Cache")], aged(0)),
            (&[("cache-control", "max-age=60")], aged(60)),
            (&[("cache-control", "max-age = \"60\"")], aged(60)),
            (&[("cache-control", "max-age=60, no-cache")], aged(0)),
            (&[("cache-control", "max-age=x, public,")], nothing()),
            (&[("cache-control", "max-age=60"), ("cache-control", "no-store")], Keep { never: true, ..aged(60) }),
            (&[("x-mcp-router-cache", "exact")], reaching(Reach::Exact)),
            (&[("x-mcp-router-cache", "Semantic")], reaching(Reach::Semantic)),
            (&[("x-mcp-router-cache", "off")], reaching(Reach::Off)),
            (&[("x-mcp-router-cache", "hit")], nothing()),
        ];
        for (headers, expected) in table {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().expect("a header"));
            }
            assert_eq!(read(&map), expected, "{headers:?}");
        }
    }
}
