//! What is tried on every dialect: one row for each, and a new dialect is one more row.

use serde_json::{Value, json};

use super::{
    replies::{ANTHROPICS, OPENAIS},
    responses::RESPONSES,
};
use crate::dialect::{
    Language, anthropic::ANTHROPIC, ollama::OLLAMA, ollama::generate::GENERATE, openai_chat::OPENAI_CHAT,
    openai_completions::OPENAI_COMPLETIONS, openai_responses::OPENAI_RESPONSES,
};

/// A dialect, and things that are said in it.
pub(super) struct Tongue {
    pub(super) language: &'static dyn Language,
    /// A question with all that the dialect has words for.
    pub(super) question: fn() -> Value,
    /// What its upstreams say; `None` where there is none.
    pub(super) upstream: Option<Upstream>,
}

/// What an upstream of a dialect says.
#[derive(Clone, Copy)]
pub(super) struct Upstream {
    /// A stream with a thought, a text, two calls, and usage with what came from a cache.
    pub(super) stream: &'static str,
    /// Pieces of streams, sound and unsound, each a JSON text or a bare word: any sequence of them is a stream.
    pub(super) pieces: &'static [&'static str],
    /// An error in the dialect's words.
    pub(super) refusal: &'static str,
}

/// Every dialect there is.
pub(super) static TONGUES: [Tongue; 6] = [
    Tongue {
        language: &ANTHROPIC,
        question: anthropics,
        upstream: Some(Upstream {
            stream: ANTHROPICS,
            pieces: ANTHROPICS_PIECES,
            refusal: r#"{"type":"error","error":{"type":"t","message":"no"}}"#,
        }),
    },
    Tongue {
        language: &OPENAI_CHAT,
        question: openais,
        upstream: Some(Upstream {
            stream: OPENAIS,
            pieces: OPENAIS_PIECES,
            refusal: r#"{"error":{"message":"no","type":"t","param":null,"code":null}}"#,
        }),
    },
    Tongue {
        language: &OPENAI_RESPONSES,
        question: responses,
        upstream: Some(Upstream {
            stream: RESPONSES,
            pieces: RESPONSES_PIECES,
            refusal: r#"{"error":{"message":"no","type":"t","param":null,"code":null}}"#,
        }),
    },
    Tongue {
        language: &OLLAMA,
        question: ollamas,
        upstream: Some(Upstream { stream: OLLAMAS, pieces: OLLAMAS_PIECES, refusal: r#"{"error":"no"}"# }),
    },
    Tongue { language: &GENERATE, question: generates, upstream: None },
    Tongue { language: &OPENAI_COMPLETIONS, question: completions, upstream: None },
];

/// Those that have upstreams, with what these say.
pub(super) fn upstreams() -> impl Iterator<Item = (&'static dyn Language, Upstream)> {
    TONGUES.iter().filter_map(|tongue| Some((tongue.language, tongue.upstream?)))
}

/// A stream of Ollama's with the same in it as those of the others.
pub(super) const OLLAMAS: &str = r#"{"model":"llama3","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"","thinking":"hm é"},"done":false}
{"model":"llama3","created_at":"2026-01-01T00:00:01Z","message":{"role":"assistant","content":"I look "},"done":false}
{"model":"llama3","created_at":"2026-01-01T00:00:01Z","message":{"role":"assistant","content":"🔍.\n"},"done":false}
{"model":"llama3","created_at":"2026-01-01T00:00:02Z","message":{"role":"assistant","content":"","tool_calls":[{"function":{"index":0,"name":"look","arguments":{"at":1}}}]},"done":false}

{"model":"llama3","created_at":"2026-01-01T00:00:02Z","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_2","function":{"index":1,"name":"list","arguments":{}}}]},"done":false}
{"model":"llama3","created_at":"2026-01-01T00:00:03Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":5,"prompt_eval_count":1000,"eval_count":25}
"#;

const ANTHROPICS_PIECES: &[&str] = &[
    r#"{"type":"message_start","message":{"id":"msg_1","model":"claude","content":[],"usage":{"input_tokens":10,"output_tokens":1}}}"#,
    r#"{"type":"message_start","message":{"id":"","usage":null}}"#,
    r#"{"type":"message_start"}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"begun"}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","text":"astray","signature":""}}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"look","input":{}}}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"","name":"look","input":{"at":1},"text":"astray"}}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"list"}}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_2","name":""}}"#,
    r#"{"type":"content_block_start","index":3,"content_block":{"type":"redacted_thinking","data":"x","input":{"a":1}}}"#,
    r#"{"type":"content_block_start","index":3,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}}"#,
    r#"{"type":"content_block_start","index":3}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"é"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"at\":"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
    r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"x"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{}}}"#,
    r#"{"type":"content_block_delta","index":0}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":25}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"input_tokens":7,"output_tokens":25}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":3}}"#,
    r#"{"type":"message_delta","usage":{"output_tokens":4}}"#,
    r#"{"type":"message_stop"}"#,
    r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
];

