//! Moments, durations and sizes as people read them.

use std::time::Duration;

use lictor_core::clock::Timestamp;

/// How long something took: `12 ms`, `1.4 s`, `3 min 05 s`, `2 h 10 min`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// How long is left, in minutes begun: `15 min`.
pub(crate) fn minutes_left(time: Duration) -> String {
    format!("{} min", time.as_secs().div_ceil(60))
}

/// How long ago: `now`, `12 s ago`, `3 d ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..2 => "now".to_owned(),
        2..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A moment to the second, in UTC: `2026-11-22 13:21:24`.
pub(crate) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

/// A number of bytes: `512 B`, `1.5 KiB`, `3.0 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    let scaled = |unit: u64| {
        let tenths = bytes.saturating_mul(10) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", scaled(1 << 10)),
        1_048_576..1_073_741_824 => format!("{} MiB", scaled(1 << 20)),
        _ => format!("{} GiB", scaled(1 << 30)),
    }
}

/// `1 host`, `2 hosts`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (seconds, text) in [(899, "15 min"), (900, "15 min"), (901, "16 min"), (60, "1 min")] {
            assert_eq!(minutes_left(Duration::from_secs(seconds)), text);
        }
        for (millis, text) in
            [(12, "12 ms"), (1_400, "1.4 s"), (185_000, "3 min 05 s"), (7_800_000, "2 h 10 min")]
        {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        for (bytes, text) in [(512, "512 B"), (1_536, "1.5 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.0 GiB")]
        {
            assert_eq!(size(bytes), text);
        }
        let at = Timestamp::from_micros;
        assert_eq!(ago(at(5_000_000), at(17_000_000)), "12 s ago");
        assert_eq!(ago(at(9_000_000), at(1_000_000)), "now");
        assert_eq!(moment(at(1_795_353_684_000_000)), "2026-11-22 13:21:24");
        assert_eq!((count(1, "host"), count(0, "host")), ("1 host".into(), "0 hosts".into()));
    }
}
