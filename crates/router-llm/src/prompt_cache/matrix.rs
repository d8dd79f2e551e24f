//! Vectors packed row by row, and the search for those that point where another one does.
//!
//! Each number is one byte: 100,000 rows of 384 are 38 MB, where floats would be 154 MB, and a search is as slow as memory
//! is read. So it reads even less: rows are kept in two halves, and where the first half of a row is so unlike that no second
//! half could mend it, the second one is not read. Nothing is lost by that. (`bench/src/bin/search.rs` measures it.)

/// Numbers that are multiplied at once. The compiler makes vector instructions of so many sums beside one another, and whole
/// numbers may be added up in any order.
const LANES: usize = 16;

/// A direction: its length is 1, whatever the length of the vector that it was made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Direction {
    /// What one step of a byte is worth.
    pub(crate) scale: f32,
    /// The numbers, in steps. The cosine of two vectors as wide as models make them is off by less than 0.002.
    pub(crate) steps: Vec<i8>,
}

impl Direction {
    /// The direction of `vector`; `None` when it points nowhere.
    #[expect(clippy::cast_possible_truncation, reason = "at most 127 by the division")]
    pub(crate) fn of(vector: &[f32]) -> Option<Self> {
        let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
        let highest = vector.iter().fold(0.0_f32, |highest, number| highest.max(number.abs()));
        if !length.is_normal() {
            return None;
        }
        let steps = vector.iter().map(|number| (number / highest * 127.0).round() as i8).collect();
        Some(Self { scale: (f64::from(highest) / 127.0 / length) as f32, steps })
    }

    /// Its two halves, and how long the second one is.
    fn halves(&self) -> (&[i8], &[i8], f64) {
        let (first, second) = self.steps.split_at(first_half(self.steps.len()));
        let squares = second.iter().map(|step| f64::from(*step).powi(2)).sum::<f64>();
        (first, second, squares.sqrt() * f64::from(self.scale))
    }
}

/// How many of `width` numbers are in the first half.
fn first_half(width: usize) -> usize {
    width.div_ceil(2).next_multiple_of(LANES).min(width)
}

/// Directions of one width, one after another.
#[derive(Debug, Default)]
pub(crate) struct Matrix {
    width: usize,
    first: Vec<i8>,
    second: Vec<i8>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    scale: f32,
    /// How long the second half is, rounded up: what it can add to a cosine, at the most.
    rest: f32,
}

impl Matrix {
    /// Adds a row at the end; says whether it is as wide as the others.
    #[expect(clippy::cast_possible_truncation, reason = "at most 1")]
    pub(crate) fn push(&mut self, row: &Direction) -> bool {
        if self.rows.is_empty() {
            self.width = row.steps.len();
        }
        let fits = self.width == row.steps.len();
        if fits {
            let (first, second, rest) = row.halves();
            self.first.extend_from_slice(first);
            self.second.extend_from_slice(second);
            self.rows.push(Row { scale: row.scale, rest: (rest as f32).next_up() });
        }
        fits
    }

    /// Takes a row away; the last one moves to its place.
    pub(crate) fn swap_remove(&mut self, at: usize) {
        let Some(last) = self.rows.len().checked_sub(1).filter(|last| at <= *last) else { return };
        let first = first_half(self.width);
        for (half, width) in [(&mut self.first, first), (&mut self.second, self.width - first)] {
            half.copy_within(last * width.., at * width);
            half.truncate(last * width);
        }
        self.rows.swap_remove(at);
    }

    /// The rows whose cosine with `sought` is `threshold` at least, with that cosine, in no order.
    pub(crate) fn near(&self, sought: &Direction, threshold: f64) -> Vec<(usize, f64)> {
        if sought.steps.len() != self.width || self.width == 0 {
            return Vec::new();
        }
        let (first, second, rest) = sought.halves();
        let [first, second] = [first, second].map(widened);
        let rows = self.first.chunks_exact(first.len()).zip(&self.rows).enumerate();
        let near = rows.filter_map(|(at, (row, Row { scale, rest: row_rest }))| {
            let worth = f64::from(*scale) * f64::from(sought.scale);
            let begun = dot(row, &first);
            if f64::from(begun) * worth + f64::from(*row_rest) * rest < threshold {
                return None;
            }
            let row = self.second.get(at * second.len()..(at + 1) * second.len())?;
            let cosine = f64::from(begun + dot(row, &second)) * worth;
            (cosine >= threshold).then_some((at, cosine))
        });
        near.collect()
    }
}

