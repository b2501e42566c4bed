//! Puts one entry into a JSON file that somebody else wrote, and leaves every other byte as it is: comments, order, blanks.

use std::{fmt, ops::Range};

use serde_json::Value;

/// Deepest nesting that is read: no settings are deeper.
const MAX_DEPTH: usize = 128;
/// Blanks of one level where the file does not show its own.
const INDENT: &str = "  ";

/// Why the file is left alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    line: usize,
    why: &'static str,
}

/// A member of an object.
#[derive(Debug)]
struct Member {
    name: String,
    start: usize,
    value: Range<usize>,
}

/// An object, with its brackets.
#[derive(Debug)]
struct Object {
    span: Range<usize>,
    members: Vec<Member>,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// The text with `entry` as `name` in the object `section`; what stood there by that name is replaced.
pub(super) fn put(text: &str, section: &str, name: &str, entry: &Value) -> Result<String, Broken> {
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        let whole = serde_json::json!({ section: { name: entry } });
        return Ok(format!("{whole:#}\n"));
    }
    let whole = document(text)?;
    let Some(servers) = whole.member(text, section)? else {
        return Ok(whole.append(text, 1, section, &serde_json::json!({ name: entry })));
    };
    let servers = Reader { text, at: servers.value.start }.object(1)?;
    Ok(match servers.member(text, name)? {
        Some(member) => {
            let indent = line_indent(text, member.start).unwrap_or_else(|| INDENT.repeat(2));
            let value = indented(entry, &indent);
            replaced(text, member.value.clone(), &value)
        }
        None => servers.append(text, 2, name, entry),
    })
}

/// What stands as `name` in the object `section`, if anything does.
pub(super) fn find<'a>(text: &'a str, section: &str, name: &str) -> Result<Option<&'a str>, Broken> {
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Ok(None);
    }
    let Some(servers) = document(text)?.member(text, section)?.map(|member| member.value.start) else {
        return Ok(None);
    };
    let servers = Reader { text, at: servers }.object(1)?;
    Ok(servers.member(text, name)?.and_then(|member| text.get(member.value.clone())))
}

fn document(text: &str) -> Result<Object, Broken> {
    let mut reader =
        Reader { text, at: if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 } };
    reader.blanks()?;
    let whole = reader.object(0)?;
    reader.blanks()?;
    if reader.at < text.len() { Err(reader.broken("something stands behind the end")) } else { Ok(whole) }
}

fn replaced(text: &str, span: Range<usize>, with: &str) -> String {
    let (before, after) = (text.get(..span.start), text.get(span.end..));
    [before.unwrap_or_default(), with, after.unwrap_or_default()].concat()
}

/// The value with every line but the first behind `indent`.
fn indented(value: &Value, indent: &str) -> String {
    format!("{value:#}").replace('\n', &format!("\n{indent}"))
}

/// The blanks before what stands at `at`, if nothing else stands before it on its line.
fn line_indent(text: &str, at: usize) -> Option<String> {
    let line = text.get(..at)?.rsplit('\n').next()?;
    line.chars().all(|c| c == ' ' || c == '\t').then(|| line.to_owned())
}

// === impl Object ===

impl Object {
    fn member(&self, text: &str, name: &str) -> Result<Option<&Member>, Broken> {
        let mut found = self.members.iter().filter(|member| member.name == name);
        let first = found.next();
        match found.next() {
            Some(again) => Err(Reader { text, at: again.start }.broken("the same name stands here twice")),
            None => Ok(first),
        }
    }

