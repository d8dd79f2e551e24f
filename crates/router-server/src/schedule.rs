//! When something is to be done again and again: the five fields of cron, in UTC.

use std::str::FromStr;

/// The minutes at which something is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Where both are restricted, either is enough, as cron has always had it.
    either_day: bool,
}

/// A minute, as a schedule looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    /// 0 to 59.
    pub of_hour: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 1 to 31.
    pub day: u8,
    /// 1 to 12.
    pub month: u8,
    /// 0 is Sunday.
    pub weekday: u8,
}

impl Schedule {
    /// Whether it is to be done then.
    pub fn covers(&self, Minute { of_hour, hour, day, month, weekday }: Minute) -> bool {
        let has = |set: u64, number: u8| set >> number & 1 == 1;
        let (day, weekday) = (has(self.days, day), has(self.weekdays, weekday));
        let right_day = if self.either_day { day || weekday } else { day && weekday };
        has(self.minutes, of_hour) && has(self.hours, hour) && has(self.months, month) && right_day
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = *fields.as_slice() else {
            return Err(format!("has {} fields, not the five of cron", fields.len()));
        };
        let weekdays = field(weekday, "day of the week", 0, 7)?;
        Ok(Self {
            minutes: field(minute, "minute", 0, 59)?,
            hours: field(hour, "hour", 0, 23)?,
            days: field(day, "day", 1, 31)?,
            months: field(month, "month", 1, 12)?,
            // Sunday is 0 and 7.
            weekdays: weekdays | weekdays >> 7,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        })
    }
}

/// The numbers that a field means: `*`, `5`, `1-5`, `*/10`, `1-30/2`, and several of them with commas between.
fn field(text: &str, what: &str, least: u8, most: u8) -> Result<u64, String> {
    let wrong = |part: &str| format!("{part:?} is no {what} from {least} to {most}");
    let number =
        |part: &str| part.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| wrong(part));
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0).ok_or_else(|| wrong(part))?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(wrong(part));
        }
        set |= (from..=to).step_by(step).fold(0, |set, number| set | 1 << number);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_covered() {
        // 22 November 2026 is a Sunday.
        let at = |hour, of_hour| Minute { of_hour, hour, day: 22, month: 11, weekday: 0 };
        for (text, minute, expected) in [
            ("0 2 * * *", at(2, 0), true),
            ("0 2 * * *", at(2, 1), false),
            ("*/15 * * * *", at(7, 45), true),
            ("*/15 * * * *", at(7, 46), false),
            ("5,10-12 * * * *", at(0, 11), true),
            ("5,10-12 * * * *", at(0, 6), false),
            ("0 0-6/3 * * *", at(3, 0), true),
            ("0 0-6/3 * * *", at(4, 0), false),
            ("0 5/2 * * *", at(7, 0), true),
            ("0 0 * * 7", at(0, 0), true),
            ("0 0 * * 0", at(0, 0), true),
            ("0 0 * * 1-5", at(0, 0), false),
            ("0 0 22 * 1", at(0, 0), true),
            ("0 0 21 * 0", at(0, 0), true),
            ("0 0 21 * 1", at(0, 0), false),
            ("0 0 22 12 *", at(0, 0), false),
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().covers(minute), expected, "{text} {minute:?}");
        }
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        for (text, says) in [
            ("0 2 * *", "has 4 fields, not the five of cron"),
            ("60 2 * * *", "\"60\" is no minute from 0 to 59"),
            ("0 2-x * * *", "\"x\" is no hour from 0 to 23"),
            ("0 2 0 * *", "\"0\" is no day from 1 to 31"),
            ("*/0 2 * * *", "\"*/0\" is no minute from 0 to 59"),
            ("9-3 2 * * *", "\"9-3\" is no minute from 0 to 59"),
            ("0 2 * * sun", "\"sun\" is no day of the week from 0 to 7"),
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap_err(), says);
        }
    }
}
