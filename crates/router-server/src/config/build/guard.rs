//! The policies of the layers around an upstream: what the file says, over what the environment says, over defaults.

use std::time::Duration;

use router_core::layer::{
    breaker::BreakerPolicy,
    chaos::{ChaosKind, ChaosPolicy},
    limit::LimitPolicy,
    retry::RetryPolicy,
    timeout::TimeoutPolicy,
};

use super::{
    super::{
        environment::{
            CIRCUIT_BREAKER_FAILURE_THRESHOLD, CIRCUIT_BREAKER_RECOVERY_TIMEOUT, CIRCUIT_BREAKER_SUCCESS_THRESHOLD,
            MAX_CONCURRENT_REQUESTS, REQUEST_TIMEOUT, Variable,
        },
        file::{BreakerFile, ChaosFile, ChaosWord, LimitFile, RetryFile, ServerTimeout, TimeoutFile},
        leaf::{self, Positive},
        read::Spanned,
        settings::Timeouts,
    },
    Build,
};

/// Until a connection stands, to whomever.
const CONNECT: Duration = Duration::from_secs(3);

/// The first content of a model's answer, and the next one.
const MODEL_SILENCE: Duration = Duration::from_mins(1);

/// All of a model's answer.
const MODEL_TOTAL: Duration = Duration::from_mins(15);

/// An MCP call without a sign of life.
const CALL_SILENCE: Duration = Duration::from_secs(30);

/// An MCP call that reports progress all the time.
const CALL_TOTAL: Duration = Duration::from_mins(5);

/// Calls at once on the one pipe of a started server.
const PIPE_CONCURRENCY: usize = 32;

impl Build<'_> {
    /// The times of a provider.
    pub(super) fn provider_timeouts(&mut self, file: Option<Spanned<TimeoutFile>>) -> Timeouts {
        let total = self.seconds(&REQUEST_TIMEOUT).unwrap_or(MODEL_TOTAL);
        let otherwise = Timeouts { connect: CONNECT, attempt: times(MODEL_SILENCE, total) };
        file.map_or(otherwise, |file| each(file.value, otherwise))
    }

    /// The breaker of an upstream.
    pub(super) fn breaker(&mut self, file: Option<Spanned<BreakerFile>>) -> BreakerPolicy {
        let policy = BreakerPolicy::default();
        let BreakerFile { failures, recovery, max_recovery, successes, window, rate, samples } =
            file.map(|file| file.value).unwrap_or_default();
        let failures = failures.or_else(|| self.variable(&CIRCUIT_BREAKER_FAILURE_THRESHOLD));
        let successes = successes.or_else(|| self.variable(&CIRCUIT_BREAKER_SUCCESS_THRESHOLD));
        let recovery = recovery.map(|recovery| recovery.0).or_else(|| self.seconds(&CIRCUIT_BREAKER_RECOVERY_TIMEOUT));
        let recovery = recovery.unwrap_or(policy.recovery);
        BreakerPolicy {
            failures: failures.map_or(policy.failures, |failures| failures.0),
            recovery,
            max_recovery: max_recovery.map_or(policy.max_recovery, |longest| longest.0).max(recovery),
            successes: successes.map_or(policy.successes, |successes| successes.0),
            window: window.map_or(policy.window, |window| window.0),
            rate: rate.map_or(policy.rate, |rate| rate.0),
            samples: samples.map_or(policy.samples, |samples| samples.0),
        }
    }

    /// How much a provider is asked.
    pub(super) fn provider_limit(&mut self, file: Option<Spanned<LimitFile>>) -> LimitPolicy {
        let concurrency = self.variable::<Positive>(&MAX_CONCURRENT_REQUESTS).map(|count| whole(count.0));
        limit(file, LimitPolicy { concurrency, ..LimitPolicy::default() })
    }

    /// A variable that holds seconds: a bare number, as the systems that named it write it, or a time with its unit.
    pub(super) fn seconds(&mut self, variable: &Variable) -> Option<Duration> {
        let set = self.given.variables.get(variable)?;
        let plain = set.value.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let time = plain.or_else(|| leaf::time(set.value).ok()).filter(|time| !time.is_zero());
        if time.is_none() {
            self.findings.problem(&set.at, "its value is not a time").remedy("write seconds: \"30\"");
        }
        time
    }
}

