//! The two ends of a sign-in: the page where a person agrees to it, and the address that he comes back to. And where
//! authorization servers read who we are.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Query, State},
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use router_core::{Error, Kind, Result, Secret};
use router_mcp::oauth::{self, Callback, Errand, PATIENCE, Per, Whose};

use super::{
    Gate, Parameters,
    door::is_of_host,
    models,
    reject::{self, reject},
    visit::Visit,
};
use crate::wire::sign_in::Office;

/// The page that a sign-in begins at.
pub async fn start(State(gateway): Gate, Query(parameters): Parameters) -> Response<Body> {
    ask(&gateway.mcp.office, &parameters).await
}

/// Somebody agreed on that page.
pub async fn agreed(State(gateway): Gate, headers: HeaderMap, Query(parameters): Parameters) -> Response<Body> {
    depart(&gateway.mcp.office, &headers, &parameters).await
}

/// The end of a journey.
pub async fn callback(State(gateway): Gate, headers: HeaderMap, Query(parameters): Parameters) -> Response<Body> {
    finish(&gateway.mcp.office, &headers, &parameters).await
}

/// Who we are, for authorization servers that read it.
pub async fn description(State(gateway): Gate, Extension(visit): Extension<Visit>) -> Response<Body> {
    match &gateway.mcp.description {
        Some(description) => models::json(description),
        None => {
            let error =
                Error::new(Kind::NotFound, "this router has no address that others know").hint("set public_url");
            reject(&error, reject::Shape::Plain, &visit)
        }
    }
}

/// Asks whoever opened the address whether he wants to do what it is for. The address may have been sent to him.
pub async fn ask(office: &Office, parameters: &[(String, String)]) -> Response<Body> {
    let errand = match state(parameters) {
        Ok(state) => office.errand(state).await.map(|errand| question(&errand, state)),
        Err(error) => Err(error),
    };
    errand.map_or_else(|error| nobody(&error), |page| answer(StatusCode::OK, "text/html; charset=utf-8", page))
}

/// Sends whoever agreed to the authorization server. His browser has to show, when it comes back, that it was there.
pub async fn depart(office: &Office, headers: &HeaderMap, parameters: &[(String, String)]) -> Response<Body> {
    if !is_from_our_page(headers) {
        return nobody(&Error::new(Kind::Forbidden, "only the page of this router itself begins a sign-in"));
    }
    let departed = async {
        let state = state(parameters)?;
        let departure = office.depart(state).await?;
        let unusable = |_| Error::new(Kind::Internal, "the address of the sign-in cannot be sent");
        let to = HeaderValue::try_from(departure.to).map_err(unusable)?;
        let secure = if office.is_encrypted() { "; Secure" } else { "" };
        let (name, value) = (oauth::cookie(state), departure.cookie.expose());
        // Lax: it comes along when the authorization server sends the browser back. It is kept for as long as that may take.
        let cookie = format!("{name}={value}; Max-Age={PATIENCE}; Path=/; HttpOnly; SameSite=Lax{secure}");
        let mut response = answer(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", String::new());
        response.headers_mut().insert(header::LOCATION, to);
        response.headers_mut().insert(header::SET_COOKIE, HeaderValue::try_from(cookie).map_err(unusable)?);
        Ok(response)
    };
    departed.await.unwrap_or_else(|error: Error| nobody(&error))
}

/// Ends the journey that `parameters` tell of, and says so to whoever sits in front of the browser.
pub async fn finish(office: &Arc<Office>, headers: &HeaderMap, parameters: &[(String, String)]) -> Response<Body> {
    let done = match Callback::read(parameters) {
        Some(callback) => {
            let browser = cookie(headers, &oauth::cookie(&callback.state));
            office.complete(Callback { browser, ..callback }).await
        }
        None => Err(Error::new(Kind::Invalid, "this address is where a sign-in ends; it does not begin here")),
    };
    match done {
        Ok(server) => sentence(StatusCode::OK, &format!("Signed in to {server}. This window can be closed.")),
        Err(error) => {
            tracing::warn!(%error, "a sign-in failed");
            nobody(&error)
        }
    }
}

/// What tells one journey from the others.
fn state(parameters: &[(String, String)]) -> Result<&str> {
    let found = parameters.iter().find(|(name, _)| name == "state").map(|(_, state)| state.as_str());
    found.ok_or_else(|| Error::new(Kind::Invalid, "this address names no sign-in"))
}

/// The page: who wants what, where, and what it means to go on.
fn question(errand: &Errand, state: &str) -> String {
    let [server, address, issuer, state] = [&*errand.server, &errand.address, &errand.issuer, state].map(escaped);
    let (who, means) = match (&errand.whose, errand.per) {
        (Whose::Caller { name, .. }, _) => {
            let name = escaped(name);
            (
                format!("The caller <b>{name}</b> of this MCP Router"),
                format!("Go on only if you are <b>{name}</b>. If somebody else sent you here, he could do there whatever you can."),
            )
        }
        (Whose::Shared, Per::Shared) => (
            "This MCP Router".to_owned(),
            "Go on only if everybody who may call this router may do there whatever you can.".to_owned(),
        ),
        (Whose::Shared, Per::Caller) => (
            "This MCP Router".to_owned(),
            "It reads there what the server offers, and shows it to everybody who may call this router. Nobody's calls are made in your name.".to_owned(),
        ),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Sign in to {server}</title>\n<h1>Sign in to {server}</h1>\n\
         <p>{who} asks to use the server <b>{server}</b> ({address}) in your name. You sign in at {issuer}.</p>\n\
         <p>{means}</p>\n\
         <form method=\"post\" action=\"start?state={state}\"><button>Go on to {issuer}</button></form>\n"
    )
}

/// Text that is nothing but text in a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// A page of somebody else could press the button for whoever looks at it. Browsers say where a request comes from.
fn is_from_our_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => text(header::ORIGIN).is_none_or(|origin| is_of_host(origin, host)),
    }
}

