//! A very fast local LLM upstream: OpenAI chat/embeddings/models/responses, Anthropic messages, Ollama chat/embed.
//! One thread, answers rendered ahead of time. Listens on 127.0.0.1 only.
//!
//! Steering per request, by model name: `fail-500`, `fail-429`, `fail-503`, `fail-rst`, `fail-hang`,
//! `fail-truncate`, `fail-garbage`, `fail-empty`; a model name holding `tool` answers with a call of the first tool offered
//! (unless the conversation already holds a tool result).
//! `POST /__config?latency_ms=5&chunks=20` changes any option at run time; `GET /__stats`, `POST /__reset`;
//! `GET /__last` (with --keep-last) shows what the gateway really sent.
use bench::http1::{RecvBuf, Request, read_request};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

#[derive(Parser, Clone)]
struct Opt {
    #[arg(long, default_value_t = 19000)]
    port: u16,
    /// Wait before the first byte of every answer.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Content events of a streamed answer.
    #[arg(long, default_value_t = 100)]
    chunks: usize,
    /// Wait between streamed events.
    #[arg(long, default_value_t = 0)]
    chunk_delay_ms: u64,
    /// Content bytes of each streamed event.
    #[arg(long, default_value_t = 16)]
    chunk_bytes: usize,
    /// Content bytes of an answer that is not streamed (the whole body is ~300 bytes larger).
    #[arg(long, default_value_t = 1750)]
    size: usize,
    /// Share of requests that fail (0..1), in the way of --fail-kind.
    #[arg(long, default_value_t = 0.0)]
    fail_rate: f64,
    #[arg(long, value_enum, default_value_t = Fail::E500)]
    fail_kind: Fail,
    #[arg(long, default_value_t = 384)]
    embed_dim: usize,
    /// Arguments of the mock tool call (JSON).
    #[arg(long, default_value = r#"{"text":"hello"}"#)]
    tool_args: String,
    /// Write a whole stream with one write (only without a delay).
    #[arg(long)]
    coalesce: bool,
    /// Keep the last request for GET /__last.
    #[arg(long)]
    keep_last: bool,
}

