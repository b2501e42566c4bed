//! One line at the bottom of a terminal that says how far a job is. Elsewhere it says nothing.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use crate::render::style::Style;

/// Shortest time between two drawings: smooth to the eye, and cheap with a thousand hosts.
const REDRAW: Duration = Duration::from_millis(80);

/// The line.
#[derive(Debug)]
pub(crate) struct Progress {
    style: Style,
    drawn: bool,
    last: Option<Instant>,
}

// === impl Progress ===

impl Progress {
    /// A line for this standard error.
    pub(crate) const fn new(style: Style) -> Self {
        Self { style, drawn: false, last: None }
    }

    /// Takes the line away, so that something else can be printed.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            // A terminal that does not take it will not show it either.
            let _ = io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }

    /// Draws the line again, unless that was just done.
    pub(crate) fn draw(&mut self, text: impl FnOnce() -> String) {
        if !self.style.is_terminal() {
            return;
        }
        // After something was printed the line is gone and has to come back at once.
        if self.drawn && self.last.is_some_and(|last| last.elapsed() < REDRAW) {
            return;
        }
        (self.drawn, self.last) = (true, Some(Instant::now()));
        let _ = write!(io::stderr().lock(), "\r\x1b[K{}", self.style.faint(&text()));
    }
}
