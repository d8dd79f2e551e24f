//! Finds who answers for a model's name, and asks one candidate after the other.

mod bill;
mod failures;
mod fit;
mod names;
pub(crate) mod near;
mod ruler;
mod target;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt, sync::Arc};

use router_core::{
    BoxUpstream, Cx, Error, Fact, Kind, Meter, Name, Outcome, Result, Strategy, Upstream,
    chat::{Chat, ChatReply},
};

use self::{
    bill::{Account, billed},
    failures::Failures,
    fit::{Cover, Room},
    ruler::Ruler,
};
use crate::{models::Known, tokens::Counter};

pub use names::{Alias, Choice, Names, fits};
pub use target::Target;

/// Tells what is known of a model.
pub type Knowledge = Box<dyn Fn(&Target) -> Arc<Known> + Send + Sync>;

/// What there is to choose from, and what is known of it.
pub struct RouteSpec {
    /// The names, and where they lead.
    pub names: Arc<Names>,
    /// The providers.
    pub providers: HashMap<Name, BoxUpstream<Chat>>,
    /// What is known of a model.
    pub known: Knowledge,
    /// Whether what a model is asked stays on this machine.
    pub stays: Box<dyn Fn(&Target) -> bool + Send + Sync>,
    /// What a model is called in metrics, which must not be a name that a client made up.
    pub label: Box<dyn Fn(&Target) -> Name + Send + Sync>,
    /// Counts the tokens of questions.
    pub counter: Arc<Counter>,
    /// Who is told what answers cost, and when another candidate than the first one gave them.
    pub meter: Arc<dyn Meter>,
}

/// The choice by name.
///
/// Of the candidates, those are asked whose abilities cover the question best and whose windows have room for it. One
/// that fails before its first content is followed by the next one where that may fare better: when the failure will
/// pass, when our key was refused, when the provider has no such model, or when the question is too long for it and the
/// next one is roomier. A question that is itself at fault is not put to anybody else.
/// A candidate that a call may not be put to (it would leave this machine) is not one of them.
pub struct Route(RouteSpec);

/// What is asked, and by which alias.
struct Question<'a> {
    chat: &'a Chat,
    alias: Option<&'a Alias>,
}

/// A model that may be asked.
struct Candidate<'a> {
    target: &'a Target,
    known: Arc<Known>,
    /// The most tokens that its answer may have, where that is less than what is asked for.
    cap: Option<u64>,
}

impl Route {
    /// A route over `spec`.
    pub fn new(spec: RouteSpec) -> Self {
        Self(spec)
    }

