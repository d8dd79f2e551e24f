//! How long an upstream usually takes to answer, and how long it is therefore waited for.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What is remembered: ten minutes, of which one is forgotten at a time.
const SPANS: usize = 10;
const SPAN: Duration = Duration::from_mins(1);

/// Steps of a length of time, four to a doubling, from a millisecond to five minutes.
const STEPS: usize = 76;

/// Below so many answers nothing is usual.
const SAMPLES: u32 = 100;

/// One answer of a thousand may be given up wrongly, less what half as long again is for.
const ONE_OF: u32 = 1_000;
const MARGIN: f64 = 1.5;

/// Nobody is given up before.
const LEAST: Duration = Duration::from_secs(1);

/// How often the bound is reckoned.
const RECKONED: Duration = Duration::from_secs(1);

/// The answers of the last ten minutes, by how long they took.
pub(super) struct Tempo {
    born: Instant,
    counts: Mutex<Counts>,
}

struct Counts {
    /// By the number of their minute.
    spans: [(u64, [u32; STEPS]); SPANS],
    bound: Option<Duration>,
    reckoned: Option<Instant>,
}

impl Tempo {
    pub(super) fn new() -> Self {
        let counts = Counts { spans: [(0, [0; STEPS]); SPANS], bound: None, reckoned: None };
        Self { born: Instant::now(), counts: Mutex::new(counts) }
    }

    /// An answer took so long.
    pub(super) fn took(&self, time: Duration) {
        let number = self.number();
        let mut counts = self.counts.lock();
        let Some((of, steps)) = counts.spans.get_mut(index(number)) else { return };
        if *of != number {
            (*of, *steps) = (number, [0; STEPS]);
        }
        if let Some(count) = steps.get_mut(step(time)) {
            *count = count.saturating_add(1);
        }
    }

    /// How long it is waited for: no longer than `most`, and so long where nothing is usual yet.
    pub(super) fn patience(&self, most: Duration) -> Duration {
        let (now, number) = (Instant::now(), self.number());
        let mut counts = self.counts.lock();
        if counts.reckoned.is_none_or(|at| now.duration_since(at) >= RECKONED) {
            counts.bound = counts.reckon(number);
            counts.reckoned = Some(now);
        }
        counts.bound.map_or(most, |bound| bound.max(LEAST).min(most))
    }

    fn number(&self) -> u64 {
        self.born.elapsed().as_secs() / SPAN.as_secs()
    }
}

impl Counts {
    /// Half as long again as all but one of a thousand took.
    fn reckon(&self, now: u64) -> Option<Duration> {
        let recent = self.spans.iter().filter(|(number, _)| now - number < SPANS as u64);
        let mut steps = [0_u32; STEPS];
        for (_, counts) in recent {
            steps.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
        }
        let all: u32 = steps.iter().fold(0, |sum, count| sum.saturating_add(*count));
        let mut slower = (all >= SAMPLES).then_some(all / ONE_OF)?;
        let slowest = steps.iter().rposition(|&count| {
            let here = count > slower;
            slower = slower.saturating_sub(count);
            here
        })?;
        Some(end_of(slowest).mul_f64(MARGIN))
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or_default() % SPANS
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few dozen, and never below nothing")]
fn step(time: Duration) -> usize {
    let steps = (time.as_secs_f64() * 1e3).max(1.0).log2() * 4.0;
    (steps as usize).min(STEPS - 1)
}

/// The longest that counts as this step.
fn end_of(step: usize) -> Duration {
    let exponent = f64::from(u32::try_from(step).unwrap_or_default() + 1) / 4.0;
    Duration::from_secs_f64(exponent.exp2() / 1e3)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MOST: Duration = Duration::from_secs(30);

    fn seconds(patience: Duration) -> f64 {
        (patience.as_secs_f64() * 10.0).round() / 10.0
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_usual_bounds_what_is_waited_for() {
        let answers = |times: &[(u64, u32)]| {
            let tempo = Tempo::new();
            for &(millis, count) in times {
                (0..count).for_each(|_| tempo.took(Duration::from_millis(millis)));
            }
            seconds(tempo.patience(MOST))
        };
        for (times, expected) in [
            (&[][..], 30.0),
            (&[(2_000, 99)], 30.0),
            (&[(10, 100)], 1.0),
            // The end of the step that two seconds are in, and half of that.
            (&[(2_000, 100)], 3.1),
            (&[(2_000, 999), (20_000, 1)], 3.1),
            (&[(2_000, 900), (20_000, 2)], 30.0),
            (&[(2_000, 1_998), (8_000, 2)], 3.1),
            (&[(2_000, 1_998), (8_000, 3)], 12.3),
            (&[(600_000, 100)], 30.0),
        ] {
            let found = answers(times);
            assert!((found - expected).abs() < 0.01, "{times:?}: {found}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_long_ago_is_forgotten() {
        let tempo = Tempo::new();
        (0..100).for_each(|_| tempo.took(Duration::from_secs(2)));
        assert!(tempo.patience(MOST) < Duration::from_secs(4));
        advance(SPAN * 9).await;
        assert!(tempo.patience(MOST) < Duration::from_secs(4));
        advance(SPAN).await;
        assert_eq!(tempo.patience(MOST), MOST);
    }
}
