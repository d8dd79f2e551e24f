//! An authorization server that does not know us any more.

use super::*;

#[tokio::test]
async fn whoever_forgot_us_registers_us_anew() {
    // What is said to a renewal, and how often we are registered until somebody can sign in again.
    for (error, registrations) in [("invalid_client", 2), ("unauthorized_client", 2), ("invalid_grant", 1)] {
        let authority =
            Site::start(move |base, asked| match (asked.line.as_str(), asked.field("grant_type").as_deref()) {
                ("GET /.well-known/oauth-authorization-server", _) => (200, described(base, &json!({}))),
                ("POST /register", _) => (201, json!({ "client_id": "id", "client_secret": "s" })),
                ("POST /token", Some("authorization_code")) => {
                    (200, json!({ "access_token": "t", "refresh_token": "r" }))
                }
                ("POST /token", _) => (400, json!({ "error": error })),
                _ => (404, json!({})),
            })
            .await;
        let scene = Scene::before(authority, Terms::default()).await;
        let first = scene.sign_in(None, "Bearer").await;
        url(scene.account.instead(None, refused(Some(&first), "Bearer error=\"invalid_token\"")).await);
        assert_eq!(scene.authority.at("/register").len(), registrations, "{error}");
    }
}

#[tokio::test]
async fn whoever_is_at_work_keeps_his_turn_when_many_callers_come() {
    let scene = Scene::set(3600, json!({}), Terms { per: Per::Caller, ..Terms::default() }).await;
    let caller = |name: String| Caller {
        tenant: Scope::Tenant(name.as_str().into()),
        name: name.into(),
        ..Caller::anonymous("r")
    };
    let working = scene.account.purse(&Whose::of(Per::Caller, Some(&caller("working".to_owned()))));
    for number in 0..5_000 {
        assert_eq!(scene.account.at_hand(Some(&caller(format!("caller-{number}")))), AtHand::Unknown);
    }
    let again = scene.account.purse(&Whose::of(Per::Caller, Some(&caller("working".to_owned()))));
    assert!(Arc::ptr_eq(&working, &again));
}