/// The times of a server.
pub(super) fn server_timeouts(file: Option<Spanned<ServerTimeout>>) -> Timeouts {
    let otherwise = Timeouts { connect: CONNECT, attempt: times(CALL_SILENCE, CALL_TOTAL) };
    match file.map(|file| file.value) {
        None | Some(ServerTimeout::Usual) => otherwise,
        Some(ServerTimeout::Silence(silence)) => {
            Timeouts { attempt: times(silence.0, CALL_TOTAL.max(silence.0)), ..otherwise }
        }
        Some(ServerTimeout::Each(file)) => each(*file, otherwise),
    }
}

fn times(silence: Duration, total: Duration) -> TimeoutPolicy {
    TimeoutPolicy {
        first_content: Some(silence),
        idle: Some(silence),
        whole: None,
        total: Some(total),
        adaptive: false,
    }
}

fn each(TimeoutFile { connect, first_byte, idle, total, adaptive }: TimeoutFile, otherwise: Timeouts) -> Timeouts {
    let attempt = otherwise.attempt;
    let first_byte = first_byte.map(|first| first.0);
    Timeouts {
        connect: connect.map_or(otherwise.connect, |connect| connect.0),
        attempt: TimeoutPolicy {
            first_content: first_byte.or(attempt.first_content),
            // The usual patience is for streams; who sets it means every reply.
            whole: first_byte.or(attempt.whole),
            idle: idle.map(|idle| idle.0).or(attempt.idle),
            total: total.map(|total| total.0).or(attempt.total),
            adaptive: adaptive.is_some_and(|adaptive| adaptive.0),
        },
    }
}

/// When a call is put again.
pub(super) fn retry(file: Option<Spanned<RetryFile>>) -> RetryPolicy {
    let policy = RetryPolicy::default();
    let RetryFile { retries, base, cap, budget, floor, patience } = file.map(|file| file.value).unwrap_or_default();
    RetryPolicy {
        retries: retries.map_or(policy.retries, |retries| retries.0),
        base: base.map_or(policy.base, |base| base.0),
        cap: cap.map_or(policy.cap, |cap| cap.0),
        budget: budget.map_or(policy.budget, |budget| budget.0),
        floor: floor.map_or(policy.floor, |floor| floor.0),
        patience: patience.map_or(policy.patience, |patience| patience.0),
    }
}

/// How much a started server is asked; one at an address has no bound of ours.
pub(super) fn server_limit(file: Option<Spanned<LimitFile>>, pipe: bool) -> LimitPolicy {
    limit(file, LimitPolicy { concurrency: pipe.then_some(PIPE_CONCURRENCY), ..LimitPolicy::default() })
}

fn limit(file: Option<Spanned<LimitFile>>, policy: LimitPolicy) -> LimitPolicy {
    let LimitFile { concurrency, queue, wait, rate, burst } = file.map(|file| file.value).unwrap_or_default();
    LimitPolicy {
        concurrency: concurrency.map(|count| whole(count.0)).or(policy.concurrency),
        queue: queue.map_or(policy.queue, |queue| whole(queue.0)),
        wait: wait.map_or(policy.wait, |wait| wait.0),
        rate: rate.map(|rate| rate.0).or(policy.rate),
        burst: burst.map_or(policy.burst, |burst| burst.0),
    }
}

/// A drill.
pub(super) fn chaos(ChaosFile { rate, latency, kinds, seed }: ChaosFile) -> ChaosPolicy {
    let kinds: Vec<_> = kinds.map(|kinds| kinds.value).unwrap_or_default();
    let kind = |word: &Spanned<ChaosWord>| match word.value {
        ChaosWord::Refuse => ChaosKind::Refuse,
        ChaosWord::Hang => ChaosKind::Hang,
        ChaosWord::Limited => ChaosKind::Limited,
        ChaosWord::Fail => ChaosKind::Fail,
        ChaosWord::Cut => ChaosKind::Cut,
    };
    ChaosPolicy {
        rate: rate.map_or(0.0, |rate| rate.0),
        latency: latency.map(|latency| latency.0),
        kinds: if kinds.is_empty() { vec![ChaosKind::Fail] } else { kinds.iter().map(kind).collect() },
        seed: seed.map_or(0, |seed| u64::from(seed.0)),
    }
}

fn whole(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
