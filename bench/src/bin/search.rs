//! The prompt cache's search by meaning, beside what it is made of: how long one search over all kept questions takes.
//!
//! `cargo run --release --bin search`. Beside it, in the same run, what can be compared with it: one look at each byte of the
//! matrix, and the plain product of floats. `cpu` is what the processor was busy with it, whoever else it served meanwhile.
//!
//! The rows are made, not of a model: those of `unlike` are as far from one another as
//! rows can be, those of `kin` all have a cosine of about 0.6 with what is sought (as questions of one field do), and those
//! of `near` all pass the threshold, so that nothing can be left out.

#[allow(dead_code, reason = "the cache's own file, of which only the search is measured")]
#[path = "../../../crates/router-llm/src/prompt_cache/matrix.rs"]
#[rustfmt::skip]
mod matrix;

use std::{hint::black_box, time::Instant};

use clap::Parser;
use matrix::{Direction, Matrix};

/// Times a search by meaning.
#[derive(Parser)]
struct Args {
    /// Questions that are known.
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Numbers of a vector.
    #[arg(long, default_value_t = 384)]
    width: usize,
    /// How near is near enough (cosine).
    #[arg(long, default_value_t = 0.85)]
    threshold: f64,
    /// Searches, of which the median counts.
    #[arg(long, default_value_t = 101)]
    searches: usize,
}

fn main() {
    let args = Args::parse();
    println!("{} rows of {}, threshold {}, median of {}", args.rows, args.width, args.threshold, args.searches);
    println!("{:8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}", "rows", "best", "median", "cpu", "read once", "floats", "found");
    for (name, kinship) in [("unlike", 0.0), ("kin", 0.6), ("near", 0.9)] {
        compare(&args, name, kinship);
    }
}

fn compare(args: &Args, name: &str, kinship: f32) {
    let mut numbers = Numbers(88_172_645_463_325_252);
    let sought = numbers.direction(args.width);
    let mut matrix = Matrix::default();
    let mut floats = Vec::with_capacity(args.rows * args.width);
    for _ in 0..args.rows {
        let noise = numbers.direction(args.width);
        let row = sought.iter().zip(noise).map(|(sought, noise)| kinship * sought + (1.0 - kinship * kinship).sqrt() * noise);
        let row: Vec<f32> = row.collect();
        matrix.push(&Direction::of(&row).expect("a row that points somewhere"));
        floats.extend(row);
    }
    let bytes: Vec<u8> = vec![1; args.rows * args.width];
    let direction = Direction::of(&sought).expect("it points somewhere");
    let mut found = 0;
    let search = timed(args, || found = black_box(&matrix).near(&direction, args.threshold).len());
    let read = timed(args, || _ = black_box(read(&bytes)));
    let product = timed(args, || _ = black_box(product(&floats, &sought, args.threshold)));
    let [best, median, cpu, read, product] = [search.best, search.median, search.cpu, read.cpu, product.cpu].map(|time| format!("{:.2} ms", time * 1e3));
    println!("{name:8} {best:>9} {median:>9} {cpu:>9} {read:>9} {product:>9} {found:>8}");
}

/// Seconds.
struct Times {
    best: f64,
    median: f64,
    /// Each, on the processor.
    cpu: f64,
}

fn timed(args: &Args, mut what: impl FnMut()) -> Times {
    let count = args.searches.max(1);
    let busy = busy();
    let time = |_| {
        let begun = Instant::now();
        what();
        begun.elapsed().as_secs_f64()
    };
    let mut times: Vec<f64> = (0..count).map(time).collect();
    times.sort_by(f64::total_cmp);
    Times { best: times[0], median: times[count / 2], cpu: (self::busy() - busy) / count as f64 }
}

/// How long this thread was on a processor, in seconds.
fn busy() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    told.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).expect("a number") / 1e9
}

fn read(bytes: &[u8]) -> u64 {
    bytes.as_chunks::<8>().0.iter().fold(0, |all, piece| all ^ u64::from_le_bytes(*piece))
}

fn product(rows: &[f32], sought: &[f32], threshold: f64) -> usize {
    let cosines = rows.chunks_exact(sought.len()).map(|row| {
        let mut sums = [0.0_f32; 16];
        for (row, sought) in row.as_chunks::<16>().0.iter().zip(sought.as_chunks::<16>().0) {
            for ((sum, one), other) in sums.iter_mut().zip(row).zip(sought) {
                *sum += one * other;
            }
        }
        sums.iter().sum::<f32>()
    });
    cosines.filter(|cosine| f64::from(*cosine) >= threshold).count()
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// A direction of length 1, any one as likely as another.
    fn direction(&mut self, width: usize) -> Vec<f32> {
        let vector: Vec<f32> = (0..width).map(|_| (0..4).map(|_| self.next()).sum()).collect();
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.iter().map(|number| number / length).collect()
    }
}
