//! A request body of a few shared pieces, sent one after the other without being joined.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;

/// The body: mostly one piece, or what stood before some words that are changed, these, and what stood after them.
#[derive(Debug)]
pub struct Pieces(smallvec::IntoIter<[Bytes; 3]>);

impl Pieces {
    fn len(&self) -> u64 {
        self.0.as_slice().iter().map(|piece| piece.len() as u64).sum()
    }
}

impl From<[Bytes; 3]> for Pieces {
    fn from(pieces: [Bytes; 3]) -> Self {
        Self(SmallVec::from_buf(pieces).into_iter())
    }
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self(SmallVec::from_iter([whole]).into_iter())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.find(|piece| !piece.is_empty()).map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn are_sent_in_their_order() {
        let body = Pieces::from(["ab", "", "c"].map(|piece| Bytes::from_static(piece.as_bytes())));
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(3), false));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
        assert!(Pieces::from(Bytes::new()).is_end_stream());
    }
}
