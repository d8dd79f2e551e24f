//! What travels beside a query: until when, for whom, whether it still matters, and the way back to whoever asked.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{Error, Kind, Pulse, Raw, Result, Scope, chat::Losses};

/// The context of one call. Passed by reference; a layer that narrows it makes its own.
#[derive(Clone)]
pub struct Cx {
    /// As if the call had never been held.
    deadline: Instant,
    caller: Arc<Caller>,
    cancel: CancellationToken,
    peer: Arc<dyn Peer>,
    pulse: Pulse,
    trail: Arc<Trail>,
    local: bool,
    insists: bool,
}

impl Cx {
    /// A call of `caller` that has to be over after `time`.
    pub fn new(caller: Arc<Caller>, time: Duration) -> Self {
        Self {
            deadline: Instant::now() + time,
            caller,
            cancel: CancellationToken::new(),
            peer: Arc::new(NoPeer),
            pulse: Pulse::default(),
            trail: Arc::default(),
            local: false,
            insists: false,
        }
    }

    /// The same call with a way back to whoever asked.
    #[must_use]
    pub fn with_peer(mut self, peer: Arc<dyn Peer>) -> Self {
        self.peer = peer;
        self
    }

    /// The same call on behalf of somebody better known.
    #[must_use]
    pub fn for_caller(&self, caller: Arc<Caller>) -> Self {
        Self { caller, ..self.clone() }
    }

    /// The same call, cancelled by `cancel`.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// The same call with a pulse of its own, so that a layer can hear whether the upstream is alive.
    #[must_use]
    pub fn with_pulse(&self, pulse: Pulse) -> Self {
        let deadline = before(self.deadline(), pulse.held());
        Self { deadline, pulse, ..self.clone() }
    }

    /// The same call, of which nothing may leave this machine. There is no way back: like a deadline, it only narrows.
    #[must_use]
    pub fn kept_local(&self) -> Self {
        Self { local: true, ..self.clone() }
    }

    /// A call of our own making on behalf of the same caller: its attempts are not told as his.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self { trail: Arc::default(), ..self.clone() }
    }

    /// The same call, of which nobody else is left to be asked: an open breaker lets it through as its probe.
    #[must_use]
    pub fn insisting(&self) -> Self {
        Self { insists: true, ..self.clone() }
    }

    /// Narrows the deadline to `time` from now, and tells whose fault it will be when it passes: `late` if it is this
    /// narrower one, the caller's own [`Kind::Deadline`] otherwise.
    pub fn within(&self, time: Option<Duration>, late: Kind) -> (Self, Kind) {
        match time.map(|time| Instant::now() + time) {
            Some(deadline) if deadline < self.deadline() => {
                (Self { deadline: before(deadline, self.pulse.held()), ..self.clone() }, late)
            }
            _ => (self.clone(), Kind::Deadline),
        }
    }

    /// When the call must be over: later by the time in which somebody was asked, because no clock runs meanwhile.
    pub fn deadline(&self) -> Instant {
        self.deadline + self.pulse.held()
    }

    /// What is left of it.
    pub fn remaining(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    /// Waits for `future`, but no longer than the caller does.
    pub async fn wait<F: Future>(&self, future: F) -> Result<F::Output> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.cancel.cancelled() => Err(Error::new(Kind::Cancelled, "the caller gave up")),
            () = self.overdue(Duration::ZERO) => Err(Error::new(Kind::Deadline, "the caller's deadline passed")),
        }
    }

    /// Waits until the deadline passed `grace` ago.
    pub async fn overdue(&self, grace: Duration) {
        loop {
            self.pulse.running().await;
            let due = self.deadline() + grace;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether nothing of it may leave this machine.
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// Whether, and when, the caller gave up.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// The way back.
    pub fn peer(&self) -> &Arc<dyn Peer> {
        &self.peer
    }

    /// The upstream's signs of life.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Whether nobody else is left to be asked.
    pub fn insists(&self) -> bool {
        self.insists
    }

    /// What was done for the call so far.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("caller", &self.caller).field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

fn before(instant: Instant, time: Duration) -> Instant {
    instant.checked_sub(time).unwrap_or(instant)
}

/// Who asks, and on whose bill.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The name of the key, or of nobody in particular.
    pub name: Arc<str>,
    /// The client program, where it says what it is (`claude-desktop`).
    pub client: Option<Arc<str>>,
    /// Whose answers may be shared: part of every cache key.
    pub tenant: Scope,
    /// The id of the request, in every log line and answer about it.
    pub request_id: Arc<str>,
}

impl Caller {
    /// The router itself, for what it asks on nobody's behalf.
    pub fn router(purpose: &'static str) -> Self {
        Self { name: purpose.into(), client: None, tenant: Scope::Shared, request_id: purpose.into() }
    }

    /// Whether there is nobody behind the call but the router itself.
    pub fn is_router(&self) -> bool {
        self.tenant == Scope::Shared
    }

    /// A caller without a key, as on loopback.
    pub fn anonymous(request_id: impl Into<Arc<str>>) -> Self {
        Self {
            name: "anonymous".into(),
            client: None,
            tenant: Scope::Tenant("anonymous".into()),
            request_id: request_id.into(),
        }
    }
}

/// The way back to whoever asked: MCP is two-way, and a reply alone is not.
pub trait Peer: Send + Sync {
    /// Hands a notification to the caller; lost without harm when he has no way to hear it.
    fn notify(&self, note: Note);

    /// Puts a question of the upstream (`elicitation/create`, `sampling/createMessage`, `roots/list`) to the caller.
    fn ask<'a>(
        &'a self,
        method: &'a str,
        params: Raw,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Raw>> + Send + 'a>>;

    /// What the caller's client said it can do, as its protocol writes it; `{}` when it said nothing.
    fn capabilities(&self) -> Raw;

    /// From which level on he said that he wants log lines, as its protocol writes it; `None` when he did not.
    fn log_level(&self) -> Option<&'static str> {
        None
    }

    /// The session that the caller asks in, where his protocol has such a thing.
    fn session(&self) -> Option<SessionMark> {
        None
    }
}

