//! Servers of the revision of March 2025: they say nothing of themselves, and make out their own tokens.

use super::*;

/// What a server of that revision has, where its authorization endpoint is then, and what is said where nobody signs in.
type Row = (&'static [&'static str], Result<&'static str, &'static str>);

#[tokio::test]
async fn a_server_that_says_nothing_signs_people_in_itself() {
    let silent = "the server refuses us (HTTP 401), and does not say where to sign in";
    let table: [Row; 4] = [
        // Some call their authorization server by a name below their own.
        (&["GET /.well-known/oauth-authorization-server", "POST /oauth/register"], Ok("/oauth/authorize")),
        (&["POST /register"], Ok("/authorize")),
        // A server that wants a credential of another kind altogether.
        (&[], Err(silent)),
        (&["GET /authorize"], Err(silent)),
    ];
    for (has, expect) in table {
        let site = Site::start(move |base, asked| {
            let described = || {
                let at = |path: &str| format!("{base}/oauth{path}");
                json!({
                    "issuer": at(""), "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
                    "registration_endpoint": at("/register"), "code_challenge_methods_supported": ["S256"],
                })
            };
            match asked.line.as_str() {
                line if !has.contains(&line) => (404, json!({})),
                "GET /.well-known/oauth-authorization-server" => (200, described()),
                _ => (201, json!({ "client_id": "me" })),
            }
        })
        .await;
        let office = office(&store());
        let refusal = account(&site, &office, Terms::default()).instead(None, refused(None, "Bearer")).await;
        let found = match refusal.unwrap_err() {
            error if error.consent().is_some() => Ok(leave(&office, &error.consent().unwrap().url).await.to),
            error => Err(error.message().to_owned()),
        };
        match (found, expect) {
            (Ok(to), Ok(path)) => assert!(to.starts_with(&format!("{}{path}?", site.base)), "{has:?}: {to}"),
            (found, expect) => assert_eq!(found, expect.map(str::to_owned).map_err(str::to_owned), "{has:?}"),
        }
    }
}

#[tokio::test]
async fn a_secret_is_not_shown_to_a_server_that_says_nothing() {
    let site = Site::start(|_, _| (404, json!({}))).await;
    let terms = Terms {
        client_id: Some("me".to_owned()),
        client_secret: Some(Secret::new("canary".to_owned())),
        grant: GrantKind::ClientCredentials,
        ..Terms::default()
    };
    let refusal = account(&site, &office(&store()), terms).instead(None, refused(None, "Bearer")).await;
    assert!(refusal.unwrap_err().message().contains("does not say where to sign in"));
    assert!(!site.lines().iter().any(|line| line.starts_with("POST")), "{:?}", site.lines());
}
