//! Reading the tree: lists, maps with known keys, and text that was meant as text. What is odd becomes a finding.

use crate::{
    finding::{Code, Findings, Place},
    show::{Shown, is_key},
    yaml::{self, Kind, Node, Value},
};

/// What to do about every file that does not read.
const REWRITE: &str = "correct the file and import again";

/// The keys of one map, each once.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) place: Place,
    entries: Vec<(&'a str, &'a Node)>,
}

/// Text as it is written, and as mcp-ssh-orchestrator took it: `str()` of what YAML 1.1 makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) written: String,
    pub(crate) taken: String,
    pub(crate) line: usize,
    /// Whether it was text also then.
    pub(crate) was_text: bool,
}

/// Reads a file; `None` when there is nothing to go on with, which is then a finding.
pub(crate) fn read(file: &'static str, text: &str, findings: &mut Findings) -> Option<Node> {
    match yaml::parse(text) {
        Ok(Some(node)) if !node.is_null() => Some(node),
        Ok(_) => {
            let place = Place { file, line: 0 };
            findings.add(Code::Nothing, place, "there is nothing in this file", "nothing is imported", "");
            None
        }
        Err(broken) => {
            let what = format!("{}; mcp-ssh-orchestrator took such a file for an empty one", broken.why);
            findings.add(Code::BrokenFile, Place { file, line: broken.line }, what, "", REWRITE);
            None
        }
    }
}

/// The list under the one key that the root of a file has.
pub(crate) fn root_list<'a>(
    file: &'static str,
    root: &'a Node,
    key: &'static str,
    findings: &mut Findings,
) -> &'a [Node] {
    // Below `servers:` is where some look for the hosts when they are not where they must be.
    let is =
        |name: &str| matches!(&root.value, Value::Map(pairs) if pairs.iter().any(|(k, _)| k.is_text(name)));
    let known: &[&str] = if key == "hosts" && !is(key) { &[key, "servers"] } else { &[key] };
    let Some(fields) = Fields::read(file, root, "the file", known, findings) else { return &[] };
    let place = Place { file, line: root.line };
    let nested = fields.get("servers").map(|node| &node.value);
    let list = match (fields.get(key), nested) {
        (Some(list), _) => list,
        (None, Some(Value::Map(pairs))) if key == "hosts" => {
            let what =
                "hosts: stands below servers:, where mcp-ssh-orchestrator did not look: it had no hosts";
            findings.add(Code::NestedRoot, place, what, "the hosts are read from there", "");
            let hosts =
                |(k, v): &'a (Node, Node)| matches!(&k.value, Value::Scalar(t, _) if t == key).then_some(v);
            match pairs.iter().find_map(hosts) {
                Some(list) => list,
                None => return &[],
            }
        }
        (None, _) => {
            findings.add(
                Code::Nothing,
                place,
                format!("there is no {key}: in this file"),
                "nothing is imported",
                "",
            );
            return &[];
        }
    };
    match &list.value {
        Value::List(items) => items,
        _ if list.is_null() => &[],
        _ => {
            let what = format!("{key}: must be a list, and is {}", list.kind());
            let place = Place { file, line: list.line };
            findings.add(Code::WrongKind, place, what, "nothing of it is imported", REWRITE);
            &[]
        }
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The keys of `node`; `None`, with a finding, when it is no map.
    pub(crate) fn read(
        file: &'static str,
        node: &'a Node,
        of: &str,
        known: &[&'static str],
        findings: &mut Findings,
    ) -> Option<Self> {
        let place = Place { file, line: node.line };
        let Value::Map(pairs) = &node.value else {
            let what =
                format!("{of} must be a map, and is {}; mcp-ssh-orchestrator failed on it", node.kind());
            findings.add(Code::WrongKind, place, what, "it is left out", REWRITE);
            return None;
        };
        let mut entries: Vec<(&str, &Node)> = Vec::new();
        let mut unknown: Vec<(usize, &str)> = Vec::new();
        for (key, value) in pairs {
            let Value::Scalar(text, kind) = &key.value else { continue };
            let Some(name) = known.iter().copied().find(|k| *kind == Kind::Text && k == text) else {
                unknown.push((key.line, text));
                continue;
            };
            match entries.iter_mut().find(|(k, _)| *k == name) {
                None => entries.push((name, value)),
                Some(entry) => {
                    let place = Place { file, line: key.line };
                    let what = format!("{name}: is there twice; mcp-ssh-orchestrator took the last one");
                    findings.add(Code::DuplicateKey, place, what, "the last one is taken", "remove one");
                    entry.1 = value;
                }
            }
        }
        note_unknown(file, of, &unknown, findings);
        Some(Self { place, entries })
    }

    /// What stands at `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, node)| *node)
    }

    /// The place of `key`, or of the map when it is not there.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        self.get(key).map_or(self.place, |node| Place { file: self.place.file, line: node.line })
    }

    /// The text at `key`; `None` when there is none, or something else, which is then a finding.
    pub(crate) fn text(&self, key: &str, findings: &mut Findings) -> Option<Text> {
        text(self.place.file, key, self.get(key)?, findings)
    }
}

