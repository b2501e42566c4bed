//! The forms in which programs print a secret: as it is, in base64, in hexadecimal, escaped for a URL or for JSON.

use std::collections::BTreeMap;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use super::{Kind, Literal, MAX_SECRET_BYTES, MIN_SECRET_BYTES};

/// Shortest line of a key that is looked for on its own: the last line of many keys is the same few characters.
const MIN_KEY_LINE_BYTES: usize = 16;
/// What stands unescaped in a URL beside letters and digits (RFC 3986 §2.3).
const URL_RFC_3986: &[u8] = b"-_.~";
/// The same, as Python's `quote` has it.
const URL_QUOTE: &[u8] = b"-_.~/";
/// As the most common encoders have it: also JavaScript's `encodeURIComponent`, and HTML forms.
const URL_UNRESERVED: [&[u8]; 4] = [URL_RFC_3986, URL_QUOTE, b"-_.!~*'()", b"-_.*"];

/// What is looked for: bytes, and what they are.
#[derive(Default)]
pub(super) struct Forms {
    /// What is printed in one piece.
    pub(super) plain: BTreeMap<Vec<u8>, Kind>,
    /// What programs wrap into lines: line ends within do not matter.
    pub(super) wrapped: BTreeMap<Vec<u8>, Kind>,
    bytes: usize,
}

// === impl Forms ===

impl Forms {
    /// How many bytes all forms have.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn add(&mut self, literal: &Literal) {
        match literal {
            Literal::Text(kind, secret) => self.add_text(secret.expose(), *kind),
            Literal::Key(kind, secret) => self.add_key(secret.expose(), *kind),
        }
    }

    fn add_text(&mut self, secret: &[u8], kind: Kind) {
        let secret = secret.get(..MAX_SECRET_BYTES).unwrap_or(secret);
        if secret.len() < MIN_SECRET_BYTES {
            return;
        }
        self.plain(secret.to_vec(), kind);
        urls(secret).into_iter().for_each(|form| self.plain(form, kind));
        json(secret).into_iter().for_each(|form| self.plain(form, kind));
        self.add_encoded(secret, kind);
    }

    fn add_encoded(&mut self, secret: &[u8], kind: Kind) {
        base64(secret).into_iter().for_each(|form| self.wrapped(form, kind));
        hex(secret).into_iter().for_each(|form| self.wrapped(form, kind));
    }

    /// Each line of the key's body, since any of them is worth hiding, and all of it, which other programs wrap otherwise.
    fn add_key(&mut self, text: &[u8], kind: Kind) {
        let of_body = |line: &&[u8]| {
            let in_base64 = |b: &u8| b.is_ascii_alphanumeric() || b"+/=".contains(b);
            !line.is_empty() && line.iter().all(in_base64)
        };
        let lines: Vec<&[u8]> =
            text.split(|b| *b == b'\n').map(|line| line.trim_ascii()).filter(of_body).collect();
        let body = lines.concat();
        if body.len() >= MIN_KEY_LINE_BYTES {
            self.wrapped(body, kind);
        }
        for line in lines.into_iter().filter(|line| line.len() >= MIN_KEY_LINE_BYTES) {
            self.plain(line.to_vec(), kind);
            // Of what has no other characters than base64, these are all forms in which encoders differ.
            for unreserved in [URL_RFC_3986, URL_QUOTE] {
                self.plain(url(line, unreserved, "%20", true), kind);
            }
            self.plain(url(line, URL_RFC_3986, "%20", false), kind);
            self.plain(String::from_utf8_lossy(line).replace('/', "\\/").into_bytes(), kind);
            self.add_encoded(line, kind);
        }
    }

    fn plain(&mut self, form: Vec<u8>, kind: Kind) {
        let bytes = form.len();
        if self.plain.insert(form, kind).is_none() {
            self.bytes += bytes;
        }
    }

    fn wrapped(&mut self, form: Vec<u8>, kind: Kind) {
        let bytes = form.len();
        if self.wrapped.insert(form, kind).is_none() {
            self.bytes += bytes;
        }
    }
}

/// The characters of base64 that the secret alone decides, wherever in three bytes it begins, in both alphabets.
fn base64(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let text = [&vec![0; before], secret].concat();
        let (first, last) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
        for alphabet in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = alphabet.encode(&text);
            forms.extend(encoded.as_bytes().get(first..last).map(<[u8]>::to_vec));
        }
    }
    forms
}

