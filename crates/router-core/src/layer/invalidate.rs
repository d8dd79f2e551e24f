//! Forgets what a write made untrue, before whoever wrote is answered: what he reads next is what he wrote.

use std::{pin::Pin, sync::Arc};

use tokio_util::task::TaskTracker;

use super::sweep::Sweep;
use crate::{Cx, Outcome, Query, Result, Upstream, matches_glob};

/// After which calls what is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A pattern of what acts.
    pub after: String,
    /// Patterns of what has to be read anew then.
    pub forget: Vec<String>,
}

/// Has answers forgotten, here and wherever else they are kept.
pub type Forget = Arc<dyn Fn(Sweep) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The layer.
pub struct Invalidate<U> {
    inner: U,
    rules: Vec<Rule>,
    forget: Forget,
    tasks: TaskTracker,
}

impl<U> Invalidate<U> {
    pub(super) fn new(inner: U, rules: Vec<Rule>, forget: Forget, tasks: &TaskTracker) -> Self {
        Self { inner, rules, forget, tasks: tasks.clone() }
    }

    /// What a call about `subject` may make untrue.
    fn doubts(&self, subject: &str) -> Doubts<'_, U> {
        let rules = self.rules.iter().filter(|rule| matches_glob(&rule.after, subject));
        Doubts { layer: self, subjects: rules.flat_map(|rule| rule.forget.clone()).collect() }
    }
}

/// What may be untrue once a call was made, whatever became of whoever made it.
struct Doubts<'a, U> {
    layer: &'a Invalidate<U>,
    subjects: Vec<String>,
}

impl<U> Doubts<'_, U> {
    fn are_unfounded(&mut self) {
        self.subjects.clear();
    }

    async fn forget(&mut self) {
        while let Some(subject) = self.subjects.pop() {
            (self.layer.forget)(Sweep { subject: Some(subject), tenant: None }).await;
        }
    }
}

impl<U> Drop for Doubts<'_, U> {
    /// The caller has gone; what he asked for may have been done.
    fn drop(&mut self) {
        for subject in self.subjects.drain(..) {
            self.layer.tasks.spawn((self.layer.forget)(Sweep { subject: Some(subject), tenant: None }));
        }
    }
}

impl<Q: Query, U: Upstream<Q>> Upstream<Q> for Invalidate<U> {
    async fn call(&self, cx: &Cx, query: Q) -> Result<Q::Reply> {
        let mut doubts = self.doubts(query.subject());
        let answer = self.inner.call(cx, query).await;
        if answer.as_ref().is_err_and(|error| error.outcome() == Outcome::NotSent) {
            doubts.are_unfounded();
        }
        doubts.forget().await;
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parking_lot::Mutex;
    use tokio::time::sleep;

    use super::*;
    use crate::{
        Error, Kind,
        layer::testing::{Ask, Said, answering, cx},
    };

    /// What is forgotten after a call about `subject` that ends so, or is left after a second.
    async fn forgotten(subject: &'static str, error: Option<Error>, left: bool) -> Vec<String> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let forget: Forget = Arc::new(move |sweep| {
            let heard = Arc::clone(&heard);
            Box::pin(async move { heard.lock().extend(sweep.subject) })
        });
        let rule = |after: &str, forget: &[&str]| Rule {
            after: after.to_owned(),
            forget: forget.iter().map(|&pattern| pattern.to_owned()).collect(),
        };
        let rules = vec![rule("create_*", &["list_*"]), rule("*", &["stats"])];
        let tasks = TaskTracker::new();
        let inner = answering(move |_, _| {
            let error = error.clone();
            async move {
                sleep(Duration::from_secs(2)).await;
                error.map_or_else(|| Ok(Said::text("done")), Err)
            }
        });
        let layer = Invalidate::new(inner, rules, forget, &tasks);
        let cx = cx(60);
        let call = layer.call(&cx, Ask::words(subject));
        if left {
            assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
        } else {
            drop(call.await);
        }
        tasks.close();
        tasks.wait().await;
        let mut told = told.lock().clone();
        told.sort();
        told
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_done_makes_its_readings_untrue() {
        let failed = |outcome| Some(Error::new(Kind::Timeout, "late").outcome_is(outcome));
        let both = ["list_*", "stats"];
        for (subject, error, left, expected) in [
            ("create_issue", None, false, &both[..]),
            ("create_issue", failed(Outcome::Unknown), false, &both),
            ("create_issue", failed(Outcome::Failed), false, &both),
            ("create_issue", failed(Outcome::NotSent), false, &[]),
            ("create_issue", None, true, &both),
            ("close_issue", None, false, &["stats"]),
        ] {
            assert_eq!(forgotten(subject, error, left).await, expected, "{subject} {left}");
        }
    }
}
