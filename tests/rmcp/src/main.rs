//! An MCP server by the official Rust SDK, over stdio, or over HTTP at a port: `rmcp-server [PORT]`. Tools: add, fail, slow
//! (tells progress), name (asks: in a legacy session at once, a modern client in its answer).

use std::{env, error::Error, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ElicitRequest, ElicitRequestParams,
        InputRequest, InputRequests, InputRequiredResult, JsonObject, ListToolsResult, PaginatedRequestParams,
        ProgressNotificationParam, ProtocolVersion, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::{
        stdio,
        streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
        },
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};

#[derive(Clone)]
struct Server;

type Context = RequestContext<RoleServer>;

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult, ErrorData> {
        let tools = ["add", "fail", "slow", "name"];
        Ok(ListToolsResult::with_all_items(tools.map(|name| Tool::new(name, name, any())).into()))
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.clone().unwrap_or_default());
        match &*request.name {
            "add" => Ok(said(arguments["a"].as_i64().unwrap_or(0) + arguments["b"].as_i64().unwrap_or(0))),
            "fail" => Ok(CallToolResult::error(vec![ContentBlock::text("it went wrong")]).into()),
            "slow" => slow(&arguments, &context).await,
            "name" => name(&request, &context).await,
            other => Err(ErrorData::invalid_params(format!("there is no tool {other}"), None)),
        }
    }
}

fn any() -> Arc<JsonObject> {
    Arc::new(JsonObject::from_iter([("type".to_owned(), json!("object"))]))
}

fn said(text: impl ToString) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(text.to_string())]).into()
}

async fn slow(arguments: &Value, context: &Context) -> Result<CallToolResponse, ErrorData> {
    let (steps, pause) = (arguments["steps"].as_u64().unwrap_or(2), arguments["pause"].as_f64().unwrap_or(0.05));
    for step in 1..=steps {
        if let Some(token) = context.meta.get_progress_token() {
            // Whoever has left hears nothing of it.
            let _ = context.peer.notify_progress(ProgressNotificationParam::new(token, step as f64)).await;
        }
        tokio::select! {
            () = sleep(Duration::from_secs_f64(pause)) => {}
            () = context.ct.cancelled() => break,
        }
    }
    Ok(said("slowly"))
}

/// Says the name that the client tells.
async fn name(request: &CallToolRequestParams, context: &Context) -> Result<CallToolResponse, ErrorData> {
    if context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
        let answers = request.input_responses.as_ref();
        let known =
            answers.and_then(|answers| answers.get("who")).and_then(|answer| answer["content"]["name"].as_str());
        let Some(known) = known else {
            let asks =
                InputRequests::from_iter([("who".to_owned(), InputRequest::Elicitation(ElicitRequest::new(form())))]);
            return Ok(InputRequiredResult::new(Some(asks), Some("asked".into())).into());
        };
        return Ok(said(known));
    }
    let answer = context.peer.create_elicitation(form()).await;
    let answer = answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    Ok(said(answer.content.unwrap_or_default()["name"].as_str().unwrap_or_default()))
}

fn form() -> ElicitRequestParams {
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] });
    let requested_schema = serde_json::from_value(schema).expect("a schema");
    ElicitRequestParams::FormElicitationParams { meta: None, message: "who?".into(), requested_schema }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Some(port) = env::args().nth(1) else {
        Server.serve(stdio()).await?.waiting().await?;
        return Ok(());
    };
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(|| Ok(Server), sessions, StreamableHttpServerConfig::default());
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