#[derive(Clone, Copy, PartialEq, Debug, ValueEnum)]
enum Fail {
    #[value(name = "500")]
    E500,
    #[value(name = "503")]
    E503,
    #[value(name = "429")]
    E429,
    Rst,
    Hang,
    /// Stops in the middle of the answer.
    Truncate,
    /// 200 with a body that is not JSON.
    Garbage,
    /// Closes without an answer.
    Empty,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Api {
    Chat,
    Responses,
    Messages,
    OllamaChat,
}

/// Answers rendered ahead of time for the present options.
struct Rendered {
    whole: BTreeMap<Api, Vec<u8>>,
    stream: BTreeMap<Api, Vec<Vec<u8>>>,
    /// The OpenAI usage event, sent only to those who asked for it.
    usage_event: Vec<u8>,
}

#[derive(Default)]
struct Stats {
    requests: u64,
    by_path: BTreeMap<String, u64>,
    streams: u64,
    failed: u64,
    bytes_in: u64,
    connections: u64,
    open: u64,
    max_open: u64,
    in_flight: u64,
    max_in_flight: u64,
    client_gone: u64,
    last: Option<Value>,
}

struct Shared {
    opt: RefCell<Opt>,
    ren: RefCell<Rc<Rendered>>,
    stats: RefCell<Stats>,
    rng: RefCell<u64>,
}

fn text(n: usize) -> String {
    const W: &str = "The quick brown fox jumps over the lazy dog and keeps running through the quiet forest. ";
    W.chars().cycle().take(n).collect()
}

fn http(status: &str, ctype: &str, body: &[u8], extra: &str) -> Vec<u8> {
    let mut v = format!("HTTP/1.1 {status}\r\ncontent-type: {ctype}\r\n{extra}content-length: {}\r\n\r\n", body.len()).into_bytes();
    v.extend_from_slice(body);
    v
}

fn http_json(body: &Value) -> Vec<u8> {
    http("200 OK", "application/json", body.to_string().as_bytes(), "x-request-id: req_mock\r\n")
}

fn stream_head(ctype: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {ctype}\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes()
}

fn frame(payload: &str) -> Vec<u8> {
    format!("{:x}\r\n{payload}\r\n", payload.len()).into_bytes()
}

fn sse(v: &Value) -> Vec<u8> {
    frame(&format!("data: {v}\n\n"))
}

fn named(v: &Value) -> Vec<u8> {
    frame(&format!("event: {}\ndata: {v}\n\n", v["type"].as_str().unwrap_or("")))
}

const T0: u64 = 1_760_000_000;
const ID: &str = "chatcmpl-mock000000000000000000000";
const M: &str = "mock-model";

fn chat_chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({"id": ID, "object": "chat.completion.chunk", "created": T0, "model": M,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
}

fn chat_message(msg: Value, finish: &str) -> Value {
    json!({"id": ID, "object": "chat.completion", "created": T0, "model": M,
        "choices": [{"index": 0, "message": msg, "logprobs": null, "finish_reason": finish}],
        "usage": {"prompt_tokens": 250, "completion_tokens": 400, "total_tokens": 650},
        "system_fingerprint": "fp_mock"})
}

fn anthropic_message(content: Value, stop: &str) -> Value {
    json!({"id": "msg_mock0000000000000000", "type": "message", "role": "assistant", "model": M,
        "content": content, "stop_reason": stop, "stop_sequence": null,
        "usage": {"input_tokens": 250, "output_tokens": 400}})
}

fn response_object(output: Value, status: &str) -> Value {
    json!({"id": "resp_mock0000000000000000", "object": "response", "created_at": T0, "status": status, "model": M,
        "error": null, "incomplete_details": null, "instructions": null, "metadata": {}, "parallel_tool_calls": true,
        "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0, "output": output,
        "usage": {"input_tokens": 250, "output_tokens": 400, "total_tokens": 650,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}})
}

fn render(o: &Opt) -> Rendered {
    let body = text(o.size);
    let piece = text(o.chunk_bytes);
    let mut whole = BTreeMap::new();
    whole.insert(Api::Chat, http_json(&chat_message(json!({"role": "assistant", "content": body, "refusal": null}), "stop")));
    whole.insert(Api::Messages, http_json(&anthropic_message(json!([{"type": "text", "text": body}]), "end_turn")));
    let out_msg = json!({"id": "msg_mock", "type": "message", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": body, "annotations": []}]});
    whole.insert(Api::Responses, http_json(&response_object(json!([out_msg]), "completed")));
    whole.insert(
        Api::OllamaChat,
        http_json(&json!({"model": M, "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": body},
            "done_reason": "stop", "done": true, "total_duration": 1000000, "load_duration": 1000, "prompt_eval_count": 250,
            "prompt_eval_duration": 1000, "eval_count": 400, "eval_duration": 1000})),
    );

    let mut stream = BTreeMap::new();
    let mut v = vec![stream_head("text/event-stream"), sse(&chat_chunk(json!({"role": "assistant", "content": "", "refusal": null}), None))];
    v.extend((0..o.chunks).map(|_| sse(&chat_chunk(json!({"content": piece}), None))));
    v.push(sse(&chat_chunk(json!({}), Some("stop"))));
    v.push(frame("data: [DONE]\n\n"));
    v.push(b"0\r\n\r\n".to_vec());
    stream.insert(Api::Chat, v);

    let mut start = anthropic_message(json!([]), "");
    start["stop_reason"] = Value::Null;
    start["usage"] = json!({"input_tokens": 250, "output_tokens": 1});
    let mut v = vec![
        stream_head("text/event-stream"),
        named(&json!({"type": "message_start", "message": start})),
        named(&json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        named(&json!({"type": "ping"})),
    ];
    v.extend((0..o.chunks).map(|_| named(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}))));
    v.push(named(&json!({"type": "content_block_stop", "index": 0})));
    v.push(named(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 400}})));
    v.push(named(&json!({"type": "message_stop"})));
    v.push(b"0\r\n\r\n".to_vec());
    stream.insert(Api::Messages, v);

    let mut seq = 0;
    let mut ev = |mut x: Value| {
        x["sequence_number"] = json!(seq);
        seq += 1;
        named(&x)
    };
    let item = |status: &str, content: Value| json!({"id": "msg_mock", "type": "message", "status": status, "role": "assistant", "content": content});
    let full = json!([{"type": "output_text", "text": text(o.chunk_bytes).repeat(o.chunks), "annotations": []}]);
    let mut v = vec![
        stream_head("text/event-stream"),
        ev(json!({"type": "response.created", "response": response_object(json!([]), "in_progress")})),
        ev(json!({"type": "response.output_item.added", "output_index": 0, "item": item("in_progress", json!([]))})),
        ev(json!({"type": "response.content_part.added", "item_id": "msg_mock", "output_index": 0, "content_index": 0,
            "part": {"type": "output_text", "text": "", "annotations": []}})),
    ];
    v.extend((0..o.chunks).map(|_| {
        ev(json!({"type": "response.output_text.delta", "item_id": "msg_mock", "output_index": 0, "content_index": 0, "delta": piece, "logprobs": []}))
    }));
    v.push(ev(
        json!({"type": "response.output_text.done", "item_id": "msg_mock", "output_index": 0, "content_index": 0, "text": full[0]["text"], "logprobs": []}),
    ));
    v.push(ev(json!({"type": "response.content_part.done", "item_id": "msg_mock", "output_index": 0, "content_index": 0, "part": full[0]})));
    v.push(ev(json!({"type": "response.output_item.done", "output_index": 0, "item": item("completed", full.clone())})));
    v.push(ev(json!({"type": "response.completed", "response": response_object(json!([item("completed", full)]), "completed")})));
    v.push(b"0\r\n\r\n".to_vec());
    stream.insert(Api::Responses, v);

    let mut v = vec![stream_head("application/x-ndjson")];
    v.extend((0..o.chunks).map(|_| {
        frame(&format!("{}\n", json!({"model": M, "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": piece}, "done": false})))
    }));
    v.push(frame(&format!(
        "{}\n",
        json!({"model": M, "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": ""}, "done_reason": "stop",
            "done": true, "total_duration": 1000000, "prompt_eval_count": 250, "eval_count": 400})
    )));
    v.push(b"0\r\n\r\n".to_vec());
    stream.insert(Api::OllamaChat, v);

    let mut u = chat_chunk(json!({}), None);
    u["choices"] = json!([]);
    u["usage"] = json!({"prompt_tokens": 250, "completion_tokens": 400, "total_tokens": 650});
    Rendered { whole, stream, usage_event: sse(&u) }
}

