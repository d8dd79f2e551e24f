//! The single values of the file: texts, secrets, numbers with their units, addresses, paths.

use std::{path::PathBuf, time::Duration};

use router_core::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{address::Address, problem::Flaw, read::Leaf, source::Source};
use crate::schedule::Schedule;

/// Says how a leaf is written, for editors.
macro_rules! leaf_schema {
    ($type:ty, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// How a reference is written; it may stand wherever a value may.
const REFERENCE: &str = r"\$\{.+\}";

/// A text. A number is one, too: `PORT: 3000`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text(pub(super) String);

leaf_schema!(Text, { "type": ["string", "number", "boolean"] });

impl Leaf for Text {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        Ok(Self(text.to_owned()))
    }
}

/// A text that nobody may read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hidden(pub(super) Secret<String>);

leaf_schema!(Hidden, { "type": ["string", "number", "boolean"] });

impl Leaf for Hidden {
    const SECRET: bool = true;

    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        Ok(Self(Secret::new(text.to_owned())))
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Switch(pub(super) bool);

leaf_schema!(Switch, { "anyOf": [{ "type": "boolean" }, { "type": "string", "pattern": REFERENCE }] });

impl Leaf for Switch {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        match text {
            "true" | "True" | "TRUE" => Ok(Self(true)),
            "false" | "False" | "FALSE" => Ok(Self(false)),
            _ => Err(Flaw::new("is neither true nor false")),
        }
    }
}

/// A number of things.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Count(pub(super) u32);

leaf_schema!(Count, { "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": REFERENCE }] });

impl Leaf for Count {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        text.parse().map(Self).map_err(|_| Flaw::new("is not a whole number"))
    }
}

/// A number of things that cannot be none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Positive(pub(super) u32);

leaf_schema!(Positive, { "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": REFERENCE }] });

impl Leaf for Positive {
    fn parse(text: &str, source: &Source) -> Result<Self, Flaw> {
        match Count::parse(text, source)? {
            Count(0) => Err(Flaw::new("is less than 1")),
            Count(count) => Ok(Self(count)),
        }
    }
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share(pub(super) f64);

leaf_schema!(Share, { "anyOf": [
    { "type": "number", "minimum": 0, "maximum": 1 },
    { "type": "string", "pattern": r"^\d+(\.\d+)?%?$|\$\{.+\}" },
] });

impl Leaf for Share {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
        let flaw = || Flaw::new("is not a share").remedy("write a number from 0 to 1, or 0% to 100%");
        let share = number.trim().parse::<f64>().map_err(|_| flaw())? / whole;
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(flaw()) }
    }
}

/// How freely a model chooses its words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Temperature(pub(super) f64);

leaf_schema!(Temperature, { "anyOf": [
    { "type": "number", "minimum": 0, "maximum": 2 },
    { "type": "string", "pattern": REFERENCE },
] });

impl Leaf for Temperature {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        let flaw = || Flaw::new("is not a temperature").remedy("write a number from 0 to 2");
        let number: f64 = text.parse().map_err(|_| flaw())?;
        if (0.0..=2.0).contains(&number) { Ok(Self(number)) } else { Err(flaw()) }
    }
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time(pub(super) Duration);

leaf_schema!(Time, { "type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$|\$\{.+\}" });

/// The units of time, longest name first, so that `ms` is not read as `m`.
const TIME_UNITS: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];

impl Leaf for Time {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        time(text).map(Self)
    }
}

/// Reads `30s`, `1.5h`, `1m30s`.
pub(super) fn time(text: &str) -> Result<Duration, Flaw> {
    let written = text.trim();
    if !written.is_empty() && written.parse::<f64>().is_ok() {
        return Err(Flaw::new("has no unit").remedy(format!("write \"{written}s\" or \"{written}000ms\"")));
    }
    let flaw = || Flaw::new("is not a time").remedy("write a number with ms, s, m, h or d: \"30s\"");
    let mut seconds = 0.0;
    let mut rest = written;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !(character.is_ascii_digit() || character == '.')).ok_or_else(flaw)?;
        let (number, unit) = rest.split_at(digits);
        let named = TIME_UNITS.iter().find_map(|(name, size)| Some((size, unit.strip_prefix(name)?)));
        let (size, after) = named.ok_or_else(flaw)?;
        seconds += number.parse::<f64>().map_err(|_| flaw())? * size;
        rest = after;
    }
    if written.is_empty() {
        return Err(flaw());
    }
    // Milliseconds are exact, where "0.1s" as a float is not.
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| flaw())?;
    Ok(Duration::from_millis(u64::try_from(time.as_micros().div_ceil(1000)).map_err(|_| flaw())?))
}

/// A time that must not be nothing: a timeout, a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Period(pub(super) Duration);

leaf_schema!(Period, { "type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$|\$\{.+\}" });

impl Leaf for Period {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        let time = time(text)?;
        if time.is_zero() { Err(Flaw::new("is no time at all")) } else { Ok(Self(time)) }
    }
}

/// When something is done again and again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cron(pub(super) Schedule);

leaf_schema!(Cron, { "type": "string", "pattern": r"^\S+(\s+\S+){4}$|\$\{.+\}" });

impl Leaf for Cron {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        let flaw =
            |says: String| Flaw::new(says).remedy("write minute, hour, day, month and day of the week: 0 2 * * *");
        text.parse().map(Self).map_err(flaw)
    }
}

/// Calls per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate(pub(super) f64);

