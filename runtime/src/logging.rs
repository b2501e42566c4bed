//! Logs: to stderr, as text or JSON lines, one line an event whatever its values hold.

use std::{fmt::Write as _, io, str::FromStr};

use tracing::{Level, Subscriber, field::Field};
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt as _,
    fmt::{
        MakeWriter,
        format::{Writer, debug_fn},
    },
    util::SubscriberInitExt as _,
};

use crate::panics;

/// The variable with filter directives, as `tracing-subscriber` has them: `debug`, `info,lictor_agent=trace`.
pub const FILTER_VARIABLE: &str = "LICTOR_LOG";
/// Libraries that say more than an operator wants, unless the variable asks for them.
const QUIET_LIBRARIES: [&str; 3] = ["russh=warn", "rmcp=warn", "h2=warn"];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is wrong.
    #[error("{FILTER_VARIABLE} has a directive that is not understood: {0}")]
    Filter(String),
    /// There is a logger already.
    #[error("logging is set up already")]
    Twice,
}

/// Text that is no format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a log format: expected text or json")]
pub struct InvalidFormat;

/// Sends the logs of this process to stderr from now on; `level` holds unless [`FILTER_VARIABLE`] says otherwise. Panics are
/// lines of it, too.
///
/// # Errors
/// When the variable is not understood, or logging is set up already.
pub fn init(format: Format, level: Level) -> Result<(), LoggingError> {
    panics::install();
    let asked = std::env::var(FILTER_VARIABLE).unwrap_or_default();
    subscriber(format, filter(level, &asked)?, io::stderr).try_init().map_err(|_| LoggingError::Twice)
}

fn filter(level: Level, asked: &str) -> Result<EnvFilter, LoggingError> {
    // Later directives of the same target win, so what was asked for goes last.
    let mut directives = vec![level.to_string().to_lowercase()];
    directives.extend(QUIET_LIBRARIES.iter().map(|directive| (*directive).to_owned()));
    directives.extend((!asked.is_empty()).then(|| asked.to_owned()));
    EnvFilter::builder().parse(directives.join(",")).map_err(|error| LoggingError::Filter(error.to_string()))
}

fn subscriber<W>(format: Format, filter: EnvFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    // Else a line that cannot be written would be told by a panic, and within a panic that ends the process.
    let builder = builder.log_internal_errors(false);
    match format {
        Format::Text => Box::new(builder.fmt_fields(debug_fn(write_field).delimited(" ")).finish()),
        Format::Json => Box::new(builder.json().flatten_event(true).finish()),
    }
}

/// Writes one field so that no value can end the line, move the cursor or pass for another event.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn std::fmt::Debug) -> std::fmt::Result {
    let mut text = String::new();
    write!(text, "{value:?}")?;
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    text.chars().try_for_each(|c| {
        if is_hidden(c) { write!(writer, "{}", c.escape_unicode()) } else { writer.write_char(c) }
    })
}

/// Control characters, and those that change the direction or the lines of text without being seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

// === impl Format ===

impl FromStr for Format {
    type Err = InvalidFormat;
    fn from_str(text: &str) -> Result<Self, InvalidFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(InvalidFormat),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, asked: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let target = lines.clone();
        let subscriber = subscriber(format, filter(Level::INFO, asked).unwrap(), move || target.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_value_can_neither_end_a_line_nor_hide() {
        let hostile = "a\nINFO fake: all is well\r\x1b[2K\u{202e}b";
        for format in [Format::Text, Format::Json] {
            let text =
                logged(format, "", || tracing::info!(host = %hostile, why = ?hostile, "seen {hostile}"));
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(text.ends_with('\n'));
            assert!(!text.contains(['\r', '\x1b']), "{text:?}");
            assert!(text.contains("all is well"), "{text:?}");
            if format == Format::Json {
                assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["host"], hostile);
            } else {
                assert!(!text.contains('\u{202e}'), "{text:?}");
            }
        }
    }

    #[test]
    fn noisy_libraries_are_quiet_unless_asked_for() {
        let noise = || tracing::info!(target: "russh::client", "noise");
        assert_eq!(logged(Format::Text, "", noise), "");
        assert!(logged(Format::Text, "russh=info", noise).contains("noise"));
        assert!(logged(Format::Text, "", || tracing::info!("news")).contains("news"));
        assert_eq!(logged(Format::Text, "warn", || tracing::info!("news")), "");
        assert!(filter(Level::INFO, "a=b=c").is_err());
    }
}
