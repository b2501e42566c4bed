//! Asks a host how a detached command stands.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    nonce,
    script::{self, Ask, Stand},
};
use crate::{exec::Runner, journal::held::Held, ssh::session::Event};

/// Time for a host to say how a command stands.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// An answer to a look is one line; more than this is not the script speaking.
const MAX_STAND_BYTES: usize = 64 * 1024;

/// How it stands on its host, if the host says so.
pub(super) async fn look(runner: &Runner, held: &Held) -> Option<Stand> {
    timeout(LOOK_TIMEOUT, async {
        let mut session = runner.pool.open(&held.host, &held.networks).await.ok()?;
        let nonce = nonce();
        session.exec(script::render(held.invocation, &nonce, Ask::Look)).await.ok()?;
        let mut text = Vec::new();
        loop {
            match session.next().await {
                Event::Stdout(bytes) if text.len() < MAX_STAND_BYTES => text.extend_from_slice(&bytes),
                Event::Closed { .. } | Event::Refused => break,
                _ => {}
            }
        }
        session.close().await;
        script::read_stand(&nonce, &String::from_utf8_lossy(&text))
    })
    .await
    .ok()
    .flatten()
}
