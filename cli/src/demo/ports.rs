//! Loopback ports for servers that start a little later.
//!
//! They are below those that the system gives to whoever connects: one that was looked for and let go again is not taken
//! by a passing connection before its server binds it, nor while the server is down for a moment.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// The first port that is tried; those below belong to well-known servers.
const FIRST: u32 = 10_000;
/// The ports that are tried: up to 32,767, where Linux begins with those for connections.
const PORTS: u32 = 22_767;
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
        let at = std::process::id().wrapping_mul(STRIDE).wrapping_add(count) % (PORTS - u32::from(wide));
        let port = u16::try_from(FIRST + at).map_err(io::Error::other)?;
        let all: io::Result<Vec<TcpListener>> = (0..wide)
            .map(|above| TcpListener::bind((Ipv4Addr::LOCALHOST, port.saturating_add(above))))
            .collect();
        match all {
            Ok(_) => return Ok(port),
            Err(error) => trouble = error,
        }
    }
    Err(trouble)
}
