//! The page that every journey begins at, and the browser that it is bound to.

use super::*;

#[tokio::test]
async fn whoever_is_sent_past_the_page_signs_nobody_in() {
    // T-09: the caller who asked clicks himself, and sends the address of the authorization server to a victim.
    let scene = Scene::set(3600, json!({}), Terms::default()).await;
    let start = url(scene.account.instead(None, refused(None, "Bearer")).await);
    let attacker = leave(&scene.office, &start).await;
    let victim = Callback { browser: None, ..callback(&attacker, Some(&scene.authority.base)) };
    let error = scene.office.complete(victim).await.unwrap_err();
    assert_eq!(error.message(), "the sign-in was not begun in this browser");
    assert_eq!((scene.authority.at("/token").len(), scene.office.mark("far").await.unwrap()), (0, None));
    // Whoever waits for somebody to come back hears that nobody does, and asks for another journey.
    assert!(scene.account.news().borrow_and_update().eq(&1));
    assert_ne!(url(scene.account.instead(None, refused(None, "Bearer")).await), start);
    // The code that the victim brought is worth nothing to the attacker, either.
    let again = scene.office.complete(callback(&attacker, Some(&scene.authority.base))).await.unwrap_err();
    assert_eq!((again.kind(), scene.authority.at("/token").len()), (Kind::NotFound, 0));
}

#[tokio::test]
async fn who_agreed_last_is_who_comes_back() {
    let scene = Scene::set(3600, json!({}), Terms::default()).await;
    let start = url(scene.account.instead(None, refused(None, "Bearer")).await);
    // Looking at the page changes nothing; agreeing in another browser does.
    let state = field(&start, "state").unwrap();
    let errand = scene.office.errand(&state).await.unwrap();
    assert_eq!((errand.address, errand.issuer), (format!("{}/mcp", scene.server.base), scene.authority.base.clone()));
    let (first, second) = (leave(&scene.office, &start).await, leave(&scene.office, &start).await);
    assert_eq!(first.to, second.to);
    assert_ne!(first.cookie, second.cookie);
    scene.office.complete(callback(&second, Some(&scene.authority.base))).await.unwrap();
    assert_eq!(scene.account.renewed(None).await.unwrap().unwrap(), "Bearer as1-t1");
    for over in [scene.office.errand(&state).await.err(), scene.office.depart(&state).await.err()] {
        assert_eq!(over.unwrap().kind(), Kind::NotFound);
    }
}
