//! Reading a quoted piece of a word; the same for command lines and for patterns.

use crate::refusal::{Refusal, RefusalCode};

/// The text between the quotes, and where the line goes on after them. `open` is the place of the opening quote.
pub(crate) fn read(line: &str, open: usize) -> Result<(&str, usize), Refusal> {
    let quote = if line.as_bytes().get(open) == Some(&b'"') { '"' } else { '\'' };
    let start = open + 1;
    let rest = line.get(start..).unwrap_or_default();
    let Some(length) = rest.find(quote) else {
        return Err(Refusal::new(
            RefusalCode::Quote,
            Some(open..line.len()),
            format!("a {quote} is never closed"),
        ));
    };
    let text = rest.get(..length).unwrap_or_default();
    if quote == '"' {
        // An escaped quote ends the piece early; the backslash before it is found here all the same.
        inside_double(text, start)?;
    }
    Ok((text, start + length + 1))
}

/// Inside double quotes a shell still reads these four; a backslash only before one of them or another backslash, so
/// that `"a\|b"` is just that text.
fn inside_double(text: &str, start: usize) -> Result<(), Refusal> {
    let is_read = |(at, c): &(usize, char)| match c {
        // At the end, or before a blank or a bar, it is the end of a line in a regular expression.
        '$' => !matches!(text.as_bytes().get(at + 1), None | Some(b' ' | b'|')),
        '`' | '!' => true,
        '\\' => matches!(text.as_bytes().get(at + 1), None | Some(b'$' | b'`' | b'\\' | b'!')),
        _ => false,
    };
    let Some((at, c)) = text.char_indices().find(is_read) else { return Ok(()) };
    let code = match c {
        '\\' => RefusalCode::Backslash,
        '!' => RefusalCode::Meta,
        _ => RefusalCode::Expansion,
    };
    let span = Some(start + at..start + at + 1);
    Err(Refusal::new(code, span, format!("a {c} keeps its meaning inside double quotes"))
        .hinting("use single quotes if the character is meant literally, else write the value itself"))
}
