//! Nobody has signed in, as with every server that wants no token: its calls are not to wait for a look at the shelf.

use super::*;

#[tokio::test]
async fn that_nobody_has_is_known_until_it_may_have_changed() {
    let authority = authority("as1", 3600, json!({})).await;
    let issuer = Arc::new(Mutex::new(authority.base.clone()));
    let (server, store) = (resource(&issuer).await, store());
    let (here, elsewhere) = (office(&store), office(&store));
    let accounts = [&here, &elsewhere, &elsewhere].map(|office| account(&server, office, Terms::default()));
    for account in &accounts {
        assert_eq!(account.at_hand(None), AtHand::Unknown);
        assert_eq!(account.renewed(None).await.unwrap(), None);
        assert_eq!(account.at_hand(None), AtHand::Nothing);
    }
    let [first, second, third] = accounts;
    let away = leave(&here, &url(first.instead(None, refused(None, "Bearer")).await)).await;
    here.complete(callback(&away, Some(&authority.base))).await.unwrap();
    assert_eq!(first.at_hand(None), AtHand::Unknown);
    // Another process does not hear of it. It finds the tokens when it is refused, and otherwise after half a minute.
    assert_eq!([&second, &third].map(|account| account.at_hand(None)), [AtHand::Nothing, AtHand::Nothing]);
    assert_eq!(second.instead(None, refused(None, "Bearer")).await.unwrap(), "Bearer as1-t1");
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(30)).await;
    assert_eq!(third.at_hand(None), AtHand::Unknown);
    assert_eq!(third.renewed(None).await.unwrap().unwrap(), "Bearer as1-t1");
}
