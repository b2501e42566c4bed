//! Learns from standard error whether the host let a command with a context start, and takes that line out. Pure.
//!
//! The line comes before the command does, so nothing that the command prints can unsay it; and where it did not come,
//! the command did not start.

use std::borrow::Cow;

use lictor_core::{
    context::Context,
    outcome::{Outcome, Unreachable},
};

use super::{
    context::{NO_DIRECTORY, STARTED},
    wrapper,
};
use crate::admit::Admitted;

/// How much of standard error is searched: what `sudo` and a shell's start-up files may print before, but not this much.
const SEARCH_BYTES: usize = 64 * 1024;

/// Holds back standard error until the host said whether the command starts.
#[derive(Debug)]
pub(crate) struct StartFilter {
    context: Context,
    started: Vec<u8>,
    no_directory: Vec<u8>,
    held: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not said yet.
    Awaited,
    /// The command starts, or there is nothing to wait for.
    Started,
    /// The working directory cannot be entered.
    NoDirectory,
    /// Too much came before: nobody can know.
    Unclear,
}

// === impl StartFilter ===

impl StartFilter {
    pub(crate) fn new(admitted: &Admitted) -> Self {
        Self::of(admitted.context(), &wrapper::marker(admitted.invocation()))
    }

    fn of(context: &Context, marker: &str) -> Self {
        let state = if !context.shapes_process() { State::Started } else { State::Awaited };
        let line = |word| format!("{marker}{word}\n").into_bytes();
        let (started, no_directory) = (line(STARTED), line(NO_DIRECTORY));
        Self { context: context.clone(), started, no_directory, held: Vec::new(), state }
    }

    /// Takes the next bytes and gives those that may be shown.
    pub(crate) fn push<'a>(&mut self, bytes: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        if matches!(self.state, State::Started | State::Unclear) {
            return bytes;
        }
        self.held.extend_from_slice(&bytes);
        if self.take_out(Self::started) {
            self.state = State::Started;
        } else if self.take_out(Self::no_directory) {
            self.state = State::NoDirectory;
        } else if self.held.len() >= SEARCH_BYTES {
            self.state = State::Unclear;
        }
        match self.state {
            State::Started | State::Unclear => Cow::Owned(std::mem::take(&mut self.held)),
            State::Awaited | State::NoDirectory => Cow::Borrowed(&[]),
        }
    }

    /// What was held back.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// That the command did not start, and why; only after the channel was closed, when nothing more can come.
    pub(crate) fn not_started(&self) -> Option<Outcome> {
        let said = String::from_utf8_lossy(&self.held);
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let said = if said.is_empty() { "the host did not say why".to_owned() } else { said.join("; ") };
        let directory = self.context.working_directory.as_ref().filter(|_| self.state == State::NoDirectory);
        let (reason, what) = match (self.state, directory, &self.context.run_as) {
            (State::Started | State::Unclear, ..) => return None,
            (_, Some(directory), _) => (
                Unreachable::WorkingDirectory,
                format!("the working directory {directory} cannot be entered"),
            ),
            (_, None, Some(login)) => {
                (Unreachable::RunAs, format!("the host ran nothing as {login} for the site's login"))
            }
            (_, None, None) => (Unreachable::SessionRefused, "the host did not start it".to_owned()),
        };
        Some(Outcome::Unreachable { reason, detail: format!("{what}: {said}") })
    }

    fn started(&self) -> &[u8] {
        &self.started
    }
    fn no_directory(&self) -> &[u8] {
        &self.no_directory
    }

    /// Takes the first such line out of what is held.
    fn take_out(&mut self, line: fn(&Self) -> &[u8]) -> bool {
        let line = line(self);
        let length = line.len();
        let Some(at) = self.held.windows(length).position(|window| window == line) else { return false };
        self.held.drain(at..at + length);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: &str = "lictor:inv_x:";

    fn context(directory: Option<&str>, login: Option<&str>) -> Context {
        Context {
            working_directory: directory.map(|text| text.parse().unwrap()),
            run_as: login.map(|text| text.parse().unwrap()),
            ..Context::default()
        }
    }
    fn shown(filter: &mut StartFilter, text: &str, step: usize) -> String {
        let mut shown = Vec::new();
        for piece in text.as_bytes().chunks(step) {
            shown.extend_from_slice(&filter.push(Cow::Borrowed(piece)));
        }
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn the_first_line_counts_and_the_command_cannot_unsay_it() {
        let context = context(Some("/srv"), None);
        let text = "motd\nlictor:inv_x:started\nerror\nlictor:inv_x:no-directory\nlictor:inv_x:started\n";
        for step in [1, 3, 1000] {
            let mut filter = StartFilter::of(&context, MARKER);
            let expected = "motd\nerror\nlictor:inv_x:no-directory\nlictor:inv_x:started\n";
            assert_eq!(shown(&mut filter, text, step), expected, "step {step}");
            assert_eq!(filter.not_started(), None);
        }
    }

    #[test]
    fn what_kept_it_from_starting_is_told() {
        let reason = |context: &Context, text: &str| {
            let mut filter = StartFilter::of(context, MARKER);
            assert_eq!(shown(&mut filter, text, 5), "");
            match filter.not_started() {
                Some(Outcome::Unreachable { reason, detail }) => (reason, detail),
                other => panic!("{other:?}"),
            }
        };
        let both = context(Some("/srv"), Some("deploy"));
        let (why, detail) = reason(&both, "sh: cd: can't cd to /srv\nlictor:inv_x:no-directory\n");
        assert_eq!(why, Unreachable::WorkingDirectory);
        assert_eq!(detail, "the working directory /srv cannot be entered: sh: cd: can't cd to /srv");
        let (why, detail) = reason(&both, "sudo: a password is required\n");
        assert_eq!(why, Unreachable::RunAs);
        assert!(detail.contains("as deploy") && detail.ends_with("sudo: a password is required"), "{detail}");
        assert_eq!(reason(&context(Some("/srv"), None), "").0, Unreachable::SessionRefused);
    }

    #[test]
    fn without_a_context_nothing_is_held_and_beyond_the_bound_nobody_knows() {
        let mut plain = StartFilter::of(Context::none(), MARKER);
        assert_eq!(shown(&mut plain, "lictor:inv_x:no-directory\n", 7), "lictor:inv_x:no-directory\n");
        assert_eq!(plain.not_started(), None);
        let mut filter = StartFilter::of(&context(None, Some("deploy")), MARKER);
        let noise = "x".repeat(SEARCH_BYTES);
        assert_eq!(shown(&mut filter, &noise, SEARCH_BYTES).len(), SEARCH_BYTES);
        assert_eq!(filter.not_started(), None, "it may have started");
    }
}
