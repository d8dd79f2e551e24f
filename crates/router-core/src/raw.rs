//! JSON that is carried, not understood.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer, de::DeserializeOwned, ser::Error as _};
use serde_json::value::RawValue;

use crate::{Error, Kind, Result};

/// One JSON value as the bytes it arrived in: key order, big numbers and unknown fields stay what they were.
///
/// Whoever makes one vouches that the bytes are one valid JSON value.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw(Bytes);

impl Raw {
    /// Bytes that the caller knows to be one JSON value, because a parser or an encoder has just said so.
    pub fn trusted(json: impl Into<Bytes>) -> Self {
        Self(json.into())
    }

    /// Writes a value down.
    pub fn encode(value: &impl Serialize) -> Result<Self> {
        match serde_json::to_vec(value) {
            Ok(json) => Ok(Self(json.into())),
            Err(error) => {
                Err(Error::new(Kind::Internal, "a value of ours could not be written as JSON").because(error))
            }
        }
    }

    /// Reads the fields that `T` names, and skips the rest.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).map_err(|error| Error::new(Kind::Invalid, error.to_string()))
    }

    /// The same in bytes of its own: what is kept for long must not keep the whole message that it stood in.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The text: JSON is UTF-8.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("null")
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Written as it is, once it is seen to be the one JSON value that it should be.
impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_slice::<&RawValue>(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}
