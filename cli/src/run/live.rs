//! A job as it happens, for people: raw output of one host, or the lines of many behind their names.
//!
//! Where bytes are not shown live, that is said at their place, and it goes on behind them. Raw output that goes into a file
//! or another program has no such place: it stops there, and goes on with what was kept when the command has ended.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use lictor_client::{
    collect::{Assembled, Keep},
    run::JobUpdate,
    views::{InvocationView, JobView, OutputPiece},
};
use lictor_core::{id::InvocationId, output::StreamName};

use super::{prefix::Lines, progress::Progress};
use crate::{
    context::Context,
    render::{
        approvals,
        bytes::Escaper,
        invocations, rollout,
        style::{Style, Tone},
        time,
    },
    trouble::Trouble,
};

/// Nothing is kept: what is new is printed at once.
const KEEP_NOTHING: Keep = Keep { head: 0, tail: 0 };
/// Most output that waits for the name of its host, which comes with the host's first event.
const MAX_UNNAMED_BYTES: usize = 1024 * 1024;

/// What is on the screen of a job.
#[derive(Debug)]
pub(crate) struct Live {
    out: Style,
    err: Style,
    /// Lines have a host's name before them; not so for one host.
    prefixed: bool,
    width: usize,
    /// What hosts print is shown as it comes.
    shows_output: bool,
    progress: Progress,
    job: Option<JobView>,
    hosts: BTreeMap<InvocationId, Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    view: Option<InvocationView>,
    stdout: Stream,
    stderr: Stream,
    unnamed: Vec<(OutputPiece, Gap)>,
    unnamed_bytes: usize,
}

/// What it means that bytes are missing before a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// They are gone.
    NotKept,
    /// They were too many, or came too quickly, to be shown while the command runs.
    NotShown,
}

#[derive(Debug, Default)]
struct Stream {
    place: Assembled,
    lines: Lines,
    escaper: Escaper,
    /// What was printed last did not end its line.
    in_line: bool,
    /// Where it goes on when the command has ended.
    stopped_at: Option<u64>,
}

/// Kept output that was not printed yet.
#[derive(Debug)]
pub(crate) struct Owed {
    pub(crate) invocation: InvocationId,
    pub(crate) stream: StreamName,
    /// Position of its first byte.
    pub(crate) from: u64,
}

// === impl Live ===

