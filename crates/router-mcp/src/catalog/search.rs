//! Which things fit a question best, by their words (Okapi BM25), and how that is joined with what they mean.

use std::{cmp::Ordering, collections::BTreeMap};

use super::words::words;

/// How soon further mentions of a word count less.
const SATURATION: f64 = 1.2;
/// How much the length of a text counts.
const LENGTH: f64 = 0.75;
/// What a word is worth that only begins as the one that was asked for.
const BEGINNING: f64 = 0.5;
/// The shortest beginning that counts.
const SHORTEST: usize = 3;
/// How much the first places of a ranking differ (reciprocal rank fusion; 60 is the literature's value).
const RANK: f64 = 60.0;

/// Texts, ready to be searched. Each part of a text has a weight: how often it counts.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// In which texts a word stands, and how often it counts there.
    mentions: BTreeMap<String, Vec<(usize, f64)>>,
    lengths: Vec<f64>,
}

/// A text and how well it fits.
pub(super) type Hit = (usize, f64);

impl Index {
    pub(super) fn of<'a, T>(texts: impl IntoIterator<Item = T>) -> Self
    where
        T: IntoIterator<Item = (f64, std::borrow::Cow<'a, str>)>,
    {
        let mut index = Self::default();
        for text in texts {
            let mut counts: BTreeMap<String, f64> = BTreeMap::new();
            for (weight, part) in text {
                for word in words(&part) {
                    *counts.entry(word).or_default() += weight;
                }
            }
            let place = index.lengths.len();
            index.lengths.push(counts.values().sum());
            for (word, count) in counts {
                index.mentions.entry(word).or_default().push((place, count));
            }
        }
        index
    }

    /// The texts that share a word with the question, the best first; of equals the earlier.
    pub(super) fn search(&self, question: &str) -> Vec<Hit> {
        let mut scores: BTreeMap<usize, f64> = BTreeMap::new();
        let mut asked = words(question);
        asked.sort();
        asked.dedup();
        for word in &asked {
            for (place, score) in self.word(word) {
                *scores.entry(place).or_default() += score;
            }
        }
        ranked(scores.into_iter().collect())
    }

    /// How much a word says for each text: the word itself, or the best of those that begin with it.
    fn word(&self, asked: &str) -> BTreeMap<usize, f64> {
        let mut best: BTreeMap<usize, f64> = BTreeMap::new();
        let from = self.mentions.range::<str, _>((std::ops::Bound::Included(asked), std::ops::Bound::Unbounded));
        for (word, mentions) in from.take_while(|(word, _)| word.starts_with(asked)) {
            let worth = match word.len() == asked.len() {
                true => 1.0,
                false if asked.len() < SHORTEST => continue,
                false => BEGINNING,
            };
            let rarity = self.rarity(mentions.len());
            for (place, count) in mentions {
                let score = worth * rarity * self.density(*place, *count);
                let known = best.entry(*place).or_default();
                *known = known.max(score);
            }
        }
        best
    }

    #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52 texts")]
    fn rarity(&self, mentions: usize) -> f64 {
        let (all, with) = (self.lengths.len() as f64, mentions as f64);
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }

    #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52 texts")]
    fn density(&self, place: usize, count: f64) -> f64 {
        let mean = self.lengths.iter().sum::<f64>() / (self.lengths.len().max(1) as f64);
        let length = self.lengths.get(place).copied().unwrap_or(mean) / mean.max(1.0);
        count * (SATURATION + 1.0) / (count + SATURATION * (1.0 - LENGTH + LENGTH * length))
    }
}

/// The best first; of equals the earlier.
pub(super) fn ranked(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by(|(one, left), (other, right)| {
        right.partial_cmp(left).unwrap_or(Ordering::Equal).then_with(|| one.cmp(other))
    });
    hits
}

/// Two rankings as one: what both find goes before what one of them finds.
#[expect(clippy::cast_precision_loss, reason = "rankings are far shorter than 2^52")]
pub(super) fn fused(rankings: [&[Hit]; 2]) -> Vec<Hit> {
    let mut scores: BTreeMap<usize, f64> = BTreeMap::new();
    for ranking in rankings {
        for (rank, (place, _)) in ranking.iter().enumerate() {
            *scores.entry(*place).or_default() += 1.0 / (RANK + 1.0 + rank as f64);
        }
    }
    ranked(scores.into_iter().collect())
}

/// How near two meanings are (cosine); nothing is near what has no direction.
pub(super) fn nearness(one: &[f32], other: &[f32]) -> f64 {
    let dot = |left: &[f32], right: &[f32]| -> f64 {
        left.iter().zip(right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum()
    };
    let norms = (dot(one, one) * dot(other, other)).sqrt();
    if norms > 0.0 { dot(one, other) / norms } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(texts: &[(&'static str, &'static str)]) -> Index {
        Index::of(texts.iter().map(|(name, about)| [(3.0, (*name).into()), (1.0, (*about).into())]))
    }

    #[test]
    fn the_best_comes_first() {
        let texts = [
            ("create_issue", "Opens an issue in a repository."),
            ("list_issues", "Lists the issues of a repository, newest first."),
            ("create_pull_request", "Opens a pull request, which may name an issue."),
            ("read_file", "Reads a file from disk."),
            ("writeFile", "Writes a file to disk."),
        ];
        let index = index(&texts);
        for (question, expected) in [
            ("create issue", vec!["create_issue", "create_pull_request", "list_issues"]),
            ("issues", vec!["create_issue", "list_issues", "create_pull_request"]),
            ("write a file", vec!["writeFile", "read_file"]),
            ("repo", vec!["create_issue", "list_issues"]),
            ("weather", vec![]),
            ("", vec![]),
        ] {
            let found: Vec<_> = index.search(question).iter().map(|(place, _)| texts[*place].0).collect();
            let found = &found[..found.len().min(expected.len().max(1))];
            assert_eq!(found, expected, "{question}");
        }
    }

    #[test]
    fn equals_keep_their_order_and_a_question_its_answer() {
        let index = index(&[("a", "same words"), ("a", "same words"), ("a", "same words")]);
        let first = index.search("words same");
        assert_eq!(first.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(first, index.search("same WORDS same"));
    }

    #[test]
    fn what_both_rankings_find_goes_first() {
        let fused = fused([&[(1, 9.0), (2, 8.0)], &[(3, 0.9), (2, 0.8)]]);
        assert_eq!(fused.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [2, 1, 3]);
        assert_eq!((nearness(&[1.0, 0.0], &[0.0, 1.0]), nearness(&[0.0], &[1.0])), (0.0, 0.0));
        assert!((nearness(&[1.0, 1.0], &[2.0, 2.0]) - 1.0).abs() < 1e-9);
    }
}
