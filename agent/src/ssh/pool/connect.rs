//! Making one connection: directly or through the jump host, then the host's key, then the login.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use lictor_core::{name::HostAlias, outcome::Unreachable};
use russh::{ChannelOpenFailure, client::Handler, keys::PublicKeyOrCertificate};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::timeout,
};

use super::{
    Pool, SPARE_ATTEMPTS,
    connection::{Connection, Place},
    lease::Lease,
    lock,
    slot::{Queueing, Slot},
};
use crate::{
    site::Host,
    ssh::{
        address::{self, Networks, Peer},
        auth,
        host_key::{self, Refused},
        known_hosts::HostTrust,
        transport::{self, Stream},
        tunnel::Tunnel,
    },
};

/// Time for a jump host to connect to a host behind it: above a lost SYN and its two repetitions there.
const TUNNEL_TIMEOUT: Duration = Duration::from_secs(12);
/// What a jump host is told of who connects (RFC 4254 §7.2); it says nothing of this site.
const ORIGINATOR: (&str, u32) = ("127.0.0.1", 0);

/// Checks the host's key, and keeps the verdict for people. Lives as long as the socket does.
pub(crate) struct KeyGuard {
    host: Host,
    trust: Arc<HostTrust>,
    verdict: Arc<Mutex<Option<Refused>>>,
    _place: Place,
}

/// Why there is no stream.
enum NoStream {
    Refused(Refused),
    /// The kept connection to the jump host turned out to be broken; another one may do.
    JumpLost,
}

// === impl Slot ===