impl Live {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            out: context.out,
            err: context.err,
            prefixed: false,
            width: 0,
            shows_output: true,
            progress: Progress::new(context.err),
            job: None,
            hosts: BTreeMap::new(),
        }
    }

    /// Whether what hosts print is shown as it comes.
    pub(crate) const fn show_output(&mut self, shows: bool) {
        self.shows_output = shows;
    }

    /// Takes the line of progress away.
    pub(crate) fn clear(&mut self) {
        self.progress.clear();
    }

    /// Shows an update.
    pub(crate) fn take(&mut self, update: JobUpdate) -> Result<(), Trouble> {
        match update {
            JobUpdate::Submitted(submitted) => {
                if let Some(text) = approvals::waits(&submitted.job, self.err) {
                    let _ = writeln!(io::stderr().lock(), "{text}");
                }
                self.prefixed = submitted.job.counts.total() > 1;
                self.job = Some(submitted.job);
            }
            JobUpdate::Job(job) => self.changed(*job),
            JobUpdate::Finished(job) => self.job = Some(*job),
            JobUpdate::Output(piece) => self.output(piece, Gap::NotKept)?,
            JobUpdate::Live(piece) => self.output(piece, Gap::NotShown)?,
            JobUpdate::Invocation(view) => self.invocation(*view)?,
        }
        if self.prefixed {
            let (ended, all) = (self.ended(), self.job.as_ref().map_or(0, |job| job.counts.total()));
            let wave = self.job.as_ref().and_then(rollout::wave).map(|wave| format!(", {wave}"));
            self.progress.draw(|| format!("{ended} of {all} hosts done{}", wave.unwrap_or_default()));
        }
        Ok(())
    }

    /// What became of every host, as far as it is known.
    pub(crate) fn invocations(&self) -> Vec<&InvocationView> {
        let mut all: Vec<_> = self.hosts.values().filter_map(|shown| shown.view.as_ref()).collect();
        all.sort_by(|a, b| (&a.host, a.attempt).cmp(&(&b.host, b.attempt)));
        all
    }

    /// Prints what became of it, to standard error; of hosts that were shown grouped, the sum alone.
    pub(crate) fn finish(&mut self, grouped: bool) {
        self.progress.clear();
        let all = self.invocations();
        let mut text = String::new();
        match all.as_slice() {
            // One host whose command succeeded needs no words, as with ssh.
            [only] if !self.prefixed => {
                if !matches!(only.outcome, Some(lictor_core::outcome::Outcome::Succeeded)) {
                    text = invocations::line(only, self.err) + "\n";
                }
            }
            many => {
                if !grouped {
                    text = format!("\n{}", invocations::table(many, self.err));
                }
                if let Some(job) = &self.job {
                    text += &format!("\n{}\n", invocations::summary(job, self.err));
                }
            }
        }
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Says what is new of the job itself.
    fn changed(&mut self, job: JobView) {
        let news = |before: &JobView| approvals::news(before, &job).or_else(|| rollout::news(before, &job));
        if let Some(news) = self.job.as_ref().and_then(news) {
            self.progress.clear();
            let _ = writeln!(io::stderr().lock(), "{}", self.err.faint(&news));
        }
        self.job = Some(job);
    }

    fn ended(&self) -> usize {
        self.hosts.values().filter(|s| s.view.as_ref().is_some_and(|view| view.outcome.is_some())).count()
    }

    fn invocation(&mut self, view: InvocationView) -> Result<(), Trouble> {
        let id = view.id;
        self.width = self.width.max(view.host.as_str().len());
        let shown = self.hosts.entry(id).or_default();
        let had_ended = shown.view.as_ref().is_some_and(|old| old.outcome.is_some());
        let ends = view.outcome.is_some() && !had_ended;
        shown.view = Some(view);
        shown.unnamed_bytes = 0;
        for (piece, gap) in std::mem::take(&mut shown.unnamed) {
            self.output(piece, gap)?;
        }
        if ends && self.shows_output { self.end_streams(id) } else { Ok(()) }
    }

    /// What is owed of raw output that stopped, when its command has ended.
    pub(crate) fn owed(&self) -> Vec<Owed> {
        let mut owed = Vec::new();
        for (id, shown) in &self.hosts {
            for (stream, of) in [(StreamName::Stdout, &shown.stdout), (StreamName::Stderr, &shown.stderr)] {
                owed.extend(of.stopped_at.map(|from| Owed { invocation: *id, stream, from }));
            }
        }
        owed
    }

    fn output(&mut self, piece: OutputPiece, meaning: Gap) -> Result<(), Trouble> {
        if !self.shows_output {
            return Ok(());
        }
        let shown = self.hosts.entry(piece.invocation).or_default();
        if self.prefixed
            && shown.view.is_none()
            && shown.unnamed_bytes + piece.data.len() <= MAX_UNNAMED_BYTES
        {
            shown.unnamed_bytes += piece.data.len();
            shown.unnamed.push((piece, meaning));
            return Ok(());
        }
        let name = piece.stream;
        let stream = shown.stream(name);
        if stream.stopped_at.is_some() {
            return Ok(());
        }
        let end = stream.place.end();
        let gap = piece.offset.saturating_sub(end);
        if gap > 0 && meaning == Gap::NotShown && !self.prefixed && !self.style(name).is_terminal() {
            self.hosts.entry(piece.invocation).or_default().stream(name).stopped_at = Some(end);
            return self.say(piece.invocation, &format!("{} stops here: more came than can be shown live; what was kept of the rest follows when the command has ended", what(name)));
        }
        let stream = self.hosts.entry(piece.invocation).or_default().stream(name);
        let new = stream.place.push(piece.offset, &piece.data, KEEP_NOTHING).to_vec();
        if gap > 0 {
            self.end_lines(piece.invocation, name, true)?;
            self.gap(piece.invocation, name, gap, meaning)?;
        }
        if !self.prefixed {
            return self.raw(piece.invocation, name, &new);
        }
        let lines = self.hosts.entry(piece.invocation).or_default().stream(name).lines.push(&new);
        lines.iter().try_for_each(|line| self.line(piece.invocation, name, line))
    }

    /// Ends what is open of both streams, and says what was not kept of them.
    fn end_streams(&mut self, id: InvocationId) -> Result<(), Trouble> {
        for name in [StreamName::Stdout, StreamName::Stderr] {
            self.end_lines(id, name, false)?;
            let Some(shown) = self.hosts.get_mut(&id) else { continue };
            if shown.stream(name).stopped_at.is_some() {
                continue;
            }
            let total = shown.view.as_ref().map_or(0, |view| view.stream(name).bytes_total);
            let missing = total.saturating_sub(shown.stream(name).place.end());
            if missing > 0 {
                self.gap(id, name, missing, Gap::NotKept)?;
            }
        }
        Ok(())
    }

    /// Ends the line that is open, so that nothing behind a `gap` is joined to it.
    fn end_lines(&mut self, id: InvocationId, name: StreamName, gap: bool) -> Result<(), Trouble> {
        let stream = self.hosts.entry(id).or_default().stream(name);
        let (line, mut rest) = (stream.lines.finish(), stream.escaper.finish());
        if gap && std::mem::take(&mut stream.in_line) {
            // On a terminal what is said of a gap has a line of its own.
            rest.push('\n');
        }
        if let Some(line) = line {
            return self.line(id, name, &line);
        }
        self.write(name, rest.as_bytes())
    }

    fn gap(&mut self, id: InvocationId, name: StreamName, bytes: u64, meaning: Gap) -> Result<(), Trouble> {
        let (size, what) = (time::size(bytes), what(name));
        match (meaning, &self.job) {
            (Gap::NotShown, Some(job)) => {
                let see = format!("lictor output {} has what is kept of it", job.id);
                self.say(id, &format!("{size} of {what} not shown live; {see}"))
            }
            _ => self.say(id, &format!("{size} of {what} not kept")),
        }
    }

    /// Says something of a host's output: on standard error, because it is none.
    fn say(&mut self, id: InvocationId, text: &str) -> Result<(), Trouble> {
        let text = self.err.paint(Tone::Warn, &format!("[{text}]"));
        let prefix = if self.prefixed { self.prefix(id, self.err) } else { String::new() };
        self.write(StreamName::Stderr, format!("{prefix}{text}\n").as_bytes())
    }

    /// Bytes as they are; on a terminal without what could control it.
    fn raw(&mut self, id: InvocationId, name: StreamName, bytes: &[u8]) -> Result<(), Trouble> {
        if !self.style(name).is_terminal() {
            return self.write(name, bytes);
        }
        let stream = self.hosts.entry(id).or_default().stream(name);
        stream.in_line = bytes.last().map_or(stream.in_line, |last| *last != b'\n');
        let text = stream.escaper.push(bytes);
        self.write(name, text.as_bytes())
    }

    fn line(&mut self, id: InvocationId, name: StreamName, line: &[u8]) -> Result<(), Trouble> {
        let style = self.style(name);
        let mut bytes = self.prefix(id, style).into_bytes();
        if style.is_terminal() {
            let mut escaper = Escaper::default();
            bytes.extend((escaper.push(line) + &escaper.finish()).into_bytes());
        } else {
            bytes.extend_from_slice(line);
        }
        bytes.push(b'\n');
        self.write(name, &bytes)
    }

    fn prefix(&self, id: InvocationId, style: Style) -> String {
        let host =
            self.hosts.get(&id).and_then(|shown| shown.view.as_ref()).map(|view| view.host.to_string());
        let host = host.unwrap_or_else(|| id.to_string());
        format!(
            "{} {} ",
            style.paint(Tone::Accent, &format!("{host:<width$}", width = self.width)),
            style.faint("|")
        )
    }

    const fn style(&self, name: StreamName) -> Style {
        match name {
            StreamName::Stdout => self.out,
            StreamName::Stderr => self.err,
        }
    }

    fn write(&mut self, name: StreamName, bytes: &[u8]) -> Result<(), Trouble> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.progress.clear();
        match name {
            StreamName::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()?;
            }
            StreamName::Stderr => io::stderr().lock().write_all(bytes)?,
        }
        Ok(())
    }
}

/// The stream, as people call it.
const fn what(name: StreamName) -> &'static str {
    match name {
        StreamName::Stdout => "output",
        StreamName::Stderr => "error output",
    }
}

// === impl Shown ===

impl Shown {
    const fn stream(&mut self, name: StreamName) -> &mut Stream {
        match name {
            StreamName::Stdout => &mut self.stdout,
            StreamName::Stderr => &mut self.stderr,
        }
    }
}