    fn append(&self, text: &str, depth: usize, name: &str, value: &Value) -> String {
        let name = Value::String(name.to_owned());
        match self.members.last() {
            Some(last) => {
                let indent = line_indent(text, last.start).unwrap_or_else(|| INDENT.repeat(depth));
                let member = format!(",\n{indent}{name}: {}", indented(value, &indent));
                replaced(text, last.value.end..last.value.end, &member)
            }
            None => {
                let (indent, outer) = (INDENT.repeat(depth), INDENT.repeat(depth - 1));
                let member = format!("\n{indent}{name}: {}\n{outer}", indented(value, &indent));
                let at = self.span.start + 1;
                replaced(text, at..at, &member)
            }
        }
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn broken(&self, why: &'static str) -> Broken {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        Broken { line: before.matches('\n').count() + 1, why }
    }

    /// Goes over blanks and comments.
    fn blanks(&mut self) -> Result<(), Broken> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            let skipped = rest.len() - trimmed.len();
            let comment = if trimmed.starts_with("//") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if trimmed.starts_with("/*") {
                trimmed.find("*/").ok_or_else(|| self.broken("a comment has no end"))? + 2
            } else {
                0
            };
            self.at += skipped + comment;
            if comment == 0 {
                return Ok(());
            }
        }
    }

    fn takes(&mut self, c: char) -> bool {
        let there = self.rest().starts_with(c);
        self.at += if there { c.len_utf8() } else { 0 };
        there
    }

    fn object(&mut self, depth: usize) -> Result<Object, Broken> {
        let start = self.at;
        if depth > MAX_DEPTH {
            return Err(self.broken("it is nested too deeply"));
        }
        if !self.takes('{') {
            return Err(self.broken("an object is expected here"));
        }
        let mut members = Vec::new();
        loop {
            self.blanks()?;
            if self.takes('}') {
                return Ok(Object { span: start..self.at, members });
            }
            let start = self.at;
            let name = self.string()?;
            self.blanks()?;
            if !self.takes(':') {
                return Err(self.broken("a colon is expected here"));
            }
            self.blanks()?;
            let from = self.at;
            self.value(depth + 1)?;
            members.push(Member { name, start, value: from..self.at });
            self.blanks()?;
            if !self.takes(',') && !self.rest().starts_with('}') {
                return Err(self.broken("a comma or a closing bracket is expected here"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), Broken> {
        if depth > MAX_DEPTH {
            return Err(self.broken("it is nested too deeply"));
        }
        self.at += 1;
        loop {
            self.blanks()?;
            if self.takes(']') {
                return Ok(());
            }
            self.value(depth + 1)?;
            self.blanks()?;
            if !self.takes(',') && !self.rest().starts_with(']') {
                return Err(self.broken("a comma or a closing bracket is expected here"));
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Broken> {
        match self.rest().chars().next() {
            Some('{') => self.object(depth).map(drop),
            Some('[') => self.list(depth),
            Some('"') => self.string().map(drop),
            _ => {
                let plain = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.');
                let rest = self.rest();
                let end = rest.find(plain).unwrap_or(rest.len());
                let good = rest.get(..end).is_some_and(|word| serde_json::from_str::<Value>(word).is_ok());
                if !good {
                    return Err(self.broken("a value is expected here"));
                }
                self.at += end;
                Ok(())
            }
        }
    }

    fn string(&mut self) -> Result<String, Broken> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let text = end.and_then(|(end, _)| rest.get(..=end));
        let string = text.and_then(|text| serde_json::from_str(text).ok().zip(Some(text.len())));
        let (string, length) = string.ok_or_else(|| self.broken("a text in quotes is expected here"))?;
        self.at += length;
        Ok(string)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a file holds, however it is written; without comments.
    fn held(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    #[test]
    fn an_entry_is_added_and_nothing_else_changes() {
        let entry = json!({ "command": "/l", "args": ["mcp"] });
        for text in [
            "",
            "{}",
            "{ }\n",
            r#"{"z": 1.0, "a": 123456789012345678901234567890}"#,
            r#"{"mcpServers": {}}"#,
            r#"{"mcpServers": {"other": {"command": "x"}}}"#,
            "{\n\t\"mcpServers\": {\n\t\t\"other\": {}\n\t},\n\t\"b\": [1, {\"c\": \"}\\\"\"}]\n}\n",
            r#"{"mcpServers": {"lictor": {"command": "/old"}, "z": null}}"#,
        ] {
            let put = put(text, "mcpServers", "lictor", &entry).unwrap();
            let mut wanted = if text.trim().is_empty() { json!({}) } else { held(text) };
            wanted["mcpServers"]["lictor"] = entry.clone();
            assert_eq!(held(&put), wanted);
            assert_eq!(super::put(&put, "mcpServers", "lictor", &entry).unwrap(), put, "twice is once");
            assert_eq!(held(find(&put, "mcpServers", "lictor").unwrap().unwrap()), entry);
            // Everything that stood there is there as it was written.
            if !text.contains("/old") {
                let mut rest = put.as_str();
                for c in text.chars() {
                    rest = rest.split_once(c).unwrap_or_else(|| panic!("{c:?} of {text} is gone: {put}")).1;
                }
            }
        }
    }

    #[test]
    fn comments_and_trailing_commas_stay() {
        let text = "// mine\n{\n  \"servers\": { /* none */ },\n  \"inputs\": [1,],\n}\n";
        let put = put(text, "servers", "lictor", &json!({})).unwrap();
        assert_eq!(
            put,
            "// mine\n{\n  \"servers\": {\n    \"lictor\": {}\n   /* none */ },\n  \"inputs\": [1,],\n}\n"
        );
        assert_eq!(find(&put, "servers", "lictor").unwrap(), Some("{}"));
    }

    #[test]
    fn what_is_broken_is_refused_with_its_line() {
        for (text, line) in [
            ("{", 1),
            ("[]", 1),
            ("{\n\"a\" 1}", 2),
            ("{\"a\": tru}", 1),
            ("{} {}", 1),
            ("{\"a\": \"x}", 1),
            ("{\n\"a\": 1\n\"b\": 2}", 3),
            ("{\"mcpServers\": []}", 1),
            ("{\"mcpServers\": {},\n\"mcpServers\": {}}", 2),
            ("{/* }", 1),
            (&format!("{{\"a\": {}1", "[".repeat(10_000)), 1),
        ] {
            assert_eq!(put(text, "mcpServers", "lictor", &json!({})).unwrap_err().line, line, "{text:.40}");
        }
    }
}
