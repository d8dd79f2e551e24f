//! Streams: what comes through untouched, when a call has begun to answer, and every way to break off.

use std::time::Duration;

use futures_util::StreamExt;
use router_core::{
    Error, Kind, Outcome,
    chat::{Chat, ChatReply, Dialect, Frame, Prompt, Shape, Usage},
};
use tokio::time::Instant;

use super::{
    super::{
        Api,
        ProviderKind::{self, Anthropic, Ollama, OpenAi},
    },
    ask,
    mock::{Act, Mock, chunk, end, stream_head},
    provider, read,
};

const SSE: &str = "text/event-stream; charset=utf-8";

const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const HELLO: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\u{e9}llo \u{1f980}\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const COMMENT: &str = ": OPENROUTER PROCESSING\n\n";
const ERROR: &str = "data: {\"error\":{\"message\":\"Provider disconnected\",\"code\":502},\"choices\":[]}\n\n";
const ERROR_SAYS: &str = "{\"error\":{\"message\":\"Provider disconnected\",\"code\":502},\"choices\":[]}";

fn question() -> Chat {
    Chat::of(Prompt::ask("hi"), "m", Shape::Stream)
}

async fn of(kind: ProviderKind, mock: &Mock) -> router_core::Result<ChatReply> {
    ask(&provider(kind, None, &mock.url), question()).await
}

async fn acting(acts: Vec<Act>) -> Mock {
    Mock::acting([vec![stream_head(SSE)], acts].concat()).await
}

fn written(events: &[&str]) -> Act {
    chunk(events.concat().as_bytes())
}

