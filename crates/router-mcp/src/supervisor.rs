//! Keeps one server running: starts it, meets it, notices its end, and starts it again, but not for ever.

use std::{collections::VecDeque, sync::atomic::Ordering, time::Duration};

use futures_util::future;
use router_core::{Error, Kind, Outcome, Result};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{
        Channel, Era, Greeting, HealthCheck, Launch, Link, Protocol, Reach, ServerSpec, Surroundings, follow, keep_told,
    },
    oauth::Keyring,
};

/// How long a server may take to answer its first question: a cold `npx` or `uvx` downloads what it starts.
const START_MAX: Duration = Duration::from_mins(2);
/// The first pause before a restart; each one after it is twice as long.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest.
const BACKOFF_MAX: Duration = Duration::from_mins(1);
/// This many restarts of a program within [`WINDOW`] are enough, unless somebody says otherwise.
const RESTARTS_MAX: usize = 5;
const WINDOW: Duration = Duration::from_mins(5);
/// How long somebody who has to sign in is waited for before it is looked again what is needed.
const SIGN_IN: Duration = Duration::from_mins(5);
/// After this long a program counts as well again; a stream of somebody else's may end when it has lasted for the longest
/// pause.
const WELL_AFTER: Duration = Duration::from_mins(10);

/// Where a server stands.
pub(crate) enum State {
    /// On its way up: callers wait.
    Starting,
    /// Answering.
    Ready(Met),
    /// Down until `until`.
    BackingOff { error: Error, until: Instant },
    /// Down too often.
    Failed { error: Error },
    /// Ended by us.
    Stopped,
}

/// A server that has answered.
pub(crate) struct Met {
    pub(crate) channel: Channel,
    pub(crate) greeting: Greeting,
    pub(crate) pid: Option<u32>,
}

impl State {
    pub(crate) fn met(&self) -> Option<&Met> {
        match self {
            Self::Ready(met) => Some(met),
            Self::Starting | Self::BackingOff { .. } | Self::Failed { .. } | Self::Stopped => None,
        }
    }

    /// The connection, or why there is none; `None` while that is not known.
    pub(crate) fn channel(&self) -> Option<Result<Channel>> {
        let refusal = match self {
            Self::Starting => return None,
            Self::Ready(met) => return Some(Ok(met.channel.clone())),
            Self::BackingOff { error, .. } if error.consent().is_some() => error.clone(),
            Self::BackingOff { error, until } => {
                let wait = until.saturating_duration_since(Instant::now());
                let message = format!("{}; next start in {:.1} s", error.message(), wait.as_secs_f32());
                Error::new(error.kind(), message).retry_after(wait)
            }
            Self::Failed { error } => {
                Error::new(error.kind(), format!("failed too often and is not started again: {}", error.message()))
                    .hint("mend the cause, then `mcp-router servers restart NAME`")
            }
            Self::Stopped => {
                Error::new(Kind::Unavailable, "the server was stopped").hint("`mcp-router servers start NAME`")
            }
        };
        Some(Err(refusal.outcome_is(Outcome::NotSent)))
    }

    pub(crate) fn retry_in(&self) -> Option<Duration> {
        match self {
            Self::BackingOff { until, .. } => Some(until.saturating_duration_since(Instant::now())),
            Self::Starting | Self::Ready(_) | Self::Failed { .. } | Self::Stopped => None,
        }
    }
}

/// What somebody wants of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Start it, unless it runs.
    Start,
    /// Start anew, and forget the past.
    Restart,
    /// End it, until somebody starts it again.
    Stop,
}

/// What a supervisor has to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    Obey(Order),
    /// The router shuts down, or nobody is left who could want something.
    Leave,
}

/// Why a connection is no more.
enum End {
    Broke,
    Told(Next),
}

/// The owner of one server.
pub(crate) struct Supervisor {
    spec: ServerSpec,
    launch: Launch,
    around: Surroundings,
    state: watch::Sender<State>,
    orders: Orders,
    restarts: Restarts,
    /// What the server spoke last, or has to be spoken to because the question killed it.
    known: Option<Era>,
    /// Tells when somebody has signed in somewhere.
    news: Option<watch::Receiver<u64>>,
}

impl Supervisor {
    pub(crate) fn new(
        spec: ServerSpec,
        launch: Launch,
        around: Surroundings,
        state: watch::Sender<State>,
        (orders, shutdown): (mpsc::Receiver<Order>, CancellationToken),
    ) -> Self {
        let restarts = Restarts::new(match (&spec.reach, spec.restarts) {
            // What is not there does not come by waiting.
            (Reach::Absent(_), _) => Patience::Times(0),
            (_, Some(times)) => Patience::Times(times.try_into().unwrap_or(usize::MAX)),
            (Reach::Program(_), None) => Patience::Times(RESTARTS_MAX),
            (Reach::Http(_), None) => Patience::Endless,
        });
        let known = spec.era;
        let news = spec.keyring().map(Keyring::news);
        Self { spec, launch, around, state, orders: Orders { orders, shutdown }, restarts, known, news }
    }

