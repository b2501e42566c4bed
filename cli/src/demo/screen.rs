//! What a newcomer sees: each promise with the command that shows it, what came back, and whether it held.

use std::time::{Duration, Instant};

use serde::Serialize;
use unicode_width::UnicodeWidthChar as _;

use super::{Broken, Stage};
use crate::{
    commands::mcp::{program, snippet},
    context::Context,
    render::{
        style::{Style, Tone},
        time,
    },
    trouble::Trouble,
};

/// Widest line.
const WIDTH: usize = 100;
/// Furthest that the rest of a long line stands in.
const MAX_BLANKS: usize = 20;
/// Where everything below a step's title begins.
const INDENT: usize = 6;

/// The screen, or the document that takes its place.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(super) style: Style,
    silent: bool,
    begun: Instant,
    results: Vec<Step>,
    kept: Option<Duration>,
}

#[derive(Debug, Clone, Serialize)]
struct Step {
    promise: String,
    held: bool,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    held: bool,
    seconds: f64,
    steps: &'a [Step],
}

// === impl Screen ===

impl Screen {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            style: context.out,
            silent: context.is_json(),
            begun: Instant::now(),
            results: Vec::new(),
            kept: None,
        }
    }

    /// Text that goes out now. A screen that is gone does not stop the demo from cleaning up.
    fn put(&self, text: &str) {
        if !self.silent {
            use std::io::Write as _;
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }

    pub(crate) fn title(&self) {
        let style = self.style;
        self.put(&format!(
            "\n  {}\n  {}\n\n",
            style.strong("Lictor demo"),
            style.faint("One controller, two sites, six SSH hosts, an AI's client: real processes, on this machine only."),
        ));
    }

    /// A part of the stage that is ready.
    pub(super) fn ready(&self, name: &str, what: &str) {
        self.put(&format!("  {} {name:<11} {what}\n", self.style.paint(Tone::Good, "●")));
    }

    /// Begins a step: what is promised, and the command with which anybody can see it.
    pub(super) fn step(&mut self, promise: &str, command: &str) {
        let style = self.style;
        let number = self.results.len() + 1;
        self.put(&format!(
            "\n  {} {}\n",
            style.paint(Tone::Accent, &format!("{number:>2}.")),
            style.strong(promise)
        ));
        for line in command.lines() {
            self.put(&format!("{:INDENT$}{} {}\n", "", style.faint("$"), style.paint(Tone::Accent, line)));
        }
        self.results.push(Step { promise: promise.to_owned(), held: false, detail: String::new() });
    }

    /// What came back.
    pub(super) fn show(&self, text: &str) {
        let bar = self.style.faint("│");
        for line in text.trim_matches('\n').lines().flat_map(|line| wrap(line, WIDTH - INDENT - 2)) {
            self.put(&format!("{:INDENT$}{bar} {line}\n", ""));
        }
    }

    /// Ends a step.
    pub(super) fn end(&mut self, result: Result<String, Broken>) {
        let (tone, mark, held, detail) = match result {
            Ok(detail) => (Tone::Good, "✓", true, detail),
            Err(broken) => (Tone::Bad, "✗ BROKEN:", false, broken.to_string()),
        };
        let lines =
            wrap(&detail, WIDTH - INDENT - visible_width(mark) - 1).join(&format!("\n{:INDENT$}", ""));
        self.put(&format!("{:INDENT$}{} {lines}\n", "", self.style.paint(tone, mark)));
        if let Some(step) = self.results.last_mut() {
            (step.held, step.detail) = (held, detail);
        }
    }

    /// Whether there were steps and every one held.
    pub(crate) fn all_held(&self) -> bool {
        !self.results.is_empty() && self.results.iter().all(|step| step.held)
    }

    /// Whether the stage was left up.
    pub(crate) const fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// The last lines, or the document.
    pub(crate) fn finish(&self, context: &Context) -> Result<(), Trouble> {
        // The time that it stayed up for is not the demo's.
        let took = self.kept.unwrap_or_else(|| self.begun.elapsed());
        if self.silent {
            let document =
                Document { held: self.all_held(), seconds: took.as_secs_f64(), steps: &self.results };
            return context.print_json(&document);
        }
        let held = self.results.iter().filter(|step| step.held).count();
        let tone = if self.all_held() { Tone::Good } else { Tone::Bad };
        let sum = format!("{held} of {} promises held in {}.", self.results.len(), time::duration(took));
        self.put(&format!(
            "\n  {} Nothing was left running; the demo's directory is gone.\n  Your own fleet: {}\n\n",
            self.style.paint(tone, &sum),
            self.style.paint(Tone::Accent, "lictor init DIR"),
        ));
        Ok(())
    }

    /// What to do with a stage that stays up.
    pub(super) fn keep(&mut self, stage: &Stage) -> Result<(), Trouble> {
        self.kept = Some(self.begun.elapsed());
        let dir = stage.home().dir();
        let snippet = snippet(&program()?, dir);
        let snippet = serde_json::to_string_pretty(&snippet).map_err(|e| Trouble::internal(e.to_string()))?;
        let style = self.style;
        self.put(&format!(
            "\n  {}\n  Paste this into your MCP client's configuration:\n\n{snippet}\n\n  Or use it from another terminal:\n\n    \
             {}\n    {}\n\n  {}\n",
            style.strong("It stays up."),
            style.paint(Tone::Accent, &format!("export LICTOR_DIR={}", dir.display())),
            style.paint(Tone::Accent, &format!("{} run --tag web -- uname -sr", program()?.display())),
            style.strong("Stop it with Ctrl-C; then everything is removed."),
        ));
        Ok(())
    }
}

/// `line` in pieces of at most `width` columns, cut at blanks where there are any. Colours take no room.
fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut column = 0;
    let blanks = line.len() - line.trim_start().len();
    let indent = " ".repeat(blanks.min(MAX_BLANKS) + 2);
    for word in line.split_inclusive(' ') {
        let room = visible_width(word.trim_end());
        if column > 0 && column + room > width {
            lines.push(indent.clone());
            column = indent.len();
        }
        let mut escape = false;
        for c in word.chars() {
            escape = escape || c == '\x1b';
            let wide = if escape { 0 } else { c.width().unwrap_or(0) };
            if column + wide > width && c != ' ' {
                lines.push(indent.clone());
                column = indent.len();
            }
            column += wide;
            if let Some(last) = lines.last_mut() {
                last.push(c);
            }
            escape = escape && c != 'm';
        }
    }
    lines.iter_mut().for_each(|line| line.truncate(line.trim_end().len()));
    lines
}

fn visible_width(text: &str) -> usize {
    let mut escape = false;
    let mut width = 0;
    for c in text.chars() {
        escape = escape || c == '\x1b';
        width += if escape { 0 } else { c.width().unwrap_or(0) };
        escape = escape && c != 'm';
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_at_blanks_and_colours_take_no_room() {
        assert_eq!(wrap("one two three", 8), ["one two", "  three"]);
        assert_eq!(wrap("\x1b[31mone\x1b[0m two", 7), ["\x1b[31mone\x1b[0m two"]);
        assert_eq!(wrap("abcdefghij", 6), ["abcdef", "  ghij"]);
        assert_eq!(wrap("", 6), [""]);
    }
}
