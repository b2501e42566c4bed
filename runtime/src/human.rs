//! Durations and sizes as people write them in files and arguments: `1h30m`, `250ms`, `64KiB`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// A duration: numbers with `d`, `h`, `m`, `s`, `ms`, from large to small, each at most once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(Duration);

/// A number of bytes: a plain number, or one with `B`, `KiB`, `MiB`, `GiB`, `TiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanBytes(u64);

/// Text that is no duration or size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHuman {
    /// No duration.
    #[error("not a duration: expected something like 250ms, 30s, 5m or 1h30m")]
    Duration,
    /// No size.
    #[error("not a size: expected a number of bytes or something like 64KiB or 1MiB")]
    Bytes,
}

/// Units of a duration in milliseconds, from large to small.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// Units of a size, from large to small.
const BYTE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

// === impl HumanDuration ===

impl HumanDuration {
    /// From a duration.
    pub const fn new(duration: Duration) -> Self {
        Self(duration)
    }
    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for HumanDuration {
    type Err = InvalidHuman;
    fn from_str(text: &str) -> Result<Self, InvalidHuman> {
        let mut rest = text;
        let mut millis: u64 = 0;
        let mut units = TIME_UNITS.as_slice();
        while !rest.is_empty() {
            let (number, tail) = leading_number(rest).ok_or(InvalidHuman::Duration)?;
            let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let (unit, tail) = tail.split_at(letters);
            // Only smaller units may follow, so that "5m1h" and "1h1h" are slips, not sums.
            let at = units.iter().position(|(name, _)| *name == unit).ok_or(InvalidHuman::Duration)?;
            let (found, smaller) = units.split_at(at + 1);
            let factor = found.last().map_or(0, |(_, factor)| *factor);
            millis = number
                .checked_mul(factor)
                .and_then(|part| millis.checked_add(part))
                .ok_or(InvalidHuman::Duration)?;
            (rest, units) = (tail, smaller);
        }
        if text.is_empty() { Err(InvalidHuman::Duration) } else { Ok(Self(Duration::from_millis(millis))) }
    }
}

impl fmt::Display for HumanDuration {
    /// The shortest form, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in TIME_UNITS {
            if millis >= factor {
                write!(f, "{}{unit}", millis / factor)?;
                millis %= factor;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format!("{text:?} is {error}")))
    }
}

// === impl HumanBytes ===

impl HumanBytes {
    /// From a number of bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }
    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for HumanBytes {
    type Err = InvalidHuman;
    fn from_str(text: &str) -> Result<Self, InvalidHuman> {
        let (number, unit) = leading_number(text).ok_or(InvalidHuman::Bytes)?;
        let factor = match unit {
            "" => 1,
            unit => BYTE_UNITS.iter().find(|(name, _)| *name == unit).ok_or(InvalidHuman::Bytes)?.1,
        };
        number.checked_mul(factor).map(Self).ok_or(InvalidHuman::Bytes)
    }
}

impl fmt::Display for HumanBytes {
    /// In the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match BYTE_UNITS.iter().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl fmt::Debug for HumanBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for HumanBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = HumanBytes;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes or something like 64KiB or 1MiB")
    }
    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<HumanBytes, E> {
        Ok(HumanBytes(bytes))
    }
    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<HumanBytes, E> {
        u64::try_from(bytes).map(HumanBytes).map_err(|_| E::custom(InvalidHuman::Bytes))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<HumanBytes, E> {
        text.parse().map_err(|error| E::custom(format!("{text:?} is {error}")))
    }
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_survive_their_text() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d1ms", 86_400_001),
            ("0s", 0),
        ] {
            let read: HumanDuration = text.parse().unwrap();
            assert_eq!(read.get(), Duration::from_millis(millis));
            assert_eq!(read.to_string(), text);
        }
        for (text, bytes) in [("64KiB", 65_536), ("1MiB", 1 << 20), ("1000B", 1000), ("0B", 0)] {
            let read: HumanBytes = text.parse().unwrap();
            assert_eq!((read.get(), read.to_string().as_str()), (bytes, text));
        }
        assert_eq!("1000".parse(), Ok(HumanBytes::new(1000)));
    }

    #[test]
    fn slips_are_refused() {
        for bad in [
            "",
            "5",
            "s",
            "-1s",
            "1.5h",
            "5m1h",
            "1h1h",
            "1 h",
            "5min",
            "1h ",
            "99999999999999999999s",
            "99999999999999999d",
        ] {
            assert!(bad.parse::<HumanDuration>().is_err(), "{bad}");
        }
        for bad in ["", "KiB", "1KB", "1kib", "1.5MiB", "-1", "1 MiB", "99999999TiB"] {
            assert!(bad.parse::<HumanBytes>().is_err(), "{bad}");
        }
    }
}
