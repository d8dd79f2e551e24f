//! The clock of day, which nobody else reads.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::schedule::Minute;

/// Seconds since 1970.
pub fn unix_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}

/// Milliseconds since 1970.
pub fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// This minute, in UTC.
pub fn minute() -> Minute {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let small = |number: i8| u8::try_from(number).unwrap_or_default();
    Minute {
        of_hour: small(now.minute()),
        hour: small(now.hour()),
        day: small(now.day()),
        month: small(now.month()),
        weekday: small(now.weekday().to_sunday_zero_offset()),
    }
}

/// How long it is until the next minute begins.
pub fn until_next_minute() -> Duration {
    let into = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() % 60_000;
    Duration::from_millis(60_000 - u64::try_from(into).unwrap_or_default())
}

/// Now, as RFC 3339 writes it.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Today, in UTC, as `2026-11-21`.
pub fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
