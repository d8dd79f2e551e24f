//! Accounts against servers that a test scripts: what is asked of whom, and what is never told to anybody.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use router_core::{Error, Kind, MemoryStore, Name, Store, StoreKey};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::TaskTracker;

mod forgotten;
mod march;
mod nobody;
mod revocation;
mod start;

use super::*;
use crate::egress::{Egress, SystemResolver};

/// A request as a scripted server saw it.
#[derive(Clone, Debug)]
struct Asked {
    /// The method and the path.
    line: String,
    head: String,
    body: String,
}

impl Asked {
    fn field(&self, name: &str) -> Option<String> {
        field(&self.body, name)
    }
}

/// The value of a field of a query or form, without its escapes.
fn field(form: &str, name: &str) -> Option<String> {
    let value = form.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = after;
            }
            (plain, _) => bytes.push(*plain),
        }
    }
    Some(String::from_utf8(bytes).unwrap())
}

type Script = dyn Fn(&str, &Asked) -> (u16, Value) + Send + Sync;

/// A scripted server. Its script gets its own address.
struct Site {
    base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Site {
    async fn start(script: impl Fn(&str, &Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (asked, script): (_, Arc<Script>) = (Arc::new(Mutex::new(Vec::new())), Arc::new(script));
        let (site, seen) = (base.clone(), Arc::clone(&asked));
        let tasks = TaskTracker::new();
        let connections = tasks.clone();
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(answer(stream, site.clone(), Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self { base, asked }
    }

    fn lines(&self) -> Vec<String> {
        self.asked.lock().iter().map(|asked| asked.line.clone()).collect()
    }

    /// The requests to one path.
    fn at(&self, path: &str) -> Vec<Asked> {
        self.asked.lock().iter().filter(|asked| asked.line.ends_with(&format!(" {path}"))).cloned().collect()
    }
}

async fn answer(mut stream: TcpStream, base: String, script: Arc<Script>, seen: Arc<Mutex<Vec<Asked>>>) {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.unwrap();
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.len());
            }
        } else if count == 0 {
            return;
        }
    };
    let body = String::from_utf8_lossy(&bytes[bytes.len() - length..]).into_owned();
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let asked = Asked { line, head, body };
    seen.lock().push(asked.clone());
    let (status, body) = script(&base, &asked);
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(1_000_000) };
}

fn now() -> i64 {
    NOW.get()
}

/// A store that a test and a "restarted" router share.
#[derive(Clone)]
struct Shared(Arc<MemoryStore>);

impl Store for Shared {
    async fn get(&self, key: &StoreKey) -> Result<Option<bytes::Bytes>> {
        self.0.get(key).await
    }

    async fn put(&self, key: StoreKey, value: bytes::Bytes, keep: std::time::Duration) -> Result<()> {
        self.0.put(key, value, keep).await
    }

    async fn remove(&self, key: &StoreKey) -> Result<()> {
        self.0.remove(key).await
    }
}

fn store() -> Shared {
    Shared(Arc::new(MemoryStore::new(1_000)))
}

fn office(store: &Shared) -> Arc<Office<Shared>> {
    Office::new(Setup {
        egress: Egress::new(vec!["127.0.0.1".parse().unwrap()], Box::new(SystemResolver)),
        store: store.clone(),
        name: "MCP Router".to_owned(),
        start_uri: "http://127.0.0.1:4100/oauth/start".to_owned(),
        redirect_uri: "http://127.0.0.1:4100/oauth/callback".to_owned(),
        description: None,
        clock: now,
        tasks: TaskTracker::new(),
    })
}

fn account(site: &Site, office: &Arc<Office<Shared>>, terms: Terms) -> Arc<Account<Shared>> {
    Account::new("far".into(), &format!("{}/mcp", site.base).parse().unwrap(), terms, Arc::clone(office)).unwrap()
}

/// A server whose tokens are made out by `issuer`, which may change.
async fn resource(issuer: &Arc<Mutex<String>>) -> Site {
    let issuer = Arc::clone(issuer);
    Site::start(move |base, asked| match asked.line.as_str() {
        "GET /.well-known/oauth-protected-resource/mcp" => {
            (200, json!({ "resource": format!("{base}/mcp"), "authorization_servers": [*issuer.lock()], "scopes_supported": ["basic"] }))
        }
        _ => (404, json!({})),
    })
    .await
}

