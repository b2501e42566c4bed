//! What a detached command is given: its variables and its standard input, kept by the host before anything starts.
//!
//! They go over the input of a request of their own: none of it stands on a command line, not even for a moment, as lead.sh
//! exports it; and as long as not all of it is there, nothing was started for certain.

use lictor_core::outcome::{Outcome, Unreachable};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    begin::{Opened, Opening},
    nonce,
    script::{self, Ask, Keeping, Parcel},
};
use crate::{
    admit::{Admitted, denied},
    content::Given,
    exec::{Runner, context, stdin::Feeding},
    ssh::session::{Event, Session},
};

/// What is read of a host's words on why it did not do something: an outcome has room for less.
const MAX_SAID_BYTES: usize = 4 * 1024;

/// A host's words on why it did not do something.
#[derive(Debug, Default)]
pub(super) struct Said(Vec<u8>);

/// What became of handing it over. Whatever it was, nothing was started.
pub(super) enum Handed {
    /// All of it is there.
    Kept(Parcel),
    /// The host has no place for it.
    Nowhere,
    /// It is not there, and this is the end.
    Not(Outcome),
}

/// What a host answered.
struct Heard {
    keeping: Option<Keeping>,
    said: Said,
    refused: bool,
}

// === impl Said ===

impl Said {
    /// Takes more of it.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = MAX_SAID_BYTES.saturating_sub(self.0.len());
        self.0.extend(bytes.iter().take(room));
    }

    /// As one line for people.
    pub(super) fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() { "the host did not say why".to_owned() } else { lines.join("; ") }
    }
}

/// Whether there is anything that has to be on the host before the start.
pub(super) fn is_given(admitted: &Admitted, given: Option<&Given>) -> bool {
    given.is_some() || !admitted.context().environment.is_empty()
}

// === impl Runner ===

impl Runner {
    /// Hands over what `admitted` is given. What a request that broke off left there is removed when its end is committed.
    pub(super) async fn hand_over(
        &self,
        admitted: &Admitted,
        session: &mut Session,
        given: Option<&Given>,
        stop: &CancellationToken,
    ) -> Handed {
        let variables = context::variables(&admitted.context().environment);
        let parcel = Parcel { nonce: nonce(), environment: !variables.is_empty(), input: given.is_some() };
        let ask = Ask::Keep {
            environment: variables.len() as u64,
            input: given.map(|given| given.content().bytes()),
        };
        let request = script::render(admitted.invocation(), &parcel.nonce, ask);
        let Ok(input) = session.exec_with_input(request).await else { return Handed::Not(cut_off()) };
        // Dropped on the way out: what is not wanted any more is not sent.
        let _feeding = Feeding::start_with(input, variables, given.cloned());
        let left = admitted.start_by().since(self.clock.now());
        let heard = tokio::select! {
            heard = hear(session, &parcel.nonce) => heard,
            () = stop.cancelled() => return Handed::Not(Outcome::Cancelled),
            () = sleep(left) => return Handed::Not(too_late(admitted)),
        };
        match heard.keeping {
            Some(Keeping::Kept) => Handed::Kept(parcel),
            Some(Keeping::Nowhere) => Handed::Nowhere,
            Some(Keeping::Unkept) => Handed::Not(refused(format!(
                "the host did not keep what the command is given, and nothing was started: {}",
                heard.said.words()
            ))),
            None if heard.refused => {
                Handed::Not(refused("the host refused to run a command (see its sshd log)".to_owned()))
            }
            None => Handed::Not(cut_off()),
        }
    }
}

/// Reads the answer to its end.
async fn hear(session: &mut Session, nonce: &str) -> Heard {
    let mut opening = Opening::new(nonce);
    let mut heard = Heard { keeping: None, said: Said::default(), refused: false };
    loop {
        match session.next().await {
            Event::Stdout(bytes) => match opening.push(&bytes) {
                Opened::NotYet => {}
                Opened::Before => heard.said.push(&bytes),
                Opened::Now(line, after) => {
                    heard.keeping = script::read_keeping(&line);
                    heard.said.push(&after);
                }
            },
            Event::Stderr(_) | Event::Exited(_) | Event::Signalled(_) => {}
            Event::Refused => {
                heard.refused = true;
                return heard;
            }
            Event::Closed { .. } => return heard,
        }
    }
}

fn refused(detail: String) -> Outcome {
    Outcome::Unreachable { reason: Unreachable::SessionRefused, detail }
}

/// After the time for which it may start, it must not: nobody knows any more what was decided since.
fn too_late(admitted: &Admitted) -> Outcome {
    let reason = format!(
        "the host did not have all that the command is given when the grant ended at {}; give it less, or upload it first",
        admitted.start_by()
    );
    denied("GRANT_EXPIRED", reason)
}

fn cut_off() -> Outcome {
    let detail = "the connection ended before the host had what the command is given; nothing was started";
    Outcome::Unreachable { reason: Unreachable::ConnectFailed, detail: detail.to_owned() }
}