/// A call of the first tool that the request offers; `None` when there is none, or when its result is already there.
fn tool_answer(api: Api, body: &[u8], streamed: bool, args: &str) -> Option<Vec<Vec<u8>>> {
    let v: Value = serde_json::from_slice(body).ok()?;
    let t = v["tools"].get(0)?;
    let name = t["function"]["name"].as_str().or(t["name"].as_str())?.to_string();
    let s = v.to_string();
    if s.contains("\"role\":\"tool\"") || s.contains("\"tool_result\"") || s.contains("\"function_call_output\"") {
        return None;
    }
    let argv: Value = serde_json::from_str(args).unwrap_or(json!({}));
    let n = args.len().div_ceil(4).max(1);
    let pieces: Vec<String> = args.chars().collect::<Vec<_>>().chunks(n).map(|c| c.iter().collect()).collect();
    Some(match (api, streamed) {
        (Api::Chat, false) => vec![http_json(&chat_message(
            json!({"role": "assistant", "content": null,
                "tool_calls": [{"id": "call_mock1", "type": "function", "function": {"name": name, "arguments": args}}]}),
            "tool_calls",
        ))],
        (Api::Chat, true) => {
            let mut out = vec![
                stream_head("text/event-stream"),
                sse(&chat_chunk(
                    json!({"role": "assistant", "content": null,
                        "tool_calls": [{"index": 0, "id": "call_mock1", "type": "function", "function": {"name": name, "arguments": ""}}]}),
                    None,
                )),
            ];
            out.extend(pieces.iter().map(|p| sse(&chat_chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": p}}]}), None))));
            out.push(sse(&chat_chunk(json!({}), Some("tool_calls"))));
            out.push(frame("data: [DONE]\n\n"));
            out.push(b"0\r\n\r\n".to_vec());
            out
        }
        (Api::Messages, false) => {
            vec![http_json(&anthropic_message(json!([{"type": "tool_use", "id": "toolu_mock1", "name": name, "input": argv}]), "tool_use"))]
        }
        (Api::Messages, true) => {
            let mut start = anthropic_message(json!([]), "");
            start["stop_reason"] = Value::Null;
            let mut out = vec![
                stream_head("text/event-stream"),
                named(&json!({"type": "message_start", "message": start})),
                named(&json!({"type": "content_block_start", "index": 0,
                    "content_block": {"type": "tool_use", "id": "toolu_mock1", "name": name, "input": {}}})),
            ];
            out.extend(
                pieces.iter().map(|p| named(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": p}}))),
            );
            out.push(named(&json!({"type": "content_block_stop", "index": 0})));
            out.push(named(&json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 40}})));
            out.push(named(&json!({"type": "message_stop"})));
            out.push(b"0\r\n\r\n".to_vec());
            out
        }
        (Api::OllamaChat, false) => vec![http_json(&json!({"model": M, "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "stop",
            "message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": name, "arguments": argv}}]}}))],
        (Api::OllamaChat, true) => vec![
            stream_head("application/x-ndjson"),
            frame(&format!(
                "{}\n",
                json!({"model": M, "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "stop",
                    "message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": name, "arguments": argv}}]}})
            )),
            b"0\r\n\r\n".to_vec(),
        ],
        (Api::Responses, _) => vec![http_json(&response_object(
            json!([{"id": "fc_mock", "type": "function_call", "status": "completed", "call_id": "call_mock1", "name": name, "arguments": args}]),
            "completed",
        ))],
    })
}

