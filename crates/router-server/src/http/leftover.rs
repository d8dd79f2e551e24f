//! What is left of a request's body when its answer is ready. A connection can only be used again once it is read.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::HttpBody;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;
use tokio::time::timeout;

/// The most that is read in vain to keep a connection.
const MAX_BYTES: usize = 256 << 10;
/// The longest that is waited for it.
const MAX_TIME: Duration = Duration::from_millis(500);

/// A body that its handler may drop: the house still has it.
pub struct Shared<B>(Arc<Mutex<B>>);

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Shared<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut *self.0.lock()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().size_hint()
    }
}

/// The house's end of a body, until the answer goes out.
pub struct Leftover<B> {
    body: Arc<Mutex<B>>,
    version: Version,
    /// The client sends its body only once somebody reads it (`Expect: 100-continue`).
    waits: bool,
}

/// Parts a request's body in two: one end for the handler, one for the house.
pub fn share<B>(request: Request<B>) -> (Request<Shared<B>>, Leftover<B>) {
    let (version, waits) = (request.version(), request.headers().contains_key(header::EXPECT));
    let request = request.map(|body| Shared(Arc::new(Mutex::new(body))));
    let leftover = Leftover { body: Arc::clone(&request.body().0), version, waits };
    (request, leftover)
}

impl<B: HttpBody<Data = Bytes> + Unpin> Leftover<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Reads what nobody read. Where that is too much, the answer says that the connection ends with it: a client that
    /// is not told sends its next request into a closing one.
    pub async fn clear<A>(self, response: &mut Response<A>) {
        let body = Shared(self.body);
        if body.is_end_stream() {
            return;
        }
        let is_read = !self.waits && matches!(timeout(MAX_TIME, discard(body)).await, Ok(true));
        if !is_read && self.version < Version::HTTP_2 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Reads to the end, unless that is too far.
async fn discard<B: HttpBody<Data = Bytes> + Unpin>(body: B) -> bool
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = Limited::new(body, MAX_BYTES);
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::{StreamExt, stream};

    use super::*;

    /// Whether a connection can go on whose handler has dropped this body.
    async fn goes_on(body: Body, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::new(body);
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(header::HeaderName::try_from(*name).expect("a name"), value.parse().expect("a value"));
        }
        let (request, leftover) = share(request);
        drop(request);
        let mut response = Response::new(());
        leftover.clear(&mut response).await;
        !response.headers().contains_key(header::CONNECTION)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_goes_on_when_its_body_is_small_and_there() {
        let late =
            stream::once(tokio::time::sleep(Duration::from_millis(50))).map(|()| Ok::<_, std::io::Error>("late"));
        assert!(goes_on(Body::empty(), &[]).await);
        assert!(goes_on(Body::from("{}"), &[]).await);
        assert!(goes_on(Body::from_stream(late), &[]).await);
        assert!(!goes_on(Body::from("{}"), &[("expect", "100-continue")]).await, "it would have to be asked for");
        assert!(!goes_on(Body::from(vec![0; MAX_BYTES + 1]), &[]).await, "too much");
        assert!(!goes_on(Body::from_stream(stream::pending::<std::io::Result<Bytes>>()), &[]).await, "too slow");
    }

    #[tokio::test]
    async fn what_a_handler_read_is_not_read_again() {
        let (request, leftover) = share(Request::new(Body::from("{}")));
        assert_eq!(request.into_body().collect().await.expect("a body").to_bytes(), "{}");
        let mut response = Response::new(());
        leftover.clear(&mut response).await;
        assert!(response.headers().is_empty());
    }
}
