//! Kept bytes on their way out: as they are, or on a terminal without what could control it; gaps are told beside them.

use std::io::{self, Write as _};

use lictor_client::kept::{Gap, KeptBytes};
use lictor_core::output::StreamName;

use crate::{
    context::Context,
    render::{bytes::Escaper, style::Tone},
    trouble::Trouble,
};

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Stdout,
    Stderr,
}

impl From<StreamName> for Place {
    fn from(stream: StreamName) -> Self {
        match stream {
            StreamName::Stdout => Self::Stdout,
            StreamName::Stderr => Self::Stderr,
        }
    }
}

impl Place {
    /// The stream whose bytes go there.
    pub(crate) const fn stream(self) -> &'static str {
        match self {
            Self::Stdout => "standard output",
            Self::Stderr => "standard error",
        }
    }
}

/// Prints what was read. What is missing is told on standard error, because it is no output.
pub(crate) fn print(context: &Context, kept: &KeptBytes, place: Place) -> Result<(), Trouble> {
    if let Some(removed) = kept.removed.filter(|_| kept.total > 0) {
        let told = format!("[lictor: {} bytes of {}: {removed}]", kept.total, place.stream());
        context.note(&context.err.paint(Tone::Warn, &told));
        return Ok(());
    }
    for (index, part) in kept.parts.iter().enumerate() {
        if let Some(gap) = kept.gap_before(index) {
            tell_gap(context, gap);
        }
        write(context, &part.bytes, place)?;
        let style = if place == Place::Stdout { context.out } else { context.err };
        // On a terminal the next thing told begins a line of its own.
        if style.is_terminal() && !part.bytes.ends_with(b"\n") {
            write(context, b"\n", place)?;
        }
    }
    if let Some(gap) = kept.gap_at_end() {
        tell_gap(context, gap);
    }
    Ok(())
}

/// Tells beside the output that bytes were not kept.
pub(crate) fn tell_gap(context: &Context, gap: Gap) {
    context.note(&context.err.paint(Tone::Warn, &gap.to_string()));
}

/// A line as text that cannot control a terminal.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut escaper = Escaper::default();
    escaper.push(bytes) + &escaper.finish()
}

/// Bytes as they are, or without what could control a terminal where they reach one.
pub(crate) fn write(context: &Context, bytes: &[u8], place: Place) -> Result<(), Trouble> {
    match place {
        Place::Stdout if context.out.is_terminal() => context.print(&escaped(bytes))?,
        Place::Stdout => {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()?;
        }
        Place::Stderr if context.err.is_terminal() => {
            io::stderr().lock().write_all(escaped(bytes).as_bytes())?;
        }
        Place::Stderr => io::stderr().lock().write_all(bytes)?,
    }
    Ok(())
}
