//! Who answers for a model's name: an alias with its candidates in order, a provider, or the default provider.

use std::{borrow::Cow, collections::BTreeSet};

use router_core::{Error, Kind, Name, Result, chat::OnLoss};

use super::{near::nearest, target::Target};

/// Our name for a choice, or a pattern of names.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// The name; `*` in it stands for any text.
    pub name: Name,
    /// Who is asked, in this order.
    pub targets: Vec<Target>,
    /// What is done when the one who is asked has no words for all of a question; a question may say otherwise.
    pub on_loss: Option<OnLoss>,
}

impl Alias {
    /// Whether it stands for many names.
    pub fn is_pattern(&self) -> bool {
        self.name.contains('*')
    }

    /// How much of a name it spells out: of two patterns that fit, the longer one counts.
    fn spelled(&self) -> usize {
        self.name.bytes().filter(|byte| *byte != b'*').count()
    }
}

/// Who answers for a name, in the order in which they are asked; never nobody.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice<'a> {
    /// The alias that the name is, or whose pattern it fits.
    pub alias: Option<&'a Alias>,
    /// Who is asked.
    pub targets: Cow<'a, [Target]>,
}

/// All names that lead somewhere, whatever is asked of whoever they lead to.
#[derive(Debug)]
pub struct Names {
    /// In the order of the configuration.
    aliases: Vec<Alias>,
    /// Which of them are patterns, the one that spells out most before the others.
    patterns: Vec<usize>,
    default_provider: Name,
    providers: BTreeSet<Name>,
}

impl Names {
    /// The names of `aliases` and of the models of `providers`, or what among them leads nowhere. A bare name that is no
    /// alias is a model of `default_provider`.
    pub fn new(aliases: Vec<Alias>, default_provider: Name, providers: impl IntoIterator<Item = Name>) -> Result<Self> {
        let mut patterns: Vec<usize> =
            (0..).zip(&aliases).filter(|(_, it)| it.is_pattern()).map(|(at, _)| at).collect();
        patterns.sort_by_key(|at| std::cmp::Reverse(aliases.get(*at).map(Alias::spelled)));
        let names = Self { aliases, patterns, default_provider, providers: providers.into_iter().collect() };
        names.check(&names.default_provider)?;
        for alias in &names.aliases {
            if alias.targets.is_empty() {
                return Err(Error::new(Kind::Invalid, format!("the alias {:?} has no candidate", alias.name)));
            }
            alias.targets.iter().try_for_each(|target| names.check(&target.provider))?;
        }
        Ok(names)
    }

    /// The aliases, in the order of the configuration.
    pub fn aliases(&self) -> &[Alias] {
        &self.aliases
    }

    /// Who answers for `name`: the alias of that name, the provider that it begins with, the pattern that spells out
    /// most of it, or the default provider.
    pub fn choice<'a>(&'a self, name: &str) -> Result<Choice<'a>> {
        if let Some(alias) = self.aliases.iter().find(|alias| &*alias.name == name) {
            return Ok(chosen(alias, name));
        }
        if let Some(target) = Target::read(name).filter(|target| self.providers.contains(&target.provider)) {
            return Ok(Choice { alias: None, targets: vec![target].into() });
        }
        let mut patterns = self.patterns.iter().filter_map(|at| self.aliases.get(*at));
        if let Some(alias) = patterns.find(|alias| !name.is_empty() && fits(&alias.name, name)) {
            return Ok(chosen(alias, name));
        }
        if name.is_empty() || name.contains('/') {
            return Err(self.unknown(name));
        }
        let target = Target { provider: Name::clone(&self.default_provider), model: name.into() };
        Ok(Choice { alias: None, targets: vec![target].into() })
    }

    fn check(&self, provider: &Name) -> Result<()> {
        if self.providers.contains(provider) {
            return Ok(());
        }
        let hint = self.near_provider(provider).map(|near| format!("did you mean {near:?}?"));
        let error = Error::new(Kind::NotFound, format!("there is no provider {provider:?}"));
        Err(hint.into_iter().fold(error, Error::hint))
    }

    /// That nobody answers for `name`, with the name that was probably meant.
    pub(crate) fn unknown(&self, name: &str) -> Error {
        let (provider, model) = name.split_once('/').unwrap_or(("", name));
        let spelled = self.aliases.iter().filter(|alias| !alias.is_pattern()).map(|alias| &*alias.name);
        let near = nearest(name, spelled).map(str::to_owned);
        let near = near.or_else(|| Some(format!("{}/{model}", self.near_provider(provider)?)));
        let hint = near.map_or_else(
            || format!("write it as provider/model, `{}/{name}` for one", self.default_provider),
            |near| format!("did you mean {near:?}?"),
        );
        Error::new(Kind::NotFound, format!("there is no model {name:?}")).hint(hint)
    }

    fn near_provider(&self, written: &str) -> Option<&str> {
        nearest(written, self.providers.iter().map(|name| &**name))
    }
}

