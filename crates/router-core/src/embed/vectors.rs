//! The answer to a question for vectors: in the upstream's own bytes, or packed.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use tokio_util::task::TaskTracker;

use super::Dialect;
use crate::{
    Done, End, Error, Kind, Pace, Provenance, Reply, Result,
    chat::{Meta, Usage},
};

/// Vectors of one length, packed one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    width: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// The matrix of `rows`, all of which must be equally long and hold nothing but numbers: what else four
    /// bytes may stand for, JSON has no word for, so that it could not be told to anybody.
    pub fn of<R: AsRef<[f32]>>(rows: impl IntoIterator<Item = R>) -> Result<Self> {
        let mut matrix = Self::default();
        for row in rows {
            let row = row.as_ref();
            if matrix.values.is_empty() {
                matrix.width = row.len();
            }
            if row.is_empty() || row.len() != matrix.width {
                let message = format!("a vector has {} numbers where {} were expected", row.len(), matrix.width);
                return Err(Error::new(Kind::Protocol, message));
            }
            if !row.iter().all(|number| number.is_finite()) {
                return Err(Error::new(Kind::Protocol, "a vector holds what is no number"));
            }
            matrix.values.extend_from_slice(row);
        }
        Ok(matrix)
    }

    /// How many numbers each vector has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or_default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The vectors, in the order of the texts.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// All numbers, vector after vector.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// The vectors of the texts that were asked for, in their order.
///
/// Vectors of two models mean nothing to one another: whoever keeps or compares some goes by the provenance's upstream
/// and model, not by the alias that he asked.
#[derive(Clone)]
pub struct Vectors {
    /// What came with it and is worth handing on to a caller of the same dialect.
    pub meta: Meta,
    wire: Option<(&'static dyn Dialect, Bytes)>,
    matrix: Arc<OnceLock<Result<Arc<Matrix>>>>,
    usage: Usage,
    provenance: Provenance,
}

impl Vectors {
    /// An answer in the upstream's own bytes, for a question that came in the same dialect.
    pub fn wire(dialect: &'static dyn Dialect, body: Bytes, usage: Usage) -> Self {
        Self { wire: Some((dialect, body)), matrix: Arc::default(), ..Self::of(Matrix::default(), usage) }
    }

    /// An answer that is decoded.
    pub fn of(matrix: Matrix, usage: Usage) -> Self {
        Self {
            meta: Meta::default(),
            wire: None,
            matrix: Arc::new(OnceLock::from(Ok(Arc::new(matrix)))),
            usage,
            provenance: Provenance::default(),
        }
    }

    /// The vectors themselves, decoded once, where need be.
    pub fn matrix(&self) -> Result<Arc<Matrix>> {
        self.matrix
            .get_or_init(|| match &self.wire {
                Some((dialect, body)) => dialect.matrix(body).map(Arc::new),
                None => Ok(Arc::default()),
            })
            .clone()
    }

    /// The upstream's own bytes, where they are written in `dialect`.
    pub fn bytes(&self, dialect: &str) -> Option<&Bytes> {
        self.wire.as_ref().filter(|(own, _)| own.name() == dialect).map(|(_, bytes)| bytes)
    }

    /// What it cost.
    pub fn usage(&self) -> Usage {
        self.usage
    }
}

impl fmt::Debug for Vectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dialect = self.wire.as_ref().map(|(dialect, _)| dialect.name());
        f.debug_struct("Vectors").field("dialect", &dialect).field("usage", &self.usage).finish_non_exhaustive()
    }
}

impl Reply for Vectors {
    type Recording = Self;

    fn watch(self, done: Done) -> Self {
        done(End::Complete(self.usage));
        self
    }

    fn paced(self, _: Pace) -> Self {
        self
    }

    fn record(self, bound: usize, _: &TaskTracker, kept: Box<dyn FnOnce(bool) + Send>) -> Self {
        kept(Self::weight(&self) <= bound);
        self
    }

    fn replay(recording: &Self) -> Option<Self> {
        Some(recording.clone())
    }

    fn weight(recording: &Self) -> usize {
        let wire = recording.wire.as_ref().map_or(0, |(_, bytes)| bytes.len());
        let matrix = recording.matrix.get().and_then(|matrix| matrix.as_ref().ok());
        wire + matrix.map_or(0, |matrix| size_of_val(matrix.values())) + 128
    }

    fn keepable(&self) -> bool {
        true
    }

    fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    fn provenance_mut(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_packed_if_they_are_equally_long() {
        let matrix = Matrix::of([[1.0, 2.0], [3.0, 4.0]]).unwrap();
        assert_eq!((matrix.len(), matrix.width(), matrix.values()), (2, 2, &[1.0, 2.0, 3.0, 4.0][..]));
        assert_eq!(matrix.rows().collect::<Vec<_>>(), [[1.0, 2.0], [3.0, 4.0]]);
        let none = Matrix::of::<&[f32]>([]).unwrap();
        assert_eq!((none.len(), none.is_empty(), none.rows().len()), (0, true, 0));
        let unwritable: [&[f32]; 3] = [&[f32::NAN], &[1.0, f32::INFINITY], &[f32::NEG_INFINITY]];
        for row in unwritable {
            assert_eq!(Matrix::of([row]).unwrap_err().kind(), Kind::Protocol, "{row:?}");
        }
        for rows in [&[&[1.0, 2.0][..], &[3.0]][..], &[&[]], &[&[1.0], &[]]] {
            assert_eq!(Matrix::of(rows).unwrap_err().kind(), Kind::Protocol, "{rows:?}");
        }
    }

    #[test]
    fn whoever_watches_is_told_the_usage_at_once() {
        let usage = Usage { input: 7, ..Usage::default() };
        let (tell, told) = std::sync::mpsc::channel();
        let _ = Vectors::of(Matrix::default(), usage).watch(Box::new(move |end| tell.send(end).unwrap()));
        assert_eq!(told.recv(), Ok(End::Complete(usage)));
    }

    #[test]
    fn an_answer_is_recorded_within_its_bound() {
        let vectors = Vectors::of(Matrix::of([[0.5; 100]]).unwrap(), Usage::default());
        for (bound, expected) in [(600, true), (500, false)] {
            let (told, kept) = std::sync::mpsc::channel();
            let tell = Box::new(move |whole| told.send(whole).unwrap());
            let copy = vectors.clone().record(bound, &TaskTracker::new(), tell);
            let replayed = Vectors::replay(&copy).unwrap().matrix().unwrap();
            assert_eq!((kept.recv(), replayed.values()), (Ok(expected), &[0.5; 100][..]));
        }
    }
}