fn widened(steps: &[i8]) -> Vec<i16> {
    steps.iter().map(|step| i16::from(*step)).collect()
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "called for each row: with a call, or unrolled by itself, a search takes half as long again"
)]
fn dot(row: &[i8], sought: &[i16]) -> i32 {
    let ((row, row_end), (sought, sought_end)) = (row.as_chunks::<LANES>(), sought.as_chunks::<LANES>());
    let mut sums = [0; LANES];
    for (row, sought) in row.iter().zip(sought) {
        for ((sum, one), other) in sums.iter_mut().zip(row).zip(sought) {
            *sum += i32::from(*one) * i32::from(*other);
        }
    }
    let end = row_end.iter().zip(sought_end).map(|(one, other)| i32::from(*one) * i32::from(*other));
    sums.into_iter().sum::<i32>() + end.sum::<i32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f32]]) -> Matrix {
        let mut matrix = Matrix::default();
        for row in rows {
            assert!(matrix.push(&Direction::of(row).unwrap()), "{row:?}");
        }
        matrix
    }

    fn rows_near(matrix: &Matrix, sought: &[f32], threshold: f64) -> Vec<usize> {
        matrix.near(&Direction::of(sought).unwrap(), threshold).into_iter().map(|(row, _)| row).collect()
    }

    /// Numbers that are the same in every run, between -1 and 1.
    fn vector(seed: u32, width: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            f32::from(u16::try_from(state >> 16).unwrap()) / 32767.5 - 1.0
        };
        std::iter::repeat_with(next).take(width).collect()
    }

    #[test]
    fn nearness_is_the_cosine_whatever_the_lengths() {
        let matrix = matrix(&[&[1.0, 0.0], &[0.0, 5.0], &[3.0, 3.0], &[-1.0, 0.0]]);
        let table: [(&[f32], f64, &[usize]); 5] = [
            (&[2.0, 0.0], 0.99, &[0]),
            (&[2.0, 0.0], 0.70, &[0, 2]),
            (&[0.0, 0.1], 0.70, &[1, 2]),
            (&[1.0, 1.0], 0.0, &[0, 1, 2]),
            (&[1.0, 1.0, 1.0], -1.0, &[]),
        ];
        for (sought, threshold, expected) in table {
            assert_eq!(rows_near(&matrix, sought, threshold), expected, "{sought:?} {threshold}");
        }
    }

    #[test]
    fn a_byte_per_number_is_fine_enough() {
        for (seed, width) in [(1, 256), (2, 384), (3, 1536), (4, 3072)] {
            let (one, noise) = (vector(seed, width), vector(seed + 100, width));
            let other: Vec<f32> = one.iter().zip(&noise).map(|(one, noise)| one + noise * 0.5).collect();
            let product =
                |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let exact = product(&one, &other) / (product(&one, &one) * product(&other, &other)).sqrt();
            let [(_, told)] = matrix(&[&one]).near(&Direction::of(&other).unwrap(), -1.0)[..] else {
                panic!("one row")
            };
            assert!((told - exact).abs() < 0.002, "{width}: {told} for {exact}");
        }
    }

    #[test]
    fn what_points_nowhere_is_no_direction() {
        for vector in [&[][..], &[0.0, 0.0], &[f32::NAN, 1.0], &[f32::INFINITY, 1.0]] {
            assert_eq!(Direction::of(vector), None, "{vector:?}");
        }
    }

    #[test]
    fn the_last_row_takes_the_place_of_one_that_goes() {
        let mut matrix = matrix(&[&[1.0, 0.0], &[0.0, 1.0], &[-1.0, 0.0]]);
        assert!(!matrix.push(&Direction::of(&[1.0]).unwrap()), "another width");
        matrix.swap_remove(0);
        assert_eq!((rows_near(&matrix, &[-1.0, 0.0], 0.9), rows_near(&matrix, &[1.0, 0.0], 0.9)), (vec![0], vec![]));
        matrix.swap_remove(7);
        matrix.swap_remove(1);
        matrix.swap_remove(0);
        assert_eq!(rows_near(&matrix, &[-1.0, 0.0], -1.0), [0; 0]);
        assert!(matrix.push(&Direction::of(&[1.0]).unwrap()), "an empty one has any width");
    }

    #[test]
    fn what_is_not_read_would_not_have_counted() {
        for width in [1, 2, 15, 16, 17, 31, 33, 384, 385] {
            let rows: Vec<_> = (0..200).map(|seed| Direction::of(&vector(seed, width)).unwrap()).collect();
            let mut matrix = Matrix::default();
            assert!(rows.iter().all(|row| matrix.push(row)));
            for threshold in [-1.0, 0.0, 0.1, 0.85] {
                let sought = Direction::of(&vector(77, width)).unwrap();
                let cosine = |row: &Direction| {
                    let product = row.steps.iter().zip(&sought.steps).map(|(a, b)| i32::from(*a) * i32::from(*b));
                    f64::from(product.sum::<i32>()) * (f64::from(row.scale) * f64::from(sought.scale))
                };
                let all = rows.iter().map(cosine).enumerate();
                let expected: Vec<_> = all.filter(|(_, cosine)| *cosine >= threshold).collect();
                assert_eq!(matrix.near(&sought, threshold), expected, "{width} {threshold}");
            }
        }
    }
}
