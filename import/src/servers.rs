//! `servers.yml`: the hosts, each with what can be said about it without the other files.

use std::collections::BTreeSet;

use lictor_core::{
    limits::{MAX_HOSTS_PER_SITE, MAX_NAME_BYTES, MAX_NOTE_BYTES, MAX_TAGS_PER_HOST},
    name::{HostAlias, Tag},
};

use crate::{
    SERVERS,
    address::address,
    fields::{self, Fields, Text},
    finding::{Code, Findings, Place},
    name::{self, Taken},
    port::port,
    show::Shown,
    yaml::{Kind, Node, Value},
};

/// Every key of a host.
const KEYS: [&str; 6] = ["alias", "host", "port", "credentials", "tags", "description"];
/// Longest alias and tag that its tools took; longer tags worked in rules alone.
const MAX_OLD_ALIAS: usize = 100;

/// A host of `servers.yml` that can be written, once it has a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) line: usize,
    pub(crate) alias: HostAlias,
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) credential: Option<Text>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) description: String,
}

/// Reads the hosts.
pub(crate) fn read(root: &Node, findings: &mut Findings) -> Vec<Server> {
    let list = fields::root_list(SERVERS, root, "hosts", findings);
    if list.len() > MAX_HOSTS_PER_SITE {
        let what =
            format!("there are more than {MAX_HOSTS_PER_SITE} hosts, which is the most that a site has");
        let place = Place { file: SERVERS, line: 0 };
        findings.add(Code::TooManyHosts, place, what, "", "split the file, one part for each site");
        return Vec::new();
    }
    let entries: Vec<(Fields<'_>, Option<Text>)> = list
        .iter()
        .filter_map(|node| {
            let fields = Fields::read(SERVERS, node, "a host", &KEYS, findings)?;
            let alias = fields.text("alias", findings);
            Some((fields, alias))
        })
        .collect();
    // Suggestions must not take what another host is called.
    let mut taken: Taken =
        entries.iter().filter_map(|(_, alias)| alias.as_ref().map(|a| a.written.clone())).collect();
    let mut seen = BTreeSet::new();
    let mut servers = Vec::new();
    for (fields, written) in &entries {
        let Some(alias) = alias(fields, written.as_ref(), &mut taken, findings) else { continue };
        if seen.insert(alias.clone()) {
            servers.extend(server(fields, alias, findings));
        } else {
            let what = format!(
                "{alias} is there twice; mcp-ssh-orchestrator reached the first one under this name, and ran \
                 commands on a tag twice with the settings of the first"
            );
            let todo = "give one of them another alias";
            findings.add(
                Code::DuplicateAlias,
                fields.place,
                what,
                "the first one is taken, this one is left out",
                todo,
            );
        }
    }
    servers
}

fn alias(
    fields: &Fields<'_>,
    written: Option<&Text>,
    taken: &mut Taken,
    findings: &mut Findings,
) -> Option<HostAlias> {
    let Some(written) = written.filter(|text| !text.written.is_empty()) else {
        let done = "the host is left out";
        findings.add(Code::NameMissing, fields.place, "a host has no alias", done, "give it one");
        return None;
    };
    let text = written.written.as_str();
    let error = match HostAlias::new(text) {
        Ok(alias) => return Some(alias),
        Err(error) => error,
    };
    let suggested = name::suggest(text, "host", taken);
    let old = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let was_reachable = text.len() <= MAX_OLD_ALIAS && text.bytes().all(old);
    let before = if was_reachable { "" } else { "; mcp-ssh-orchestrator reached it by a tag alone" };
    let what = format!("{} is {error}{before}", Shown(text));
    let done = format!("it is called {suggested}; rules that name it as it was do not match it");
    let todo = format!("call it alias: {suggested}, also in the rules that name it");
    let place = Place { file: SERVERS, line: written.line };
    findings.add(Code::UnusableAlias, place, what, done, todo);
    HostAlias::new(&suggested).ok()
}

fn server(fields: &Fields<'_>, alias: HostAlias, findings: &mut Findings) -> Option<Server> {
    let tags = tags(fields, &alias, findings);
    let description = description(fields, &alias, findings);
    let credential = fields.text("credentials", findings).filter(|text| !text.taken.is_empty());
    // Both are looked at, so that one import tells everything.
    let (address, port) = (address(fields, &alias, findings), port(fields, &alias, findings));
    Some(Server {
        line: fields.place.line,
        alias,
        address: address?,
        port: port?,
        credential,
        tags,
        description,
    })
}

fn tags(fields: &Fields<'_>, alias: &HostAlias, findings: &mut Findings) -> Vec<Tag> {
    let Some(node) = fields.get("tags") else { return Vec::new() };
    let place = Place { file: SERVERS, line: node.line };
    let texts: Vec<Text> = match &node.value {
        Value::List(items) => items
            .iter()
            .filter_map(|item| {
                let text = fields::text(SERVERS, "a tag", item, findings)?;
                if !text.was_text && text.taken == text.written {
                    let what = format!(
                        "the tag {} of {alias} was no text; rules never matched it",
                        Shown(&text.written)
                    );
                    findings.add(
                        Code::YamlNumber,
                        Place { file: SERVERS, line: item.line },
                        what,
                        "it is a tag like others, and rules for it match the host now",
                        "look at the rules that name it",
                    );
                }
                Some(text)
            })
            .collect(),
        Value::Scalar(_, Kind::Null) => Vec::new(),
        Value::Scalar(_, Kind::Text) => {
            let what = format!(
                "the tags of {alias} are text, not a list; mcp-ssh-orchestrator found them by any part of the text, \
                 and no rule matched them"
            );
            let todo = "if several tags were meant, write a list: [one, two]";
            findings.add(
                Code::TagsText,
                place,
                what,
                "a list of this one tag, and rules for it match the host now",
                todo,
            );
            fields::text(SERVERS, "tags", node, findings)
                .filter(|t| !t.written.is_empty())
                .into_iter()
                .collect()
        }
        Value::Scalar(..) | Value::Map(_) => {
            let what = format!("the tags of {alias} must be a list, and are {}", node.kind());
            findings.add(Code::WrongKind, place, what, "it has no tags", "write a list: [one, two]");
            Vec::new()
        }
    };
    let mut tags: Vec<Tag> = Vec::new();
    for text in texts {
        tags.extend(tag(&text, alias, findings).filter(|tag| !tags.contains(tag)));
    }
    if tags.len() > MAX_TAGS_PER_HOST {
        let what = format!("{alias} has more than {MAX_TAGS_PER_HOST} tags");
        findings.add(
            Code::TooManyTags,
            place,
            what,
            format!("the first {MAX_TAGS_PER_HOST} are taken"),
            "remove those that no rule and nobody uses",
        );
        tags.truncate(MAX_TAGS_PER_HOST);
    }
    tags
}

fn tag(text: &Text, alias: &HostAlias, findings: &mut Findings) -> Option<Tag> {
    let error = match Tag::new(&text.written) {
        Ok(tag) => return Some(tag),
        Err(error) => error,
    };
    let suggested = name::suggest(&text.written, "tag", &mut Taken::default());
    findings.add(
        Code::UnusableTag,
        Place { file: SERVERS, line: text.line },
        format!("the tag {} of {alias} is {error}", Shown(&text.written)),
        format!("it is called {suggested}; rules that name it as it was do not match it"),
        format!("call it {suggested}, also in the rules that name it"),
    );
    Tag::new(&suggested).ok()
}

fn description(fields: &Fields<'_>, alias: &HostAlias, findings: &mut Findings) -> String {
    let Some(text) = fields.text("description", findings) else { return String::new() };
    let lines: Vec<&str> =
        text.written.split(char::is_control).map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut line = lines.join(" ");
    line.truncate(line.floor_char_boundary(MAX_NOTE_BYTES));
    if line != text.written.trim() {
        findings.add(
            Code::DescriptionCut,
            Place { file: SERVERS, line: text.line },
            format!("the description of {alias} is more than one line of {MAX_NOTE_BYTES} bytes"),
            "it is made one line, and cut",
            "",
        );
    }
    line.trim_end().to_owned()
}

/// What a name may be long at most, and what its tools took, are the same.
const _: () = assert!(MAX_OLD_ALIAS == MAX_NAME_BYTES);