leaf_schema!(Rate, { "type": "string", "pattern": r"^\d+(\.\d+)?/(s|m|h)$|\$\{.+\}" });

impl Leaf for Rate {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        let flaw = || Flaw::new("is not a rate").remedy("write \"10/s\", \"600/m\" or \"1000/h\"");
        if text.parse::<f64>().is_ok() {
            return Err(Flaw::new("has no unit").remedy(format!("write \"{text}/s\" or \"{text}/m\"")));
        }
        let (number, unit) = text.split_once('/').ok_or_else(flaw)?;
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(flaw()),
        };
        let number: f64 = number.trim().parse().map_err(|_| flaw())?;
        if number.is_finite() && number > 0.0 { Ok(Self(number / seconds)) } else { Err(flaw()) }
    }
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bytes(pub(super) u64);

leaf_schema!(Bytes, { "type": "string", "pattern": r"^\d+ ?(KiB|MiB|GiB)$|\$\{.+\}" });

impl Leaf for Bytes {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        if text.parse::<u64>().is_ok() {
            return Err(Flaw::new("has no unit").remedy(format!("write \"{text}KiB\" or \"{text}MiB\"")));
        }
        let flaw = || Flaw::new("is not a size").remedy("write a whole number with KiB, MiB or GiB: \"16MiB\"");
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
        let (number, shift) =
            units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift))).ok_or_else(flaw)?;
        let number: u64 = number.trim().parse().map_err(|_| flaw())?;
        number.checked_mul(1 << shift).filter(|&bytes| bytes > 0).map(Self).ok_or_else(flaw)
    }
}

/// A file or folder; where it is relative, it starts from the folder of the configuration file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FilePath(pub(super) PathBuf);

leaf_schema!(FilePath, { "type": "string" });

impl Leaf for FilePath {
    fn parse(text: &str, source: &Source) -> Result<Self, Flaw> {
        if text.is_empty() {
            return Err(Flaw::new("names no file"));
        }
        if text.starts_with('~') {
            return Err(Flaw::new("begins with \"~\", which only a shell understands").remedy("write \"${HOME}/...\""));
        }
        Ok(Self(source.folder.join(text)))
    }
}

/// The address of an upstream.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Link(pub(super) Address);

leaf_schema!(Link, { "type": "string", "pattern": r"^https?://|\$\{.+\}" });

impl Leaf for Link {
    fn parse(text: &str, _: &Source) -> Result<Self, Flaw> {
        Address::parse(text).map(Self)
    }
}

/// Declares a choice between words, as it is written in the file.
macro_rules! words {
    (
        $(#[$attribute:meta])*
        $name:ident, $what:literal { $( $(#[$about:meta])* $variant:ident = $word:literal, )* }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $( $(#[$about])* $variant, )* }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The word in the configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }

            /// The one that a word names.
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }

        impl $crate::config::read::Leaf for $name {
            fn parse(text: &str, _: &$crate::config::source::Source) -> Result<Self, $crate::config::problem::Flaw> {
                let known: Vec<_> = Self::ALL.iter().map(|one| one.as_str()).collect();
                let remedy = || $crate::config::suggest::remedy(text, &known);
                Self::named(text).ok_or_else(|| $crate::config::problem::Flaw::new($what).remedy(remedy()))
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "anyOf": [
                    { "enum": [ $( $word, )* ] },
                    { "type": "string", "pattern": r"\$\{.+\}" },
                ] })
            }
        }
    };
}

pub(super) use words;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: Leaf>(text: &str) -> Result<T, String> {
        T::parse(text, &Source::default()).map_err(|flaw| flaw.says)
    }

    #[test]
    fn times() {
        let cases = [
            ("30s", Ok(30_000)),
            ("250ms", Ok(250)),
            ("1m30s", Ok(90_000)),
            ("1.5h", Ok(5_400_000)),
            ("0.1s", Ok(100)),
            ("2d", Ok(172_800_000)),
            ("0s", Ok(0)),
            ("30", Err("has no unit")),
            ("", Err("is not a time")),
            ("s", Err("is not a time")),
            ("30 s", Err("is not a time")),
            ("-3s", Err("is not a time")),
            ("30sec", Err("is not a time")),
            ("1e300d", Err("is not a time")),
            ("99999999999999999999d", Err("is not a time")),
        ];
        for (text, expected) in cases {
            let read = parse::<Time>(text).map(|time| time.0.as_millis());
            assert_eq!(read, expected.map_err(str::to_owned), "{text}");
        }
        assert_eq!(parse::<Period>("0s"), Err("is no time at all".into()));
    }

    #[test]
    fn shares_rates_and_sizes() {
        assert_eq!(parse::<Share>("20%"), Ok(Share(0.2)));
        assert_eq!(parse::<Share>("1"), Ok(Share(1.0)));
        assert_eq!(parse::<Share>("1.1"), Err("is not a share".into()));
        assert_eq!(parse::<Share>("NaN"), Err("is not a share".into()));
        assert_eq!(parse::<Rate>("600/m"), Ok(Rate(10.0)));
        assert_eq!(parse::<Rate>("10"), Err("has no unit".into()));
        assert_eq!(parse::<Rate>("-1/s"), Err("is not a rate".into()));
        assert_eq!(parse::<Bytes>("16MiB"), Ok(Bytes(16 << 20)));
        assert_eq!(parse::<Bytes>("16"), Err("has no unit".into()));
        assert_eq!(parse::<Bytes>("99999999999GiB"), Err("is not a size".into()));
    }
}