const OPENAIS_PIECES: &[&str] = &[
    r#"{"id":"chatcmpl-1","model":"gpt","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
    r#"{"id":"chatcmpl-2","model":"gpt-2","choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#,
    r#"{"choices":[{"index":0,"delta":{"content":"é"}}]}"#,
    r#"{"choices":[{"index":0,"delta":{"content":"<think>"}}]}"#,
    r#"{"choices":[{"index":0,"delta":{"content":"</think>\n"}}]}"#,
    r#"{"choices":[{"index":0,"delta":{"content":" "}}]}"#,
    r#"{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]}}]}"#,
    r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#,
    r#"{"choices":[{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"x","index":0}]}}]}"#,
    r#"{"choices":[{"index":0,"delta":{"refusal":"no"}}]}"#,
    r#"{"choices":[{"index":1,"delta":{"content":"another choice"}}]}"#,
    r#"{"choices":[{"delta":{"content":"a","tool_calls":[{"index":0,"id":"call_1","function":{"name":"look","arguments":"{\"at\":"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":""}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"call_1","function":{"name":"list","arguments":"{}"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":2,"id":"","function":{"name":"list","arguments":null}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"look","arguments":{"at":1}}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"at\":"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":" 1}"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":"1}"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"call_3"}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[]}}]}"#,
    r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
    r#"{"choices":[{"delta":{"content":"late"},"finish_reason":"length"}]}"#,
    r#"{"choices":[{"finish_reason":"content_filter"}]}"#,
    r#"{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":25,"total_tokens":1025,"prompt_tokens_details":{"cached_tokens":800}}}"#,
    r#"{"choices":[{"delta":{"content":"b"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    r#"{"choices":null}"#,
    r"{}",
    "[DONE]",
    r#"{"error":{"message":"slow down","code":429}}"#,
];

const RESPONSES_PIECES: &[&str] = &[
    r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_9","status":"in_progress","model":"gpt","output":[]}}"#,
    r#"{"type":"response.created","response":{"id":"","model":null,"output":null}}"#,
    r#"{"type":"response.in_progress","response":{"id":"resp_8","model":"gpt-2","output":[]}}"#,
    r#"{"type":"response.created"}"#,
    r#"{"type":"response.queued"}"#,
    r#"{"type":"keepalive"}"#,
    r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}"#,
    r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}"#,
    r#"{"type":"response.output_item.added","output_index":1,"item":{"id":"fc_1","type":"function_call","arguments":"","call_id":"call_1","name":"look"}}"#,
    r#"{"type":"response.output_item.added","output_index":2,"item":{"id":"fc_2","type":"function_call","arguments":"","call_id":"call_1","name":"list"}}"#,
    r#"{"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","call_id":"","name":""}}"#,
    r#"{"type":"response.output_item.added","output_index":3,"item":{"id":"ctc_1","type":"custom_tool_call","input":"","call_id":"call_4","name":"patch"}}"#,
    r#"{"type":"response.output_item.added","output_index":4,"item":{"id":"ws_1","type":"web_search_call","status":"in_progress"}}"#,
    r#"{"type":"response.output_item.added","output_index":9}"#,
    r#"{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}"#,
    r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"é"}"#,
    r#"{"type":"response.output_text.delta","output_index":0,"content_index":1,"delta":"second"}"#,
    r#"{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"astray"}"#,
    r#"{"type":"response.output_text.delta","delta":""}"#,
    r#"{"type":"response.refusal.delta","output_index":0,"content_index":0,"delta":"no"}"#,
    r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"hm"}"#,
    r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"and"}"#,
    r#"{"type":"response.reasoning_text.delta","output_index":0,"content_index":0,"delta":"in full"}"#,
    r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{"at":"}"#,
    r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"1}"}"#,
    r#"{"type":"response.function_call_arguments.delta","output_index":2,"delta":"{}"}"#,
    r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"x"}"#,
    r#"{"type":"response.custom_tool_call_input.delta","output_index":3,"delta":"*** "Begin""}"#,
    r#"{"type":"response.output_item.done","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"gAAA"}}"#,
    r#"{"type":"response.output_item.done","output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"é"},{"type":"refusal","refusal":"no"}]}}"#,
    r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":null}}"#,
    r#"{"type":"response.output_item.done","output_index":1,"item":{"id":"fc_1","type":"function_call","arguments":"{"at":1}","call_id":"call_1","name":"look"}}"#,
    r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","status":"incomplete","arguments":"{"at":","call_id":"call_1","name":"look"}}"#,
    r#"{"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","arguments":{},"name":"list"}}"#,
    r#"{"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","arguments":"null","call_id":"c","name":""}}"#,
    r#"{"type":"response.output_item.done","output_index":3,"item":{"type":"custom_tool_call","input":"*** "Begin"","call_id":"call_4","name":"patch"}}"#,
    r#"{"type":"response.output_item.done","output_index":4,"item":{"id":"ws_1","type":"web_search_call","status":"completed"}}"#,
    r#"{"type":"response.completed","response":{"id":"resp_9","status":"completed","model":"gpt","output":[{"type":"message","content":[{"type":"output_text","text":"last"}]}],"usage":{"input_tokens":10,"output_tokens":2,"total_tokens":12}}}"#,
    r#"{"type":"response.completed","response":{"output":[{"type":"reasoning","id":"rs_7","encrypted_content":"gBBB"},{"type":"function_call","call_id":"call_1","name":"late","arguments":"{}"}]}}"#,
    r#"{"type":"response.completed"}"#,
    r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}}"#,
    r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}}"#,
    r"{}",
    "[DONE]",
    r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"slow down"}}}"#,
    r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null}"#,
];

