//! How many SSH connections an agent keeps, makes at once, and for how long: defaults, bounds, and their checks.

use std::{ops::RangeInclusive, time::Duration};

use serde_saphyr::Spanned;

/// Connections to one host; sshd starts to drop logins at 10 that are under way (MaxStartups).
pub const DEFAULT_CONNECTIONS_PER_HOST: usize = 4;
/// Commands on one connection: sshd refuses the eleventh (MaxSessions 10), two are kept for stopping others.
pub const DEFAULT_CHANNELS_PER_CONNECTION: usize = 8;
/// Connections of the whole agent: a site of 10,000 hosts stays warm, at 60 kB of memory and one file each.
pub const DEFAULT_CONNECTIONS: usize = 10_000;
/// Handshakes and logins under way: a key exchange costs the processor, and 64 keep two cores busy over slow networks.
pub const DEFAULT_CONNECTING: usize = 64;
/// A connection without a command is closed after this: long enough for a person's next command.
pub const DEFAULT_IDLE_CLOSE: Duration = Duration::from_secs(5 * 60);

/// Most connections to one host that a file may ask for: above it one host's sshd is the bottleneck.
const MAX_CONNECTIONS_PER_HOST: usize = 64;
/// Most commands on one connection: all of them share one TCP stream and one processor at either end.
const MAX_CHANNELS_PER_CONNECTION: usize = 64;
/// Most connections of an agent: 6 GB of memory; beyond it another agent is the answer.
const MAX_CONNECTIONS: usize = 100_000;
/// Most handshakes at once: as many as commands may start at once.
const MAX_CONNECTING: usize = 4096;
/// Longest that an idle connection may be kept.
const MAX_IDLE_CLOSE: Duration = Duration::from_secs(24 * 3600);

/// The limits that `agent.yml` sets on SSH connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `max_connections_per_host`; a host may have its own.
    pub per_host: usize,
    /// `max_channels_per_connection`; a host may have its own.
    pub channels: usize,
    /// `max_connections`
    pub total: usize,
    /// `max_connecting`
    pub connecting: usize,
    /// `idle_close`
    pub idle_close: Duration,
}

/// The same as written, with lines.
pub(super) struct ConnectionKeys {
    pub(super) max_connections: Option<Spanned<usize>>,
    pub(super) max_connections_per_host: Option<Spanned<usize>>,
    pub(super) max_channels_per_connection: Option<Spanned<usize>>,
    pub(super) max_connecting: Option<Spanned<usize>>,
    pub(super) idle_close: Option<Spanned<String>>,
}

/// The number under `key`, if it is there and within bounds.
pub(super) fn number(
    key: &str,
    written: Option<&Spanned<usize>>,
    bounds: RangeInclusive<usize>,
    wrong: &mut impl FnMut(u64, String),
) -> Option<usize> {
    let written = written?;
    if bounds.contains(&written.value) {
        return Some(written.value);
    }
    wrong(written.referenced.line(), format!("{key} must be {} to {}", bounds.start(), bounds.end()));
    None
}

/// A host's or agent's `max_connections_per_host`.
pub(super) fn connections_per_host(
    written: Option<&Spanned<usize>>,
    wrong: &mut impl FnMut(u64, String),
) -> Option<usize> {
    number("max_connections_per_host", written, 1..=MAX_CONNECTIONS_PER_HOST, wrong)
}

/// A host's or agent's `max_channels_per_connection`.
pub(super) fn channels_per_connection(
    written: Option<&Spanned<usize>>,
    wrong: &mut impl FnMut(u64, String),
) -> Option<usize> {
    number("max_channels_per_connection", written, 1..=MAX_CHANNELS_PER_CONNECTION, wrong)
}

/// `90s`, `5m`, `1h`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)? {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
}

// === impl ConnectionLimits ===

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            per_host: DEFAULT_CONNECTIONS_PER_HOST,
            channels: DEFAULT_CHANNELS_PER_CONNECTION,
            total: DEFAULT_CONNECTIONS,
            connecting: DEFAULT_CONNECTING,
            idle_close: DEFAULT_IDLE_CLOSE,
        }
    }
}

// === impl ConnectionKeys ===

impl ConnectionKeys {
    /// What is not said, or said wrong, has its default.
    pub(super) fn check(&self, wrong: &mut impl FnMut(u64, String)) -> ConnectionLimits {
        let default = ConnectionLimits::default();
        let total = number("max_connections", self.max_connections.as_ref(), 1..=MAX_CONNECTIONS, wrong);
        let connecting = number("max_connecting", self.max_connecting.as_ref(), 1..=MAX_CONNECTING, wrong);
        let idle_close = self.idle_close.as_ref().and_then(|written| {
            let good = duration(&written.value).filter(|d| !d.is_zero() && *d <= MAX_IDLE_CLOSE);
            if good.is_none() {
                let message = "idle_close must be a time from 1s to 24h, e.g. 90s, 5m, 1h";
                wrong(written.referenced.line(), message.into());
            }
            good
        });
        ConnectionLimits {
            per_host: connections_per_host(self.max_connections_per_host.as_ref(), wrong)
                .unwrap_or(default.per_host),
            channels: channels_per_connection(self.max_channels_per_connection.as_ref(), wrong)
                .unwrap_or(default.channels),
            total: total.unwrap_or(default.total),
            connecting: connecting.unwrap_or(default.connecting),
            idle_close: idle_close.unwrap_or(default.idle_close),
        }
    }
}