    /// Runs until the router shuts down.
    pub(crate) async fn run(mut self) {
        loop {
            let next = match self.life().await {
                End::Broke => self.rest().await,
                End::Told(next) => Some(next),
            };
            let next = match next {
                Some(Next::Obey(Order::Stop)) => self.stand_still().await,
                next => next,
            };
            match next {
                Some(Next::Leave) => break,
                Some(Next::Obey(_)) => self.restarts.forget(),
                None => {}
            }
            self.around.tally.restarts.fetch_add(1, Ordering::Relaxed);
        }
        self.state.send_replace(State::Stopped);
    }

    /// Stopped, until somebody wants it to run again.
    async fn stand_still(&mut self) -> Option<Next> {
        self.state.send_replace(State::Stopped);
        tracing::info!(server = %self.spec.name, "stopped by order");
        loop {
            let next = self.orders.next().await;
            if next != Next::Obey(Order::Stop) {
                return Some(next);
            }
        }
    }

    /// One connection from its opening to its end.
    async fn life(&mut self) -> End {
        self.state.send_replace(State::Starting);
        if let Some(news) = &mut self.news {
            news.mark_unchanged();
        }
        let mut link = match Link::open(&self.spec, &self.launch, &self.around).await {
            Ok(link) => link,
            Err(error) => {
                self.down(&error, Duration::ZERO);
                return End::Broke;
            }
        };
        let end = match self.meet(&mut link).await {
            Ok(greeting) => self.serve(&mut link, &greeting).await,
            Err(end) => end,
        };
        link.stop().await;
        end
    }

    async fn meet(&mut self, link: &mut Link) -> Result<Greeting, End> {
        let protocol = self.protocol();
        let met = tokio::select! {
            next = self.orders.unless_running() => return Err(End::Told(next)),
            met = link.greet(protocol, Instant::now() + START_MAX) => met,
        };
        let greeting = match met {
            Ok(greeting) => greeting,
            Err(error) => {
                let error = link.explain(&error);
                // A server that the modern question kills is asked the legacy one next, and the other way round. One that
                // wants somebody to sign in first has told nothing of its era.
                if error.consent().is_none() {
                    self.known = if self.known.is_none() { Some(Era::Legacy) } else { None };
                }
                self.down(&error, Duration::ZERO);
                return Err(End::Broke);
            }
        };
        self.known = Some(greeting.era);
        (self.spec.on_era)(greeting.era);
        Ok(greeting)
    }

    async fn serve(&mut self, link: &mut Link, greeting: &Greeting) -> End {
        let (since, channel, pid) = (Instant::now(), link.channel(), link.pid());
        let (name, state, changes) = (&self.spec.name, &self.state, &self.around.changes);
        // Whoever calls may be asked something: that has to find its way before he calls.
        let ready = async {
            channel.stands().await;
            tracing::info!(server = %name, era = greeting.era.as_str(), version = %greeting.version, "ready");
            state.send_replace(State::Ready(Met { channel: channel.clone(), greeting: greeting.clone(), pid }));
            changes.tell();
        };
        let died = tokio::select! {
            error = link.over() => error,
            error = watch_over(&channel, self.spec.health) => error,
            next = self.orders.unless_running() => return End::Told(next),
            ((), never, _) = future::join3(
                ready,
                follow(&channel, greeting, changes),
                keep_told(&channel, greeting, &self.around.watched),
            ) => match never {},
        };
        self.down(&link.explain(&died), since.elapsed());
        End::Broke
    }

    fn protocol(&self) -> Protocol {
        match (self.spec.protocol, self.known) {
            (Protocol::Auto, Some(Era::Legacy)) => Protocol::Legacy,
            (Protocol::Auto, Some(Era::Modern)) => Protocol::Modern,
            (protocol, _) => protocol,
        }
    }

    /// Says that the server is down after it ran for `uptime`, and decides when it is started again.
    fn down(&mut self, error: &Error, uptime: Duration) {
        *self.around.tally.last_error.lock() = Some(error.message().to_owned());
        let now = Instant::now();
        let state = if error.consent().is_some() {
            // Nothing of the server's doing: it is tried again when somebody has signed in.
            State::BackingOff { error: error.clone(), until: now + SIGN_IN }
        } else if let Some(pause) = self.restarts.next(now, uptime) {
            tracing::warn!(server = %self.spec.name, %error, next_start = ?pause, "down");
            State::BackingOff { error: error.clone(), until: now + pause }
        } else {
            tracing::error!(server = %self.spec.name, %error, "down too often: mend the cause, then restart it");
            State::Failed { error: error.clone() }
        };
        self.state.send_replace(state);
    }

    /// Waits until the next start is due, or somebody wants something.
    async fn rest(&mut self) -> Option<Next> {
        let until = match &*self.state.borrow() {
            State::BackingOff { until, .. } => Some(*until),
            State::Starting | State::Ready(_) | State::Failed { .. } | State::Stopped => None,
        };
        let Some(until) = until else { return Some(self.orders.next().await) };
        tokio::select! {
            biased;
            next = self.orders.next() => Some(next),
            () = sign_in(self.news.as_mut()) => None,
            () = sleep_until(until) => None,
        }
    }
}

