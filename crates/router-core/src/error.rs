//! What can go wrong: whose fault it is, whether to try again, and what the caller is told.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::Name;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the words that layers and fronts act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The caller's question is malformed, or asks for what does not exist in the protocol.
    Invalid,
    /// The caller gave no key, or a wrong one; or somebody has to sign in at the upstream first.
    Unauthorized,
    /// The caller may not do this.
    Forbidden,
    /// There is no such model, tool, server, resource or path.
    NotFound,
    /// The question does not fit: body size, context window, line length.
    TooLong,
    /// The upstream says that we ask too much (429).
    Limited,
    /// We refuse, to protect ourselves or the upstream.
    Shed,
    /// The upstream was too slow.
    Timeout,
    /// The caller's own deadline passed: nobody's fault.
    Deadline,
    /// The upstream could not be reached, failed, or is not running.
    Unavailable,
    /// The breaker in front of the upstream is open.
    Open,
    /// The upstream answered something that its protocol does not allow, or cut its answer short.
    Protocol,
    /// The upstream refused with a reason that repeating will not change (its own 4xx).
    Refused,
    /// Our own credential was refused by the upstream (401, 403), or is out of funds: an alarm, not a fault.
    Credential,
    /// The caller went away.
    Cancelled,
    /// A defect of ours.
    Internal,
}

impl Kind {
    /// Every kind, for label sets and tables.
    pub const ALL: [Self; 16] = [
        Self::Invalid,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::TooLong,
        Self::Limited,
        Self::Shed,
        Self::Timeout,
        Self::Deadline,
        Self::Unavailable,
        Self::Open,
        Self::Protocol,
        Self::Refused,
        Self::Credential,
        Self::Cancelled,
        Self::Internal,
    ];

    /// Whether the upstream is to blame, which is what a breaker counts.
    pub const fn is_fault(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable | Self::Protocol)
    }

    /// Whether the same question may fare better later, or elsewhere.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Limited | Self::Shed | Self::Timeout | Self::Unavailable | Self::Open | Self::Protocol)
    }

    /// The kind as a label: one word, lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::TooLong => "too_long",
            Self::Limited => "limited",
            Self::Shed => "shed",
            Self::Timeout => "timeout",
            Self::Deadline => "deadline",
            Self::Unavailable => "unavailable",
            Self::Open => "open",
            Self::Protocol => "protocol",
            Self::Refused => "refused",
            Self::Credential => "credential",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// What is known of a question that failed: whether the upstream can have acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It provably never reached the upstream.
    NotSent,
    /// The upstream said that it failed.
    Failed,
    /// Nobody knows: it was sent, and no answer came.
    Unknown,
}

impl Outcome {
    /// The word that an error's data carries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// An upstream's own answer to a failed question, kept to be handed to a caller who speaks the same wire format.
#[derive(Clone, Debug)]
pub struct Verbatim {
    /// The wire format it is written in.
    pub dialect: &'static str,
    /// The upstream's status number; 0 where its protocol has none.
    pub status: u16,
    /// The metadata worth forwarding, by lower-case name.
    pub meta: Arc<[(Box<str>, Box<str>)]>,
    /// The body, as it came.
    pub body: Bytes,
}

/// By how much a question does not fit a model's context window, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The question.
    pub question: u64,
    /// The answer that it asks for, where only both together are too much.
    pub answer: Option<u64>,
    /// What there is room for.
    pub window: u64,
}

/// What a person has to do before the question can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Tells it from others; the same as long as it is the same thing to do.
    pub id: Arc<str>,
    /// The address to open.
    pub url: Arc<str>,
}