/// Which session a call belongs to.
#[derive(Clone, Debug)]
pub struct SessionMark {
    /// Nobody else's.
    pub id: Arc<str>,
    /// Cancelled when it is over.
    pub over: CancellationToken,
}

/// Something an upstream says while it works.
#[derive(Clone, Debug)]
pub struct Note {
    /// The method of the notification, as the protocol names it.
    pub method: Arc<str>,
    /// Its parameters.
    pub params: Raw,
}

/// A caller who cannot be reached but by the reply.
#[derive(Debug)]
pub struct NoPeer;

impl Peer for NoPeer {
    fn notify(&self, _: Note) {}

    fn ask<'a>(&'a self, method: &'a str, _: Raw) -> std::pin::Pin<Box<dyn Future<Output = Result<Raw>> + Send + 'a>> {
        Box::pin(async move { Err(Error::new(Kind::Refused, format!("the client cannot answer {method}"))) })
    }

    fn capabilities(&self) -> Raw {
        Raw::trusted("{}")
    }
}

/// What was done for a call, for the headers of its answer, also when that is an error.
#[derive(Debug, Default)]
pub struct Trail {
    attempts: AtomicU32,
    bill: Mutex<Bill>,
    dropped: Mutex<Losses>,
}

/// What the models cost that were asked for one call.
#[derive(Clone, Copy, Debug, Default)]
enum Bill {
    /// Nobody has answered yet.
    #[default]
    Nothing,
    /// This, in US dollars.
    Dollars(f64),
    /// Somebody answered of whom nobody knows what he costs.
    Unknown,
}

impl Trail {
    /// One more attempt reached an upstream.
    pub fn attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// A model answered, and that cost `dollars`, where it is known.
    pub fn spend(&self, dollars: Option<f64>) {
        let mut bill = self.bill.lock();
        *bill = match (*bill, dollars) {
            (Bill::Nothing, Some(more)) => Bill::Dollars(more),
            (Bill::Dollars(so_far), Some(more)) => Bill::Dollars(so_far + more),
            (Bill::Unknown, _) | (_, None) => Bill::Unknown,
        };
    }

    /// What all of it cost, in US dollars; `None` where not all of it is known, which is not the same as nothing.
    pub fn cost(&self) -> Option<f64> {
        match *self.bill.lock() {
            Bill::Dollars(dollars) => Some(dollars),
            Bill::Nothing | Bill::Unknown => None,
        }
    }

    /// What of the question could not be put to whoever was asked last.
    pub fn lose(&self, losses: &Losses) {
        self.dropped.lock().clone_from(losses);
    }

    /// What of the question could not be put to whoever was asked last.
    pub fn dropped(&self) -> Losses {
        self.dropped.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    fn cx(seconds: u64) -> Cx {
        Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_only_narrows() {
        let cases = [
            (None, 10, Kind::Deadline),
            (Some(3), 3, Kind::Timeout),
            (Some(10), 10, Kind::Deadline),
            (Some(30), 10, Kind::Deadline),
        ];
        for (bound, left, whose) in cases {
            let (narrowed, kind) = cx(10).within(bound.map(Duration::from_secs), Kind::Timeout);
            assert_eq!((narrowed.remaining(), kind), (Duration::from_secs(left), whose), "{bound:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_the_caller() {
        let cx = cx(10);
        assert_eq!(cx.wait(async { 7 }).await.unwrap(), 7);
        assert_eq!(cx.wait(std::future::pending::<()>()).await.unwrap_err().kind(), Kind::Deadline);
        cx.cancel().cancel();
        assert_eq!(cx.wait(std::future::pending::<()>()).await.unwrap_err().kind(), Kind::Cancelled);
    }

    #[test]
    fn a_bill_is_known_where_all_of_it_is() {
        let table: [(&[Option<f64>], Option<f64>); 4] = [
            (&[], None),
            (&[Some(0.5), Some(0.25)], Some(0.75)),
            (&[Some(0.0)], Some(0.0)),
            (&[None, Some(1.0)], None),
        ];
        for (spent, expect) in table {
            let trail = Trail::default();
            for dollars in spent {
                trail.spend(*dollars);
            }
            assert_eq!(trail.cost(), expect, "{spent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_somebody_is_asked_does_not_count() {
        let cx = cx(10);
        let (narrowed, _) = cx.within(Some(Duration::from_secs(3)), Kind::Timeout);
        let started = Instant::now();
        let asking = async {
            sleep(Duration::from_secs(2)).await;
            let _hold = cx.pulse().hold();
            sleep(Duration::from_mins(5)).await;
        };
        let (outcome, ()) = tokio::join!(narrowed.wait(std::future::pending::<()>()), asking);
        assert_eq!(outcome.unwrap_err().kind(), Kind::Deadline);
        assert_eq!(started.elapsed(), Duration::from_secs(303));
        assert_eq!((narrowed.remaining(), cx.remaining()), (Duration::ZERO, Duration::from_secs(7)));
        let (later, _) = cx.within(Some(Duration::from_secs(3)), Kind::Timeout);
        assert_eq!(later.remaining(), Duration::from_secs(3), "what was held before does not count either");
        assert_eq!(cx.with_pulse(Pulse::default()).remaining(), Duration::from_secs(7));
    }
}
