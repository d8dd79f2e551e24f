//! What a server says when it refuses a request: `WWW-Authenticate` (RFC 9110 section 11.6.1, RFC 6750, RFC 9728).

use http::{HeaderMap, header::WWW_AUTHENTICATE};

use super::scopes::Scopes;

/// The Bearer challenge of a refusal; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Challenge {
    /// Whether there is one.
    pub is_bearer: bool,
    /// Where the server describes itself.
    pub resource_metadata: Option<String>,
    /// What the request needs.
    pub scope: Option<Scopes>,
    /// What was wrong with the token that was shown.
    pub error: Option<String>,
}

impl Challenge {
    /// Reads the headers of a refusal.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut challenge = Self::default();
        for value in headers.get_all(WWW_AUTHENTICATE) {
            challenge.take(&String::from_utf8_lossy(value.as_bytes()));
        }
        challenge
    }

    /// Whether the token is good, but not for this.
    pub fn lacks_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }

    /// One header: challenges of any scheme, one after the other.
    fn take(&mut self, text: &str) {
        let mut rest = text;
        let mut bearer = false;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',', '=']);
            let (word, after) = split(rest, is_token);
            if word.is_empty() {
                // Something else than a challenge; nothing behind it can be trusted.
                return;
            }
            let Some(after) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
                bearer = word.eq_ignore_ascii_case("bearer");
                self.is_bearer |= bearer;
                rest = after;
                continue;
            };
            let (value, after) = value(after.trim_start_matches([' ', '\t']));
            if bearer {
                self.set(&word.to_ascii_lowercase(), value);
            }
            rest = after;
        }
    }

    /// The first of each name counts.
    fn set(&mut self, name: &str, value: String) {
        match name {
            "resource_metadata" if self.resource_metadata.is_none() => self.resource_metadata = Some(value),
            "scope" if self.scope.is_none() => {
                self.scope = Some(Scopes::read(&value)).filter(|scopes| !scopes.is_empty());
            }
            "error" if self.error.is_none() => self.error = Some(value),
            _ => {}
        }
    }
}

/// A value: a token, or a string in quotes.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = split(text, |character| !matches!(character, ',' | ' ' | '\t'));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            plain => value.push(plain),
        }
    }
    (value, "")
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|character| !belongs(character)).unwrap_or(text.len()))
}

/// RFC 9110's `tchar`, and what only stands in a `token68`.
fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bearer_challenge_is_found_among_others() {
        let url = "https://mcp.example/.well-known/oauth-protected-resource";
        let full = |scope: Option<&str>, error: Option<&str>| Challenge {
            is_bearer: true,
            resource_metadata: Some(url.to_owned()),
            scope: scope.map(Scopes::read),
            error: error.map(str::to_owned),
        };
        let bare = Challenge { is_bearer: true, ..Challenge::default() };
        let table: Vec<(Vec<String>, Challenge)> = vec![
            (vec![], Challenge::default()),
            (vec!["Basic realm=\"x\"".into()], Challenge::default()),
            (vec!["Bearer".into()], bare.clone()),
            (vec!["bearer realm=\"a, b\"".into()], bare.clone()),
            (vec![format!("Bearer resource_metadata=\"{url}\", scope=\"a b\"")], full(Some("a b"), None)),
            (vec![format!("Bearer scope=a,resource_metadata={url}")], full(Some("a"), None)),
            (
                vec![format!("BEARER error = \"invalid_token\",Resource_Metadata = \"{url}\"")],
                full(None, Some("invalid_token")),
            ),
            (vec!["Negotiate abc==".into(), format!("Bearer resource_metadata=\"{url}\"")], full(None, None)),
            (
                vec![format!(
                    "Negotiate abc/d==, Basic realm=\"x\", Bearer resource_metadata=\"{url}\", DPoP scope=\"no\""
                )],
                full(None, None),
            ),
            (
                vec![format!("Bearer resource_metadata=\"{url}\", resource_metadata=\"https://evil.example\"")],
                full(None, None),
            ),
            (vec!["Bearer error_description=\"say \\\"scope=\\\\x\\\" twice\", scope=\"\"".into()], bare.clone()),
            (vec!["Bearer scope=\"unclosed".into()], Challenge { scope: Some(Scopes::read("unclosed")), ..bare }),
            (vec!["\"; Bearer".into()], Challenge::default()),
        ];
        for (headers, expect) in table {
            let mut map = HeaderMap::new();
            for header in &headers {
                map.append(WWW_AUTHENTICATE, header.parse().unwrap());
            }
            assert_eq!(Challenge::read(&map), expect, "{headers:?}");
        }
    }
}
