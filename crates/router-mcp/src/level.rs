//! How much of a server's log somebody wants to hear.

/// How weighty a log line is (RFC 5424), the lightest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(u8);

impl Level {
    /// Everything.
    pub(crate) const ALL: Self = Self(0);

    const NAMES: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let place = Self::NAMES.iter().position(|known| *known == name)?;
        u8::try_from(place).ok().map(Self)
    }

    pub(crate) fn as_str(self) -> &'static str {
        Self::NAMES.get(usize::from(self.0)).copied().unwrap_or("emergency")
    }

    pub(crate) fn number(self) -> u8 {
        self.0
    }

    pub(crate) fn from_number(number: u8) -> Self {
        Self(number)
    }
}
