//! A recording for terminals: asciicast, version 2 (docs.asciinema.org/manual/asciicast/v2).
//!
//! The command had no terminal, so width and height are made to fit, and a line feed returns to the start of the line as well.

use std::io::{self, Write};

use serde::Serialize;

use super::{Content, Piece};

/// The version of the form.
const VERSION: u32 = 2;
/// Narrowest and widest picture: lines that are longer are wrapped.
const WIDTHS: (usize, usize) = (80, 200);
/// Height of the picture: what everybody's terminal has.
const HEIGHT: usize = 24;

/// The first line.
#[derive(Debug, Serialize)]
pub(crate) struct Header {
    version: u32,
    width: usize,
    height: usize,
    /// When it began, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    title: String,
}

// === impl Header ===

impl Header {
    /// The header of a recording of these pieces.
    pub(crate) fn new(pieces: &[Piece], timestamp: Option<u64>, title: String) -> Self {
        let longest = |piece: &Piece| match &piece.content {
            Content::Bytes(bytes) => bytes.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or(0),
            Content::Gap(_) => 0,
        };
        let width = pieces.iter().map(longest).max().unwrap_or(0).clamp(WIDTHS.0, WIDTHS.1);
        Self { version: VERSION, width, height: HEIGHT, timestamp, title }
    }
}

/// Writes the recording. What a host printed is in it as it came, escape sequences too: that is what players are for.
pub(crate) fn write(mut out: impl Write, header: &Header, pieces: &[Piece]) -> io::Result<()> {
    serde_json::to_writer(&mut out, header)?;
    out.write_all(b"\n")?;
    let mut returned = false;
    for Piece { millis, content, .. } in pieces {
        let (code, text) = match content {
            Content::Bytes(bytes) => ("o", with_returns(&String::from_utf8_lossy(bytes), &mut returned)),
            Content::Gap(gap) => ("m", gap.to_string()),
        };
        let text = serde_json::to_string(&text)?;
        writeln!(out, "[{}.{:03}, \"{code}\", {text}]", millis / 1000, millis % 1000)?;
    }
    Ok(())
}

/// Every line feed behind a carriage return; `returned`: the text before ended with one.
fn with_returns(text: &str, returned: &mut bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' && !*returned {
            out.push('\r');
        }
        *returned = c == '\r';
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use lictor_core::output::StreamName;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_recording_is_asciicast_version_2() {
        let piece = |millis, text: &str| Piece {
            millis,
            stream: StreamName::Stdout,
            content: Content::Bytes(text.as_bytes().to_vec()),
        };
        let pieces = [piece(7, "one\ntwo\r"), piece(1_250, "\n\u{1b}[31m\"red\"\n")];
        let mut bytes = Vec::new();
        write(&mut bytes, &Header::new(&pieces, Some(1_795_353_684), "df -h".into()), &pieces).unwrap();
        let lines: Vec<Value> = String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                json!({ "version": 2, "width": 80, "height": 24, "timestamp": 1_795_353_684, "title": "df -h" }),
                json!([0.007, "o", "one\r\ntwo\r"]),
                json!([1.25, "o", "\n\u{1b}[31m\"red\"\r\n"]),
            ]
        );
    }
}
