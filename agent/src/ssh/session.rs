//! One command's channel: what it says, in order, until it is closed.

use bytes::Bytes;
use russh::{Channel, ChannelMsg, Sig, client::Msg};
use tokio::io::AsyncWrite;

use super::{
    address::Peer,
    pool::{Beside, Lease},
    sftp::{Fault, Sftp},
};

/// The number of the stderr stream (RFC 4254 §5.2).
const EXTENDED_DATA_STDERR: u32 = 1;

/// An open channel on which one command can be run.
#[derive(Debug)]
pub(crate) struct Session {
    channel: Channel<Msg>,
    lease: Lease,
    /// The host said that nothing more comes.
    ended_by_host: bool,
}

/// What a channel says.
#[derive(Debug)]
pub(crate) enum Event {
    /// Bytes of standard output.
    Stdout(Bytes),
    /// Bytes of standard error.
    Stderr(Bytes),
    /// The exit status; output may follow.
    Exited(u32),
    /// The signal that ended the command, without `SIG`; output may follow.
    Signalled(String),
    /// The exec request was refused.
    Refused,
    /// Nothing follows.
    Closed {
        /// The host ended or closed the channel, so everything that it said is here; otherwise its connection is gone.
        by_host: bool,
    },
}

/// Standard input of a command.
pub(crate) type Input = std::pin::Pin<Box<dyn AsyncWrite + Send>>;

/// The connection ended before the request was handed over.
#[derive(Debug)]
pub(crate) struct Gone;

impl Session {
    pub(super) const fn new(channel: Channel<Msg>, lease: Lease) -> Self {
        Self { channel, lease, ended_by_host: false }
    }
    /// What is connected to.
    pub(crate) fn peer(&self) -> &Peer {
        self.lease.peer()
    }
    /// The connection, so that another channel can be opened beside this one.
    pub(crate) fn beside(&self) -> Beside {
        self.lease.beside()
    }
    /// Asks for `command` to be run, with an empty standard input.
    pub(crate) async fn exec(&self, command: String) -> Result<(), Gone> {
        self.channel.exec(true, command.into_bytes()).await.map_err(|_| Gone)?;
        // If this cannot be handed over, the request above may have been: what became of it shows on the channel.
        let _ = self.channel.eof().await;
        Ok(())
    }
    /// Asks for `command` to be run; what is written to the input is what it reads, until that is shut down.
    pub(crate) async fn exec_with_input(&self, command: String) -> Result<Input, Gone> {
        let input = Box::pin(self.channel.make_writer());
        self.channel.exec(true, command.into_bytes()).await.map_err(|_| Gone)?;
        Ok(input)
    }
    /// Begins a file transfer on the channel.
    pub(crate) async fn sftp(self) -> Result<Sftp, Fault> {
        Sftp::begin(self.channel, self.lease).await
    }
    /// The next thing the channel says. Must be called until [`Event::Closed`]: an unread channel blocks its connection.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) => return Event::Stdout(data),
                Some(ChannelMsg::ExtendedData { data, ext: EXTENDED_DATA_STDERR }) => {
                    return Event::Stderr(data);
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => return Event::Exited(exit_status),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    return Event::Signalled(signal_text(&signal_name));
                }
                Some(ChannelMsg::Failure) => return Event::Refused,
                Some(ChannelMsg::Eof | ChannelMsg::Close) => self.ended_by_host = true,
                None => return Event::Closed { by_host: self.ended_by_host },
                Some(_) => {}
            }
        }
    }
    /// Closes the channel without waiting for the host.
    pub(crate) async fn close(&self) {
        // A connection that is gone is closed.
        let _ = self.channel.close().await;
    }
}

fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::ABRT => "ABRT".into(),
        Sig::ALRM => "ALRM".into(),
        Sig::FPE => "FPE".into(),
        Sig::HUP => "HUP".into(),
        Sig::ILL => "ILL".into(),
        Sig::INT => "INT".into(),
        Sig::KILL => "KILL".into(),
        Sig::PIPE => "PIPE".into(),
        Sig::QUIT => "QUIT".into(),
        Sig::SEGV => "SEGV".into(),
        Sig::TERM => "TERM".into(),
        Sig::USR1 => "USR1".into(),
        // RFC 4254 §6.10 allows others as name@domain; whatever a host sends, a short printable word is kept.
        Sig::Custom(name) => name.chars().filter(char::is_ascii_graphic).take(32).collect(),
    }
}
