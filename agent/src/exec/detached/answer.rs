//! The answer to one request for output: its streams, from where the script's own line says that they begin.

use lictor_core::output::StreamName;

use super::{
    begin::{Opened, Opening},
    given::Said,
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
    /// The host's words on why a directory cannot be entered.
    pub(super) said: Said,
    pub(super) refused: bool,
    pub(super) closed: bool,
}

impl Answer {
    /// To a request that was sent over `session`.
    pub(super) fn new(session: Session, nonce: &str) -> Self {
        let (stdout, stderr) = (Opening::new(nonce), Opening::new(nonce));
        let said = Said::default();
        Self { session, stdout, stderr, begin: None, said, refused: false, closed: false }
    }

    /// Takes what the channel said.
    pub(super) fn take(&mut self, event: Event, intake: &mut Intake) {
        match event {
            Event::Stdout(bytes) => match self.stdout.push(&bytes) {
                Opened::NotYet => {}
                Opened::Before => self.give(&bytes, intake),
                Opened::Now(line, after) => {
                    self.begin = script::read_begin(&line);
                    self.give(&after, intake);
                }
            },
            Event::Stderr(bytes) => match self.stderr.push(&bytes) {
                Opened::NotYet => {}
                Opened::Before => intake.push(StreamName::Stderr, &bytes),
                Opened::Now(_, after) => intake.push(StreamName::Stderr, &after),
            },
            // The script's own: how the command ended is asked for apart.
            Event::Exited(_) | Event::Signalled(_) => {}
            Event::Refused => self.refused = true,
            Event::Closed { .. } => self.closed = true,
        }
    }

    /// Takes what followed the first line on standard output: the command's, unless none was started.
    fn give(&mut self, bytes: &[u8], intake: &mut Intake) {
        if self.begin == Some(Begin::NoDirectory) {
            self.said.push(bytes);
        } else {
            intake.push(StreamName::Stdout, bytes);
        }
    }
}