fn fnv(s: &str) -> u64 {
    s.bytes().fold(0xcbf29ce484222325, |h, b| (h ^ b as u64).wrapping_mul(0x100000001b3))
}

fn xorshift(x: &mut u64) -> u64 {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    *x
}

/// Unit vector, the sum of one pseudo-random vector per word: the same words give a high cosine.
fn embedding(s: &str, dim: usize) -> Vec<f32> {
    let mut v = vec![0f32; dim];
    for w in s.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        let mut r = fnv(&w.to_lowercase()) | 1;
        for x in v.iter_mut() {
            *x += (xorshift(&mut r) >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        }
    }
    let n = v.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-9);
    v.iter_mut().for_each(|x| *x /= n);
    v
}

fn base64(b: &[u8]) -> String {
    const A: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    b.chunks(3)
        .flat_map(|c| {
            let n = (c[0] as u32) << 16 | (*c.get(1).unwrap_or(&0) as u32) << 8 | *c.get(2).unwrap_or(&0) as u32;
            (0..4).map(move |i| if i <= c.len() { A[(n >> (18 - 6 * i)) as usize & 63] as char } else { '=' })
        })
        .collect()
}

fn embeddings(body: &[u8], dim: usize, ollama: bool) -> Vec<u8> {
    let v: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let inputs: Vec<String> = match &v["input"] {
        Value::Array(a) => a.iter().map(|x| x.as_str().map_or_else(|| x.to_string(), String::from)).collect(),
        Value::String(s) => vec![s.clone()],
        other => vec![other.to_string()],
    };
    let vecs = inputs.iter().map(|s| embedding(s, dim));
    if ollama {
        return http_json(&json!({"model": M, "embeddings": vecs.collect::<Vec<_>>(), "total_duration": 1000, "prompt_eval_count": 8}));
    }
    let b64 = v["encoding_format"] == "base64";
    let data: Vec<Value> = vecs
        .enumerate()
        .map(|(i, e)| {
            let e = if b64 { json!(base64(&e.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())) } else { json!(e) };
            json!({"object": "embedding", "index": i, "embedding": e})
        })
        .collect();
    http_json(&json!({"object": "list", "data": data, "model": "mock-embed", "usage": {"prompt_tokens": 8, "total_tokens": 8}}))
}

