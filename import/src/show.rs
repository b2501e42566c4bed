//! Text of the files where people read it: cut, without control characters, and never mistaken for markup.

use std::fmt;

/// Most characters of a name that a report repeats: as long as a name may be.
const MAX_SHOWN: usize = 100;
/// Longest unknown key that a report repeats: the longest one that is known has 22 characters.
const MAX_SHOWN_KEY: usize = 32;

/// A name from the files, for people.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("“")?;
        for c in self.0.chars().take(MAX_SHOWN) {
            match c {
                '\'' | '"' | '\\' => write!(f, "{c}")?,
                c => write!(f, "{}", c.escape_debug())?,
            }
        }
        f.write_str(if self.0.chars().nth(MAX_SHOWN).is_some() { "…”" } else { "”" })
    }
}

/// Whether `text` looks like a key of these files, and not like a value in the place of one, which may be a secret.
pub(crate) fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_SHOWN_KEY
        && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// `text` as one word of a shell.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
    if !text.is_empty() && !text.starts_with('-') && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `text` as a scalar of YAML that every reader takes for text.
pub(crate) fn yaml_text(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'));
    if plain && !is_yaml_word(text) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() || !is_harmless(c) => {
                quoted += &format!("\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Words that some version of YAML does not take for text.
fn is_yaml_word(text: &str) -> bool {
    ["y", "n", "yes", "no", "true", "false", "on", "off", "null"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether `c` shows as itself and is no line end to anybody.
fn is_harmless(c: char) -> bool {
    c == ' ' || c == '\'' || c.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_cannot_steer_a_terminal_or_a_line() {
        let shown = Shown("a\u{1b}[31m\n\u{202e}b").to_string();
        assert_eq!(shown, "“a\\u{1b}[31m\\n\\u{202e}b”");
        assert_eq!(Shown(&"x".repeat(200)).to_string().chars().count(), 103);
    }

    #[test]
    fn text_stays_text() {
        for (text, yaml) in [
            ("web-1", "web-1"),
            ("no", "\"no\""),
            ("10.0.0.1", "\"10.0.0.1\""),
            ("a: b # c", "\"a: b # c\""),
            ("a\"\\\n", "\"a\\\"\\\\\\U0000000A\""),
            ("grüße", "\"grüße\""),
        ] {
            assert_eq!(yaml_text(text), yaml);
        }
        assert_eq!(shell_word("keys/it's"), r"'keys/it'\''s'");
    }
}
