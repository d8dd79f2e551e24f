//! An upstream on a real socket that notes what it is asked and then does what a test says, byte by byte.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::task::TaskTracker;

/// What the mock does once it has read a question.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Sends bytes as one write.
    Send(Bytes),
    /// Waits.
    Pause(Duration),
    /// Resets the connection.
    Reset,
    /// Waits until the other side goes.
    Hang,
}

/// A question as it arrived.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn headers_named(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn mentions(&self, text: &str) -> bool {
        self.headers.iter().any(|(name, value)| name.contains(text) || value.contains(text))
    }
}

/// The mock.
pub(super) struct Mock {
    pub(super) url: String,
    seen: mpsc::UnboundedReceiver<Seen>,
    gone: mpsc::UnboundedReceiver<()>,
}

impl Mock {
    /// Answers every question with `acts`, then closes.
    pub(super) async fn acting(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let acts = acts.into_iter().collect::<Vec<_>>();
        let (saw, seen) = mpsc::unbounded_channel();
        let (went, gone) = mpsc::unbounded_channel();
        TaskTracker::new().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                act(stream, &acts, &saw, &went).await;
            }
        });
        Self { url, seen, gone }
    }

    /// Answers with a status, more lines of a head, and a body.
    pub(super) async fn answering(status: &str, lines: &str, body: impl AsRef<[u8]>) -> Self {
        Self::acting([whole(status, lines, body)]).await
    }

    /// Answers with a stream of events in these writes, and ends it properly.
    pub(super) async fn streaming<B: AsRef<[u8]>>(media: &str, writes: impl IntoIterator<Item = B>) -> Self {
        let writes = writes.into_iter().map(|write| chunk(write.as_ref())).collect::<Vec<_>>();
        Self::acting([stream_head(media)].into_iter().chain(writes).chain([end()])).await
    }

    /// The next question that arrived.
    pub(super) async fn seen(&mut self) -> Seen {
        within(self.seen.recv()).await.unwrap()
    }

    /// Waits until whoever asked has gone while the mock hung.
    pub(super) async fn gone(&mut self) {
        within(self.gone.recv()).await.unwrap();
    }
}

/// A question that was dropped has to be closed within a second; the rest of the test is quicker.
async fn within<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(1), wait).await.expect("within a second")
}

pub(super) fn whole(status: &str, lines: &str, body: impl AsRef<[u8]>) -> Act {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{lines}content-length: {}\r\n\r\n", body.len());
    Act::Send([head.as_bytes(), body].concat().into())
}

pub(super) fn stream_head(media: &str) -> Act {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ntransfer-encoding: chunked\r\n\r\n");
    Act::Send(head.into())
}

pub(super) fn chunk(bytes: &[u8]) -> Act {
    let size = format!("{:x}\r\n", bytes.len());
    Act::Send([size.as_bytes(), bytes, b"\r\n"].concat().into())
}

pub(super) fn end() -> Act {
    Act::Send(Bytes::from_static(b"0\r\n\r\n"))
}

async fn act(mut stream: TcpStream, acts: &[Act], saw: &mpsc::UnboundedSender<Seen>, went: &mpsc::UnboundedSender<()>) {
    stream.set_nodelay(true).unwrap();
    let Some(question) = question(&mut stream).await else { return };
    let _ = saw.send(question);
    for act in acts {
        match act {
            Act::Send(bytes) => {
                if stream.write_all(bytes).await.is_err() {
                    return;
                }
                // A write of its own is a chunk of its own: the reader is let to run in between.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Act::Pause(time) => tokio::time::sleep(*time).await,
            Act::Reset => return stream.set_zero_linger().unwrap(),
            Act::Hang => {
                let _ = stream.read(&mut [0; 64]).await;
                let _ = went.send(());
            }
        }
    }
}

async fn question(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let (line, rest) = text.split_once("\r\n").unwrap();
    let headers = rest.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect::<Vec<_>>();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, size)| size.parse().unwrap());
    while bytes.len() < head + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    Some(Seen { line: line.to_owned(), headers, body: Bytes::from(bytes).slice(head + 4..) })
}
