//! A connection that is read in small sips. What reads it makes its buffer as large as the largest read so far and keeps it
//! for as long as the connection lives: for a stream that is open for minutes, behind a question that was read in one.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use super::patience::Patience;

/// The most that is read at once, in bytes.
const SIP: u64 = 16 << 10;

/// A connection that is read in small sips.
pub(super) struct Sips<T> {
    connection: Take<T>,
    /// Is told of each.
    patience: Option<Patience>,
}

impl<T: AsyncRead> Sips<T> {
    pub(super) fn of(connection: T) -> Self {
        Self { connection: connection.take(SIP), patience: None }
    }

    /// The same, with somebody who wants to know when something came.
    pub(super) fn noted_by(self, patience: Patience) -> Self {
        Self { patience: Some(patience), ..self }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Sips<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.connection.set_limit(SIP);
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(cx, buffer);
        if let Some(patience) = self.patience.as_ref().filter(|_| buffer.filled().len() > before) {
            patience.note();
        }
        read
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Sips<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.connection.get_mut()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.connection.get_mut()).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.connection.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.connection.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn all_arrives_in_sips() {
        let (mut far, near) = tokio::io::duplex(1 << 20);
        let sent: Vec<u8> = (0..100_000_u32).map(|number| u8::try_from(number % 251).expect("a byte")).collect();
        far.write_all(&sent).await.expect("it fits");
        drop(far);
        let (mut sips, mut arrived) = (Sips::of(near), Vec::new());
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = sips.read(&mut buffer).await.expect("bytes");
            assert!(count <= 16 << 10, "{count}");
            if count == 0 {
                break;
            }
            arrived.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(arrived, sent);
    }
}