/// The text that `node`, the value of `key`, is.
pub(crate) fn text(file: &'static str, key: &str, node: &Node, findings: &mut Findings) -> Option<Text> {
    let place = Place { file, line: node.line };
    let Value::Scalar(written, kind) = &node.value else {
        let what = format!("{key}: must be text, and is {}", node.kind());
        findings.add(Code::WrongKind, place, what, "it is taken for missing", REWRITE);
        return None;
    };
    let (code, taken) = match kind {
        Kind::Null => return None,
        Kind::Text | Kind::Date => (None, written.clone()),
        Kind::Bool(value) => {
            (Some(Code::YamlBoolean), if *value { "True".to_owned() } else { "False".to_owned() })
        }
        Kind::Int(Some(value)) => (Some(Code::YamlNumber), value.to_string()),
        Kind::Int(None) => (None, written.clone()),
        Kind::Float => {
            let value = written.replace('_', "").parse::<f64>();
            (Some(Code::YamlNumber), value.map_or_else(|_| written.clone(), |v| format!("{v:?}")))
        }
    };
    if let Some(code) = code.filter(|_| taken != *written) {
        let what = format!(
            "{key}: {} has no quotes, so mcp-ssh-orchestrator read {} and called it {taken}",
            Shown(written),
            node.kind(),
        );
        findings.add(
            code,
            place,
            what,
            "it is the text as it is written, and so rules may match it that did not",
            "",
        );
    }
    let was_text = *kind == Kind::Text;
    Some(Text { written: written.clone(), taken, line: node.line, was_text })
}

/// One finding for the unknown keys of a map: a host with a field of its own is often every host.
fn note_unknown(file: &'static str, of: &str, unknown: &[(usize, &str)], findings: &mut Findings) {
    let Some((line, _)) = unknown.first() else { return };
    let shown: Vec<&str> = unknown.iter().map(|(_, key)| *key).filter(|key| is_key(key)).collect();
    let hidden = unknown.len() - shown.len();
    let mut what = format!("{of} has ");
    match shown.len() {
        0 => {}
        1 => what += &format!("the unknown key {}", shown.join(", ")),
        _ => what += &format!("the unknown keys {}", shown.join(", ")),
    }
    match (shown.is_empty(), hidden) {
        (_, 0) => {}
        (true, n) => what += &format!("{n} unknown key(s), not shown because they do not look like keys"),
        (false, n) => what += &format!(", and {n} more that do not look like keys"),
    }
    what += "; mcp-ssh-orchestrator ignored it without a word";
    let todo = "check the spelling: it may have been meant to do something";
    findings.add(Code::UnknownKey, Place { file, line: *line }, what, "ignored", todo);
}