/// The string after `"key":` near the top of a JSON body, without parsing it.
fn peek<'a>(body: &'a [u8], key: &str) -> Option<&'a str> {
    let at = memchr::memmem::find(body, format!("\"{key}\"").as_bytes())? + key.len() + 2;
    let rest = body[at..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

fn has_true(body: &[u8], key: &str) -> Option<bool> {
    let at = memchr::memmem::find(body, format!("\"{key}\"").as_bytes())? + key.len() + 2;
    let rest = body[at..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    Some(rest.starts_with(b"true"))
}

fn error_body(code: u16) -> Vec<u8> {
    let (line, typ) = match code {
        429 => ("429 Too Many Requests", "rate_limit_error"),
        503 => ("503 Service Unavailable", "overloaded_error"),
        404 => ("404 Not Found", "not_found_error"),
        _ => ("500 Internal Server Error", "api_error"),
    };
    let extra = if code == 429 { "retry-after: 1\r\n" } else { "" };
    let b = json!({"type": "error", "error": {"message": format!("mock failure {code}"), "type": typ, "param": null, "code": code.to_string()}});
    http(line, "application/json", b.to_string().as_bytes(), extra)
}

enum Step {
    KeepAlive,
    Close,
    Reset,
}

async fn answer(s: &mut TcpStream, req: &Request, sh: &Shared) -> std::io::Result<Step> {
    let path = req.path();
    if path.starts_with("/__") {
        let body = match path {
            "/__stats" => {
                let t = sh.stats.borrow();
                json!({"requests": t.requests, "by_path": t.by_path, "streams": t.streams, "failed": t.failed, "bytes_in": t.bytes_in,
                    "connections": t.connections, "open": t.open, "max_open": t.max_open, "max_in_flight": t.max_in_flight,
                    "in_flight": t.in_flight - 1, // without this very question
                    "client_gone": t.client_gone})
            }
            "/__last" => sh.stats.borrow().last.clone().unwrap_or(Value::Null),
            "/__reset" => {
                let mut t = sh.stats.borrow_mut();
                let (open, in_flight) = (t.open, t.in_flight);
                *t = Stats { open, in_flight, ..Stats::default() };
                json!({"ok": true})
            }
            "/__config" => {
                // Same names as the command-line options, so the parser checks them too.
                let mut args = vec!["mock-llm".to_string()];
                args.extend(req.query().map(|(k, v)| format!("--{}={v}", k.replace('_', "-"))));
                let mut o = sh.opt.borrow().clone();
                match o.try_update_from(args) {
                    Ok(()) => {
                        *sh.ren.borrow_mut() = Rc::new(render(&o));
                        *sh.opt.borrow_mut() = o;
                        json!({"ok": true})
                    }
                    Err(e) => json!({"ok": false, "error": e.to_string()}),
                }
            }
            _ => json!({"ok": true}),
        };
        s.write_all(&http_json(&body)).await?;
        return Ok(Step::KeepAlive);
    }

    let (latency, delay, coalesce, mut fail) = {
        let o = sh.opt.borrow();
        let hit = o.fail_rate > 0.0 && (xorshift(&mut sh.rng.borrow_mut()) >> 11) as f64 / ((1u64 << 53) as f64) < o.fail_rate;
        (o.latency_ms, o.chunk_delay_ms, o.coalesce, hit.then_some(o.fail_kind))
    };
    {
        let mut t = sh.stats.borrow_mut();
        t.requests += 1;
        t.bytes_in += req.body.len() as u64;
        match t.by_path.get_mut(path) {
            Some(n) => *n += 1,
            None => {
                t.by_path.insert(path.to_string(), 1);
            }
        }
        if sh.opt.borrow().keep_last {
            let body = serde_json::from_slice::<Value>(&req.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&req.body)));
            t.last = Some(json!({"method": req.method, "target": req.target, "headers": req.headers, "body": body}));
        }
    }
    let model = peek(&req.body, "model").unwrap_or("");
    if let Some(k) = model.rsplit('/').next().and_then(|m| m.strip_prefix("fail-")) {
        fail = Fail::from_str(k, true).ok().or(fail);
    }
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }

    let api = if path.ends_with("/chat/completions") {
        Some(Api::Chat)
    } else if path.ends_with("/messages") {
        Some(Api::Messages)
    } else if path.ends_with("/responses") {
        Some(Api::Responses)
    } else if path.ends_with("/api/chat") {
        Some(Api::OllamaChat)
    } else {
        None
    };

    if let Some(f) = fail {
        sh.stats.borrow_mut().failed += 1;
        match f {
            Fail::E500 => s.write_all(&error_body(500)).await?,
            Fail::E503 => s.write_all(&error_body(503)).await?,
            Fail::E429 => s.write_all(&error_body(429)).await?,
            Fail::Rst => return Ok(Step::Reset),
            Fail::Empty => return Ok(Step::Close),
            Fail::Garbage => s.write_all(&http("200 OK", "application/json", b"<html>not json", "")).await?,
            Fail::Hang => {
                tokio::time::sleep(Duration::from_secs(600)).await;
                return Ok(Step::Close);
            }
            Fail::Truncate => {
                let r = sh.ren.borrow().clone();
                let api = api.unwrap_or(Api::Chat);
                if has_true(&req.body, "stream").unwrap_or(false) {
                    let f = &r.stream[&api];
                    for x in &f[..f.len() / 2] {
                        s.write_all(x).await?;
                    }
                } else {
                    let w = &r.whole[&api];
                    s.write_all(&w[..w.len() / 2]).await?;
                }
                return Ok(Step::Close);
            }
        }
        return Ok(Step::KeepAlive);
    }

    let Some(api) = api else {
        let dim = sh.opt.borrow().embed_dim;
        let out = if path.ends_with("/embeddings") || path.ends_with("/api/embed") {
            embeddings(&req.body, dim, path.ends_with("/api/embed"))
        } else if path.ends_with("/count_tokens") {
            http_json(&json!({"input_tokens": req.body.len() / 4}))
        } else if path.ends_with("/models") {
            let m: Vec<Value> =
                [M, "mock-tool", "mock-embed"].iter().map(|id| json!({"id": id, "object": "model", "created": T0, "owned_by": "mock"})).collect();
            http_json(&json!({"object": "list", "data": m}))
        } else if path.ends_with("/api/tags") {
            http_json(&json!({"models": [{"name": M, "model": M, "size": 1, "details": {"family": "mock"}}]}))
        } else if path.ends_with("/api/version") {
            http_json(&json!({"version": "0.0.0"}))
        } else {
            error_body(404)
        };
        s.write_all(&out).await?;
        return Ok(Step::KeepAlive);
    };

    // Ollama streams unless told otherwise, the others only when told.
    let streamed = has_true(&req.body, "stream").unwrap_or(api == Api::OllamaChat);
    if streamed {
        sh.stats.borrow_mut().streams += 1;
    }
    if model.contains("tool") {
        let args = sh.opt.borrow().tool_args.clone();
        if let Some(frames) = tool_answer(api, &req.body, streamed, &args) {
            for f in frames {
                s.write_all(&f).await?;
            }
            return Ok(Step::KeepAlive);
        }
    }
    let r = sh.ren.borrow().clone();
    if !streamed {
        s.write_all(&r.whole[&api]).await?;
        return Ok(Step::KeepAlive);
    }
    let frames = &r.stream[&api];
    let usage = (api == Api::Chat && has_true(&req.body, "include_usage") == Some(true)).then_some(&r.usage_event);
    let done = frames.len() - 2; // the [DONE] event of the chat form
    if coalesce && delay == 0 {
        let mut all = Vec::new();
        for (i, f) in frames.iter().enumerate() {
            if i == done
                && let Some(u) = usage
            {
                all.extend_from_slice(u);
            }
            all.extend_from_slice(f);
        }
        s.write_all(&all).await?;
        return Ok(Step::KeepAlive);
    }
    let start = tokio::time::Instant::now();
    for (i, f) in frames.iter().enumerate() {
        if delay > 0 && i > 1 && i < done {
            // Absolute moments, so that the stream's length does not depend on the timer's rounding.
            tokio::time::sleep_until(start + Duration::from_millis(delay * (i as u64 - 1))).await;
        }
        if i == done
            && let Some(u) = usage
        {
            s.write_all(u).await?;
        }
        s.write_all(f).await?;
    }
    Ok(Step::KeepAlive)
}