/// Waits until somebody has signed in somewhere.
async fn sign_in(news: Option<&mut watch::Receiver<u64>>) {
    let Some(news) = news else { return std::future::pending().await };
    if news.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Asks an idle server for a sign of life now and then; returns when it gives none.
async fn watch_over(channel: &Channel, check: Option<HealthCheck>) -> Error {
    let Some(HealthCheck { interval, timeout }) = check else { return std::future::pending().await };
    let mut heard = channel.heard();
    loop {
        sleep(interval).await;
        let now = channel.heard();
        // Whoever is at work, or has spoken meanwhile, need not be asked.
        if std::mem::replace(&mut heard, now) != now || now.is_none() {
            continue;
        }
        if let Err(error) = channel.ping(timeout).await {
            return error;
        }
        heard = channel.heard();
    }
}

/// Where orders come from.
struct Orders {
    orders: mpsc::Receiver<Order>,
    shutdown: CancellationToken,
}

impl Orders {
    async fn next(&mut self) -> Next {
        tokio::select! {
            order = self.orders.recv() => order.map_or(Next::Leave, Next::Obey),
            () = self.shutdown.cancelled() => Next::Leave,
        }
    }

    /// What a server that runs, or is on its way up, is to do; it need not be told to start.
    async fn unless_running(&mut self) -> Next {
        loop {
            let next = self.next().await;
            if next != Next::Obey(Order::Start) {
                return next;
            }
        }
    }
}

/// How often a server may come back.
#[derive(Clone, Copy, PartialEq)]
enum Patience {
    /// A program of ours that keeps falling is broken: so often within [`WINDOW`].
    Times(usize),
    /// Somebody else's server may be away for as long as it likes.
    Endless,
}

/// The past restarts of a server, and when the next may be.
struct Restarts {
    patience: Patience,
    recent: VecDeque<Instant>,
    in_a_row: u32,
}

impl Restarts {
    fn new(patience: Patience) -> Self {
        Self { patience, recent: VecDeque::new(), in_a_row: 0 }
    }

    fn forget(&mut self) {
        *self = Self::new(self.patience);
    }

    /// The pause before the next start of a server that just went down after `uptime`; `None` when it had enough.
    fn next(&mut self, now: Instant, uptime: Duration) -> Option<Duration> {
        let well_after = if self.patience == Patience::Endless { BACKOFF_MAX } else { WELL_AFTER };
        if uptime >= well_after {
            self.forget();
        }
        self.recent.retain(|&restart| now.duration_since(restart) < WINDOW);
        if let Patience::Times(times) = self.patience {
            if self.recent.len() >= times {
                return None;
            }
            self.recent.push_back(now);
        }
        let pause = BACKOFF.saturating_mul(1 << self.in_a_row.min(6)).min(BACKOFF_MAX);
        self.in_a_row += 1;
        Some(pause.mul_f64(0.5 + fastrand::f64() / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pauses(restarts: &mut Restarts, every: Duration, count: usize) -> Vec<Option<u64>> {
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..count {
            now += every;
            let pause = restarts.next(now, Duration::ZERO);
            // The jitter takes away up to a half: rounded up, a pause is its power of two again.
            pauses.push(pause.map(|pause| (pause.as_secs() + 1).next_power_of_two()));
        }
        pauses
    }

    #[test]
    fn five_falls_in_five_minutes_are_enough() {
        let mut restarts = Restarts::new(Patience::Times(RESTARTS_MAX));
        assert_eq!(pauses(&mut restarts, SECOND, 6), [Some(1), Some(2), Some(4), Some(8), Some(16), None]);
        assert_eq!(restarts.next(Instant::now() + 6 * SECOND, Duration::ZERO), None, "and stay enough");
        restarts.forget();
        assert_eq!(pauses(&mut restarts, SECOND, 1), [Some(1)]);
        assert_eq!(pauses(&mut Restarts::new(Patience::Times(0)), SECOND, 2), [None, None]);
    }

    #[test]
    fn a_fall_now_and_then_is_forgiven() {
        let mut restarts = Restarts::new(Patience::Times(RESTARTS_MAX));
        assert!(pauses(&mut restarts, Duration::from_secs(61), 50).iter().all(Option::is_some));
        let now = Instant::now() + Duration::from_secs(4000);
        assert!(restarts.next(now, WELL_AFTER).unwrap() <= BACKOFF, "long up is well again");
    }

    #[test]
    fn somebody_elses_server_is_waited_for_without_end() {
        let mut restarts = Restarts::new(Patience::Endless);
        let pauses = pauses(&mut restarts, SECOND, 100);
        assert!(pauses.iter().all(|pause| pause.is_some_and(|pause| pause <= 64)));
        assert!(restarts.recent.is_empty());
    }
}
