//! The pipe side: one client, every era at once, one message per line.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use router_core::Cx;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter},
    sync::mpsc,
    time::timeout,
};

use super::{
    Front,
    pipe::Pipe,
    session::{Hello, Session},
};
use crate::{
    client::lines::{LINE_MAX, Line, Lines},
    rpc::{self, RpcError, code},
};

/// How many messages wait for a client that reads slowly.
const WAITING: usize = 256;
/// How many requests may be under way.
const UNDERWAY: usize = 1_000;
/// How long requests may go on after the input has ended, as it does at once when it is a file.
const GRACE: Duration = Duration::from_secs(5);

/// Serves a client over a pipe until its end closes. `contexts` makes the context of each request.
pub async fn serve_stdio(
    front: Front,
    contexts: impl Fn() -> Cx + Send + Sync,
    input: impl AsyncRead + Unpin + Send,
    output: impl AsyncWrite + Unpin + Send,
) -> io::Result<()> {
    let (out, messages) = mpsc::channel(WAITING);
    let session = Arc::new(Session::new("", "", Hello::silent()));
    let _over = session.over.clone().drop_guard();
    let pipe = Pipe::new(front, session, out, UNDERWAY);
    let writing = write(messages, output);
    tokio::pin!(writing);
    let read = tokio::select! {
        read = read(pipe, contexts, input) => read,
        written = &mut writing => return written,
    };
    match timeout(GRACE, writing).await {
        Ok(written) => read.and(written),
        Err(_) => read,
    }
}

/// Writes one message per line, and flushes when there is no other.
async fn write(mut messages: mpsc::Receiver<Bytes>, output: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    while let Some(message) = messages.recv().await {
        output.write_all(&rpc::one_line(message)).await?;
        output.write_all(b"\n").await?;
        if messages.is_empty() {
            output.flush().await?;
        }
    }
    Ok(())
}

/// Takes in what the client writes, until its end closes.
async fn read(pipe: Pipe, contexts: impl Fn() -> Cx, input: impl AsyncRead + Unpin) -> io::Result<()> {
    let _listening = pipe.listening();
    let mut lines = Lines::new(input, LINE_MAX);
    while let Some(line) = lines.next().await? {
        match line {
            Line::Whole(line) if line.trim_ascii().is_empty() => {}
            Line::Whole(line) if rpc::is_batch(&line) => pipe.batch(contexts(), &line).await,
            Line::Whole(line) => match rpc::read_client(&line) {
                Ok(message) => pipe.take(contexts(), message).await,
                Err(error) => pipe.send(rpc::error(None, &error)).await,
            },
            Line::TooLong(_) => {
                let error = RpcError::new(code::INVALID_REQUEST, "a message may have 16 MiB at most");
                pipe.send(rpc::error(None, &error)).await;
            }
        }
    }
    Ok(())
}
