//! Records as other systems take them in: a line each. None of these forms can be verified; a bundle can.

mod ocsf;

use std::fmt::Write as _;

use clap::ValueEnum;
use lictor_store::record::AuditFacts;

use self::ocsf::Ocsf;

/// RFC 5424 §6.2.1: facility 13, "log audit".
const LOG_AUDIT: u8 = 13;
/// RFC 5424 §6: longest MSGID.
const MAX_MSGID: usize = 32;
/// RFC 5424 §6: longest HOSTNAME.
const MAX_HOSTNAME: usize = 255;

/// In which form records leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// To be verified
    Bundle,
    /// JSON lines: each record with its index
    Jsonl,
    /// Syslog lines (RFC 5424) with the record as JSON in the message
    Syslog,
    /// JSON lines in the Open Cybersecurity Schema Framework 1.3.0
    Ocsf,
}

/// How much a record asks for attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Work as usual.
    Informational,
    /// Something was refused, as it should be.
    Low,
    /// Somebody should look.
    Medium,
}

/// Writes records in a form, one after another.
#[derive(Debug)]
pub(crate) struct Formatter {
    format: Format,
    log: String,
    ocsf: Ocsf,
}

// === impl Format ===

impl Format {
    /// The name, as arguments have it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

// === impl Formatter ===

impl Formatter {
    /// Writes records of the log of that name.
    pub(crate) fn new(format: Format, log: &str) -> Self {
        Self { format, log: log.to_owned(), ocsf: Ocsf::default() }
    }

    /// The log's name, once it is known.
    pub(crate) fn name(&mut self, log: &str) {
        if self.log != log {
            log.clone_into(&mut self.log);
        }
    }

    /// The record in a line without its end; `None` for what is no record. Every record must come, in order, because
    /// some say what others leave out.
    pub(crate) fn line(&mut self, index: u64, content: &[u8]) -> Option<String> {
        let facts = AuditFacts::read(content)?;
        match self.format {
            Format::Bundle | Format::Jsonl => json(index, content),
            Format::Syslog => syslog(index, content, &facts, &self.log),
            Format::Ocsf => Some(self.ocsf.event(index, &facts, &self.log).to_string()),
        }
    }
}

// === impl Severity ===

impl Severity {
    /// How much this record asks for attention.
    pub(crate) fn of(facts: &AuditFacts) -> Self {
        match facts.text("kind") {
            "call_refused" | "enrolment_refused" | "result_conflict" | "records_unreadable"
            | "evidence_invalid" => Self::Medium,
            "request_denied" | "grant_refused" => Self::Low,
            "invocation_ended" if matches!(facts.text("outcome"), "UNKNOWN" | "DENIED") => Self::Low,
            _ => Self::Informational,
        }
    }
    /// RFC 5424 §6.2.1.
    const fn syslog(self) -> u8 {
        match self {
            Self::Informational => 6,
            Self::Low => 5,
            Self::Medium => 4,
        }
    }
}

/// The record as it was hashed, with its index before its other members.
pub(crate) fn json(index: u64, content: &[u8]) -> Option<String> {
    let rest = std::str::from_utf8(content).ok()?.strip_prefix('{')?;
    let comma = if rest == "}" { "" } else { "," };
    Some(format!("{{\"index\":{index}{comma}{rest}"))
}

/// RFC 5424. The message is ASCII, so that it needs no byte order mark; the record is in it as [`json`] writes it.
fn syslog(index: u64, content: &[u8], facts: &AuditFacts, log: &str) -> Option<String> {
    let priority = LOG_AUDIT * 8 + Severity::of(facts).syslog();
    let at = header(facts.text("at"), MAX_MSGID);
    let host = header(log.split('/').next().unwrap_or_default(), MAX_HOSTNAME);
    let id = header(facts.text("kind"), MAX_MSGID);
    Some(format!("<{priority}>1 {at} {host} lictor - {id} - {}", ascii(&json(index, content)?)))
}

/// Text as a field of the header: visible ASCII of bounded length, or `-`.
fn header(text: &str, most: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

/// JSON in ASCII: other characters stand in strings only, where they may be written as escapes.
fn ascii(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        if c.is_ascii() && !c.is_ascii_control() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: &str = r#"{"at":"2026-11-22T12:00:00.000000Z","code":"E_EXPANSION","command":"écho 😀","kind":"request_denied","principal":"user:ops","v":1}"#;

    #[test]
    fn a_json_line_is_the_record_with_its_index() {
        let line = Formatter::new(Format::Jsonl, "l").line(7, DENIED.as_bytes()).unwrap();
        assert_eq!(line, DENIED.replacen('{', r#"{"index":7,"#, 1));
        assert_eq!(json(1, b"{}").unwrap(), r#"{"index":1}"#);
        assert_eq!(Formatter::new(Format::Jsonl, "l").line(7, b"rubbish"), None);
    }

    #[test]
    fn a_syslog_line_is_rfc_5424_in_ascii_and_its_message_is_the_record() {
        let line =
            Formatter::new(Format::Syslog, "fleet.example/audit/acme").line(7, DENIED.as_bytes()).unwrap();
        let (head, message) = line.split_once(" - {").unwrap();
        assert_eq!(head, "<109>1 2026-11-22T12:00:00.000000Z fleet.example lictor - request_denied");
        assert!(line.is_ascii());
        let record: serde_json::Value = serde_json::from_str(&format!("{{{message}")).unwrap();
        assert_eq!((record["command"].as_str(), record["index"].as_u64()), (Some("écho 😀"), Some(7)));
    }

    #[test]
    fn nothing_in_a_record_breaks_a_syslog_line() {
        let hostile =
            r#"{"at":"2026\n<1>","kind":"a b\u0000c","x":"\u007f\u2028"}"#.replace("\\u007f", "\u{7f}");
        let line = Formatter::new(Format::Syslog, "").line(0, hostile.as_bytes()).unwrap();
        assert!(line.starts_with("<110>1 2026<1> - lictor - abc - {"), "{line}");
        assert!(line.bytes().all(|b| (0x20..0x7f).contains(&b)), "{line}");
    }
}