/// Asks, and breaks where the answer should begin.
async fn first_frame(reply: &mut ChatReply) -> String {
    match reply.next().await {
        Some(Ok(Frame::Wire { bytes, .. })) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn assert_is_cut(error: Option<Error>, message: &str) {
    let error = error.unwrap();
    assert_eq!((error.kind(), error.outcome(), error.message()), (Kind::Protocol, Outcome::Unknown, message));
}

const CUT: &str = "the stream was cut before its end";
const NOTHING: &str = "the stream ended before its first content";

#[tokio::test]
async fn a_stream_comes_through_as_it_was_sent() {
    let mock = Mock::streaming(SSE, [ROLE, HELLO, STOP, USAGE, DONE]).await;
    let reply = of(OpenAi, &mock).await.unwrap();
    assert_eq!((reply.shape, reply.dialect.map(Dialect::name)), (Shape::Stream, Some("openai")));
    let (frames, usage, error) = read(reply).await;
    assert_eq!(frames.concat(), [ROLE, HELLO, STOP, USAGE, DONE].concat().as_bytes());
    assert_eq!(usage, Usage { input: 3, output: 2, ..Usage::default() });
    assert!(error.is_none());
}

#[tokio::test]
async fn however_the_bytes_are_cut_the_events_stay_whole() {
    let all = [ROLE, HELLO, STOP, USAGE, DONE].concat();
    for size in [1, 7, 64] {
        let mock = Mock::streaming(SSE, all.as_bytes().chunks(size)).await;
        let (frames, usage, error) = read(of(OpenAi, &mock).await.unwrap()).await;
        assert_eq!(frames.concat(), all.as_bytes());
        assert!(frames.iter().all(|frame| frame.ends_with(b"\n\n")), "{size}: {frames:?}");
        assert_eq!((usage.output, error.is_none()), (2, true));
    }
    let crlf = all.replace('\n', "\r\n");
    let mock = Mock::streaming(SSE, crlf.as_bytes().chunks(50)).await;
    assert_eq!(read(of(OpenAi, &mock).await.unwrap()).await.0.concat(), crlf.as_bytes());
}

#[tokio::test]
async fn many_events_in_one_chunk_are_one_frame() {
    let mock =
        acting(vec![written(&[ROLE, HELLO]), written(&[HELLO, HELLO, HELLO]), written(&[STOP, DONE]), end()]).await;
    let frames = read(of(OpenAi, &mock).await.unwrap()).await.0;
    assert_eq!(frames, [[ROLE, HELLO].concat(), HELLO.repeat(3), [STOP, DONE].concat()]);
}

#[tokio::test]
async fn a_call_returns_with_the_first_content_and_all_that_came_before_it() {
    let wait = Duration::from_millis(60);
    let acts =
        vec![written(&[COMMENT, ROLE]), written(&[COMMENT]), Act::Pause(wait), written(&[COMMENT, HELLO]), Act::Hang];
    let mut mock = acting(acts).await;
    let begun = Instant::now();
    let mut reply = of(OpenAi, &mock).await.unwrap();
    assert!(begun.elapsed() >= wait, "a role and comments are no content");
    assert_eq!(first_frame(&mut reply).await, [ROLE, HELLO].concat());
    drop(reply);
    mock.gone().await;
}

#[tokio::test]
async fn anthropics_usage_is_put_together_from_beginning_and_end() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\n";
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    let open = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
    let text = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
    let close = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
    let delta = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":15}}\n\n";
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let mock = acting(vec![
        written(&[start, ping]),
        written(&[open, text]),
        written(&[ping]),
        written(&[close, delta, stop]),
        end(),
    ]);
    let mut reply = of(Anthropic, &mock.await).await.unwrap();
    assert_eq!(first_frame(&mut reply).await, [start, open, text].concat());
    let begun = Usage { input: 25, output: 1, cache_read: 4, ..Usage::default() };
    assert_eq!(reply.usage(), begun, "were it cut now, so much was used");
    let (frames, usage, error) = read(reply).await;
    assert_eq!(frames.concat(), [ping, close, delta, stop].concat().as_bytes());
    assert_eq!(usage, Usage { input: 25, output: 15, cache_read: 4, ..Usage::default() });
    assert!(error.is_none());
}

#[tokio::test]
async fn lines_of_json_are_a_stream_too() {
    let lines = [
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"h\u{e9}\"},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":3,\"eval_count\":2}\n",
    ];
    let all = lines.concat();
    let mock = Mock::streaming("application/x-ndjson", all.as_bytes().chunks(11)).await;
    let (frames, usage, error) = read(of(Ollama, &mock).await.unwrap()).await;
    assert_eq!((frames.concat(), error.is_none()), (all.clone().into_bytes(), true));
    assert_eq!(usage, Usage { input: 3, output: 2, ..Usage::default() });

    let unclosed = all.trim_end();
    let mock = Mock::streaming("application/x-ndjson", [unclosed]).await;
    let (frames, _, error) = read(of(Ollama, &mock).await.unwrap()).await;
    assert_eq!((frames.concat(), error.is_none()), (all.into_bytes(), true), "the last line needs no end of its own");

    let mock = Mock::streaming("application/x-ndjson", [lines[0]]).await;
    assert_is_cut(read(of(Ollama, &mock).await.unwrap()).await.2, CUT);
}

#[tokio::test]
async fn an_error_before_the_first_content_is_the_calls() {
    for acts in [vec![written(&[ERROR])], vec![written(&[ROLE, COMMENT]), written(&[ERROR, DONE])]] {
        let error = of(OpenAi, &acting([acts, vec![end()]].concat()).await).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        let words = error.words().unwrap();
        assert_eq!((words.status, &words.body[..]), (502, ERROR_SAYS.as_bytes()));
    }
}

#[tokio::test]
async fn an_error_after_it_breaks_the_stream_once_all_before_it_was_handed_out() {
    for acts in [vec![written(&[HELLO]), written(&[HELLO, ERROR, DONE])], vec![written(&[HELLO, HELLO, ERROR, DONE])]] {
        let (frames, _, error) = read(of(OpenAi, &acting([acts, vec![end()]].concat()).await).await.unwrap()).await;
        assert_eq!(frames.concat(), HELLO.repeat(2).as_bytes());
        let error = error.unwrap();
        assert_eq!((error.kind(), error.words().map(|words| words.status)), (Kind::Unavailable, Some(502)));
        assert_eq!(error.words().unwrap().body, ERROR_SAYS);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_never_ends_well() {
    // Not even a letter is whole.
    let half = &HELLO.as_bytes()[..HELLO.len() - 9];
    let table = [
        ("closed in order, but early", vec![end()]),
        ("closed within an event", vec![chunk(half), end()]),
        ("closed without its last chunk", vec![]),
        ("closed within a chunk", vec![Act::Send("ff\r\ndata: ".into())]),
        ("reset", vec![Act::Reset]),
        ("no chunk at all", vec![Act::Send("garbage\r\n".into())]),
    ];
    for (how, breaking) in table {
        let acts = [vec![written(&[ROLE, HELLO])], breaking].concat();
        let (frames, _, error) = read(of(OpenAi, &acting(acts).await).await.unwrap()).await;
        assert_eq!(frames, [[ROLE, HELLO].concat()], "{how}");
        assert_is_cut(error, CUT);
    }
}

#[tokio::test]
async fn a_stream_without_content_is_no_answer() {
    let garbage = "\u{1}\u{2}<html>garbage</html>\n\n";
    let table = [vec![end()], vec![written(&[COMMENT, ROLE]), end()], vec![written(&[garbage]), end()]];
    for acts in table {
        assert_is_cut(of(OpenAi, &acting(acts).await).await.err(), NOTHING);
    }
    let error = of(OpenAi, &acting(vec![written(&[ROLE]), Act::Reset]).await).await.unwrap_err();
    assert_is_cut(Some(error), CUT);
    let page = Mock::answering("200 OK", "content-type: text/html\r\n", "<html>").await;
    let error = of(OpenAi, &page).await.unwrap_err();
    assert_eq!(error.message(), "answered 200 with text/html where a stream of events was asked for");
}

#[tokio::test]
async fn an_endless_event_is_not_kept() {
    let acts = (0..80).map(|_| chunk("x".repeat(64 << 10).as_bytes())).collect();
    let error = of(OpenAi, &acting(acts).await).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(error.message().contains("longer than"), "{error}");
}

#[tokio::test]
async fn a_stream_that_has_told_its_end_need_not_be_closed() {
    for leaving in [Act::Hang, Act::Reset] {
        let mock = acting(vec![written(&[HELLO, STOP, DONE]), leaving]).await;
        let begun = Instant::now();
        let (frames, _, error) = read(of(OpenAi, &mock).await.unwrap()).await;
        assert_eq!((frames.concat(), error.is_none()), ([HELLO, STOP, DONE].concat().into_bytes(), true));
        assert!(begun.elapsed() < Duration::from_secs(1), "the terminator ends it, whatever the socket does");
    }
}

#[tokio::test]
async fn what_follows_a_terminator_is_not_waited_for() {
    let chatter = (0..300).map(|_| written(&[COMMENT]));
    let mock = acting([written(&[HELLO, STOP, DONE])].into_iter().chain(chatter).collect()).await;
    let (frames, _, error) = read(of(OpenAi, &mock).await.unwrap()).await;
    assert_eq!((frames.concat(), error.is_none()), ([HELLO, STOP, DONE].concat().into_bytes(), true));
}

#[tokio::test]
async fn anthropics_stream_may_close_once_it_has_said_why_it_stops() {
    let text = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
    let ending = |reason: &str| {
        format!(
            "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":{reason}}},\"usage\":{{\"output_tokens\":1}}}}\n\n"
        )
    };
    for (reason, broken) in [("\"end_turn\"", None), ("null", Some(CUT))] {
        let mock = acting(vec![written(&[text, &ending(reason)]), end()]).await;
        let (frames, _, error) = read(of(Anthropic, &mock).await.unwrap()).await;
        assert_eq!(frames.concat(), [text, &ending(reason)].concat().as_bytes());
        assert_eq!(error.as_ref().map(Error::message), broken, "{reason}");
        assert!(error.is_none_or(|error| error.upstream().map(|name| &**name) == Some("anthropic")), "it says who");
    }
}

#[tokio::test]
async fn the_last_event_needs_no_blank_line() {
    let mock = Mock::streaming(SSE, [HELLO, STOP, DONE.trim_end()]).await;
    let (frames, _, error) = read(of(OpenAi, &mock).await.unwrap()).await;
    assert_eq!((frames.concat(), error.is_none()), ([HELLO, STOP, DONE].concat().into_bytes(), true));
}

#[tokio::test]
async fn dropping_a_reply_closes_its_request() {
    for dialect in [Api::OpenAi, Api::Anthropic] {
        let delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
        let first = if dialect == Api::OpenAi { HELLO } else { delta };
        let mut mock = acting(vec![written(&[first]), Act::Hang]).await;
        let mut reply = ask(&provider(ProviderKind::LmStudio, Some(dialect), &mock.url), question()).await.unwrap();
        assert_eq!(first_frame(&mut reply).await, first);
        drop(reply);
        mock.gone().await;
    }
}