/// What an authorization server says of itself, with `more` in it.
fn described(base: &str, more: &Value) -> Value {
    let mut document = json!({
        "issuer": base, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
        "registration_endpoint": format!("{base}/register"), "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"], "authorization_response_iss_parameter_supported": true,
    });
    let known = document.as_object_mut().unwrap();
    for (key, value) in more.as_object().unwrap() {
        known.insert(key.clone(), value.clone());
    }
    document
}

/// An authorization server that registers everybody and makes out `t1`, `t2`, ... for `lasts` seconds each.
async fn authority(name: &'static str, lasts: i64, more: Value) -> Site {
    let count = AtomicUsize::new(0);
    Site::start(move |base, asked| match asked.line.as_str() {
        "GET /.well-known/oauth-authorization-server" => (200, described(base, &more)),
        "POST /register" => (201, json!({ "client_id": format!("{name}-id"), "client_secret": format!("{name}-secret-canary") })),
        "POST /token" => {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            (200, json!({ "access_token": format!("{name}-t{number}"), "token_type": "Bearer", "expires_in": lasts, "refresh_token": format!("{name}-r{number}") }))
        }
        _ => (404, json!({})),
    })
    .await
}

fn refused(shown: Option<&HeaderValue>, header: &'static str) -> Refused {
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static(header));
    Refused { shown: shown.cloned(), challenge: Challenge::read(&headers) }
}

/// The address that somebody has to open, as the error tells it.
fn url(refusal: std::result::Result<HeaderValue, Error>) -> String {
    let error = refusal.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized, "{error}");
    error.consent().unwrap().url.to_string()
}

/// Somebody opens the address, and agrees.
async fn leave(office: &Office<Shared>, start: &str) -> Departure {
    assert!(start.starts_with("http://127.0.0.1:4100/oauth/start?state="), "{start}");
    office.depart(&field(start, "state").unwrap()).await.unwrap()
}

/// What his browser brings back.
fn callback(away: &Departure, iss: Option<&str>) -> Callback {
    let state = field(&away.to, "state");
    let fields = [("code", Some("the-code".to_owned())), ("state", state), ("iss", iss.map(str::to_owned))];
    let fields: Vec<(String, String)> =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Callback { browser: Some(away.cookie.clone()), ..Callback::read(&fields).unwrap() }
}

/// An account, its server and its authorization server, and a person who signs in.
struct Scene {
    office: Arc<Office<Shared>>,
    account: Arc<Account<Shared>>,
    server: Site,
    authority: Site,
    issuer: Arc<Mutex<String>>,
}

impl Scene {
    async fn set(lasts: i64, more: Value, terms: Terms) -> Self {
        Self::before(authority("as1", lasts, more).await, terms).await
    }

    async fn before(authority: Site, terms: Terms) -> Self {
        let issuer = Arc::new(Mutex::new(authority.base.clone()));
        let (server, office) = (resource(&issuer).await, office(&store()));
        let account = account(&server, &office, terms);
        Self { office, account, server, authority, issuer }
    }