const OLLAMAS_PIECES: &[&str] = &[
    r#"{"model":"llama3","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"é"},"done":false}"#,
    r#"{"model":"llama3","message":{"content":"<think>hm","thinking":""}}"#,
    r#"{"message":{"content":"</think> a"}}"#,
    r#"{"message":{"thinking":"hm","content":"both"}}"#,
    r#"{"message":{"content":"","tool_calls":[{"function":{"name":"look","arguments":{"at":1}}}]}}"#,
    r#"{"message":{"content":"with","tool_calls":[{"id":"c","function":{"name":"look"}},{"id":"c","function":{"name":"list","arguments":null}}]}}"#,
    r#"{"message":{"tool_calls":[{"function":{"name":"look","arguments":"{\"at\":1}"}}]}}"#,
    r#"{"message":{"tool_calls":[{"function":{"name":"look","arguments":[1]}}]}}"#,
    r#"{"message":{"tool_calls":[{"function":{"name":"","arguments":{}}}]}}"#,
    r#"{"message":{"tool_calls":[]}}"#,
    r#"{"model":"llama3","prompt_eval_count":9,"eval_count":9}"#,
    r"{}",
    r#"{"message":{"content":"last"},"done":true,"done_reason":"stop","prompt_eval_count":1000,"eval_count":25}"#,
    r#"{"done":true,"done_reason":"length"}"#,
    r#"{"done":true}"#,
    r#"{"error":"model runner has stopped"}"#,
];

fn anthropics() -> Value {
    json!({
        "model": "m", "max_tokens": 32000, "stream": true,
        "system": [{ "type": "text", "text": "x-anthropic-billing-header: a=b;" }, { "type": "text", "text": "You are an agent." }],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "look", "cache_control": { "type": "ephemeral" } },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBO" } },
                { "type": "document", "title": "notes", "source": { "type": "text", "media_type": "text/plain", "data": "words" } },
            ] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "two calls", "signature": "EqQB" },
                { "type": "text", "text": "I look." },
                { "type": "tool_use", "id": "toolu_1", "name": "Read", "input": { "path": "/a", "n": 1.0 } },
                { "type": "tool_use", "id": "toolu_2", "name": "Read", "input": {} },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": [
                    { "type": "text", "text": "1: a" },
                    { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBO" } },
                ] },
                { "type": "tool_result", "tool_use_id": "toolu_2", "content": "no such file", "is_error": true },
                { "type": "text", "text": "meanwhile" },
            ] },
        ],
        "tools": [
            { "name": "Read", "description": "Reads", "input_schema": { "type": "object", "properties": { "path": { "type": "string" } } } },
            { "name": "Lsp", "input_schema": { "type": "object" }, "defer_loading": true },
        ],
        "tool_choice": { "type": "any", "disable_parallel_tool_use": true },
        "stop_sequences": ["</done>"], "temperature": 0.5, "top_k": 5,
        "thinking": { "type": "adaptive", "display": "omitted" },
        "output_config": { "format": { "type": "json_schema", "schema": { "type": "object" } } },
        "metadata": { "user_id": "u1" },
    })
}