    /// Who of `targets` can answer, in the order in which they are asked; never nobody.
    async fn candidates<'a>(&self, cx: &Cx, chat: &Chat, targets: &'a [Target]) -> Result<Vec<Candidate<'a>>> {
        let may = |target: &&Target| !cx.is_local() || (self.0.stays)(target);
        // Where nobody may be asked, the fence around whoever is asked says so.
        let nobody = !targets.iter().any(|target| may(&target));
        let known = targets.iter().filter(|target| nobody || may(target));
        let known = known.map(|target| (target, (self.0.known)(target)));
        let covered = known.map(|(target, known)| (Cover::of(&chat.needs, known.abilities), target, known));
        let covered: Vec<_> = covered.collect();
        let best = covered.iter().map(|(cover, ..)| *cover).min();
        let mut ruler = Ruler::new(chat, &self.0.counter);
        let (mut roomy, mut doubtful, mut lacking) = (Vec::new(), Vec::new(), None);
        for (_, target, known) in covered.into_iter().filter(|(cover, ..)| Some(*cover) == best) {
            match ruler.room(target, &known).await {
                Room::Enough { cap } => roomy.push(Candidate { target, known, cap }),
                Room::Doubtful { cap } => doubtful.push(Candidate { target, known, cap }),
                Room::Lacking(excess) => {
                    let roomier = (excess.window, target, excess);
                    lacking = lacking.into_iter().chain([roomier]).max_by_key(|(window, ..)| *window);
                }
            }
        }
        roomy.append(&mut doubtful);
        match lacking {
            Some((_, target, excess)) if roomy.is_empty() => Err(fit::too_long(&target.provider, excess)),
            Some(_) | None => Ok(roomy),
        }
    }

    /// Asks one candidate.
    async fn ask(&self, cx: &Cx, question: &Question<'_>, candidate: &Candidate<'_>) -> Result<ChatReply> {
        let Candidate { target, known, cap } = candidate;
        let mut chat = question.chat.clone();
        (chat.model, chat.cap) = (Arc::clone(&target.model), *cap);
        let provider = self.0.providers.get(&target.provider);
        let provider = provider.ok_or_else(|| self.0.names.unknown(&target.to_string()))?;
        let reply = provider.call(cx, chat).await?;
        let account = Account {
            upstream: (self.0.label)(target),
            alias: question.alias.map(|alias| Arc::clone(&alias.name)),
            price: known.price,
        };
        Ok(billed(reply, cx, account, &self.0.meter))
    }

    /// Asks one after the other, until one answers or there is no use in asking the next.
    async fn ask_in_order(
        &self,
        cx: &Cx,
        question: &Question<'_>,
        candidates: &[Candidate<'_>],
    ) -> Result<ChatReply, Failures> {
        let mut failures = Failures::default();
        let mut outgrown = None;
        for (place, candidate) in candidates.iter().enumerate() {
            let window = candidate.known.window;
            if outgrown.zip(window).is_some_and(|(outgrown, window)| window <= outgrown) {
                continue;
            }
            let error = match self.ask(cx, question, candidate).await {
                Ok(reply) => {
                    failures.first().and_then(|first| candidates.get(first)).inspect(|first| self.fell_back(first));
                    return Ok(reply);
                }
                Err(error) => error,
            };
            if error.kind() == Kind::TooLong {
                outgrown = outgrown.max(window.or_else(|| Some(error.excess()?.window)));
            }
            let goes_on = may_fare_better_elsewhere(&error);
            failures.add(place, error);
            if !goes_on {
                break;
            }
        }
        Err(failures)
    }

    /// Tells that another candidate than `first` answered.
    fn fell_back(&self, first: &Candidate<'_>) {
        self.0.meter.fact(&first.target.provider, Fact::FellBack(Strategy::Upstream));
    }
}

impl Upstream<Chat> for Route {
    async fn call(&self, cx: &Cx, mut chat: Chat) -> Result<ChatReply> {
        let Choice { alias, targets } = self.0.names.choice(&chat.model)?;
        chat.on_loss = chat.on_loss.or_else(|| alias?.on_loss);
        chat.home = targets.first().map(|target| Arc::clone(&target.provider));
        let candidates = self.candidates(cx, &chat, &targets).await?;
        let question = Question { chat: &chat, alias };
        let mut failures = match self.ask_in_order(cx, &question, &candidates).await {
            Ok(reply) => return Ok(reply),
            Err(failures) => failures,
        };
        if let Some(candidate) = failures.nearest_to_reopening().and_then(|place| candidates.get(place)) {
            match self.ask(&cx.insisting(), &question, candidate).await {
                Ok(reply) => return Ok(reply),
                Err(error) => failures.add(candidates.len(), error),
            }
        }
        Err(failures.most_useful().unwrap_or_else(|| self.0.names.unknown(&chat.model)))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("names", &self.0.names).finish_non_exhaustive()
    }
}

pub(crate) fn may_fare_better_elsewhere(error: &Error) -> bool {
    error.is_transient()
        || matches!(error.kind(), Kind::Credential | Kind::NotFound | Kind::TooLong)
        // Refused by ourselves: the one who was asked has no words for all of it, and the next one may have.
        || (error.kind() == Kind::Refused && error.outcome() == Outcome::NotSent)
}
