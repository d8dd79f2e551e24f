//! Why nobody answered: of all that happened, the one thing that helps whoever asked.

use std::cmp::Reverse;

use router_core::{Error, Kind};

/// The failures of one question, in their order, each with the place of the candidate in its list.
#[derive(Debug, Default)]
pub(super) struct Failures(Vec<(usize, Error)>);

impl Failures {
    pub(super) fn add(&mut self, candidate: usize, error: Error) {
        self.0.push((candidate, error));
    }

    /// Who failed first.
    pub(super) fn first(&self) -> Option<usize> {
        self.0.first().map(|(candidate, _)| *candidate)
    }

    /// Of several candidates whose breakers are all open, the one whose breaker lets somebody through soonest.
    pub(super) fn nearest_to_reopening(&self) -> Option<usize> {
        let all_open = self.0.len() > 1 && self.0.iter().all(|(_, error)| error.kind() == Kind::Open);
        let soonest = self.0.iter().filter(|_| all_open).min_by_key(|(_, error)| error.wait());
        soonest.map(|(candidate, _)| *candidate)
    }

    /// The failure that says most about what to do: that the question is too long above all, then why it was refused,
    /// then the first one, because its candidate is the one that was meant.
    pub(super) fn most_useful(self) -> Option<Error> {
        let rank = |kind| match kind {
            Kind::TooLong => 2,
            Kind::Refused | Kind::Invalid => 1,
            Kind::Unauthorized
            | Kind::Forbidden
            | Kind::NotFound
            | Kind::Limited
            | Kind::Shed
            | Kind::Timeout
            | Kind::Deadline
            | Kind::Unavailable
            | Kind::Open
            | Kind::Protocol
            | Kind::Credential
            | Kind::Cancelled
            | Kind::Internal => 0,
        };
        self.0.into_iter().map(|(_, error)| error).min_by_key(|error| Reverse(rank(error.kind())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn failures(kinds: &[(Kind, u64)]) -> Failures {
        let error = |(kind, wait): &(Kind, u64)| {
            Error::new(*kind, format!("{} {wait}", kind.as_str())).retry_after(Duration::from_secs(*wait))
        };
        Failures(kinds.iter().map(error).enumerate().collect())
    }

    #[test]
    fn the_most_useful_failure_is_told() {
        use Kind::{Credential, Open, Refused, TooLong, Unavailable};
        let table = [
            (vec![(Open, 1), (Unavailable, 2)], "open 1"),
            (vec![(Unavailable, 1), (Refused, 2), (Credential, 3)], "refused 2"),
            (vec![(Refused, 1), (TooLong, 2), (TooLong, 3)], "too_long 2"),
            (vec![(TooLong, 1), (Refused, 2)], "too_long 1"),
            (vec![(Credential, 1)], "credential 1"),
        ];
        for (kinds, expect) in table {
            assert_eq!(failures(&kinds).most_useful().unwrap().message(), expect);
        }
        assert!(Failures::default().most_useful().is_none());
    }

    #[test]
    fn the_soonest_breaker_counts_where_all_are_open() {
        use Kind::{Open, Unavailable};
        let table = [
            (vec![(Open, 9), (Open, 3), (Open, 5)], Some(1)),
            (vec![(Open, 9), (Unavailable, 3)], None),
            (vec![(Open, 9)], None),
            (vec![], None),
        ];
        for (kinds, expect) in table {
            assert_eq!(failures(&kinds).nearest_to_reopening(), expect, "{kinds:?}");
        }
    }
}
