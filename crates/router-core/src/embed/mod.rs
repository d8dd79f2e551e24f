//! A question for the vectors of texts, and its answer, which comes whole.

mod vectors;

pub use vectors::{Matrix, Vectors};

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{
    Fingerprint, Query, Repeat, Result,
    chat::{Meta, OnLoss},
};

/// A wire format for embeddings. The dialects implement it; here it is only a thing that can decode itself.
pub trait Dialect: Send + Sync + 'static {
    /// Its name; two dialects are the same when their names are.
    fn name(&self) -> &'static str;

    /// Reads a question.
    fn decode(&self, body: &Bytes) -> Result<Texts>;

    /// Reads an answer.
    fn matrix(&self, body: &Bytes) -> Result<Matrix>;
}

/// Texts are to be turned into vectors.
///
/// Like a chat it carries the bytes it arrived in; its [`Texts`] are decoded on first need, once, and shared by every
/// clone.
#[derive(Clone)]
pub struct Embed {
    /// The model asked for: an alias at the door, the provider's own name for it behind the route.
    pub model: Arc<str>,
    /// What came with it and is worth forwarding to an upstream of the dialect it came in.
    pub meta: Meta,
    /// What is done when its upstream has no words for all of it.
    pub on_loss: OnLoss,
    wire: Option<Arc<Wire>>,
    texts: Arc<OnceLock<Result<Arc<Texts>>>>,
}

/// A question as it came in.
#[derive(Clone)]
pub struct Wire {
    /// Who can read it.
    pub dialect: &'static dyn Dialect,
    /// The body, checked for depth, size and duplicate keys of its envelope; what was checked is what is forwarded.
    pub body: Bytes,
    /// Where in the body the model's name stands, with its quotes.
    pub model: Range<usize>,
    /// How many vectors answer it.
    pub count: usize,
}

/// What is to be turned into vectors, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Texts {
    /// The texts, each of which becomes one vector.
    pub inputs: Arc<[String]>,
    /// How long each vector should be; the model's own length when nothing is said.
    pub dimensions: Option<u32>,
    /// Whether a text that does not fit is cut (or refused); as the upstream does it when nothing is said.
    pub truncate: Option<bool>,
    /// The dialect it was read from.
    pub origin: Option<&'static str>,
    /// Fields that only their own dialect knows.
    pub extra: Map<String, Value>,
}

impl Embed {
    /// A question as it came in.
    pub fn arrived(wire: Wire, meta: Meta, model: impl Into<Arc<str>>) -> Self {
        let texts = Arc::default();
        Self { model: model.into(), meta, on_loss: OnLoss::default(), wire: Some(Arc::new(wire)), texts }
    }

    /// A question of our own making, for vectors of the model's own length.
    pub fn of(inputs: impl Into<Arc<[String]>>, model: impl Into<Arc<str>>) -> Self {
        Self::asking(Texts { inputs: inputs.into(), ..Texts::default() }, model)
    }

    /// A question of our own making, with all its particulars.
    pub fn asking(texts: Texts, model: impl Into<Arc<str>>) -> Self {
        Self {
            model: model.into(),
            meta: Meta::default(),
            on_loss: OnLoss::default(),
            wire: None,
            texts: Arc::new(OnceLock::from(Ok(Arc::new(texts)))),
        }
    }

    /// The bytes it arrived in.
    pub fn wire(&self) -> Option<&Wire> {
        self.wire.as_deref()
    }

    /// What it says, decoded once.
    pub fn texts(&self) -> Result<Arc<Texts>> {
        self.texts
            .get_or_init(|| match &self.wire {
                Some(wire) => wire.dialect.decode(&wire.body).map(Arc::new),
                None => Ok(Arc::default()),
            })
            .clone()
    }
}

impl std::fmt::Debug for Embed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embed").field("model", &self.model).finish_non_exhaustive()
    }
}

impl Query for Embed {
    type Reply = Vectors;

    fn operation(&self) -> &'static str {
        "embeddings"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn answered_whole(&self) -> bool {
        true
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        let Some(wire) = &self.wire else {
            let said = format!("{:?}", self.texts().ok()?);
            return Some(Fingerprint::of([b"embed", self.model.as_bytes(), said.as_bytes()]));
        };
        let before = wire.body.get(..wire.model.start).unwrap_or_default();
        let after = wire.body.get(wire.model.end..).unwrap_or_default();
        Some(Fingerprint::of([b"embed", wire.dialect.name().as_bytes(), self.model.as_bytes(), before, after]))
    }

    fn say(&self, _: &str) -> Option<Vectors> {
        None
    }

    fn words(&self) -> String {
        self.texts().map(|texts| texts.inputs.join("\n")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Kind};

    struct Lines;

    impl Dialect for Lines {
        fn name(&self) -> &'static str {
            "lines"
        }

        fn decode(&self, body: &Bytes) -> Result<Texts> {
            let text = std::str::from_utf8(body).map_err(|_| Error::new(Kind::Invalid, "not text"))?;
            Ok(Texts { inputs: text.lines().skip(1).map(str::to_owned).collect(), ..Texts::default() })
        }

        fn matrix(&self, _: &Bytes) -> Result<Matrix> {
            Err(Error::new(Kind::Protocol, "no vectors"))
        }
    }

    fn arrived(body: &'static str, model: &str) -> Embed {
        let at = 0..body.find('\n').unwrap();
        let wire = Wire { dialect: &Lines, body: body.into(), model: at, count: body.lines().count() - 1 };
        Embed::arrived(wire, Meta::default(), model)
    }

    #[test]
    fn is_known_by_everything_but_the_name_that_the_client_has_for_its_model() {
        let of = |inputs: &[&str], model: &str| {
            Embed::of(inputs.iter().map(|&text| text.to_owned()).collect::<Vec<_>>(), model)
        };
        let short = Texts { dimensions: Some(2), ..Texts::clone(&of(&["a"], "m").texts().unwrap()) };
        let distinct = [
            of(&["a"], "m"),
            of(&["a"], "n"),
            of(&["a", "b"], "m"),
            of(&["ab"], "m"),
            Embed::asking(short, "m"),
            arrived("m\na", "m"),
            arrived("m\nb", "m"),
        ];
        let prints: std::collections::HashSet<_> =
            distinct.iter().map(|query| query.fingerprint().unwrap().0).collect();
        assert_eq!(prints.len(), distinct.len());
        assert_eq!(arrived("alias\na", "m").fingerprint(), arrived("m\na", "m").fingerprint());
    }

    #[test]
    fn is_decoded_once_for_all_clones() {
        let query = arrived("m\na\nb", "m");
        let clone = query.clone();
        let texts = query.texts().unwrap();
        assert!(Arc::ptr_eq(&texts, &clone.texts().unwrap()));
        assert_eq!((&*texts.inputs, query.words().as_str()), (&["a".to_owned(), "b".to_owned()][..], "a\nb"));
        assert_eq!(arrived("m\n", "m").texts().unwrap().inputs.len(), 0);
    }
}