/// A failure. Cheap to clone, so that every caller who waited for one call can be told.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    outcome: Outcome,
    message: String,
    upstream: Option<Name>,
    retry_after: Option<Duration>,
    hint: Option<String>,
    verbatim: Option<Verbatim>,
    excess: Option<Excess>,
    consent: Option<Consent>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of `kind`; `message` is what the caller reads: what happened, with the numbers, without a secret.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let outcome = match kind {
            Kind::Timeout | Kind::Deadline | Kind::Protocol | Kind::Cancelled | Kind::Unavailable => Outcome::Unknown,
            Kind::Limited | Kind::Refused | Kind::Credential => Outcome::Failed,
            Kind::Invalid
            | Kind::Unauthorized
            | Kind::Forbidden
            | Kind::NotFound
            | Kind::TooLong
            | Kind::Shed
            | Kind::Open
            | Kind::Internal => Outcome::NotSent,
        };
        Self(Arc::new(Inner {
            kind,
            outcome,
            message: message.into(),
            upstream: None,
            retry_after: None,
            hint: None,
            verbatim: None,
            excess: None,
            consent: None,
            source: None,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Names the upstream that failed, unless a layer nearer to it already did.
    #[must_use]
    pub fn at(self, upstream: &Name) -> Self {
        if self.0.upstream.is_some() {
            return self;
        }
        self.with(|inner| inner.upstream = Some(Arc::clone(upstream)))
    }

    /// Says what became of the question, where that is better known than the kind tells.
    #[must_use]
    pub fn outcome_is(self, outcome: Outcome) -> Self {
        self.with(|inner| inner.outcome = outcome)
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        self.with(|inner| inner.retry_after = Some(wait))
    }

    /// Says what the caller can do about it: one line, imperative.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.with(|inner| inner.hint = Some(hint.into()))
    }

    /// Keeps the upstream's own words.
    #[must_use]
    pub fn verbatim(self, verbatim: Verbatim) -> Self {
        self.with(|inner| inner.verbatim = Some(verbatim))
    }

    /// Says by how much the question is too long, so that clients are told it in the words that they act on.
    #[must_use]
    pub fn by(self, excess: Excess) -> Self {
        self.with(|inner| inner.excess = Some(excess))
    }

    /// Says what a person has to do first, so that clients who can will ask him to.
    #[must_use]
    pub fn needs(self, consent: Consent) -> Self {
        self.with(|inner| inner.consent = Some(consent))
    }

    /// Keeps the cause, for the log.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.with(|inner| inner.source = Some(Arc::from(source.into())))
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What became of the question.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// What the caller reads, without the upstream's name and the hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Who failed.
    pub fn upstream(&self) -> Option<&Name> {
        self.0.upstream.as_ref()
    }

    /// When to come back, at the earliest.
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What the caller can do.
    pub fn remedy(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The upstream's own words, where they may be handed on.
    pub fn words(&self) -> Option<&Verbatim> {
        self.0.verbatim.as_ref()
    }

    /// By how much the question is too long, where that is known.
    pub fn excess(&self) -> Option<Excess> {
        self.0.excess
    }

    /// What a person has to do first, where that is what is missing.
    pub fn consent(&self) -> Option<&Consent> {
        self.0.consent.as_ref()
    }

    /// See [`Kind::is_fault`].
    pub fn is_fault(&self) -> bool {
        self.0.kind.is_fault()
    }

    /// See [`Kind::is_transient`].
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }
}

/// What the client reads: who, what, and the next step.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is wrong with the question itself is no upstream's.
        if let Some(upstream) = self.0.upstream.as_ref().filter(|_| self.0.kind != Kind::Invalid) {
            write!(f, "{upstream}: ")?;
        }
        f.write_str(&self.0.message)?;
        match &self.0.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// What the log reads: the whole chain of causes.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, {}]", self, self.0.kind.as_str(), self.0.outcome.as_str())?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_sentence_and_logs_the_chain() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let error = Error::new(Kind::Unavailable, "no connection to 127.0.0.1:11434")
            .because(io)
            .at(&"local".into())
            .at(&"outer".into())
            .hint("start it with `serve`");
        assert_eq!(error.to_string(), "local: no connection to 127.0.0.1:11434 (start it with `serve`)");
        assert_eq!(
            format!("{error:?}"),
            "local: no connection to 127.0.0.1:11434 (start it with `serve`) [unavailable, unknown]: connection refused"
        );
    }

    #[test]
    fn no_fault_is_the_callers() {
        for kind in Kind::ALL {
            assert!(!kind.is_fault() || kind.is_transient(), "{kind:?}: a fault may pass");
        }
        assert!(!Kind::Deadline.is_fault() && !Kind::Deadline.is_transient());
    }
}
