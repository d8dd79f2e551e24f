//! What servers want to know of clients, where the two are of different eras, and where both are modern.

use parking_lot::Mutex;
use router_core::tool::{Answer, What};
use tokio::time::sleep;

use super::*;
use crate::testing::refusal;

const ALL: &str = r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#;
const FORM: &str = r#"{"message":"who?","requestedSchema":{"type":"object"}}"#;
const CALL: &str = r#""name":"s__echo","arguments":{"z":1.50,"a":12345678901234567890123}"#;

/// A modern request of a client who can do what `capabilities` say.
fn able(id: u64, capabilities: &str, params: &str) -> String {
    let able = format!(r#"clientCapabilities":{capabilities}}}"#);
    modern_body(id, "tools/call", params).replace(r#"clientCapabilities":{}}"#, &able)
}

impl Bench {
    async fn call(&self, caller: &str, capabilities: &str, params: &str) -> Heard {
        let (headers, body) = (modern_headers("tools/call", params), able(7, capabilities, params));
        Heard::of(self.send_as(caller, Method::POST, &headers, &body).await).await
    }

    /// A server that is legacy: it asks, and tells what it was told.
    fn asks(&self, questions: &'static [&'static [(&'static str, &'static str)]]) -> Arc<Mutex<Vec<String>>> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&told);
        self.fake.on_call(move |cx, _| {
            let log = Arc::clone(&log);
            async move {
                let _gone = Gone(cx.clone(), Arc::clone(&log));
                for round in questions {
                    let each = round.iter().map(|(method, params)| cx.peer().ask(method, raw(params)));
                    let answers = futures_util::future::join_all(each).await;
                    log.lock().extend(answers.into_iter().map(said));
                }
                Ok(Answer::new(raw(r#"{"content":[]}"#)))
            }
        });
        told
    }
}

fn said(answer: router_core::Result<Raw>) -> String {
    answer.map_or_else(|error| error.to_string(), |raw| raw.as_str().to_owned())
}

/// Notes when a call ends whose caller gave up.
struct Gone(Cx, Arc<Mutex<Vec<String>>>);

impl Drop for Gone {
    fn drop(&mut self) {
        if self.0.cancel().is_cancelled() {
            self.1.lock().push("cancelled".to_owned());
        }
    }
}

fn state(heard: &Heard) -> String {
    fields::get(&raw(heard.result()), "requestState").unwrap_or_else(|| panic!("{heard:?}")).as_str().to_owned()
}

fn requests(heard: &Heard) -> String {
    let result = raw(heard.result());
    assert_eq!(fields::text(&result, "resultType").as_deref(), Some("input_required"));
    fields::get(&result, "inputRequests").unwrap_or_else(|| panic!("{heard:?}")).as_str().to_owned()
}

fn retry(responses: &str, state: &str) -> String {
    format!(r#"{CALL},"inputResponses":{responses},"requestState":{state}"#)
}

const DONE: &str = r#"{"content":[],"resultType":"complete""#;
const YES: &str = r#"{"action":"accept","content":{"n":1.0}}"#;

#[tokio::test]
async fn a_legacy_server_asks_a_modern_client_in_rounds() {
    let bench = Bench::new();
    let told = bench.asks(&[
        &[("elicitation/create", FORM), ("roots/list", "{}")],
        &[("sampling/createMessage", r#"{"messages":[]}"#)],
    ]);
    let first = bench.call("a", ALL, CALL).await;
    let expected = format!(
        r#"{{"1":{{"method":"elicitation/create","params":{FORM}}},"2":{{"method":"roots/list","params":{{}}}}}}"#
    );
    assert_eq!((first.status, requests(&first)), (200, expected));
    let answers = format!(r#"{{"2":{{"roots":[]}},"1":{YES}}}"#);
    let second = bench.call("a", ALL, &retry(&answers, &state(&first))).await;
    assert_eq!(requests(&second), r#"{"1":{"method":"sampling/createMessage","params":{"messages":[]}}}"#);
    let last = bench.call("a", ALL, &retry(r#"{"1":{"content":{}}}"#, &state(&second))).await;
    assert!(last.result().starts_with(DONE), "{last:?}");
    assert_eq!(*told.lock(), [YES, r#"{"roots":[]}"#, r#"{"content":{}}"#]);
    assert_eq!(bench.fake.calls.lock().len(), 1, "it was one call all the time");
    assert!(bench.front.0.lot.is_empty());
}

#[tokio::test]
async fn what_is_missing_is_asked_again_and_what_is_wrong_is_refused() {
    let bench = Bench::new();
    let told = bench.asks(&[&[("elicitation/create", FORM), ("roots/list", "{}")]]);
    let first = bench.call("a", ALL, CALL).await;
    for wrong in ["[]", "5", r#"{"1":{}}"#, r#"{"1":{"action":"perhaps"}}"#, r#"{"2":{"action":"accept"}}"#] {
        let refused = bench.call("a", ALL, &retry(wrong, &state(&first))).await;
        assert_eq!(refused.code(), Some(-32602), "{wrong}");
        assert!(refused.body.contains("inputResponses"), "{refused:?}");
    }
    let second = bench.call("a", ALL, &retry(r#"{"2":{"roots":[]},"9":{}}"#, &state(&first))).await;
    assert_eq!(requests(&second), format!(r#"{{"1":{{"method":"elicitation/create","params":{FORM}}}}}"#));
    let again = bench.call("a", ALL, &retry("{}", &state(&first))).await;
    assert_eq!(again.code(), Some(-32602), "each state counts once: {again:?}");
    let last = bench.call("a", ALL, &retry(&format!(r#"{{"1":{YES}}}"#), &state(&second))).await;
    assert!(last.result().starts_with(DONE), "{last:?}");
    assert_eq!(*told.lock(), [YES, r#"{"roots":[]}"#]);
}

#[tokio::test]
async fn t_13_a_parked_call_goes_on_only_for_who_was_asked_and_what_he_asked() {
    let bench = Bench::new();
    let told = bench.asks(&[&[("elicitation/create", FORM)]]);
    let first = bench.call("alice", ALL, CALL).await;
    let answer = format!(r#"{{"1":{YES}}}"#);
    let mine = retry(&answer, &state(&first));
    let other_state = state(&first).replace(|letter: char| letter.is_ascii_digit(), "A");
    for (what, caller, params) in [
        ("user", "bob", mine.clone()),
        ("tool", "alice", mine.replace("s__echo", "s__other")),
        ("arguments", "alice", mine.replace("1.50", "1.5")),
        ("state", "alice", retry(&answer, &other_state)),
        ("type", "alice", retry(&answer, "5")),
    ] {
        let refused = bench.call(caller, ALL, &params).await;
        assert_eq!(refused.code(), Some(-32602), "another {what}: {refused:?}");
        assert!(refused.body.contains("requestState"), "{refused:?}");
    }
    assert!(told.lock().is_empty());
    assert!(bench.call("alice", ALL, &mine).await.result().starts_with(DONE));
}

#[tokio::test(start_paused = true)]
async fn a_parked_call_is_cancelled_when_nobody_comes_back() {
    let bench = Bench::new();
    let told = bench.asks(&[&[("elicitation/create", FORM)]]);
    let first = bench.call("a", ALL, CALL).await;
    sleep(Duration::from_secs(299)).await;
    assert!(told.lock().is_empty());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(*told.lock(), ["cancelled"]);
    let late = bench.call("a", ALL, &retry(&format!(r#"{{"1":{YES}}}"#), &state(&first))).await;
    assert!(late.code() == Some(-32602) && late.body.contains("does not wait any more"), "{late:?}");
    assert!(bench.front.0.lot.is_empty());
    bench.call("a", ALL, CALL).await;
    told.lock().clear();
    bench.closing.cancel();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(*told.lock(), ["cancelled"], "nor when we close");
    bench.front.0.setup.tasks.close();
    bench.front.0.setup.tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_call_is_not_that_of_a_person() {
    let bench = Bench::new();
    bench.fake.on_call(|cx, _| async move {
        sleep(Duration::from_secs(9)).await;
        let hold = cx.pulse().hold();
        cx.peer().ask("elicitation/create", raw(FORM)).await?;
        drop(hold);
        sleep(Duration::from_secs(49)).await;
        Ok(Answer::new(raw(r#"{"content":[]}"#)))
    });
    let first = bench.call("a", ALL, CALL).await;
    sleep(Duration::from_secs(200)).await;
    let last = bench.call("a", ALL, &retry(&format!(r#"{{"1":{YES}}}"#), &state(&first))).await;
    assert!(last.body.contains(DONE), "{last:?}");
}

#[tokio::test]
async fn a_caller_has_so_many_parked_calls_and_no_more() {
    let bench = Bench::new();
    bench.asks(&[&[("elicitation/create", FORM)]]);
    let calls = (0..101).map(|_| bench.call("greedy", ALL, CALL));
    let heard = futures_util::future::join_all(calls).await;
    let parked = heard.iter().filter(|heard| heard.body.contains("input_required")).count();
    let refused = heard.iter().filter(|heard| heard.body.contains(r#""isError":true"#)).count();
    assert_eq!((parked, refused), (100, 1));
    assert!(bench.call("modest", ALL, CALL).await.body.contains("input_required"));
}

#[tokio::test]
async fn who_declared_nothing_is_not_asked() {
    let bench = Bench::new();
    let told = bench.asks(&[&[("elicitation/create", FORM), ("sampling/createMessage", "{}"), ("roots/list", "{}")]]);
    assert!(bench.call("a", "{}", CALL).await.result().starts_with(DONE));
    let partly = bench.call("a", r#"{"roots":{}}"#, CALL).await;
    assert_eq!(requests(&partly), r#"{"1":{"method":"roots/list","params":{}}}"#);
    let told = told.lock();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|said| said.contains("did not declare")), "{told:?}");
}

#[tokio::test]
async fn notes_go_to_the_request_that_is_there() {
    let bench = Bench::new();
    bench.fake.on_call(|cx, _| async move {
        let note = |json: &str| router_core::Note { method: "notifications/progress".into(), params: raw(json) };
        cx.peer().notify(note(r#"{"progress":1}"#));
        let asked = cx.peer().ask("elicitation/create", raw(FORM));
        cx.peer().notify(note(r#"{"progress":2}"#));
        asked.await?;
        cx.peer().notify(note(r#"{"progress":3}"#));
        Ok(Answer::new(raw(r#"{"content":[]}"#)))
    });
    let with_token = |token: &str, params: &str| {
        able(1, ALL, params).replace(r#""_meta":{"#, &format!(r#""_meta":{{"progressToken":"{token}","#))
    };
    let headers = modern_headers("tools/call", CALL);
    let first = bench.post(&headers, &with_token("one", CALL)).await;
    let events = first.events();
    assert_eq!(events.len(), 3);
    assert!(events[..2].iter().all(|event| event.contains(r#""progressToken":"one""#)), "{events:?}");
    let answered = retry(&format!(r#"{{"1":{YES}}}"#), &state(&Heard { body: events[2].to_owned(), ..first }));
    let last = bench.post(&headers, &with_token("two", &answered)).await;
    let events = last.events();
    assert_eq!(events.len(), 2);
    assert!(events[0].contains(r#""progress":3,"progressToken":"two""#), "{events:?}");
}

const ASKS: &str = r#"{"resultType":"input_required","inputRequests":{"who":{"method":"elicitation/create","params":{"message":"who?"}},"where":{"method":"roots/list"}},"requestState":"s\u0031"}"#;

fn interim(result: &str) -> Answer {
    let mut answer = Answer::new(raw(result));
    answer.is_interim = true;
    answer
}

#[tokio::test]
async fn between_two_modern_sides_only_the_state_is_ours() {
    let bench = Bench::new();
    bench.fake.on_call(|_, call| async move {
        let extra = call.extra.unwrap_or_else(fields::empty);
        Ok(match fields::get(&extra, "requestState").map(|state| state.as_str().to_owned()).as_deref() {
            Some(r#""s\u0031""#) => Answer::new(fields::get(&extra, "inputResponses").unwrap()),
            None => interim(ASKS),
            Some(other) => panic!("{other}"),
        })
    });
    let first = bench.call("a", ALL, CALL).await;
    let asked = fields::get(&raw(ASKS), "inputRequests").unwrap();
    assert_eq!(requests(&first), asked.as_str());
    assert!(!first.body.contains("u0031"));
    let answers = r#"{"who":{"action":"accept","content":{"x":1.00}},"where":{"roots":[]}}"#;
    let last = bench.call("a", ALL, &retry(answers, &state(&first))).await;
    assert!(last.result().starts_with(r#"{"who":{"action":"accept","content":{"x":1.00}},"where":{"roots":[]},"#));
    assert_eq!(bench.call("b", ALL, &retry(answers, &state(&first))).await.code(), Some(-32602), "T-13");
}

const VISIT: &str = r#"{"code":-32042,"message":"sign in","data":{"elicitations":[{"mode":"url","elicitationId":"e1","url":"https://x.example/","message":"go"}]}}"#;

#[tokio::test]
async fn an_address_to_visit_first_is_told_in_each_eras_way() {
    let bench = Bench::new();
    bench.fake.on_call(|_, call| async move {
        if call.extra.is_some_and(|extra| fields::get(&extra, "inputResponses").is_some()) {
            return Ok(Answer::new(raw(r#"{"brought":true}"#)));
        }
        let error = crate::rpc::RpcError::parse(VISIT.as_bytes()).unwrap();
        Err(failure::of_client("x", &error))
    });
    let legacy = bench.post(&[], &legacy_body(1, "tools/call", CALL)).await;
    assert_eq!(legacy.body, format!(r#"{{"jsonrpc":"2.0","id":1,"error":{VISIT}}}"#));
    let first = bench.call("a", ALL, CALL).await;
    assert_eq!(
        requests(&first),
        r#"{"1":{"method":"elicitation/create","params":{"mode":"url","url":"https://x.example/","message":"go"}}}"#
    );
    bench.fake.on_call(|_, call| async move { Ok(Answer::new(call.extra.unwrap_or_else(fields::empty))) });
    let last = bench.call("a", ALL, &retry(r#"{"1":{"action":"accept"}}"#, &state(&first))).await;
    assert!(!last.result().contains("inputResponses") && !last.result().contains("requestState"), "{last:?}");
    let unable = r#"{"elicitation":{}}"#;
    bench.fake.on_call(|_, _| async move {
        Err(failure::of_client("x", &crate::rpc::RpcError::parse(VISIT.as_bytes()).unwrap()))
    });
    let refused = bench.call("a", unable, CALL).await;
    assert_eq!((refused.status, refused.code()), (400, Some(-32021)));
    assert!(refused.body.contains(r#""requiredCapabilities":{"elicitation":{"url":{}}}"#), "{refused:?}");
}

#[tokio::test]
async fn a_failure_for_want_of_a_capability_names_it_to_a_modern_client() {
    let bench = Bench::new();
    bench.fake.on_call(|cx, _| async move {
        let asked = cx.peer().ask("sampling/createMessage", fields::empty()).await;
        let mut answer = Answer::new(raw(r#"{"content":[],"isError":true}"#));
        answer.is_error = asked.is_err();
        Ok(answer)
    });
    for capabilities in ["{}", r#"{"elicitation":{}}"#] {
        let refused = bench.call("a", capabilities, CALL).await;
        assert_eq!((refused.status, refused.code()), (400, Some(-32021)));
        assert!(refused.body.contains(r#"{"requiredCapabilities":{"sampling":{}}"#), "{refused:?}");
    }
    let legacy = bench.post(&[], &legacy_body(1, "tools/call", CALL)).await;
    assert_eq!(legacy.result(), r#"{"content":[],"isError":true}"#, "the era knows no such word");
    bench.fake.on_call(|cx, _| async move {
        drop(cx.peer().ask("sampling/createMessage", fields::empty()).await);
        Ok(Answer::new(raw(r#"{"content":[]}"#)))
    });
    assert_eq!(bench.call("a", "{}", CALL).await.code(), None, "it did without");
}

/// A legacy client in a session over a pipe, and a server that answers `input_required`.
async fn asked_in_session(
    rounds: &'static [&'static str],
    capabilities: &str,
) -> (pipe::Client, Arc<Mutex<Vec<String>>>) {
    let mut client = pipe::Client::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    client.bench.fake.on_call(move |_, call| {
        let mut log = log.lock();
        let extra = call.extra.map(|extra| extra.as_str().to_owned()).unwrap_or_default();
        let answer =
            rounds.get(log.len()).map_or_else(|| Answer::new(raw(r#"{"content":[]}"#)), |round| interim(round));
        log.push(extra);
        async move { Ok(answer) }
    });
    let params = format!(r#""protocolVersion":"2025-11-25","capabilities":{capabilities}"#);
    client.ask(&legacy_body(0, "initialize", &params)).await;
    (client, seen)
}

#[tokio::test(start_paused = true)]
async fn a_modern_server_asks_a_legacy_client_in_his_session() {
    const WAIT: &str = r#"{"resultType":"input_required","requestState":"s2"}"#;
    let (mut client, seen) = asked_in_session(&[ASKS, WAIT, WAIT], ALL).await;
    client.write(&legacy_body(1, "tools/call", CALL)).await;
    let (who, place) = (client.read().await, client.read().await);
    assert_eq!(who, r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"who?"}}"#);
    assert_eq!(place, r#"{"jsonrpc":"2.0","id":2,"method":"roots/list","params":{}}"#);
    sleep(Duration::from_mins(9)).await;
    client.write(r#"{"jsonrpc":"2.0","id":2,"result":{"roots":[]}}"#).await;
    let last = client.ask(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{YES}}}"#)).await;
    assert_eq!(last, r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#);
    let answered =
        format!(r#"{{{CALL},"inputResponses":{{"who":{YES},"where":{{"roots":[]}}}},"requestState":"s\u0031"}}"#);
    let again = format!(r#"{{{CALL},"requestState":"s2"}}"#);
    assert_eq!(*seen.lock(), [format!("{{{CALL}}}"), answered, again.clone(), again]);
}

#[tokio::test(start_paused = true)]
async fn a_modern_server_that_cannot_ask_a_legacy_client_is_not_asked_for_ever() {
    const VISITS: &str = r#"{"resultType":"input_required","inputRequests":{"v":{"method":"elicitation/create","params":{"mode":"url","url":"https://x.example/"}}}}"#;
    const WAIT: &str = r#"{"resultType":"input_required","requestState":"s"}"#;
    for (rounds, capabilities, calls, expected) in [
        (&[ASKS][..], "{}", 1, "did not declare"),
        (&[VISITS], r#"{"elicitation":{}}"#, 1, "did not declare the capability elicitation.url"),
        (&[r#"{"resultType":"input_required","inputRequests":{"v":{"method":"tools/list"}}}"#], ALL, 1, "nobody knows"),
        (&[WAIT; 20], ALL, 10, "10 times"),
    ] {
        let (mut client, seen) = asked_in_session(rounds, capabilities).await;
        let answer = client.ask(&legacy_body(1, "tools/call", CALL)).await;
        assert!(answer.contains(r#""isError":true"#) && answer.contains(expected), "{answer}");
        assert_eq!(seen.lock().len(), calls);
    }
    let (mut client, _) = asked_in_session(&[VISITS], ALL).await;
    let question = client.ask(&legacy_body(1, "tools/call", CALL)).await;
    assert!(question.contains(r#""url":"https://x.example/","elicitationId":""#), "{question}");
    let refused = client.ask(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"I will not"}}"#).await;
    assert!(refused.contains("I will not") && refused.contains(r#""isError":true"#), "{refused}");
    let bench = Bench::new();
    bench.fake.on_call(|_, _| async { Ok(interim(ASKS)) });
    let alone = bench.post(&[], &legacy_body(1, "tools/call", CALL)).await;
    assert!(alone.body.contains("did not declare") || alone.body.contains("stand alone"), "{alone:?}");
}

#[tokio::test]
async fn prompts_and_resources_ask_as_well() {
    let bench = Bench::new();
    bench.fake.on_lookup(|cx, lookup| async move {
        if !matches!(lookup.what, What::Prompt | What::Resource) {
            return Err(refusal(-32601, "no"));
        }
        cx.peer().ask("roots/list", raw("{}")).await.map(Answer::new)
    });
    for (method, params) in [("prompts/get", r#""name":"s__hi""#), ("resources/read", r#""uri":"x:1""#)] {
        let body = |params: &str| able(1, ALL, params).replace("tools/call", method);
        let first = bench.post(&modern_headers(method, params), &body(params)).await;
        assert!(!first.body.contains("ttlMs"), "{first:?}");
        let params = format!(r#"{params},"inputResponses":{{"1":{{"roots":[]}}}},"requestState":{}"#, state(&first));
        let last = bench.post(&modern_headers(method, &params), &body(&params)).await;
        assert!(last.result().starts_with(r#"{"roots":[]"#), "{last:?}");
    }
}