async fn serve(mut s: TcpStream, sh: Rc<Shared>) {
    let _ = s.set_nodelay(true);
    {
        let mut t = sh.stats.borrow_mut();
        t.connections += 1;
        t.open += 1;
        t.max_open = t.max_open.max(t.open);
    }
    let (mut buf, mut req) = (RecvBuf::default(), Request::default());
    loop {
        let keep = sh.opt.borrow().keep_last;
        match read_request(&mut s, &mut buf, &mut req, &[], keep).await {
            Ok(true) => {}
            _ => break,
        }
        {
            let mut t = sh.stats.borrow_mut();
            t.in_flight += 1;
            t.max_in_flight = t.max_in_flight.max(t.in_flight);
        }
        let r = answer(&mut s, &req, &sh).await;
        sh.stats.borrow_mut().in_flight -= 1;
        match r {
            Ok(Step::KeepAlive) if req.keep_alive => {}
            Ok(Step::Reset) => {
                // Linger 0: the kernel answers with RST. Set through the raw option to stay off deprecated calls.
                #[allow(deprecated)]
                let _ = s.set_linger(Some(Duration::ZERO));
                break;
            }
            Err(_) => {
                sh.stats.borrow_mut().client_gone += 1;
                break;
            }
            _ => break,
        }
    }
    sh.stats.borrow_mut().open -= 1;
}

