//! How many connections the limit of open files (RLIMIT_NOFILE) leaves room for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::limits::ConnectionLimits;

/// Files for everything else: journal, spools that are uploaded, credentials, the link, and what stops commands beyond
/// all limits.
const RESERVE: u64 = 512;
/// An agent without any connection is of no use; with fewer files than this it says so and tries.
const LEAST: usize = 8;

/// Raises the limit of open files as far as it is needed and allowed, and lowers `limits` to what it then allows.
pub(crate) fn fit(limits: ConnectionLimits) -> ConnectionLimits {
    // Each handshake has its socket twice, to end it if it hangs.
    let needed = as_u64(limits.total) + as_u64(limits.connecting) + RESERVE;
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: Some(raise(before.current, before.maximum, needed)), ..before };
    if before.current.is_some_and(|now| now < needed) {
        // What could not be raised shows in the next look.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    let total = room(limits.total, limits.connecting, getrlimit(Resource::Nofile).current);
    if total < limits.total {
        tracing::warn!(
            wanted = limits.total,
            kept = total,
            "fewer SSH connections than max_connections: the limit of open files is too low; raise LimitNOFILE or ulimit -n"
        );
    }
    ConnectionLimits { total, ..limits }
}

fn raise(current: Option<u64>, maximum: Option<u64>, needed: u64) -> u64 {
    let most = maximum.unwrap_or(u64::MAX);
    current.unwrap_or(u64::MAX).max(needed.min(most))
}

/// How many of `wanted` connections `files` leave room for; `None`: they are not limited.
fn room(wanted: usize, connecting: usize, files: Option<u64>) -> usize {
    let Some(files) = files else { return wanted };
    let left = files.saturating_sub(RESERVE + as_u64(connecting));
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX).max(LEAST))
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_lowers_connections_and_is_never_lowered_itself() {
        assert_eq!(room(10_000, 64, Some(65_536)), 10_000);
        assert_eq!(room(10_000, 64, Some(1024)), 1024 - 512 - 64);
        assert_eq!(room(10_000, 64, Some(100)), LEAST);
        assert_eq!(room(2, 64, Some(100)), 2);
        assert_eq!(room(10_000, 64, None), 10_000);
        assert_eq!(raise(Some(1024), Some(524_288), 10_576), 10_576);
        assert_eq!(raise(Some(1024), Some(4096), 10_576), 4096);
        assert_eq!(raise(Some(20_000), Some(20_000), 10_576), 20_000);
        assert_eq!(raise(Some(1024), None, 10_576), 10_576);
    }
}