/// The value of one cookie.
fn cookie(headers: &HeaderMap, name: &str) -> Option<Secret<String>> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| Secret::new(value.to_owned()))
}

fn nobody(error: &Error) -> Response<Body> {
    sentence(StatusCode::BAD_REQUEST, &format!("Nobody was signed in: {error}."))
}

/// A page of one sentence, in plain text: whatever it says is nothing but text to a browser.
fn sentence(status: StatusCode, sentence: &str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", format!("{sentence}\n"))
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        // With `no-referrer` the form of the page would come from `Origin: null`.
        (header::REFERRER_POLICY, "same-origin"),
        // Not `form-action`: browsers hold redirects to it, and authorization servers send people on.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn nobody_is_made_to_press_the_button() {
        // T-09: a page that sends the form for its visitor.
        let host = ("host", "router.example:4100");
        let table: [(&[(&str, &str)], bool); 8] = [
            (&[host, ("sec-fetch-site", "same-origin"), ("origin", "http://router.example:4100")], true),
            (&[host, ("sec-fetch-site", "cross-site")], false),
            (&[host, ("sec-fetch-site", "same-site")], false),
            (&[host, ("sec-fetch-site", "none")], false),
            (&[host, ("origin", "http://router.example:4100")], true),
            (&[host, ("origin", "http://router.example")], false),
            (&[host, ("origin", "null")], false),
            (&[host], true),
        ];
        for (pairs, expect) in table {
            let pairs: HeaderMap =
                pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(is_from_our_page(&pairs), expect, "{pairs:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let found = |headers: &HeaderMap| cookie(headers, "b").map(|cookie| cookie.expose().clone());
        for (line, expect) in [("a=1; b=2; c=3", Some("2")), ("b=2", Some("2")), ("bb=2;a=b=2", None), ("", None)] {
            assert_eq!(found(&headers(&[("cookie", line)])).as_deref(), expect, "{line}");
        }
    }

    #[test]
    fn the_page_says_what_it_means_and_believes_no_name() {
        let errand = |whose, per| Errand {
            server: "far".into(),
            address: "https://mcp.example/mcp".to_owned(),
            issuer: "https://as.example/<script>".to_owned(),
            whose,
            per,
        };
        let alice = Whose::Caller { tenant: "t".to_owned(), name: "<b>\"al&ice'".to_owned() };
        let shown = "&lt;b&gt;&quot;al&amp;ice&#39;";
        for (errand, says) in [
            (errand(alice, Per::Caller), format!("Go on only if you are <b>{shown}</b>.")),
            (errand(Whose::Shared, Per::Shared), "everybody who may call this router may do there".to_owned()),
            (errand(Whose::Shared, Per::Caller), "Nobody's calls are made in your name.".to_owned()),
        ] {
            let page = question(&errand, "s-1");
            assert!(page.contains(&says) && page.contains("action=\"start?state=s-1\""), "{page}");
            assert!(!page.contains("<script>") && page.contains("(https://mcp.example/mcp)"), "{page}");
        }
    }
}