fn openais() -> Value {
    json!({
        "model": "m", "stream": true, "stream_options": { "include_usage": true },
        "messages": [
            { "role": "developer", "content": "You are an agent." },
            { "role": "user", "content": [
                { "type": "text", "text": "look" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBO", "detail": "high" } },
                { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0=" } },
            ] },
            { "role": "assistant", "content": "I look.", "reasoning_content": "two calls", "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{\"at\": 1}" } },
                { "id": "call.2", "type": "function", "function": { "name": "look", "arguments": "" } },
            ] },
            { "role": "tool", "tool_call_id": "call_1", "content": "a cat" },
            { "role": "tool", "tool_call_id": "call.2", "content": [{ "type": "text", "text": "a dog" }] },
            { "role": "system", "content": "Answer in French." },
            { "role": "user", "content": "so?" },
        ],
        "tools": [{ "type": "function", "function": {
            "name": "look", "description": "Looks", "strict": true, "parameters": { "properties": { "at": { "type": "integer" } } },
        } }],
        "tool_choice": "required", "parallel_tool_calls": false,
        "max_completion_tokens": 2000, "temperature": 1.4, "top_p": 0.9, "seed": 7, "presence_penalty": 0.5,
        "stop": ["END", "\n"], "reasoning_effort": "high",
        "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": { "type": "object" } } },
        "user": "u1",
    })
}

fn responses() -> Value {
    json!({
        "model": "m", "stream": true, "store": false, "instructions": "You are an agent.", "previous_response_id": null,
        "input": [
            { "type": "message", "role": "developer", "content": "Answer in French." },
            { "type": "message", "role": "user", "content": [
                { "type": "input_text", "text": "look" },
                { "type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "high" },
                { "type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,d29yZHM=" },
            ] },
            { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "two calls" }], "encrypted_content": "gAAA" },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "I look.", "annotations": [] }] },
            { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{\"at\": 1}" },
            { "type": "custom_tool_call", "call_id": "call_2", "name": "patch", "input": "*** Begin" },
            { "type": "function_call_output", "call_id": "call_1", "output": [
                { "type": "input_text", "text": "a cat" }, { "type": "input_image", "image_url": "data:image/png;base64,iVBO" },
            ] },
            { "type": "custom_tool_call_output", "call_id": "call_2", "output": "done" },
            { "role": "user", "content": "so?" },
        ],
        "tools": [
            { "type": "function", "name": "look", "description": "Looks", "strict": true, "parameters": { "type": "object", "properties": { "at": { "type": "integer" } } } },
            { "type": "custom", "name": "patch", "description": "Patches", "format": { "type": "grammar", "syntax": "lark", "definition": "start: \"x\"" } },
        ],
        "tool_choice": { "type": "function", "name": "look" }, "parallel_tool_calls": false,
        "max_output_tokens": 2000, "temperature": 1.4, "top_p": 0.9, "reasoning": { "effort": "high", "summary": "auto" },
        "text": { "verbosity": "low", "format": { "type": "json_schema", "name": "n", "schema": { "type": "object" }, "strict": true } },
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "safety_identifier": "u1", "metadata": { "a": "b" },
        "truncation": "auto", "service_tier": "flex",
    })
}

fn ollamas() -> Value {
    json!({
        "model": "m", "think": "high", "keep_alive": "5m", "format": { "type": "object" },
        "messages": [
            { "role": "system", "content": "You are an agent." },
            { "role": "user", "content": "look", "images": ["iVBO"] },
            { "role": "assistant", "content": "I look.", "thinking": "two calls", "tool_calls": [
                { "function": { "name": "look", "arguments": { "at": 1 } } },
                { "function": { "name": "look", "arguments": {} } },
            ] },
            { "role": "tool", "tool_name": "look", "content": "a cat" },
            { "role": "tool", "tool_name": "look", "content": "a dog" },
            { "role": "user", "content": "so?" },
        ],
        "tools": [{ "type": "function", "function": { "name": "look", "description": "Looks", "parameters": { "type": "object", "properties": { "at": { "type": "integer" } } } } }],
        "options": { "num_predict": 2000, "temperature": 0.5, "top_k": 5, "seed": 7, "stop": ["END"], "num_ctx": 8192, "mirostat": 1 },
    })
}

fn generates() -> Value {
    json!({
        "model": "m", "prompt": "look", "system": "You are an agent.", "images": ["iVBO"], "think": true,
        "format": "json", "options": { "num_predict": 9, "temperature": 0.5, "stop": ["END"] },
    })
}

fn completions() -> Value {
    json!({
        "model": "m", "prompt": "look", "max_tokens": 9, "temperature": 1.4, "top_p": 0.9, "stop": "END", "seed": 7,
        "presence_penalty": 0.5, "user": "u1",
    })
}
