//! Loopback ports for servers that start a little later.
//!
//! They are below those that the system gives to whoever connects: one that was looked for and let go again is not taken
//! by a passing connection before its server binds it, nor while the server is down for a moment. Nor is it given to
//! another process that looks for one here, as long as this one lives.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

use claim::claim;

/// The first port that is tried; those below belong to well-known servers.
const FIRST: u32 = 10_000;
/// The ports that are tried: up to 32,767, where Linux begins with those for connections.
const PORTS: u32 = 22_767;
/// Most ports that are asked for at once.
const WIDEST: u32 = 2;
/// Ports between processes of consecutive numbers, so that they seldom meet.
const STRIDE: u32 = 32;

/// Counts what was given, so that nothing is given twice in a row.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> io::Result<u16> {
    free(1)
}

/// A port that nobody listens on now, nor on the one above it.
///
/// # Errors
/// When there are none.
pub fn free_pair() -> io::Result<u16> {
    free(2)
}

fn free(wide: u16) -> io::Result<u16> {
    let mut trouble = io::Error::other("none was tried");
    for _ in 0..PORTS {
        let count = NEXT.fetch_add(u32::from(wide), Ordering::Relaxed);
        // However many are asked for, it is counted round the same circle: else one is given twice.
        let at = std::process::id().wrapping_mul(STRIDE).wrapping_add(count) % (PORTS - WIDEST);
        let port = u16::try_from(FIRST + at).map_err(io::Error::other)?;
        let all: io::Result<Vec<TcpListener>> = (0..wide)
            .map(|above| port.saturating_add(above))
            .map(|port| claim(port).and_then(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, port))))
            .collect();
        match all {
            Ok(_) => return Ok(port),
            Err(error) => trouble = error,
        }
    }
    Err(trouble)
}

/// Ports are claimed in blocks, each by a name that belongs to whoever bound it first, in the same network namespace as the
/// ports.
#[cfg(target_os = "linux")]
mod claim {
    use std::{
        collections::HashMap,
        io,
        os::{
            linux::net::SocketAddrExt as _,
            unix::net::{SocketAddr, UnixListener},
        },
        sync::{LazyLock, Mutex, PoisonError},
    };

    /// Ports of one block: an open file is held for each.
    const BLOCK: u16 = 64;

    /// The blocks that were asked for; `None`: another process had it. The system drops the claims when this one ends,
    /// however it ends.
    static BLOCKS: LazyLock<Mutex<HashMap<u16, Option<UnixListener>>>> = LazyLock::new(Mutex::default);

    /// # Errors
    /// When another process has the block that it is in.
    pub(super) fn claim(port: u16) -> io::Result<()> {
        let block = port / BLOCK;
        let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        let claimed = blocks.entry(block).or_insert_with(|| {
            let name = SocketAddr::from_abstract_name(format!("lictor-ports-{block}")).ok()?;
            UnixListener::bind_addr(&name).ok()
        });
        let taken = || io::Error::new(io::ErrorKind::AddrInUse, "another process looks for its ports there");
        claimed.as_ref().map(|_| ()).ok_or_else(taken)
    }
}

/// Elsewhere a port that is taken meanwhile is told when its server starts.
#[cfg(not(target_os = "linux"))]
mod claim {
    use std::io;

    pub(super) fn claim(_port: u16) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_whether_alone_or_beside_another() {
        let mut given = BTreeSet::new();
        for _ in 0..200 {
            let (one, pair) = (free_port().unwrap(), free_pair().unwrap());
            assert!(given.insert(one) && given.insert(pair) && given.insert(pair + 1), "{one} {pair}");
        }
    }
}