impl Slot {
    /// Connects and logs in. What is waited for is waited for in one order, and nothing that others wait for is held
    /// meanwhile: first the jump host, then a place among all connections, then the turn to exchange keys.
    pub(super) async fn connect(
        self: &Arc<Self>,
        pool: &Pool,
        networks: &Networks,
        queueing: Queueing,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Connection, Refused> {
        let mut place = Place { host: place, agent: None, freed: Arc::clone(&self.freed) };
        let mut tries = 0;
        let (stream, peer) = loop {
            let jump = self.jump(pool, networks, queueing).await?;
            if queueing == Queueing::Fair {
                place.agent = Some(pool.place(self.alias()).await?);
            }
            match self.stream(networks, jump).await {
                Ok(stream) => break stream,
                Err(NoStream::Refused(refused)) => return Err(refused),
                Err(NoStream::JumpLost) if tries < SPARE_ATTEMPTS => tries += 1,
                Err(NoStream::JumpLost) => {
                    return Err(
                        self.refused(Unreachable::ConnectFailed, "lost its jump host again and again")
                    );
                }
            }
            place.agent = None;
        };
        let _turn = match queueing {
            Queueing::Fair => Some(pool.turn(self.alias()).await?),
            Queueing::Exempt => None,
        };
        let connection = self.log_in(stream, peer, place).await?;
        // What was logged in with may have been replaced a moment ago, and must not be seen in what comes now.
        let site = Arc::clone(&pool.site);
        let _ = tokio::task::spawn_blocking(move || site.follow_secrets()).await;
        Ok(connection)
    }

    /// A stream to the host on which nothing was said.
    pub(super) async fn reach(self: &Arc<Self>, pool: &Pool) -> Result<Stream, Refused> {
        let networks = Networks::default();
        let jump = self.jump(pool, &networks, Queueing::Fair).await?;
        self.stream(&networks, jump).await.map(|(stream, _)| stream).map_err(|error| match error {
            NoStream::Refused(refused) => refused,
            NoStream::JumpLost => self.refused(Unreachable::ConnectFailed, "lost its jump host"),
        })
    }

    /// The connection to the jump host, if there is one. The host's own address is judged before.
    async fn jump(
        &self,
        pool: &Pool,
        networks: &Networks,
        queueing: Queueing,
    ) -> Result<Option<(Lease, bool)>, Refused> {
        let Some(jump) = &self.via else { return Ok(None) };
        address::judge_behind(&self.host, jump.alias(), networks)?;
        match jump.checkout_tunnel(pool, &networks.for_jump_hosts(), queueing).await {
            Ok(leased) => Ok(Some(leased)),
            Err(Refused { reason, detail }) => {
                let what = format!("is behind the jump host {}, which failed: {detail}", jump.alias());
                Err(self.refused(reason, &what))
            }
        }
    }

    async fn stream(
        &self,
        networks: &Networks,
        jump: Option<(Lease, bool)>,
    ) -> Result<(Stream, Arc<Peer>), NoStream> {
        let host = &self.host;
        let (Some((lease, fresh)), Some(jump)) = (jump, &self.via) else {
            let dialed = address::dial(&host.address, host.port, networks).await;
            let (stream, peer) = dialed.map_err(NoStream::Refused)?;
            return Ok((Stream::Tcp(stream), Arc::new(Peer::direct(peer))));
        };
        let peer = Peer::behind(jump.alias().clone(), Arc::clone(lease.connection().peer()), host);
        let refused = |what: String| NoStream::Refused(self.refused(Unreachable::ConnectFailed, &what));
        let connection = Arc::clone(lease.connection());
        match timeout(TUNNEL_TIMEOUT, tunnel(lease, host)).await {
            Ok(Ok(tunnel)) => Ok((Stream::Tunnel(Box::new(tunnel)), Arc::new(peer))),
            Ok(Err(russh::Error::ChannelOpenFailure(why))) => {
                Err(refused(no_tunnel(jump.alias(), host, why)))
            }
            Ok(Err(_)) if !fresh => {
                connection.note_broken();
                Err(NoStream::JumpLost)
            }
            Ok(Err(error)) => {
                Err(refused(format!("was not reached: the jump host {} hung up: {error}", jump.alias())))
            }
            Err(_) => Err(refused(format!("({peer}) did not answer the jump host in time"))),
        }
    }

    async fn log_in(&self, stream: Stream, peer: Arc<Peer>, place: Place) -> Result<Connection, Refused> {
        let verdict = Arc::new(Mutex::new(None));
        let (host, trust) = (self.host.clone(), Arc::clone(&self.trust));
        let guard = KeyGuard { host, trust, verdict: Arc::clone(&verdict), _place: place };
        let config = transport::config(
            host_key::preferred(&self.trust),
            host_key::preferred_certificates(&self.trust),
        );
        let mut handle = transport::handshake(config, stream, guard).await.map_err(|error| {
            let detail = || {
                self.refused(
                    Unreachable::ConnectFailed,
                    &format!("({peer}) did not complete the SSH handshake: {error}"),
                )
            };
            lock(&verdict).take().unwrap_or_else(detail)
        })?;
        auth::login(&mut handle, &self.host, &self.site.secrets).await?;
        Ok(Connection::new(handle, peer, self.most_channels()))
    }
}

/// Asks for a connection to `host`. The asking goes on when nobody waits any more: a channel that opens late is closed,
/// and until then it counts.
async fn tunnel(lease: Lease, host: &Host) -> Result<Tunnel, russh::Error> {
    let (address, port) = (host.address.clone(), u32::from(host.port));
    let (done, opened) = oneshot::channel();
    tokio::spawn(async move {
        let (from, from_port) = ORIGINATOR;
        let asked =
            lease.connection().handle().channel_open_direct_tcpip(address, port, from, from_port).await;
        let _ = done.send(asked.map(|channel| Tunnel::new(channel.into_stream(), lease)));
    });
    opened.await.unwrap_or(Err(russh::Error::Disconnect))
}

fn no_tunnel(jump: &HostAlias, host: &Host, why: ChannelOpenFailure) -> String {
    match why {
        ChannelOpenFailure::AdministrativelyProhibited => format!(
            "was not reached: the jump host {jump} does not forward there; see AllowTcpForwarding and PermitOpen in its \
             sshd_config, and the options of the key in authorized_keys"
        ),
        _ => format!(
            "was not reached: the jump host {jump} could not connect to {}",
            crate::inventory::host_port(&host.address, host.port)
        ),
    }
}

// === impl KeyGuard ===

impl Handler for KeyGuard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let verdict = host_key::check(&self.trust, &self.host, shown);
        let good = verdict.is_ok();
        *lock(&self.verdict) = verdict.err();
        Ok(good)
    }
}
