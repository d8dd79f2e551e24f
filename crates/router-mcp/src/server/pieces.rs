//! A message on its way out, in pieces where it is large: the items of a list are bytes that every answer shares.

use bytes::{Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use super::Told;
use crate::{
    fields,
    rpc::{self, Id, RpcError},
};

/// The pieces of one message, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces(SmallVec<[Bytes; 3]>);

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self(if whole.is_empty() { SmallVec::new() } else { smallvec![whole] })
    }
}

impl Pieces {
    /// The message that answers a request.
    pub(super) fn reply(id: &Id, outcome: &Result<Told, RpcError>) -> Self {
        match outcome {
            Ok(told) => Self::told(id, told),
            Err(error) => rpc::error(Some(id), error).into(),
        }
    }

    fn told(id: &Id, told: &Told) -> Self {
        let whole = rpc::result(id, &told.result);
        let Some(page) = &told.page else { return whole.into() };
        let Some(place) = fields::place(&told.result, page.field()) else { return whole.into() };
        // The result is the last member of the message: only the closing brace comes after it.
        let before = whole.len().saturating_sub(told.result.bytes().len() + 1);
        let (head, tail) = (whole.slice(..before + place.start), whole.slice(before + place.end..));
        Self(smallvec![head, Bytes::clone(&page.items), tail])
    }

    /// How long it is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next piece.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// All of it as one.
    pub(super) fn joined(mut self) -> Bytes {
        if self.0.len() <= 1 {
            return self.take().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        self.0.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }
}

/// The message that answers a request, as one.
pub(super) fn reply(id: &Id, outcome: &Result<Told, RpcError>) -> Bytes {
    Pieces::reply(id, outcome).joined()
}