    async fn sign_in(&self, shown: Option<&HeaderValue>, header: &'static str) -> HeaderValue {
        let url = url(self.account.instead(None, refused(shown, header)).await);
        let (away, iss) = (leave(&self.office, &url).await, self.issuer.lock().clone());
        assert_eq!(self.office.complete(callback(&away, Some(&iss))).await.unwrap(), Name::from("far"));
        self.account.renewed(None).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_person_goes_there_and_comes_back_once() {
    let scene = Scene::set(3600, json!({}), Terms::default()).await;
    assert_eq!(scene.account.at_hand(None), AtHand::Unknown);
    assert_eq!(scene.account.renewed(None).await.unwrap(), None);
    let start = url(scene.account.instead(None, refused(None, "Bearer")).await);
    let away = leave(&scene.office, &start).await;
    let there = &away.to;
    assert!(there.starts_with(&format!("{}/authorize?response_type=code&", scene.authority.base)), "{there}");
    for (name, value) in [
        ("client_id", "as1-id"),
        ("redirect_uri", "http://127.0.0.1:4100/oauth/callback"),
        ("resource", format!("{}/mcp", scene.server.base).as_str()),
        ("scope", "basic"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(field(there, name).as_deref(), Some(value), "{name}");
    }
    // Whoever asks meanwhile is sent the same way, and nobody is asked anything for it.
    let before = (scene.server.lines(), scene.authority.lines());
    assert_eq!(url(scene.account.instead(None, refused(None, "Bearer")).await), start);
    assert_eq!((scene.server.lines(), scene.authority.lines()), before);
    assert_eq!(scene.account.awaited().as_deref(), Some(start.as_str()));
    let back = callback(&away, Some(&scene.authority.base));
    scene.office.complete(back.clone()).await.unwrap();
    let header = scene.account.renewed(None).await.unwrap().unwrap();
    assert_eq!(header, "Bearer as1-t1");
    assert_eq!((scene.account.at_hand(None), scene.account.awaited()), (AtHand::Header(header), None));
    let [asked] = scene.authority.at("/token").try_into().unwrap();
    assert_eq!(Some(flow::challenge(&asked.field("code_verifier").unwrap())), field(there, "code_challenge"));
    assert_eq!(asked.field("resource"), field(there, "resource"));
    assert_eq!(asked.field("client_secret").as_deref(), Some("as1-secret-canary"));
    // T-09: a state is used once.
    let again = scene.office.complete(back).await.unwrap_err();
    assert_eq!((again.kind(), scene.authority.at("/token").len()), (Kind::NotFound, 1));
}

#[tokio::test]
async fn an_answer_from_elsewhere_redeems_nothing() {
    // T-09: the mix-up of RFC 9207, and an answer that does not say whose it is.
    for iss in [Some("https://evil.example"), None] {
        let scene = Scene::set(3600, json!({}), Terms::default()).await;
        let start = url(scene.account.instead(None, refused(None, "Bearer")).await);
        let away = leave(&scene.office, &start).await;
        assert!(scene.office.complete(callback(&away, iss)).await.is_err());
        assert_eq!(scene.authority.at("/token").len(), 0, "{iss:?}");
        // The journey is over all the same.
        let late = scene.office.complete(callback(&away, Some(&scene.authority.base))).await;
        assert_eq!(late.unwrap_err().kind(), Kind::NotFound);
        assert_ne!(url(scene.account.instead(None, refused(None, "Bearer")).await), start);
        assert_eq!(scene.authority.at("/register").len(), 1, "the registration is kept");
    }
}

#[tokio::test]
async fn a_journey_ends_after_ten_minutes() {
    let scene = Scene::set(3600, json!({}), Terms::default()).await;
    let start = url(scene.account.instead(None, refused(None, "Bearer")).await);
    NOW.set(now() + 599);
    assert_ne!(url(scene.account.instead(None, refused(None, "Bearer")).await), start, "it is not offered any more");
    let away = leave(&scene.office, &start).await;
    NOW.set(now() + 1);
    assert!(scene.office.depart(&field(&start, "state").unwrap()).await.is_err(), "nor begun");
    let late = scene.office.complete(callback(&away, Some(&scene.authority.base))).await.unwrap_err();
    assert!(late.message().contains("longer than 10 minutes"), "{late}");
    assert_eq!(scene.authority.at("/token").len(), 0);
}

#[tokio::test]
async fn one_renewal_serves_everybody_and_survives() {
    let scene = Scene::set(0, json!({}), Terms::default()).await;
    let start = url(scene.account.instead(None, refused(None, "Bearer")).await);
    let away = leave(&scene.office, &start).await;
    scene.office.complete(callback(&away, Some(&scene.authority.base))).await.unwrap();
    // Each token is over at once; the second one is not.
    let renewals = futures_util::future::join_all((0..16).map(|_| scene.account.renewed(None))).await;
    let tokens: Vec<HeaderValue> = renewals.into_iter().map(|header| header.unwrap().unwrap()).collect();
    let asked = scene.authority.at("/token");
    // All sixteen wait in line, and each finds a token that is over: none uses one that was used before.
    let used: Vec<Option<String>> = asked.iter().skip(1).map(|asked| asked.field("refresh_token")).collect();
    let expect: Vec<Option<String>> = (1..=16).map(|number| Some(format!("as1-r{number}"))).collect();
    assert_eq!(used, expect);
    assert_eq!(tokens.last().unwrap(), "Bearer as1-t17");
    let restarted = account(&scene.server, &scene.office, Terms::default());
    assert_eq!(restarted.renewed(None).await.unwrap().unwrap(), "Bearer as1-t18");
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all_who_showed_it() {
    let scene = Scene::set(3600, json!({}), Terms::default()).await;
    let first = scene.sign_in(None, "Bearer").await;
    let refused = || refused(Some(&first), "Bearer error=\"invalid_token\"");
    let all = futures_util::future::join_all((0..16).map(|_| scene.account.instead(None, refused()))).await;
    assert!(all.into_iter().all(|header| header.unwrap() == "Bearer as1-t2"));
    assert_eq!(scene.authority.at("/token").len(), 2);
    // Giving up in the middle does not lose what came for it.
    let second = scene.account.renewed(None).await.unwrap().unwrap();
    let giving_up = scene.account.instead(None, super::tests::refused(Some(&second), "Bearer"));
    drop(giving_up);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(scene.account.renewed(None).await.unwrap().unwrap(), "Bearer as1-t3");
}

#[tokio::test]
async fn what_is_lacking_is_asked_for_beside_what_was_had_and_once() {
    let scene = Scene::set(3600, json!({}), Terms::default()).await;
    let first = scene.sign_in(None, "Bearer scope=\"basic\"").await;
    let lacking = "Bearer error=\"insufficient_scope\", scope=\"write\"";
    let start = url(scene.account.instead(None, refused(Some(&first), lacking)).await);
    let away = leave(&scene.office, &start).await;
    assert_eq!(field(&away.to, "scope").as_deref(), Some("basic write"));
    scene.office.complete(callback(&away, Some(&scene.authority.base))).await.unwrap();
    let second = scene.account.instead(None, refused(Some(&first), lacking)).await.unwrap();
    assert_eq!(second, "Bearer as1-t2");
    let enough = scene.account.instead(None, refused(Some(&second), lacking)).await.unwrap_err();
    assert_eq!((enough.kind(), enough.consent()), (Kind::Credential, None), "{enough}");
    assert_eq!(scene.authority.at("/token").len(), 2);
}

#[tokio::test]
async fn another_authority_never_sees_what_the_first_knows() {
    let scene = Scene::set(3600, json!({}), Terms::default()).await;
    let first = scene.sign_in(None, "Bearer").await;
    let second = authority("as2", 3600, json!({})).await;
    (*scene.issuer.lock()).clone_from(&second.base);
    let moved = scene.sign_in(Some(&first), "Bearer").await;
    assert_eq!(moved, "Bearer as2-t1");
    assert_eq!((scene.authority.at("/token").len(), second.at("/register").len()), (1, 1));
    assert!(!format!("{:?}", second.asked.lock()).contains("as1"), "{:?}", second.asked.lock());
    // Nor does a client of the configuration go where it was not meant for.
    let terms = Terms {
        client_id: Some("house".to_owned()),
        client_secret: Some(Secret::new("house-canary".to_owned())),
        ..Terms::default()
    };
    (*scene.issuer.lock()).clone_from(&scene.authority.base);
    let configured = account(&scene.server, &office(&store()), terms);
    url(configured.instead(None, refused(None, "Bearer")).await);
    (*scene.issuer.lock()).clone_from(&second.base);
    let wider = refused(None, "Bearer scope=\"other\"");
    let error = configured.instead(None, wider).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.message().contains("auth.client_id was used with"), "{error}");
}

#[tokio::test]
async fn a_program_signs_in_by_itself_and_again_when_its_token_is_over() {
    let terms = Terms {
        client_id: Some("me".to_owned()),
        client_secret: Some(Secret::new("canary".to_owned())),
        grant: GrantKind::ClientCredentials,
        ..Terms::default()
    };
    let scene =
        Scene::set(0, json!({ "authorization_endpoint": null, "code_challenge_methods_supported": null }), terms).await;
    let header = scene.account.instead(None, refused(None, "Bearer scope=\"a\"")).await.unwrap();
    assert_eq!(header, "Bearer as1-t1");
    let asked = scene.authority.at("/token").remove(0);
    assert_eq!(
        (
            asked.field("grant_type").as_deref(),
            asked.field("scope").as_deref(),
            asked.field("client_secret").as_deref()
        ),
        (Some("client_credentials"), Some("a"), Some("canary"))
    );
    assert!(scene.account.renewed(None).await.unwrap().is_some());
    assert_eq!(scene.authority.at("/register").len(), 0);
}

#[tokio::test]
async fn callers_do_not_share_what_each_got_for_himself() {
    let scene = Scene::set(3600, json!({}), Terms { per: Per::Caller, ..Terms::default() }).await;
    let caller =
        |name: &str| Caller { name: name.into(), tenant: Scope::Tenant(name.into()), ..Caller::anonymous("r") };
    let (alice, bob) = (caller("alice"), caller("bob"));
    let start = url(scene.account.instead(Some(&alice), refused(None, "Bearer")).await);
    assert_ne!(url(scene.account.instead(Some(&bob), refused(None, "Bearer")).await), start);
    let errand = scene.office.errand(&field(&start, "state").unwrap()).await.unwrap();
    let whose = Whose::Caller { tenant: "alice".to_owned(), name: "alice".to_owned() };
    assert_eq!((&*errand.server, errand.whose, errand.per), ("far", whose, Per::Caller));
    let away = leave(&scene.office, &start).await;
    scene.office.complete(callback(&away, Some(&scene.authority.base))).await.unwrap();
    assert_eq!(scene.account.renewed(Some(&alice)).await.unwrap().unwrap(), "Bearer as1-t1");
    assert_eq!(scene.account.renewed(Some(&bob)).await.unwrap(), None);
    assert_eq!(scene.account.renewed(None).await.unwrap(), None);
    assert_eq!((scene.account.at_hand(Some(&bob)), scene.account.awaited()), (AtHand::Nothing, None));
}

#[tokio::test]
async fn nobody_is_led_astray_by_what_a_server_says() {
    // What the server or its authority says, and what becomes of it (T-08, T-10, T-11).
    let inside = "http://169.254.169.254/token";
    let table: [(Value, &str); 9] = [
        (json!({ "code_challenge_methods_supported": ["plain"] }), "does not say that it supports PKCE with S256"),
        (json!({ "code_challenge_methods_supported": null }), "does not say that it supports PKCE with S256"),
        (json!({ "issuer": "https://attacker.example" }), "is that of https://attacker.example"),
        (json!({ "authorization_endpoint": "javascript:alert(1)" }), "is neither http nor https"),
        (json!({ "authorization_endpoint": "file:///bin/sh" }), "is not an address"),
        (json!({ "authorization_endpoint": "$(calc)" }), "is neither http nor https"),
        (json!({ "token_endpoint": "--upload-pack=x" }), "is neither http nor https"),
        (json!({ "token_endpoint": inside }), "is not called"),
        (json!({ "registration_endpoint": "https://[::1]/register" }), "is not called"),
    ];
    for (more, why) in table {
        let scene = Scene::set(3600, more.clone(), Terms::default()).await;
        let error = scene.account.instead(None, refused(None, "Bearer")).await.unwrap_err();
        assert!(error.message().contains(why) && error.consent().is_none(), "{more}: {error}");
        assert_eq!(scene.authority.lines(), ["GET /.well-known/oauth-authorization-server"], "{more}");
    }
    let elsewhere = Site::start(|_, asked| match asked.line.as_str() {
        "GET /.well-known/oauth-protected-resource/mcp" => {
            (200, json!({ "resource": "https://evil.example/mcp", "authorization_servers": ["https://as.example"] }))
        }
        _ => (404, json!({})),
    })
    .await;
    let error = account(&elsewhere, &office(&store()), Terms::default())
        .instead(None, refused(None, "Bearer"))
        .await
        .unwrap_err();
    assert!(error.message().contains("is about https://evil.example/mcp"), "{error}");
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_forgotten_and_never_told() {
    let gone = Site::start(|base, asked| match (asked.line.as_str(), asked.field("grant_type").as_deref()) {
        ("GET /.well-known/oauth-authorization-server", _) => (200, described(base, &json!({}))),
        ("POST /register", _) => (201, json!({ "client_id": "id", "client_secret": "s-canary" })),
        ("POST /token", Some("authorization_code")) => {
            (200, json!({ "access_token": "t-canary", "refresh_token": "r-canary" }))
        }
        ("POST /token", _) => (400, json!({ "error": "invalid_grant", "error_description": "r-canary is revoked" })),
        _ => (404, json!({})),
    })
    .await;
    let issuer = Arc::new(Mutex::new(gone.base.clone()));
    let (server, office) = (resource(&issuer).await, office(&store()));
    let account = account(&server, &office, Terms::default());
    let away = leave(&office, &url(account.instead(None, refused(None, "Bearer")).await)).await;
    office.complete(callback(&away, Some(&gone.base))).await.unwrap();
    let header = account.renewed(None).await.unwrap().unwrap();
    let error = account.instead(None, refused(Some(&header), "Bearer")).await.unwrap_err();
    assert!(error.consent().is_some(), "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert_eq!((account.at_hand(None), office.mark("far").await.unwrap()), (AtHand::Unknown, None));
    // T-08: nothing that is for one server was shown to the other.
    assert!(!server.asked.lock().iter().any(|asked| format!("{} {}", asked.head, asked.body).contains("canary")));
}

#[tokio::test]
async fn a_token_is_shown_to_its_own_server_only() {
    let scene = Scene::set(3600, json!({}), Terms::default()).await;
    scene.sign_in(None, "Bearer").await;
    let other = resource(&scene.issuer).await;
    // The same name in the configuration, now at another address.
    let moved = account(&other, &scene.office, Terms::default());
    assert_eq!(moved.renewed(None).await.unwrap(), None);
}