fn chosen<'a>(alias: &'a Alias, name: &str) -> Choice<'a> {
    let targets = if alias.targets.iter().any(Target::is_open) {
        alias.targets.iter().map(|target| target.closed(name)).collect::<Vec<_>>().into()
    } else {
        Cow::Borrowed(alias.targets.as_slice())
    };
    Choice { alias: Some(alias), targets }
}

/// Whether `name` is one of those that `pattern` stands for: `*` in it is any text.
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(before) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some((_, after)) = name.split_once(part) else { return false };
        name = after;
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(aliases: &[(&str, &[&str])]) -> Result<Names> {
        let targets = |names: &[&str]| names.iter().map(|name| Target::read(name).unwrap()).collect();
        let aliases =
            aliases.iter().map(|(name, list)| Alias { name: (*name).into(), targets: targets(list), on_loss: None });
        Names::new(aliases.collect(), "one".into(), ["one", "two", "three"].map(Name::from))
    }

    #[test]
    fn a_name_leads_to_whoever_answers_for_it() {
        let names = names(&[
            ("*", &["three/*"]),
            ("claude-*", &["two/*", "three/anthropic/x"]),
            ("claude-opus-*", &["two/opus"]),
            ("big", &["two/large", "one/*"]),
            ("*-fast", &["two/f"]),
            ("gpt-4*", &["two/g"]),
            ("gpt-4o", &["two/exact"]),
        ])
        .unwrap();
        let table: [(&str, Option<&str>, &[&str]); 12] = [
            ("big", Some("big"), &["two/large", "one/big"]),
            ("bigger", Some("*"), &["three/bigger"]),
            ("claude-sonnet-5", Some("claude-*"), &["two/claude-sonnet-5", "three/anthropic/x"]),
            ("claude-opus-5", Some("claude-opus-*"), &["two/opus"]),
            ("claude-x-fast", Some("claude-*"), &["two/claude-x-fast", "three/anthropic/x"]),
            ("x-fast", Some("*-fast"), &["two/f"]),
            ("gpt-4", Some("gpt-4*"), &["two/g"]),
            ("gpt-4.1-mini", Some("gpt-4*"), &["two/g"]),
            ("gpt-4o", Some("gpt-4o"), &["two/exact"]),
            ("two/claude-sonnet-5", None, &["two/claude-sonnet-5"]),
            ("two/org/m:free", None, &["two/org/m:free"]),
            ("meta/llama", Some("*"), &["three/meta/llama"]),
        ];
        for (name, alias, targets) in table {
            let choice = names.choice(name).unwrap();
            let told: Vec<String> = choice.targets.iter().map(ToString::to_string).collect();
            assert_eq!(
                (choice.alias.map(|alias| &*alias.name), told),
                (alias, targets.iter().copied().map(str::to_owned).collect()),
                "{name}"
            );
        }
        assert!(names.choice("").is_err());
    }

    #[test]
    fn a_bare_name_is_a_model_of_the_default_provider() {
        let names = names(&[("claude-*", &["two/*"])]).unwrap();
        let choice = names.choice("gpt-4o").unwrap();
        assert_eq!(choice, Choice { alias: None, targets: vec![Target::read("one/gpt-4o").unwrap()].into() });
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_one() {
        let names = names(&[("reasoning", &["two/r1"]), ("resoning-*", &["two/r1"])]).unwrap();
        let table = [
            ("twoo/m", "there is no model \"twoo/m\" (did you mean \"two/m\"?)"),
            ("resoning/", "there is no model \"resoning/\" (did you mean \"reasoning\"?)"),
            ("meta/llama", "there is no model \"meta/llama\" (write it as provider/model, `one/meta/llama` for one)"),
            ("", "there is no model \"\" (write it as provider/model, `one/` for one)"),
        ];
        for (name, expect) in table {
            let error = names.choice(name).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (Kind::NotFound, expect));
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused_when_it_is_built() {
        let error = names(&[("big", &["onee/m"])]).unwrap_err();
        assert_eq!(error.to_string(), "there is no provider \"onee\" (did you mean \"one\"?)");
        assert_eq!(names(&[("big", &[])]).unwrap_err().message(), "the alias \"big\" has no candidate");
    }

    #[test]
    fn a_star_stands_for_any_text() {
        let table = [
            ("*", "x", true),
            ("a*", "a", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "axc", false),
            ("a**c", "abc", true),
            ("*b*", "abc", true),
            ("*b*", "ac", false),
            ("a*", "b", false),
            ("ä*ü", "äöü", true),
        ];
        for (pattern, name, expect) in table {
            assert_eq!(fits(pattern, name), expect, "{pattern} {name}");
        }
    }
}
