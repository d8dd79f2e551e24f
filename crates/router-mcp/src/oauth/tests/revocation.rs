//! Signing out: tokens are forgotten here first, and then taken back by whoever made them out (RFC 7009).

use super::*;

/// A scene whose authority takes tokens back with this status, if it does at all.
async fn scene(status: Option<u16>) -> Scene {
    let authority = Site::start(move |base, asked| match asked.line.as_str() {
        "GET /.well-known/oauth-authorization-server" => {
            let more = status.map(|_| json!({ "revocation_endpoint": format!("{base}/revoke") }));
            (200, described(base, &more.unwrap_or_else(|| json!({}))))
        }
        "POST /register" => (201, json!({ "client_id": "id", "client_secret": "s-canary" })),
        "POST /token" => (200, json!({ "access_token": "t-canary", "refresh_token": "r-canary" })),
        "POST /revoke" => {
            (status.unwrap_or(404), json!({ "error": "unsupported_token_type", "error_description": "t-canary" }))
        }
        _ => (404, json!({})),
    })
    .await;
    Scene::before(authority, Terms::default()).await
}

#[tokio::test]
async fn what_is_forgotten_here_is_taken_back_there() {
    let table = [
        (Some(200), None),
        (Some(503), Some("does not take the refresh_token back: unsupported_token_type")),
        (None, Some("takes no tokens back")),
    ];
    for (status, unrevoked) in table {
        let scene = scene(status).await;
        scene.sign_in(None, "Bearer").await;
        let forgotten = scene.office.forget("far", &Whose::Shared, None).await.unwrap();
        let told = unrevoked.map(|what| format!("{} {what}", scene.authority.base));
        assert_eq!(forgotten, Forgotten { was_signed_in: true, unrevoked: told });
        // Whatever the authority says to it: nothing is shown any more, not even what was held in memory.
        assert_eq!((scene.account.at_hand(None), scene.account.renewed(None).await.unwrap()), (AtHand::Unknown, None));
        let asked: Vec<_> = scene.authority.at("/revoke");
        let fields = ["token", "token_type_hint", "client_id", "client_secret"];
        let said: Vec<_> = asked.iter().map(|asked| fields.map(|name| asked.field(name).unwrap())).collect();
        let revoked = |token: &str, kind: &str| [token, kind, "id", "s-canary"].map(str::to_owned);
        let all = [revoked("r-canary", "refresh_token"), revoked("t-canary", "access_token")];
        assert_eq!(said, if status.is_some() { &all[..] } else { &[] });
        assert_eq!(scene.office.forget("far", &Whose::Shared, None).await.unwrap(), Forgotten::default());
    }
}

#[tokio::test]
async fn an_authority_that_is_away_keeps_nobody_signed_in() {
    let scene = scene(Some(200)).await;
    scene.sign_in(None, "Bearer").await;
    // Somebody else's port by now: nobody answers there.
    let mut tokens = scene.office.shelf.tokens("far", &Whose::Shared).await.unwrap().unwrap();
    tokens.claim.revocation_endpoint = Some("http://127.0.0.1:1/revoke".to_owned());
    scene.office.shelf.keep_tokens("far", &Whose::Shared, &tokens).await.unwrap();
    let forgotten = scene.office.forget("far", &Whose::Shared, None).await.unwrap();
    assert_eq!(forgotten.unrevoked.as_deref(), Some("no answer from http://127.0.0.1"));
    assert_eq!(scene.office.mark("far").await.unwrap(), None);
}
