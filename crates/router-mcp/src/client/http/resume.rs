//! Answers that come as a stream, and are gone on with where they stopped when the stream ends too early: a legacy server
//! that gives its events ids may close the stream, and have us come back for the rest.

use std::{ops::ControlFlow, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use http_body_util::BodyExt;
use router_core::{Error, Result};
use router_http::Answer;
use tokio::time::sleep;

use super::{
    super::session::Reply,
    exchange::{Aside, Post, is_events, unanswered},
    headers,
    sse::{EVENT_MAX, Events, TooLarge},
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long we stay away from a server that does not say when we may come back.
const RETRY: Duration = Duration::from_secs(1);
/// The least, whatever it says.
const RETRY_MIN: Duration = Duration::from_millis(10);
/// How often in a row a server may be out of reach when we come back.
const ATTEMPTS: usize = 5;

impl Post {
    /// Hears a stream until the answer to the request `id`, whose `headers` name the session.
    pub(super) async fn stream(
        &self,
        mut body: Answer,
        (id, headers): (u64, &HeaderMap),
        aside: &impl Aside,
    ) -> Result<Reply> {
        let mut events = Events::default();
        loop {
            let cut = match self.hear(body, &mut events, id, aside).await? {
                ControlFlow::Break(reply) => return Ok(reply),
                ControlFlow::Continue(cut) => cut,
            };
            body = self.resume(headers, &events, cut).await?;
            events.begin_anew();
        }
    }

    /// Hears one stream to its end; the answer, or why there is none.
    async fn hear(
        &self,
        mut body: Answer,
        events: &mut Events,
        id: u64,
        aside: &impl Aside,
    ) -> Result<ControlFlow<Reply, Error>> {
        while let Some(frame) = body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => return Ok(ControlFlow::Continue(unanswered("the stream broke").because(error))),
            };
            let Ok(piece) = frame.into_data() else { continue };
            events.push(&piece);
            while let Some(event) = events.next().map_err(|TooLarge| too_large())? {
                let reply = if event.is_empty() { None } else { self.take(&event, id, aside)? };
                if let Some(reply) = reply {
                    body.leave();
                    return Ok(ControlFlow::Break(reply));
                }
            }
        }
        Ok(ControlFlow::Continue(unanswered("the stream ended before the answer")))
    }

    /// The rest of a stream that was `cut`, where there is a place to go on from. The modern era has none.
    async fn resume(&self, headers: &HeaderMap, events: &Events, cut: Error) -> Result<Answer> {
        let last = events.last_id().filter(|_| !headers::is_modern(headers));
        let Some(last) = last else { return Err(cut) };
        let mut headers = headers.clone();
        headers.insert(LAST_EVENT_ID, last);
        for _ in 0..ATTEMPTS {
            sleep(events.retry().unwrap_or(RETRY).max(RETRY_MIN)).await;
            let Ok(response) = self.deliver(self.draft(Method::GET, &headers, Bytes::new())).await else {
                continue;
            };
            match (response.status(), is_events(&response)) {
                (StatusCode::OK, true) => return Ok(response.into_body()),
                (status, _) if status.is_server_error() => {}
                _ => return Err(cut),
            }
        }
        Err(cut)
    }
}

fn too_large() -> Error {
    unanswered(&format!("an event is above {EVENT_MAX} bytes"))
}
