//! Spans of time in a time zone: weekly windows and spans that happen once. The time zone database is carried along.

use std::fmt;

use jiff::{Timestamp as Instant, civil, tz::TimeZone};
use lictor_core::clock::Timestamp;

const MINUTES_PER_DAY: i64 = 24 * 60;

/// A span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// Every week.
    Weekly(Weekly),
    /// Once.
    Once(Once),
}

/// The same hours on some days of every week, by the clocks of a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weekly {
    zone: TimeZone,
    /// From Monday.
    days: [bool; 7],
    /// Minutes of the day; the end is exclusive, and not after the start means on the next day.
    from: i64,
    to: i64,
    text: String,
}

/// One span; the end is exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    start: Instant,
    end: Instant,
    text: String,
}

/// A weekly window as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WeeklyText<'a> {
    pub(crate) zone: &'a str,
    /// Indices from Monday; `None`: every day.
    pub(crate) days: Option<&'a [usize]>,
    /// Both or none.
    pub(crate) hours: Option<(&'a str, &'a str)>,
}

// === impl Window ===

impl Window {
    /// Whether the moment is in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        match self {
            Self::Weekly(weekly) => weekly.contains(at),
            Self::Once(once) => once.contains(at),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weekly(weekly) => f.write_str(&weekly.text),
            Self::Once(once) => once.fmt(f),
        }
    }
}

// === impl Weekly ===

impl Weekly {
    /// Reads what a file says.
    pub(crate) fn parse(text: WeeklyText<'_>) -> Result<Self, String> {
        let zone = zone(text.zone)?;
        let mut days = [text.days.is_none(); 7];
        for day in text.days.unwrap_or_default() {
            match days.get_mut(*day) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err("`days` names a day twice".into()),
            }
        }
        if text.days.is_some_and(<[usize]>::is_empty) {
            return Err("`days` is empty; leave it out for every day".into());
        }
        let (from, to) = match text.hours {
            None => (0, MINUTES_PER_DAY),
            Some((from, to)) => (minute_of_day(from)?, minute_of_day(to)?),
        };
        if from == to {
            return Err("`from` and `to` are the same; leave both out for the whole day".into());
        }
        let described = describe(&days, text.hours, text.zone);
        Ok(Self { zone, days, from, to, text: described })
    }

    fn contains(&self, at: Timestamp) -> bool {
        let Some(local) = local(at, &self.zone) else { return false };
        let today = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or_default();
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        let on = |day: usize| self.days.get(day).copied().unwrap_or(false);
        if self.from < self.to {
            return on(today) && (self.from..self.to).contains(&minute);
        }
        // Over midnight: the evening belongs to today, the morning to yesterday.
        (on(today) && minute >= self.from) || (on((today + 6) % 7) && minute < self.to)
    }
}

fn describe(days: &[bool; 7], hours: Option<(&str, &str)>, zone: &str) -> String {
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let listed: Vec<&str> = names.iter().zip(days).filter(|(_, on)| **on).map(|(name, _)| *name).collect();
    let days = if listed.len() == names.len() { "every day".into() } else { listed.join(", ") };
    match hours {
        Some((from, to)) => format!("{days} {from}–{to} {zone}"),
        None => format!("{days} {zone}"),
    }
}

// === impl Once ===

impl Once {
    /// Reads what a file says: two local times. One that a clock change skips or repeats is the earlier one at the
    /// start and the later one at the end, so that the span is never shorter than it looks.
    pub(crate) fn parse(zone_name: &str, start: &str, end: &str) -> Result<Self, String> {
        let zone = zone(zone_name)?;
        let (from, to) = (moment(start)?, moment(end)?);
        let earlier = |at: civil::DateTime| zone.to_ambiguous_timestamp(at).earlier();
        let later = |at: civil::DateTime| zone.to_ambiguous_timestamp(at).later();
        let (Ok(from), Ok(to)) = (earlier(from), later(to)) else {
            return Err(format!("`{start}` or `{end}` is out of range"));
        };
        if from >= to {
            return Err(format!("it ends at `{end}`, which is not after its start at `{start}`"));
        }
        Ok(Self { start: from, end: to, text: format!("{start} to {end} {zone_name}") })
    }

    /// Whether the moment is in it.
    pub(crate) fn contains(&self, at: Timestamp) -> bool {
        instant(at).is_some_and(|at| (self.start..self.end).contains(&at))
    }
}

impl fmt::Display for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn instant(at: Timestamp) -> Option<Instant> {
    Instant::from_microsecond(i64::try_from(at.as_micros()).ok()?).ok()
}

fn local(at: Timestamp, zone: &TimeZone) -> Option<civil::DateTime> {
    Some(zone.to_datetime(instant(at)?))
}

