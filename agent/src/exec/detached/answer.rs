//! The answer to one request for output: its streams, from where the script's own line says that they begin.

use bytes::Bytes;
use lictor_core::output::StreamName;

use super::{
    begin::{Opened, Opening},
    intake::Intake,
    script::{self, Begin},
};
use crate::ssh::session::{Event, Session};

/// One channel on which a script prints what a detached command printed.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) session: Session,
    stdout: Opening,
    stderr: Opening,
    /// What the first line said.
    pub(super) begin: Option<Begin>,
    pub(super) refused: bool,
    pub(super) closed: bool,
}

impl Answer {
    /// To a request that was sent over `session`.
    pub(super) fn new(session: Session, nonce: &str) -> Self {
        let (stdout, stderr) = (Opening::new(nonce), Opening::new(nonce));
        Self { session, stdout, stderr, begin: None, refused: false, closed: false }
    }

    /// Takes what the channel said.
    pub(super) fn take(&mut self, event: Event, intake: &mut Intake) {
        match event {
            Event::Stdout(bytes) => {
                if let Some(line) = pour(&mut self.stdout, &bytes, StreamName::Stdout, intake) {
                    self.begin = script::read_begin(&line);
                }
            }
            Event::Stderr(bytes) => drop(pour(&mut self.stderr, &bytes, StreamName::Stderr, intake)),
            // The script's own: how the command ended is asked for apart.
            Event::Exited(_) | Event::Signalled(_) => {}
            Event::Refused => self.refused = true,
            Event::Closed { .. } => self.closed = true,
        }
    }
}

/// Takes the command's part of `bytes`; gives the rest of the first line when it came.
fn pour(opening: &mut Opening, bytes: &Bytes, stream: StreamName, intake: &mut Intake) -> Option<String> {
    match opening.push(bytes) {
        Opened::NotYet => None,
        Opened::Before => {
            intake.push(stream, bytes);
            None
        }
        Opened::Now(line, after) => {
            intake.push(stream, &after);
            Some(line)
        }
    }
}
