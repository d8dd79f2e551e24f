//! By which names tools and prompts are offered: what stands before them, how long they may be, and what is in them.

use std::collections::{HashMap, HashSet};

/// Between a server's name and its own name for a tool or prompt.
pub(crate) const JOINT: &str = "__";

/// When the server's name stands before a tool's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefix {
    /// Always: `server__tool`.
    #[default]
    Always,
    /// Only before names that several servers have, and then before all of them: no server can take another's place.
    OnConflict,
    /// Never. Of several tools of one name the first server's, in the order of the configuration, is offered.
    Never,
}

/// How many digits tell apart names that had to be shortened: more where fewer are taken.
const DIGITS: [usize; 3] = [8, 16, 32];

/// What may stand in a name, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// `A-Z a-z 0-9 _ . -`, and so many of them.
    Plain { most: usize },
    /// Whatever the server says.
    Any,
}

/// One thing to be named.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) server: &'a str,
    /// Its own name, or the one it was given in place of it.
    pub(super) own: &'a str,
    /// The name that the configuration gives it, whatever the policy says.
    pub(super) alias: Option<&'a str>,
    pub(super) prefix: Prefix,
}

/// The names of all candidates: each of them once, and the same for the same candidates. `None` leaves one out, because
/// its name is taken and its policy knows no other.
///
/// Names that are as they should be come first, those that had to be changed make way: so a server cannot take the name
/// of another's tool by calling one of its own so. Nor can it take the whole name of one that goes by a shorter one.
pub(super) fn names(candidates: &[Candidate<'_>], charset: Charset) -> Vec<Option<String>> {
    let wanted = wanted(candidates);
    let whole: HashMap<String, &str> =
        candidates.iter().map(|candidate| (joined(candidate), candidate.server)).collect();
    let is_anothers = |text: &str, server: &str| whole.get(text).is_some_and(|owner| *owner != server);
    let mut taken: HashSet<String> = HashSet::with_capacity(candidates.len());
    let mut names: Vec<Option<String>> = vec![None; candidates.len()];
    for round in [Claim::Alias, Claim::Joined, Claim::Bare] {
        for ((name, wanted), candidate) in names.iter_mut().zip(&wanted).zip(candidates) {
            let Wanted { text, claim } = wanted;
            let is_free = *claim != Claim::Bare || !is_anothers(text, candidate.server);
            if *claim == round && is_free && is_fit(text, charset) && taken.insert(text.clone()) {
                *name = Some(text.clone());
            }
        }
    }
    for ((name, wanted), candidate) in names.iter_mut().zip(&wanted).zip(candidates) {
        if name.is_none() {
            *name = made_fit(wanted, candidate, charset).into_iter().find(|text| taken.insert(text.clone()));
        }
    }
    names
}

/// What a name is, in the order in which names are given away.
#[derive(Clone, Copy, PartialEq)]
enum Claim {
    Alias,
    Joined,
    Bare,
}

struct Wanted {
    text: String,
    claim: Claim,
}

fn wanted(candidates: &[Candidate<'_>]) -> Vec<Wanted> {
    let mut bare: HashMap<&str, usize> = HashMap::new();
    for candidate in candidates {
        match (candidate.alias, candidate.prefix) {
            (Some(alias), _) => *bare.entry(alias).or_default() += 1,
            (None, Prefix::Always) => {}
            (None, Prefix::OnConflict | Prefix::Never) => *bare.entry(candidate.own).or_default() += 1,
        }
    }
    let is_alone = |own: &str| bare.get(own).copied().unwrap_or_default() <= 1;
    let name = |candidate: &Candidate<'_>| match (candidate.alias, candidate.prefix) {
        (Some(alias), _) => Wanted { text: alias.to_owned(), claim: Claim::Alias },
        (None, Prefix::Never) => Wanted { text: candidate.own.to_owned(), claim: Claim::Bare },
        (None, Prefix::OnConflict) if is_alone(candidate.own) => {
            Wanted { text: candidate.own.to_owned(), claim: Claim::Bare }
        }
        (None, Prefix::OnConflict | Prefix::Always) => Wanted { text: joined(candidate), claim: Claim::Joined },
    };
    candidates.iter().map(name).collect()
}

/// The name that leads to a tool whatever the policy is.
fn joined(candidate: &Candidate<'_>) -> String {
    format!("{}{JOINT}{}", candidate.server, candidate.own)
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
}

fn is_fit(name: &str, charset: Charset) -> bool {
    match charset {
        Charset::Plain { most } => !name.is_empty() && name.len() <= most && name.chars().all(is_plain),
        Charset::Any => true,
    }
}

/// What to try for a name that is taken or does not fit, in this order.
fn made_fit(wanted: &Wanted, candidate: &Candidate<'_>, charset: Charset) -> Vec<String> {
    let joined = joined(candidate);
    let mut tries = Vec::new();
    let may_join = wanted.claim == Claim::Bare && candidate.prefix == Prefix::OnConflict;
    if may_join && is_fit(&joined, charset) {
        tries.push(joined.clone());
    }
    if let (Charset::Plain { most }, false) = (charset, is_fit(&wanted.text, charset)) {
        tries.extend(DIGITS.map(|digits| shortened(&wanted.text, &joined, (most, digits))));
    }
    tries
}

/// Whether a name looks as if it had been made of another one.
pub(super) fn may_be_made(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    name.rsplit_once('_').is_some_and(|(_, end)| DIGITS.contains(&end.len()) && end.bytes().all(is_digit))
}

/// A name of allowed letters within its bound: its beginning, and some digits that only `whole` has.
fn shortened(name: &str, whole: &str, (most, digits): (usize, usize)) -> String {
    let hash = blake3::hash(whole.as_bytes()).to_hex();
    let hash = hash.get(..digits).unwrap_or_default();
    let room = most.saturating_sub(hash.len() + 1);
    let beginning: String = name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).take(room).collect();
    format!("{}_{hash}", beginning.trim_end_matches('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Charset = Charset::Plain { most: 20 };

    fn named(candidates: &[(&str, &str, Prefix)]) -> Vec<Option<String>> {
        let candidates: Vec<_> = candidates
            .iter()
            .map(|(server, own, prefix)| Candidate { server, own, alias: None, prefix: *prefix })
            .collect();
        names(&candidates, PLAIN)
    }

    #[test]
    fn each_policy_in_a_crowd() {
        use Prefix::{Always, Never, OnConflict};
        for (candidates, expected) in [
            (vec![("a", "x", Always), ("b", "x", Always)], vec![Some("a__x"), Some("b__x")]),
            (
                vec![("a", "x", OnConflict), ("b", "x", OnConflict), ("b", "y", OnConflict)],
                vec![Some("a__x"), Some("b__x"), Some("y")],
            ),
            (vec![("a", "x", Never), ("b", "x", Never), ("b", "y", Never)], vec![Some("x"), None, Some("y")]),
            (vec![("a", "x", OnConflict), ("b", "x", Never)], vec![Some("a__x"), Some("x")]),
            (vec![("evil", "b__x", OnConflict), ("b", "x", Always)], vec![Some("evil__b__x"), Some("b__x")]),
            (vec![("evil", "b__x", Never), ("b", "x", Always)], vec![None, Some("b__x")]),
            (
                vec![("b", "x", Never), ("evil", "b__x", Never), ("b", "b__x", Never)],
                vec![Some("x"), None, Some("b__x")],
            ),
            (vec![("b", "x", OnConflict), ("evil", "b__x", OnConflict)], vec![Some("x"), Some("evil__b__x")]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|name| name.map(str::to_owned)).collect();
            assert_eq!(named(&candidates), expected, "{candidates:?}");
        }
    }

    #[test]
    fn an_alias_goes_before_every_policy() {
        let candidates = [
            Candidate { server: "a", own: "x", alias: Some("y"), prefix: Prefix::Always },
            Candidate { server: "b", own: "y", alias: None, prefix: Prefix::OnConflict },
            Candidate { server: "c", own: "y", alias: None, prefix: Prefix::Never },
        ];
        assert_eq!(names(&candidates, PLAIN), [Some("y".to_owned()), Some("b__y".to_owned()), None]);
    }

    #[test]
    fn what_does_not_fit_is_shortened_always_the_same_and_never_onto_another() {
        let long = ["a_name_beyond_all_bounds", "a_name_beyond_all_limits"];
        let first = named(&[("s", long[0], Prefix::Always), ("s", long[1], Prefix::Always)]);
        let alone = named(&[("s", long[1], Prefix::Always)]);
        let [Some(one), Some(other)] = &first[..] else { panic!("{first:?}") };
        assert!(one.len() == 20 && other.len() == 20 && one.starts_with("s__a_name_b") && one != other);
        assert_eq!(alone[0].as_ref(), Some(other), "whatever stands beside it");

        let mapped = named(&[("s", "é/ü", Prefix::Always), ("s", "a b", Prefix::Never)]);
        assert!(mapped.iter().flatten().all(|name| is_fit(name, PLAIN)), "{mapped:?}");
        assert!(mapped[1].as_ref().unwrap().starts_with("a_b_"));

        let squatted =
            named(&[("s", one.strip_prefix("s__").unwrap(), Prefix::Always), ("s", long[0], Prefix::Always)]);
        let [Some(thief), Some(moved)] = &squatted[..] else { panic!("{squatted:?}") };
        assert!(may_be_made(moved) && may_be_made(one) && !may_be_made("s__a_name") && !may_be_made("deadbeef"));
        assert!(thief == one && moved != one && moved.len() <= 20, "whoever has that name by itself keeps it");
    }

    #[test]
    fn at_the_bound_and_beyond_it() {
        for (length, kept) in [(16, true), (17, true), (18, false), (1_700, false)] {
            let own = "n".repeat(length);
            let name = named(&[("s", &own, Prefix::Always)]).remove(0).unwrap();
            assert_eq!((name == format!("s__{own}"), name.len() <= 20), (kept, true), "{length}");
        }
    }

    #[test]
    fn names_of_prompts_stay_what_they_are() {
        let candidate = Candidate { server: "s", own: "Grüß mich, bitte", alias: None, prefix: Prefix::Always };
        assert_eq!(names(&[candidate], Charset::Any), [Some("s__Grüß mich, bitte".to_owned())]);
    }
}