fn zone(name: &str) -> Result<TimeZone, String> {
    // Only names: `TimeZone::get` would also take what POSIX writes into TZ.
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+'));
    TimeZone::get(name).ok().filter(|zone| is_name && zone.iana_name().is_some()).ok_or_else(|| {
        format!("`{name}` is not a time zone; write its IANA name, e.g. `Europe/Vienna` or `UTC`")
    })
}

/// `HH:MM`, also `24:00` for the end of the day.
fn minute_of_day(text: &str) -> Result<i64, String> {
    let two_digits =
        |t: &str| (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<i64>().ok())?;
    text.split_once(':')
        .and_then(|(hours, minutes)| Some((two_digits(hours)?, two_digits(minutes)?)))
        .filter(|(hours, minutes)| (*hours < 24 && *minutes < 60) || (*hours, *minutes) == (24, 0))
        .map(|(hours, minutes)| hours * 60 + minutes)
        .ok_or_else(|| format!("`{text}` is not a time of day; write e.g. \"08:30\", in quotes"))
}

/// `YYYY-MM-DDTHH:MM`.
fn moment(text: &str) -> Result<civil::DateTime, String> {
    civil::DateTime::strptime("%Y-%m-%dT%H:%M", text)
        .ok()
        .filter(|at| at.strftime("%Y-%m-%dT%H:%M").to_string() == text)
        .ok_or_else(|| format!("`{text}` is not a date and time; write e.g. \"2026-12-24T18:00\", in quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let instant: Instant = text.parse().unwrap();
        Timestamp::from_micros(u64::try_from(instant.as_microsecond()).unwrap())
    }
    fn weekly(days: Option<&[usize]>, hours: Option<(&str, &str)>) -> Window {
        Window::Weekly(Weekly::parse(WeeklyText { zone: "Europe/Vienna", days, hours }).unwrap())
    }

    #[test]
    fn hours_are_those_of_the_zone_in_summer_and_in_winter() {
        let office = weekly(Some(&[0, 1, 2, 3, 4]), Some(("08:00", "18:00")));
        for inside in
            ["2026-07-01T06:00:00Z", "2026-07-01T15:59:59Z", "2026-01-05T07:00:00Z", "2026-01-05T16:59:00Z"]
        {
            assert!(office.contains(at(inside)), "{inside}");
        }
        for outside in
            ["2026-07-01T05:59:59Z", "2026-07-01T16:00:00Z", "2026-01-05T06:59:59Z", "2026-07-04T10:00:00Z"]
        {
            assert!(!office.contains(at(outside)), "{outside}");
        }
        assert_eq!(office.to_string(), "Mon, Tue, Wed, Thu, Fri 08:00–18:00 Europe/Vienna");
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let friday_night = weekly(Some(&[4]), Some(("22:00", "04:00")));
        for inside in ["2026-01-02T21:00:00Z", "2026-01-03T02:59:00Z"] {
            assert!(friday_night.contains(at(inside)), "{inside}");
        }
        for outside in ["2026-01-02T01:00:00Z", "2026-01-03T03:00:00Z", "2026-01-03T21:00:00Z"] {
            assert!(!friday_night.contains(at(outside)), "{outside}");
        }
    }

    #[test]
    fn a_span_is_never_shorter_than_it_looks_when_clocks_change() {
        // 02:30 happens twice on 2026-10-25 in Vienna: at 00:30 and at 01:30 UTC.
        let until = Once::parse("Europe/Vienna", "2026-10-25T01:00", "2026-10-25T02:30").unwrap();
        assert!(until.contains(at("2026-10-25T01:29:00Z")) && !until.contains(at("2026-10-25T01:30:00Z")));
        let from = Once::parse("Europe/Vienna", "2026-10-25T02:30", "2026-10-25T04:00").unwrap();
        assert!(from.contains(at("2026-10-25T00:30:00Z")) && !from.contains(at("2026-10-25T00:29:00Z")));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in ["8:00", "25:00", "08:60", "24:01", "0800", "", "aa:bb", "+8:00"] {
            assert!(minute_of_day(bad).is_err(), "{bad}");
        }
        for bad in
            ["2026-02-30T00:00", "2026-1-01T00:00", "2026-01-01", "2026-01-01T00:00Z", "2026-01-01 00:00"]
        {
            assert!(moment(bad).is_err(), "{bad}");
        }
        for bad in ["Mars/Base", "", "CET-1CEST", "../etc/passwd", "Europe/Vienna\n"] {
            assert!(zone(bad).is_err(), "{bad}");
        }
        assert!(Once::parse("UTC", "2026-01-02T00:00", "2026-01-02T00:00").is_err());
        assert!(zone("UTC").is_ok() && zone("America/Argentina/Buenos_Aires").is_ok());
    }
}