fn hex(secret: &[u8]) -> [Vec<u8>; 2] {
    let lower: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    [lower.to_uppercase().into_bytes(), lower.into_bytes()]
}

fn urls(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for unreserved in URL_UNRESERVED {
        for (space, upper) in [("%20", true), ("%20", false), ("+", true), ("+", false)] {
            forms.push(url(secret, unreserved, space, upper));
        }
    }
    forms
}

fn url(secret: &[u8], unreserved: &[u8], space: &str, upper: bool) -> Vec<u8> {
    let encode = |b: &u8| match *b {
        b' ' => space.as_bytes().to_vec(),
        b if b.is_ascii_alphanumeric() || unreserved.contains(&b) => vec![b],
        b if upper => format!("%{b:02X}").into_bytes(),
        b => format!("%{b:02x}").into_bytes(),
    };
    secret.iter().flat_map(encode).collect()
}

/// As JSON has it: with what must be escaped, with `/`, with what matters to HTML, and with everything that is not ASCII.
fn json(secret: &[u8]) -> Vec<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(secret) else { return Vec::new() };
    let mut forms = Vec::new();
    for (solidus, html, ascii, upper) in [
        (false, false, false, false),
        (true, false, false, false),
        (false, true, false, false),
        (false, false, true, false),
        (false, false, true, true),
        (true, false, true, false),
        (false, true, true, false),
    ] {
        let mut form = String::new();
        for c in text.chars() {
            match c {
                '"' => form.push_str("\\\""),
                '\\' => form.push_str("\\\\"),
                '\n' => form.push_str("\\n"),
                '\r' => form.push_str("\\r"),
                '\t' => form.push_str("\\t"),
                '\u{8}' => form.push_str("\\b"),
                '\u{c}' => form.push_str("\\f"),
                '/' if solidus => form.push_str("\\/"),
                '<' | '>' | '&' if html => push_escape(&mut form, c, upper),
                c if c.is_control() && c.is_ascii() || ascii && !c.is_ascii() => {
                    push_escape(&mut form, c, upper);
                }
                c => form.push(c),
            }
        }
        forms.push(form.into_bytes());
    }
    forms
}

/// `\uXXXX`, twice for what lies beyond the first 65,536 characters (RFC 8259 §7).
fn push_escape(form: &mut String, c: char, upper: bool) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        form.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_a_text_holds_a_form_of_every_secret_in_it() {
        let secret = b"s3cr3t?>";
        let forms = base64(secret);
        for before in 0..9 {
            for after in 0..4 {
                let text = [&b"prefix-of"[..before], secret, &b"end"[..after.min(3)]].concat();
                for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let found = forms.iter().any(|form| {
                        encoded.as_bytes().windows(form.len()).any(|window| window == form.as_slice())
                    });
                    assert!(found, "{before} {after}: {encoded}");
                }
            }
        }
    }

    #[test]
    fn escapes_are_those_that_programs_write() {
        let text = |forms: Vec<Vec<u8>>| -> Vec<String> {
            forms.into_iter().map(|form| String::from_utf8(form).unwrap()).collect()
        };
        let urls = text(urls("a b/&é".as_bytes()));
        for form in ["a%20b%2F%26%C3%A9", "a+b%2f%26%c3%a9", "a%20b/%26%C3%A9"] {
            assert!(urls.contains(&form.to_owned()), "{form}: {urls:?}");
        }
        let jsons = text(json("\"\\/<é\n\u{1}😀".as_bytes()));
        for form in [
            "\\\"\\\\/<é\\n\\u0001😀",
            "\\\"\\\\\\/<é\\n\\u0001😀",
            "\\\"\\\\/\\u003cé\\n\\u0001😀",
            "\\\"\\\\/<\\u00e9\\n\\u0001\\ud83d\\ude00",
            "\\\"\\\\/<\\u00E9\\n\\u0001\\uD83D\\uDE00",
        ] {
            assert!(jsons.contains(&form.to_owned()), "{form}: {jsons:?}");
        }
        assert_eq!(hex(b"\x0a\xff"), [b"0AFF".to_vec(), b"0aff".to_vec()]);
    }
}
