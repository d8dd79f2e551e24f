//! Tasks: whose they are, what they are called, and in whose words they are told.

use router_core::{
    Reply,
    tool::{Answer, Errand},
};

use super::*;
use crate::testing::refusal;

const CORE: &str = r#"{"tools":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}"#;
const EXTENSION: &str =
    r#"{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{},"com.example/echo":{"x":1.0}}}"#;
const TAKES: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#;
const TOOLS: [(&str, &str); 1] = [(
    "tools/list",
    r#"{"tools":[{"name":"may","execution":{"taskSupport":"optional"}},{"name":"must","execution":{"taskSupport":"required"}}]}"#,
)];

fn answer(result: &str) -> Answer {
    Answer::new(raw(result))
}

/// A server of 2025-11-25 whose calls are tasks `t1`, `t2` and so on, of which `t1` is asked something.
fn core(name: &'static str) -> Arc<Fake> {
    let fake = Fake::new(name).says(&TOOLS);
    *fake.capabilities.lock() = Some(raw(CORE));
    let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
    fake.on_call(move |_, call| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        async move {
            let mut answered = match call.extra.and_then(|extra| fields::get(&extra, "task")) {
                Some(_) => {
                    answer(&format!(r#"{{"task":{{"taskId":"t{number}","status":"working","ttl":1E3}},"x":1.0}}"#))
                }
                None => answer(r#"{"content":[],"plain":true}"#),
            };
            answered.provenance_mut().upstream = Some(name.into());
            Ok(answered)
        }
    });
    fake.on_errand(|cx, errand| async move { about(&cx, &errand).await })
}

async fn about(cx: &Cx, errand: &Errand) -> router_core::Result<Answer> {
    let id = errand.params.as_ref().and_then(|params| fields::text(params, "taskId")).unwrap_or_default();
    let status = if id == "t1" { "input_required" } else { "failed" };
    Ok(match &*errand.method {
        "tasks/get" => answer(&format!(r#"{{"ttl":null,"taskId":"{id}","status":"{status}","pollInterval":5}}"#)),
        "tasks/list" => {
            let cursor = errand.params.as_ref().and_then(|params| fields::text(params, "cursor"));
            match cursor.as_deref() {
                None => answer(
                    r#"{"tasks":[{"taskId":"t0","status":"working"},{"taskId":"t1"}],"nextCursor":"p2","x":1.0}"#,
                ),
                Some("p2") => answer(r#"{"tasks":[{"a":1.0,"taskId":"t2"}]}"#),
                Some(_) => return Err(refusal(-32602, "unknown cursor")),
            }
        }
        "tasks/cancel" if id == "t1" => answer(&format!(r#"{{"taskId":"{id}","status":"cancelled"}}"#)),
        "tasks/cancel" => return Err(refusal(-32602, "it has ended")),
        "tasks/result" if id == "t1" => {
            let related = format!(r#""_meta":{{"io.modelcontextprotocol/related-task":{{"taskId":"{id}"}}}}"#);
            let asked = cx.peer().ask("elicitation/create", raw(&format!(r#"{{"message":"?",{related}}}"#))).await?;
            let said = fields::get(&asked, "content").unwrap_or_else(fields::empty);
            answer(&format!(r#"{{"content":[],"said":{},{related}}}"#, said.as_str()))
        }
        "tasks/result" => answer(r#"{"isError":true,"content":[ ]}"#),
        method => return Err(refusal(-32601, method)),
    })
}

struct Table {
    bench: Bench,
    session: String,
}

impl Table {
    async fn over(fakes: &[Arc<Fake>]) -> Self {
        let (front, closing) = front(fakes.iter().map(Fake::offer).collect());
        let bench = Bench { fake: Arc::clone(&fakes[0]), front, closing };
        let session = bench.session("2025-11-25").await;
        let table = Self { bench, session };
        table.legacy("tools/list", "").await;
        table
    }

    async fn legacy(&self, method: &str, params: &str) -> Heard {
        self.legacy_as("anonymous", &self.session, method, params).await
    }

    async fn legacy_as(&self, caller: &str, session: &str, method: &str, params: &str) -> Heard {
        let headers = [("accept", BOTH), ("mcp-session-id", session)];
        Heard::of(self.bench.send_as(caller, Method::POST, &headers, &legacy_body(7, method, params)).await).await
    }

    /// A modern request of a client who takes tasks.
    async fn modern(&self, method: &str, params: &str) -> Heard {
        let named = params.split_once(r#""taskId":""#).and_then(|(_, rest)| rest.split_once('"'));
        let mut headers = modern_headers(method, params);
        headers.extend(named.map(|(name, _)| ("mcp-name", name)));
        self.bench.post(&headers, &legacy_body(7, method, &format!("{params},{TAKES}"))).await
    }
}

fn name_in(heard: &Heard) -> String {
    let (_, rest) = heard.body.split_once(r#""taskId":""#).unwrap_or_else(|| panic!("{heard:?}"));
    rest.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_task_is_its_callers_alone() {
    let table = Table::over(&[core("s")]).await;
    let begun = table.legacy("tools/call", r#""name":"s__may","task":{"ttl":1.0}"#).await;
    let name = name_in(&begun);
    assert_eq!(begun.result(), format!(r#"{{"task":{{"taskId":"{name}","status":"working","ttl":1E3}},"x":1.0}}"#));
    let told = table.legacy("tasks/get", &format!(r#""taskId":"{name}""#)).await;
    assert_eq!(
        told.result(),
        format!(r#"{{"ttl":null,"taskId":"{name}","status":"input_required","pollInterval":5}}"#)
    );
    let hello =
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#;
    let other = Heard::of(table.bench.send_as("bob", Method::POST, &[("accept", BOTH)], hello).await).await;
    let bobs = other.headers["mcp-session-id"].to_str().unwrap();
    for (caller, session, id) in
        [("bob", bobs, &*name), ("anonymous", &*table.session, "t1"), ("anonymous", &*table.session, "")]
    {
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            let refused = table.legacy_as(caller, session, method, &format!(r#""taskId":"{id}""#)).await;
            assert_eq!(refused.code(), Some(-32602), "{caller} {method} {id}");
        }
    }
    let cancelled = table.legacy("tasks/cancel", &format!(r#""taskId":"{name}""#)).await;
    assert_eq!(cancelled.result(), format!(r#"{{"taskId":"{name}","status":"cancelled"}}"#));
}

#[tokio::test]
async fn everybody_sees_a_list_of_his_own_over_all_servers() {
    let table = Table::over(&[core("one"), core("two")]).await;
    let mut own = Vec::new();
    for tool in ["one__may", "one__may", "two__may"] {
        own.push(name_in(&table.legacy("tools/call", &format!(r#""name":"{tool}","task":{{}}"#)).await));
    }
    let (mut found, mut params) = (Vec::new(), String::new());
    for _ in 0..10 {
        let page = table.legacy("tasks/list", &params).await;
        let page = raw(page.result());
        let tasks = fields::elements(&fields::get(&page, "tasks").unwrap());
        found.extend(tasks.iter().filter_map(|task| fields::text(task, "taskId")));
        let Some(cursor) = fields::text(&page, "nextCursor") else { break };
        params = format!(r#""cursor":"{cursor}""#);
    }
    // The third is `t1` of the second server; its second page has nothing of anybody's.
    assert_eq!(found, own);
    let changed = table.legacy("tasks/list", &params.replace("cursor\":\"", "cursor\":\"A")).await;
    assert_eq!(changed.code(), Some(-32602));
    let older = table.bench.session("2025-06-18").await;
    assert_eq!(table.legacy_as("anonymous", &older, "tasks/list", "").await.code(), Some(-32601));
}

#[tokio::test]
async fn tasks_are_promised_where_a_server_has_them() {
    let plain = Fake::new("plain").says(&OFFER);
    *plain.capabilities.lock() = Some(raw(r#"{"tools":{}}"#));
    let modern = Fake::new("m").says(&TOOLS);
    *modern.capabilities.lock() = Some(raw(EXTENSION));
    let (core_tasks, extension) = (
        r#""tasks":{"requests":{"tools":{"call":{}}},"list":{},"cancel":{}}"#,
        r#""io.modelcontextprotocol/tasks":{}"#,
    );
    for (fakes, legacy, to_modern) in
        [(vec![Arc::clone(&plain)], false, false), (vec![plain, core("s")], true, true), (vec![modern], false, true)]
    {
        let (front, closing) = front(fakes.iter().map(Fake::offer).collect());
        let bench = Bench { fake: Arc::clone(&fakes[0]), front, closing };
        let hello = |version: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{version}"}}}}"#)
        };
        let last = bench.post(&[("accept", BOTH)], &hello("2025-11-25")).await;
        assert_eq!((last.body.contains(core_tasks), last.body.contains(extension)), (legacy, false), "{last:?}");
        let older = bench.post(&[("accept", BOTH)], &hello("2025-06-18")).await;
        assert!(!older.body.contains("task"), "{older:?}");
        let discovered = bench.modern(1, "server/discover", "").await;
        assert_eq!((discovered.body.contains(core_tasks), discovered.body.contains(extension)), (false, to_modern));
    }
}

#[tokio::test]
async fn a_modern_client_has_a_legacy_servers_task_in_his_own_words() {
    let table = Table::over(&[core("s")]).await;
    let begun = table.modern("tools/call", r#""name":"s__may""#).await;
    let name = name_in(&begun);
    assert_eq!(
        begun.result(),
        format!(r#"{{"taskId":"{name}","status":"working","ttlMs":1E3,"resultType":"task",{INFO}}}"#)
    );
    let asked = table.modern("tasks/get", &format!(r#""taskId":"{name}""#)).await;
    let requests = fields::get(&raw(asked.result()), "inputRequests").unwrap();
    assert_eq!(requests, raw(r#"{"1":{"method":"elicitation/create","params":{"message":"?"}}}"#));
    let wrong = format!(r#""taskId":"{name}","inputResponses":{{"1":{{"action":"maybe"}}}}"#);
    assert_eq!(table.modern("tasks/update", &wrong).await.code(), Some(-32602));
    let right =
        format!(r#""taskId":"{name}","inputResponses":{{"1":{{"action":"accept","content":{{"b":1.0}}}},"9":1}}"#);
    assert_eq!(table.modern("tasks/update", &right).await.result(), format!(r#"{{"resultType":"complete",{INFO}}}"#));
    let over = table.modern("tools/call", r#""name":"s__must""#).await;
    let name = name_in(&over);
    let ended = table.modern("tasks/get", &format!(r#""taskId":"{name}""#)).await;
    let told = format!(
        r#"{{"ttlMs":null,"taskId":"{name}","status":"completed","pollIntervalMs":5,"result":{{"isError":true,"content":[ ]}},"resultType":"complete",{INFO}}}"#
    );
    assert_eq!(ended.result(), told, "what a tool tells of its failure is a result here");
    let cancelled = table.modern("tasks/cancel", &format!(r#""taskId":"{name}""#)).await;
    assert_eq!(cancelled.result(), format!(r#"{{"resultType":"complete",{INFO}}}"#), "although it has ended");
    for method in ["tasks/result", "tasks/list"] {
        assert_eq!(table.modern(method, &format!(r#""taskId":"{name}""#)).await.code(), Some(-32601), "{method}");
    }
    let mut headers = modern_headers("tasks/get", "");
    headers.push(("mcp-name", &name));
    let body = modern_body(1, "tasks/get", &format!(r#""taskId":"{name}""#));
    assert_eq!(table.bench.post(&headers, &body).await.code(), Some(-32021), "who takes no tasks");
}

#[tokio::test]
async fn whoever_knows_no_tasks_is_answered_with_what_came_of_one() {
    let table = Table::over(&[core("s")]).await;
    table.legacy("tools/call", r#""name":"s__may","task":{}"#).await;
    let older = table.bench.session("2025-06-18").await;
    let whole = table.legacy_as("anonymous", &older, "tools/call", r#""name":"s__must""#).await;
    assert_eq!(whole.result(), r#"{"isError":true,"content":[ ]}"#);
    let modern = table.bench.modern(1, "tools/call", r#""name":"s__must""#).await;
    assert_eq!(modern.result(), format!(r#"{{"isError":true,"content":[ ],"resultType":"complete",{INFO}}}"#));
    let plain = table.bench.modern(1, "tools/call", r#""name":"s__may""#).await;
    assert!(plain.body.contains(r#""plain":true"#), "{plain:?}");
    let told = table.legacy("tools/call", r#""name":"s__must""#).await;
    assert_eq!(told.code(), Some(-32601), "a client of 2025-11-25 can say `task` himself");
}

/// A modern server that answers with tasks, or not at all.
fn extension() -> Arc<Fake> {
    let fake = Fake::new("s").says(&[("tools/list", r#"{"tools":[{"name":"long"}]}"#)]);
    *fake.capabilities.lock() = Some(raw(EXTENSION));
    let takes = r#""io.modelcontextprotocol/tasks":{}"#;
    fake.on_call(move |_, call| async move {
        if !call.extra.is_some_and(|extra| extra.as_str().contains(takes)) {
            let data = raw(r#"{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#);
            let lacking = rpc::RpcError::new(rpc::code::MISSING_CAPABILITY, "no").with_data(data);
            return Err(crate::client::failure(&lacking));
        }
        let mut begun =
            answer(r#"{"resultType":"task","taskId":"x1","status":"working","ttlMs":1.0,"pollIntervalMs":1}"#);
        begun.is_interim = true;
        begun.provenance_mut().upstream = Some("s".into());
        Ok(begun)
    });
    let asked = Arc::new(std::sync::atomic::AtomicU64::new(0));
    fake.on_errand(move |_, errand| {
        let asked = Arc::clone(&asked);
        async move {
            let count = asked.load(std::sync::atomic::Ordering::Relaxed);
            Ok(match &*errand.method {
                "tasks/get" if count == 0 => answer(
                    r#"{"taskId":"x1","status":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"?"}}}}"#,
                ),
                "tasks/get" => answer(r#"{"taskId":"x1","status":"completed","result":{"content":[],"z":1.0}}"#),
                "tasks/update" => {
                    asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    answer(r#"{"resultType":"complete"}"#)
                }
                "echo/back" => answer(&format!(r#"{{"said":{}}}"#, errand.params.as_ref().unwrap().as_str())),
                method => return Err(refusal(-32601, method)),
            })
        }
    })
}

#[tokio::test]
async fn the_modern_extension_passes_but_for_the_name() {
    let table = Table::over(&[extension()]).await;
    let begun = table.modern("tools/call", r#""name":"s__long""#).await;
    let name = name_in(&begun);
    assert_eq!(
        begun.result(),
        format!(
            r#"{{"resultType":"task","taskId":"{name}","status":"working","ttlMs":1.0,"pollIntervalMs":1,{INFO}}}"#
        )
    );
    table.modern("tasks/update", &format!(r#""taskId":"{name}","inputResponses":{{"k":{{"z":1.0}}}}"#)).await;
    let asked = table.bench.fake.asked.lock().last().cloned().unwrap();
    assert_eq!(asked, format!(r#"tasks/update {{"taskId":"x1","inputResponses":{{"k":{{"z":1.0}}}},{TAKES}}}"#));
    let ended = table.modern("tasks/get", &format!(r#""taskId":"{name}""#)).await;
    assert!(
        ended
            .result()
            .contains(&format!(r#""taskId":"{name}","status":"completed","result":{{"content":[],"z":1.0}}"#))
    );
    assert_eq!(table.bench.modern(1, "tools/call", r#""name":"s__long""#).await.code(), Some(-32021));
}

#[tokio::test]
async fn a_legacy_client_is_asked_for_and_answered_with_what_came_of_a_modern_task() {
    let table = Table::over(&[extension()]).await;
    let headers = [("accept", BOTH), ("mcp-session-id", &*table.session)];
    let body = legacy_body(7, "tools/call", r#""name":"s__long""#);
    let mut call = table.bench.send(Method::POST, &headers, &body).await.into_body();
    let question = next(&mut call).await.unwrap();
    assert!(question.contains("elicitation/create"), "{question}");
    let id = fields::number(&raw(&question), "id").unwrap();
    let said = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"accept"}}}}"#);
    assert_eq!(table.bench.send(Method::POST, &headers, &said).await.status(), 202);
    assert_eq!(next(&mut call).await.unwrap(), r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"z":1.0}}"#);
}

#[tokio::test]
async fn a_method_of_an_extension_finds_the_server_that_announces_it() {
    let table = Table::over(&[extension(), core("t")]).await;
    let echoed = table.bench.modern(1, "echo/back", r#""z":1.0, "a":[ ]"#).await;
    assert_eq!(echoed.result(), format!(r#"{{"said":{{"z":1.0, "a":[ ],{META}}},"resultType":"complete",{INFO}}}"#));
    let echoed = table.legacy("echo/back", r#""z":1.0"#).await;
    assert_eq!(echoed.result(), r#"{"said":{"z":1.0}}"#);
    for method in ["other/thing", "notifications/x", "ping", "resources/subscribe", "tasks/else"] {
        let unknown = table.bench.modern(1, method, "").await;
        assert_eq!((unknown.status, unknown.code()), (404, Some(-32601)), "{method}");
    }
    let discovered = table.bench.modern(1, "server/discover", "").await;
    assert!(discovered.body.contains(r#""com.example/echo":{"x":1.0}"#), "{discovered:?}");
}