fn main() {
    let opt = Opt::parse();
    let port = opt.port;
    let sh =
        Rc::new(Shared { ren: RefCell::new(Rc::new(render(&opt))), opt: RefCell::new(opt), stats: RefCell::default(), rng: RefCell::new(0x9E3779B97F4A7C15) });
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    tokio::task::LocalSet::new().block_on(&rt, async move {
        let l = TcpListener::bind(("127.0.0.1", port)).await.unwrap_or_else(|e| {
            eprintln!("mock-llm: port {port}: {e}");
            std::process::exit(1)
        });
        eprintln!("mock-llm on 127.0.0.1:{port}");
        loop {
            if let Ok((s, _)) = l.accept().await {
                tokio::task::spawn_local(serve(s, sh.clone()));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peeks_without_parsing() {
        let b = br#"{ "model" : "a/fail-500", "stream": true, "x": {"stream_options":{"include_usage":true}}}"#;
        assert_eq!(peek(b, "model"), Some("a/fail-500"));
        assert_eq!(has_true(b, "stream"), Some(true));
        assert_eq!(has_true(b, "include_usage"), Some(true));
        assert_eq!(has_true(b"{\"stream\":false}", "stream"), Some(false));
        assert_eq!(has_true(b"{}", "stream"), None);
    }

    #[test]
    fn embeddings_know_likeness() {
        let cos = |a: &str, b: &str| embedding(a, 384).iter().zip(embedding(b, 384)).map(|(x, y)| x * y).sum::<f32>();
        assert!(cos("what is the capital of France", "What is the capital of France?") > 0.999);
        assert!(cos("what is the capital of France", "tell me what the capital of France is") > 0.7);
        assert!(cos("what is the capital of France", "write a haiku about rust").abs() < 0.3);
    }

    #[test]
    fn base64_padding() {
        assert_eq!([base64(b"M"), base64(b"Ma"), base64(b"Man")], ["TQ==", "TWE=", "TWFu"]);
    }

    #[test]
    fn tool_call_only_before_its_result() {
        let ask = br#"{"model":"mock-tool","tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"user","content":"x"}]}"#;
        let done = br#"{"model":"mock-tool","tools":[{"name":"f"}],"messages":[{"role":"tool","content":"x"}]}"#;
        assert!(tool_answer(Api::Chat, ask, true, "{}").is_some());
        assert!(tool_answer(Api::Chat, done, true, "{}").is_none());
    }
}
