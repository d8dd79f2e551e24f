//! Over HTTP.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use parking_lot::Mutex;
use router_core::{CacheUse, Error, Kind, Note, Provenance, Reply, Source, tool::Answer};
use tokio::{sync::Notify, time::sleep};

use super::*;

#[tokio::test]
async fn every_method_answers_in_both_eras() {
    let bench = Bench::new();
    let session = bench.session("2025-11-25").await;
    let legacy = [("accept", BOTH), ("mcp-session-id", &*session), ("mcp-protocol-version", "2025-11-25")];
    let cached = r#""ttlMs":0,"cacheScope":"private""#;
    for (method, params, result, hints) in [
        ("tools/list", "", OFFER[0].1.replace("echo", "s__echo"), true),
        ("resources/list", "", OFFER[1].1.to_owned(), true),
        ("resources/templates/list", "", OFFER[2].1.to_owned(), true),
        ("resources/read", r#""uri":"x:1""#, OFFER[3].1.to_owned(), true),
        ("prompts/list", "", OFFER[4].1.replace("hi", "s__hi"), true),
        ("prompts/get", r#""name":"s__hi""#, OFFER[5].1.to_owned(), false),
        (
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"s__hi"},"argument":{"name":"a","value":""}"#,
            OFFER[6].1.to_owned(),
            false,
        ),
        ("tools/call", r#""name":"s__echo","arguments":{}"#, r#"{"content":[]}"#.to_owned(), false),
    ] {
        let heard = bench.post(&legacy, &legacy_body(7, method, params)).await;
        assert_eq!(
            (heard.status, heard.body),
            (200, format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#)),
            "{method}"
        );

        let heard = bench.modern(8, method, params).await;
        assert_eq!(
            (heard.status, heard.headers["content-type"].to_str().unwrap()),
            (200, "application/json"),
            "{method}"
        );
        let open = result.strip_suffix('}').unwrap();
        let complete = format!(r#""resultType":"complete",{INFO}"#);
        let told = heard.result();
        assert!(told.starts_with(open) && told.contains(&complete), "{method}: {told}");
        assert_eq!(
            told.contains(cached) || told.contains(&cached.replace(',', &format!(",{complete},"))),
            hints,
            "{told}"
        );
    }
    for (method, params) in [("ping", ""), ("logging/setLevel", r#""level":"error""#)] {
        assert_eq!(bench.post(&legacy, &legacy_body(1, method, params)).await.result(), "{}");
        let heard = bench.modern(1, method, params).await;
        assert_eq!((heard.status, heard.code()), (404, Some(-32601)), "{method} has gone");
    }
    for method in ["server/discover", "subscriptions/listen", "nonsense"] {
        let heard = bench.post(&legacy, &legacy_body(1, method, "")).await;
        assert_eq!((heard.status, heard.code()), (200, Some(-32601)), "{method}");
    }
}

#[tokio::test]
async fn the_two_greetings_say_the_same() {
    let bench = Bench::new();
    *bench.fake.capabilities.lock() = Some(raw(r#"{"tools":{},"prompts":{},"completions":{}}"#));
    *bench.fake.instructions.lock() = Some("Be \"kind\".".to_owned());
    let about = r#""capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"completions":{}}"#;
    let instructions = r##""instructions":"# s\n\nBe \"kind\".""##;
    let heard = bench.modern(1, "server/discover", "").await;
    assert_eq!(
        heard.result(),
        format!(
            r#"{{"supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],{about},{instructions},"resultType":"complete",{INFO},"ttlMs":0,"cacheScope":"private"}}"#
        )
    );
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let body = legacy_body(1, "initialize", &format!(r#""protocolVersion":"{asked}","capabilities":{{}}"#));
        let heard = bench.post(&[], &body).await;
        let about = if agreed == "2024-11-05" { about.replace(r#","completions":{}"#, "") } else { about.to_owned() };
        assert_eq!(
            heard.result(),
            format!(
                r#"{{"protocolVersion":"{agreed}",{about},"serverInfo":{{"name":"router","version":"1"}},{instructions}}}"#
            )
        );
        let id = heard.headers["mcp-session-id"].to_str().unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

/// Whether a call's caller had left when the call was dropped.
struct Dropped(Cx, Arc<Mutex<Vec<bool>>>);

impl Dropped {
    async fn hangs(self) {
        std::future::pending::<()>().await;
        drop(self);
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.1.lock().push(self.0.cancel().is_cancelled());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_who_goes_away_is_told_from_a_call_that_takes_too_long() {
    let allowed = Duration::from_secs(5);
    for (patience, left) in [(allowed / 2, true), (allowed * 2, false)] {
        let (bench, ends) = (Bench::new(), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&ends);
        bench.fake.on_call(move |cx, _| {
            let dropped = Dropped(cx, Arc::clone(&told));
            async move {
                drop(tokio::time::timeout(allowed, dropped.hangs()).await);
                Ok(Answer::new(raw("{}")))
            }
        });
        let asked = tokio::time::timeout(patience, bench.modern(1, "tools/call", r#""name":"s__echo""#)).await;
        assert_eq!((asked.is_err(), &**ends.lock()), (left, &[left][..]));
    }
}

#[tokio::test]
async fn bytes_that_need_not_change_do_not() {
    let bench = Bench::new();
    let golden = r#"{ "content":[{"type":"future/kind","x":1.50,"a":"\u00e9é"}] , "structuredContent":{"zeta":12345678901234567890123,"alpha":[1e400e]},"vendorTop":{ "b":1,"a":2 },"_meta":{"v":1}}"#
        .replace("1e400e", "1e300");
    let (answer, session) = (golden.clone(), bench.session("2025-06-18").await);
    bench.fake.on_call(move |_, _| {
        let answer = answer.clone();
        async move { Ok(Answer::new(raw(&answer))) }
    });
    let params =
        r#""task":{"ttl":1.0},"name":"s__echo","arguments":{ "z":1e2, "a" : 9007199254740993 },"x-vendor":[ ]"#;
    let heard = bench.post(&[("mcp-session-id", &session)], &legacy_body(1, "tools/call", params)).await;
    assert_eq!(heard.result(), golden);
    let heard = bench.modern(1, "tools/call", params).await;
    let modern = golden.replace(r#""_meta":{"v":1}"#, &format!(r#""_meta":{{"v":1,{}"#, &INFO[9..]));
    assert_eq!(heard.result(), format!(r#"{},"resultType":"complete"}}"#, modern.strip_suffix('}').unwrap()));
    let calls = bench.fake.calls.lock();
    assert_eq!(calls[0].arguments, Some(raw(r#"{ "z":1e2, "a" : 9007199254740993 }"#)));
    assert_eq!(calls[0].extra, Some(raw(&format!("{{{params}}}"))));
    assert_eq!(calls[1].extra, Some(raw(&format!("{{{params},{META}}}"))));
}

#[tokio::test]
async fn a_thousand_clients_with_the_same_ids_each_hear_their_own_answer() {
    let bench = Bench::new();
    bench.fake.on_call(|_, call| async move {
        let nonce = fields::number(&call.arguments.unwrap(), "nonce").unwrap();
        sleep(Duration::from_millis(nonce % 7)).await;
        Ok(Answer::new(raw(&format!(r#"{{"content":[{nonce}]}}"#))))
    });
    let session = bench.session("2025-11-25").await;
    let clients = (0..1_000_u64).map(|nonce| {
        let (bench, session) = (&bench, &session);
        async move {
            let params = format!(r#""name":"s__echo","arguments":{{"nonce":{nonce}}}"#);
            let heard = match nonce % 3 {
                0 => bench.modern(nonce % 2, "tools/call", &params).await,
                1 => bench.post(&[], &legacy_body(nonce % 2, "tools/call", &params)).await,
                _ => bench.post(&[("mcp-session-id", session)], &legacy_body(nonce % 2, "tools/call", &params)).await,
            };
            heard.body.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[{nonce}]"#, nonce % 2))
        }
    });
    assert!(join_all(clients).await.into_iter().all(|own| own));
}

#[tokio::test]
async fn what_is_not_let_in_is_told_why() {
    let bench = Bench::new();
    let list = modern_body(1, "tools/list", "");
    let version = ("mcp-protocol-version", "2026-07-28");
    let method = ("mcp-method", "tools/list");
    let future = list.replace("2026-07-28", "2099-01-01");
    let unable = list.replace("clientCapabilities", "x");
    let call = modern_body(1, "tools/call", r#""name":"s__echo","arguments":{"zone":"eu"}"#);
    let twice = call.replace(r#""zone":"eu""#, r#""zone":"eu","zone":"us""#);
    let named = [version, ("mcp-method", "tools/call"), ("mcp-name", "s__echo")];
    bench.modern(1, "tools/list", "").await;
    for (headers, body, status, code) in [
        (vec![version, method], &*list, 200, None),
        (vec![method], &list, 400, Some(-32020)),
        (vec![version], &list, 400, Some(-32020)),
        (vec![version, version, method], &list, 400, Some(-32020)),
        (vec![("mcp-protocol-version", "2025-11-25"), method], &list, 400, Some(-32020)),
        (vec![version, ("mcp-method", "tools/call")], &list, 400, Some(-32020)),
        (vec![("mcp-protocol-version", "2099-01-01"), method], &future, 400, Some(-32022)),
        (vec![version, method], &future, 400, Some(-32020)),
        (vec![version, method], &unable, 400, Some(-32602)),
        (vec![version, method], &legacy_body(1, "tools/list", ""), 400, Some(-32602)),
        (vec![("mcp-protocol-version", "1999-01-01")], &legacy_body(1, "tools/list", ""), 400, Some(-32022)),
        (vec![("mcp-protocol-version", "2025-06-18")], &legacy_body(1, "tools/list", ""), 200, None),
        (vec![], &legacy_body(1, "tools/list", ""), 200, None),
        (vec![version, method, ("mcp-session-id", "gone")], &list, 200, None),
        (vec![("mcp-session-id", "gone")], &legacy_body(1, "tools/list", ""), 404, Some(404)),
        (named.to_vec(), &call, 400, Some(-32020)),
        ([&named[..], &[("mcp-param-zone", "us")]].concat(), &call, 400, Some(-32020)),
        ([&named[..], &[("mcp-param-zone", "eu")]].concat(), &call, 200, None),
        ([&named[..], &[("mcp-param-zone", "eu")]].concat(), &twice, 400, Some(-32020)),
        (vec![], "{", 400, Some(-32700)),
        (vec![], "[]", 400, Some(-32600)),
        (vec![], r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#, 400, Some(-32600)),
        (vec![], r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, 400, Some(-32600)),
        (vec![], r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 400, Some(-32600)),
    ] {
        let heard = bench.post(&headers, body).await;
        assert_eq!((heard.status, heard.code()), (status, code), "{headers:?} {body} {heard:?}");
    }
    let heard = bench.post(&[("mcp-protocol-version", "2099-01-01"), method], &future).await;
    assert!(
        heard.body.contains(r#""data":{"supported":["2026-07-28","2025-11-25""#) && heard.body.contains(r#""id":1"#)
    );
}

#[tokio::test]
async fn a_session_is_its_openers_until_he_ends_it() {
    let bench = Bench::new();
    let session = bench.session("2025-11-25").await;
    let headers = [("mcp-session-id", &*session), ("accept", BOTH)];
    let ping = legacy_body(1, "ping", "");
    assert_eq!(bench.post(&headers, &ping).await.status, 200);
    for method in [Method::POST, Method::GET, Method::DELETE] {
        assert_eq!(bench.send_as("mallory", method, &headers, &ping).await.status(), 404);
    }
    for (method, headers, status) in [
        (Method::GET, &[][..], 405),
        (Method::DELETE, &[], 405),
        (Method::PUT, &headers, 405),
        (Method::GET, &headers[..1], 406),
        (Method::GET, &headers, 200),
        (Method::DELETE, &headers, 204),
        (Method::DELETE, &headers, 404),
        (Method::GET, &headers, 404),
        (Method::POST, &headers, 404),
    ] {
        assert_eq!(bench.send(method.clone(), headers, &ping).await.status(), status, "{method}");
    }
}

#[tokio::test]
async fn batches_belong_to_one_revision() {
    let bench = Bench::new();
    let batch = format!(
        r#"[{},{},{{"jsonrpc":"2.0","method":"notifications/initialized"}},5]"#,
        legacy_body(1, "ping", ""),
        legacy_body(1, "tools/call", r#""name":"s__echo""#)
    );
    let answers = concat!(
        r#"[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":1,"result":{"content":[]}},"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"a message is a JSON object"}}]"#
    );
    let old = bench.session("2025-03-26").await;
    for headers in [vec![], vec![("mcp-protocol-version", "2025-03-26")], vec![("mcp-session-id", &*old)]] {
        let heard = bench.post(&headers, &batch).await;
        assert_eq!((heard.status, &*heard.body), (200, answers), "{headers:?}");
    }
    let silent = bench.post(&[], r#"[{"jsonrpc":"2.0","method":"x"}]"#).await;
    assert_eq!((silent.status, &*silent.body), (202, ""));
    let new = bench.session("2025-11-25").await;
    for headers in [vec![("mcp-protocol-version", "2025-06-18")], vec![("mcp-session-id", &*new)]] {
        let heard = bench.post(&headers, &batch).await;
        assert_eq!((heard.status, heard.code()), (400, Some(-32600)), "{headers:?}");
    }
}

/// Makes the tool wait for a sign, and count how its calls end.
fn waits(bench: &Bench) -> (Arc<Notify>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (sign, finished, dropped) =
        (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (wait, count, drops) = (Arc::clone(&sign), Arc::clone(&finished), Arc::clone(&dropped));
    bench.fake.on_call(move |_, _| {
        let (wait, count, drops) = (Arc::clone(&wait), Arc::clone(&count), Count(Arc::clone(&drops)));
        async move {
            wait.notified().await;
            count.fetch_add(1, Ordering::SeqCst);
            drop(drops);
            Ok(Answer::new(raw("{}")))
        }
    });
    (sign, finished, dropped)
}

#[tokio::test(start_paused = true)]
async fn going_away_cancels_a_modern_call_and_not_a_legacy_one() {
    let bench = Bench::new();
    let (sign, finished, dropped) = waits(&bench);
    let params = r#""name":"s__echo""#;
    let modern = bench.modern(1, "tools/call", params);
    assert!(tokio::time::timeout(Duration::from_secs(1), modern).await.is_err());
    assert_eq!((finished.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (0, 1));

    let body = legacy_body(1, "tools/call", params);
    let legacy = bench.send(Method::POST, &[], &body);
    assert!(tokio::time::timeout(Duration::from_secs(1), legacy).await.is_err());
    assert_eq!((finished.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (0, 1), "it goes on");
    sign.notify_one();
    sleep(Duration::from_millis(1)).await;
    assert_eq!((finished.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (1, 2));

    // The same when the stream has begun already.
    let headers = modern_headers("tools/call", params);
    let body = bench.send(Method::POST, &headers, &modern_body(1, "tools/call", params)).await;
    assert_eq!(body.headers()["content-type"], "text/event-stream", "after 10 s of silence");
    drop(body);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_legacy_client_cancels_by_word() {
    let bench = Bench::new();
    let (_, finished, dropped) = waits(&bench);
    let (mine, other) = (bench.session("2025-11-25").await, bench.session("2025-11-25").await);
    let headers = [("mcp-session-id", &*mine)];
    let call = legacy_body(5, "tools/call", r#""name":"s__echo""#);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#;
    let cancels = async {
        sleep(Duration::from_millis(5)).await;
        assert_eq!(bench.post(&[("mcp-session-id", &other)], cancel).await.status, 202);
        assert_eq!(dropped.load(Ordering::SeqCst), 0, "the same id in another session");
        assert_eq!(bench.post(&headers, cancel).await.status, 202);
    };
    let (heard, ()) = tokio::join!(bench.post(&headers, &call), cancels);
    assert_eq!((heard.code(), finished.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (Some(499), 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_over_at_its_deadline() {
    let bench = Bench::new();
    let (_, _, dropped) = waits(&bench);
    let heard = bench.post(&[], &legacy_body(1, "tools/call", r#""name":"s__echo""#)).await;
    assert!(heard.result().contains(r#""mcp-router/error":{"kind":"deadline","outcome":"unknown"}"#), "{heard:?}");
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

fn note(method: &str, params: &str) -> Note {
    Note { method: method.into(), params: raw(params) }
}

#[tokio::test]
async fn notes_go_before_the_answer_to_those_who_want_them() {
    let bench = Bench::new();
    bench.fake.on_call(|cx, _| async move {
        cx.peer().notify(note("notifications/progress", r#"{"progressToken":"ours","progress":0.50}"#));
        cx.peer().notify(note("notifications/message", r#"{"level":"info","data":1}"#));
        cx.peer().notify(note("notifications/message", r#"{"level":"error","data":2}"#));
        Ok(Answer::new(raw("{\n\"content\":[]}")))
    });
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"mine","progress":0.50}}"#;
    let log = |level: &str, data: u8| {
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"{level}","data":{data}}}}}"#)
    };
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{ "content":[]}}"#;
    let token = r#""name":"s__echo","_meta":{"progressToken":"mine"}"#;

    let session = bench.session("2025-11-25").await;
    let headers = [("mcp-session-id", &*session), ("accept", BOTH)];
    let heard = bench.post(&headers, &legacy_body(1, "tools/call", token)).await;
    assert_eq!(heard.events(), [progress, &log("info", 1), &log("error", 2), answer]);
    bench.post(&headers, &legacy_body(1, "logging/setLevel", r#""level":"warning""#)).await;
    let heard = bench.post(&headers, &legacy_body(1, "tools/call", r#""name":"s__echo""#)).await;
    assert_eq!(heard.events(), [&log("error", 2), answer]);
    let heard = bench.post(&headers[..1], &legacy_body(1, "tools/call", token)).await;
    assert_eq!(heard.body, answer.replace("{ \"", "{\n\""), "a client without events gets the answer");

    let heard = bench.modern(1, "tools/call", r#""name":"s__echo""#).await;
    assert_eq!(heard.headers["content-type"], "application/json", "a modern client has to ask for notes");
    let body = modern_body(1, "tools/call", r#""name":"s__echo""#)
        .replace(r#""_meta":{"#, r#""_meta":{"progressToken":7,"io.modelcontextprotocol/logLevel":"error","#);
    let heard = bench.post(&modern_headers("tools/call", r#""name":"s__echo""#), &body).await;
    assert_eq!(heard.events()[..2], [&progress.replace("\"mine\"", "7"), &log("error", 2)]);
    assert_eq!(heard.events().len(), 3);
}

#[tokio::test]
async fn a_question_of_a_server_goes_along_the_stream_and_its_answer_comes_back() {
    let bench = Bench::new();
    bench.fake.on_call(|cx, _| async move {
        match cx.peer().ask("elicitation/create", raw(r#"{"message":"Sure?"}"#)).await {
            Ok(answer) => Ok(Answer::new(answer)),
            Err(error) => Ok(Answer::new(raw(&format!(r#"{{"no":"{}"}}"#, error.kind().as_str())))),
        }
    });
    let session = bench.session("2025-11-25").await;
    let headers = [("mcp-session-id", &*session), ("accept", BOTH)];
    let call = legacy_body(1, "tools/call", r#""name":"s__echo""#);
    let mut body = bench.send(Method::POST, &headers, &call).await.into_body();
    let question = r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"Sure?"}}"#;
    assert_eq!(next(&mut body).await.unwrap(), question);
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}"#;
    assert_eq!(bench.post(&headers[1..], answer).await.status, 400);
    assert_eq!(bench.post(&headers, answer).await.status, 202);
    assert_eq!(next(&mut body).await.unwrap(), r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}"#);
    assert_eq!(next(&mut body).await, None);

    let heard = bench.modern(1, "tools/call", r#""name":"s__echo""#).await;
    assert!(heard.result().starts_with(r#"{"no":"refused""#), "{heard:?}");
    assert!(bench.post(&[], &call).await.result().starts_with(r#"{"no":"refused""#));
}

#[tokio::test]
async fn changes_reach_those_who_listen() {
    let bench = Bench::new();
    let params =
        r#""notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourceSubscriptions":["no:1"]}"#;
    let body = modern_body(9, "subscriptions/listen", params);
    let headers = modern_headers("subscriptions/listen", "");
    let mut modern = bench.send(Method::POST, &headers, &body).await.into_body();
    let session = bench.session("2025-11-25").await;
    let headers = [("mcp-session-id", &*session), ("accept", BOTH)];
    let mut legacy = bench.send(Method::GET, &headers, "").await.into_body();
    let mark = r#""_meta":{"io.modelcontextprotocol/subscriptionId":9}"#;
    assert_eq!(
        next(&mut modern).await.unwrap(),
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{{mark},"notifications":{{"toolsListChanged":true}}}}}}"#
        )
    );
    bench.fake.change(|revision| *revision = revision.anew());
    let changed = |list: &str| format!(r#"{{"jsonrpc":"2.0","method":"notifications/{list}/list_changed"}}"#);
    for list in ["tools", "resources", "prompts"] {
        assert_eq!(next(&mut legacy).await.unwrap(), changed(list));
    }
    let marked = format!(r#"_changed","params":{{{mark}}}}}"#);
    assert_eq!(next(&mut modern).await.unwrap(), changed("tools").replace(r#"_changed"}"#, &marked));
    bench.closing.cancel();
    assert_eq!(
        next(&mut modern).await.unwrap(),
        format!(r#"{{"jsonrpc":"2.0","id":9,"result":{{{mark},"resultType":"complete"}}}}"#)
    );
    assert_eq!((next(&mut modern).await, next(&mut legacy).await), (None, None));
}

#[tokio::test]
async fn failures_are_results_for_models_and_errors_for_programs() {
    let bench = Bench::new();
    bench.fake.on_call(|_, call| async move {
        Err(match call.arguments.as_ref().map(Raw::as_str) {
            Some(r#"{"own":1}"#) => crate::testing::refusal(-32000, "own"),
            _ => Error::new(Kind::Timeout, "no answer within 30 s"),
        })
    });
    for (params, code, told) in [
        (r#""name":"s__echo""#, None, r#""mcp-router/error":{"kind":"timeout","outcome":"unknown","upstream":"s"}"#),
        (r#""name":"s__echo""#, None, r#""text":"s: no answer within 30 s"}],"isError":true"#),
        (r#""name":"s__echo","arguments":{"own":1}"#, Some(-32000), r#""message":"own""#),
        (r#""name":"s__ecko""#, Some(-32602), r#""message":"unknown tool: s__ecko (did you mean s__echo?)""#),
        (r#""name":"s__echo","arguments":[]"#, Some(-32602), "`arguments`"),
        (r#""x":1"#, Some(-32602), "`name`"),
    ] {
        bench.modern(1, "tools/list", "").await;
        let heard = bench.modern(1, "tools/call", params).await;
        assert_eq!((heard.status, heard.code()), (200, code), "{heard:?}");
        assert!(heard.body.contains(told), "{heard:?}");
    }
    bench.fake.on_lookup(|_, _| async { Err(Error::new(Kind::Open, "the breaker is open")) });
    let heard = bench.post(&[], &legacy_body(1, "prompts/get", r#""name":"s__hi""#)).await;
    assert_eq!(
        heard.body,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":503,"message":"s: the breaker is open","data":{"kind":"open","outcome":"not_sent","upstream":"s"}}}"#
    );
}

#[tokio::test]
async fn an_answer_from_the_cache_says_so() {
    let bench = Bench::new();
    bench.fake.on_call(|_, _| async {
        let mut answer = Answer::new(raw(r#"{"content":[]}"#));
        answer.provenance_mut().source = Source::Cache;
        answer.provenance_mut().cache = CacheUse::Hit;
        Ok(answer)
    });
    let heard = bench.post(&[], &legacy_body(1, "tools/call", r#""name":"s__echo""#)).await;
    assert_eq!(heard.result(), r#"{"content":[],"_meta":{"mcp-router/source":"cache","mcp-router/cache":"hit"}}"#);
}

#[tokio::test]
async fn the_answer_of_an_upstream_brings_where_it_is_from() {
    let bench = Bench::new();
    let from = Provenance { upstream: Some("s".into()), cache: CacheUse::Miss, ..Provenance::default() };
    let given = from.clone();
    bench.fake.on_call(move |_, _| {
        let mut answer = Answer::new(raw("{}"));
        *answer.provenance_mut() = given.clone();
        async move { Ok(answer) }
    });
    let call = legacy_body(1, "tools/call", r#""name":"s__echo""#);
    let ping = legacy_body(1, "ping", "");
    for (accept, body, expected) in
        [("application/json", &call, Some(&from)), (BOTH, &call, Some(&from)), (BOTH, &ping, None)]
    {
        let response = bench.send(Method::POST, &[("accept", accept)], body).await;
        assert_eq!(response.extensions().get::<Provenance>(), expected, "{accept} {body}");
    }
}

#[tokio::test]
async fn a_call_that_panics_takes_nobody_along() {
    let bench = Bench::new();
    bench.fake.on_call(|_, _| async { panic!("a defect") });
    let heard = bench.post(&[], &legacy_body(1, "tools/call", r#""name":"s__echo""#)).await;
    assert_eq!(heard.code(), Some(-32603));
    assert_eq!(bench.post(&[], &legacy_body(1, "ping", "")).await.result(), "{}");
}
