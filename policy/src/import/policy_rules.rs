//! `rules` of a `policy.yml`, in both dialects.

use super::{
    Findings,
    policy::failed,
    policy_yaml::{Node, get},
};
use crate::{imported::Dialect, set::PolicyErrors};

const KNOWN: [&str; 4] = ["action", "aliases", "tags", "commands"];
const KNOWN_WORDS: [&str; 6] =
    ["simple_binaries", "simple_max_args", "binary", "arg_prefix", "path_args", "allow_extra_args"];
/// Keys that people write for themselves.
const NOTES: [&str; 4] = ["id", "name", "description", "comment"];

/// A map.
pub(crate) type Map = [(String, Node)];

/// Places of words, and globs for them.
type Paths = (Vec<i64>, Vec<String>);

/// A rule as it will be written.
#[derive(Debug, Clone)]
pub(crate) struct RuleDraft {
    pub(crate) id: String,
    pub(crate) allow: bool,
    pub(crate) aliases: Option<Vec<String>>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) commands: Vec<String>,
    pub(crate) words: Option<WordsDraft>,
}

/// What a rule of the first-match dialect is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct WordsDraft {
    pub(crate) simple: Vec<String>,
    pub(crate) simple_max: Option<i64>,
    pub(crate) binary: Option<String>,
    pub(crate) prefix: Vec<String>,
    pub(crate) paths: Option<Paths>,
    pub(crate) extra: bool,
}

/// Whom a rule is for.
enum Hosts {
    All,
    Some(Vec<String>),
    /// It never matched.
    None,
}

/// The rules as maps; anything else stopped every command.
pub(crate) fn maps(rules: &[Node]) -> Result<Vec<&Map>, PolicyErrors> {
    let rules = rules.iter().enumerate();
    rules
        .map(|(index, rule)| rule.as_map().ok_or_else(|| failed(&format!("rules[{index}]"), rule, "a map")))
        .collect()
}

/// The dialect that the rules are written in.
pub(crate) fn infer(rules: &[&Map]) -> Result<Dialect, PolicyErrors> {
    let globs = rules.iter().any(|rule| get(rule, "commands").is_some());
    let words =
        rules.iter().any(|rule| get(rule, "simple_binaries").is_some() || get(rule, "binary").is_some());
    match (globs, words) {
        (true, true) => Err(PolicyErrors::one(
            None,
            "there are rules with `commands` and rules with `simple_binaries` or `binary`, and nothing in the file says which of them counted: 1.0 read only the first kind and let the last match win, 1.1 and later read only the second and let the first win; say which with `--dialect`",
        )),
        (false, true) => Ok(Dialect::FirstMatch),
        _ => Ok(Dialect::LastMatch),
    }
}

/// Reads the rules in their order; those that never matched are left out.
pub(crate) fn read(
    rules: &[&Map],
    dialect: Dialect,
    findings: &mut Findings,
) -> Result<Vec<RuleDraft>, PolicyErrors> {
    let mut drafts = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let place = format!("rules[{index}]");
        let known: Vec<&str> = [&KNOWN[..], &KNOWN_WORDS, &NOTES].concat();
        findings.unknown_keys(&place, rule, &known);
        drafts.extend(one(index, &place, rule, dialect, findings)?);
    }
    Ok(drafts)
}

fn one(
    index: usize,
    place: &str,
    rule: &Map,
    dialect: Dialect,
    findings: &mut Findings,
) -> Result<Option<RuleDraft>, PolicyErrors> {
    let allow = action(place, rule, findings);
    let aliases = match get(rule, "aliases") {
        Some(Node::Text(text)) => {
            findings.error(
                &format!("{place}.aliases"),
                "it is a text, not a list, and so the rule never matched; write a list. Meanwhile an allow rule is left out and a deny rule is for this alias",
            );
            if allow { Hosts::None } else { Hosts::Some(vec![text.clone()]) }
        }
        node => globs(&format!("{place}.aliases"), node, findings)?,
    };
    let tags = match get(rule, "tags") {
        Some(Node::Text(text)) => {
            findings.error(
                &format!("{place}.tags"),
                "it is a text, not a list, and so the rule was for every host; write a list. Meanwhile an allow rule is for hosts with this tag and a deny rule for every host",
            );
            if allow { Hosts::Some(vec![text.clone()]) } else { Hosts::All }
        }
        node => globs(&format!("{place}.tags"), node, findings)?,
    };
    let mut draft = RuleDraft {
        id: format!("rule-{}", index + 1),
        allow,
        aliases: None,
        tags: None,
        commands: Vec::new(),
        words: None,
    };
    for (hosts, list) in [(aliases, &mut draft.aliases), (tags, &mut draft.tags)] {
        match hosts {
            Hosts::All => {}
            Hosts::Some(globs) => *list = Some(globs),
            Hosts::None => return Ok(None),
        }
    }
    match dialect {
        Dialect::LastMatch => {
            other_style(place, rule, &KNOWN_WORDS, "1.1 and later", findings);
            draft.commands = commands(place, rule, allow, findings)?;
            Ok((!draft.commands.is_empty()).then_some(draft))
        }
        Dialect::FirstMatch => {
            other_style(place, rule, &["commands"], "1.0", findings);
            draft.words = words(place, rule, allow, findings)?;
            Ok(draft.words.is_some().then_some(draft))
        }
    }
}

fn other_style(place: &str, rule: &Map, keys: &[&str], version: &str, findings: &mut Findings) {
    for key in keys.iter().filter(|key| get(rule, key).is_some()) {
        findings.warning(&format!("{place}.{key}"), format!("only {version} read this key; it is left out"));
    }
}

fn action(place: &str, rule: &Map, findings: &mut Findings) -> bool {
    let place = format!("{place}.action");
    match get(rule, "action") {
        Some(Node::Text(text)) if text == "allow" => true,
        Some(Node::Text(text)) if text == "deny" => false,
        Some(other) => {
            findings
                .warning(&place, format!("`{}` is not `allow`, and everything else denied", other.shown()));
            false
        }
        None => {
            findings.warning(&place, "it is missing, and then a rule denied");
            false
        }
    }
}

/// Globs for hosts.
fn globs(place: &str, node: Option<&Node>, findings: &mut Findings) -> Result<Hosts, PolicyErrors> {
    match node {
        None | Some(Node::Null) => Ok(Hosts::All),
        Some(Node::List(list)) if list.is_empty() => Ok(Hosts::All),
        Some(Node::List(list)) => Ok(Hosts::Some(texts(place, list)?)),
        Some(other) => {
            findings.error(place, format!("it is {}, not a list; the rule is left out", other.kind()));
            Ok(Hosts::None)
        }
    }
}

/// A list of texts; another value in it stopped every command.
fn texts(place: &str, list: &[Node]) -> Result<Vec<String>, PolicyErrors> {
    let text = |node: &Node| {
        let text = node.as_text().map(str::to_owned);
        text.ok_or_else(|| failed(place, node, "a text, in quotes where YAML reads it otherwise"))
    };
    list.iter().map(text).collect()
}

fn commands(
    place: &str,
    rule: &Map,
    allow: bool,
    findings: &mut Findings,
) -> Result<Vec<String>, PolicyErrors> {
    let place = format!("{place}.commands");
    let list = match get(rule, "commands") {
        Some(Node::List(list)) if !list.is_empty() => texts(&place, list)?,
        Some(Node::Text(text)) if !allow => {
            findings.warning(
                &place,
                "it is a text, not a list, and never matched; this deny rule is kept as if it were a list",
            );
            vec![text.clone()]
        }
        _ => {
            findings
                .warning(&place, "it is no list with globs, so the rule never matched; the rule is left out");
            return Ok(Vec::new());
        }
    };
    for (index, glob) in list.iter().enumerate().filter(|_| allow) {
        let place = format!("{place}[{index}]");
        if glob.trim_end().ends_with('*') {
            findings.warning(
                &place,
                format!("`{glob}` leaves the arguments free: it allows every option of the program"),
            );
        }
        let joined = ["|", ";", "&&"].iter().any(|joiner| glob.contains(joiner));
        if joined && !glob.contains(['\'', '"']) {
            findings.warning(&place, format!("`{glob}` has a joiner and never matched: each command of a line is judged on its own; allow them one by one"));
        }
    }
    Ok(list)
}

fn words(
    place: &str,
    rule: &Map,
    allow: bool,
    findings: &mut Findings,
) -> Result<Option<WordsDraft>, PolicyErrors> {
    let mut words = WordsDraft { extra: true, ..WordsDraft::default() };
    simple(place, rule, &mut words, findings)?;
    let Some(binary) = get(rule, "binary").filter(|node| **node != Node::Null) else {
        if words.simple.is_empty() {
            findings.warning(
                place,
                "it has neither `simple_binaries` nor `binary`, so it never matched; it is left out",
            );
            return Ok(None);
        }
        return Ok(Some(words));
    };
    let program = binary.shown();
    slash(&format!("{place}.binary"), &program, findings);
    let readable = prefix(place, rule, allow, &mut words, findings);
    words.paths = paths(place, rule, findings)?;
    words.extra = match get(rule, "allow_extra_args") {
        Some(Node::Bool(extra)) => *extra,
        None => {
            findings.warning(
                &format!("{place}.allow_extra_args"),
                "it is missing, and then more arguments are free",
            );
            true
        }
        Some(other) => {
            findings.warning(
                &format!("{place}.allow_extra_args"),
                format!("`{}` is no yes or no", other.shown()),
            );
            !matches!(other, Node::Null | Node::Int(0))
        }
    };
    if words.prefix.is_empty() && words.paths.is_none() || !readable {
        findings.warning(
            &format!("{place}.binary"),
            "the program alone never matched, without `arg_prefix` or `path_args`; it is left out",
        );
        (words.prefix, words.paths, words.extra) = (Vec::new(), None, true);
    } else {
        words.binary = Some(program);
    }
    Ok((words.binary.is_some() || !words.simple.is_empty()).then_some(words))
}

fn simple(
    place: &str,
    rule: &Map,
    words: &mut WordsDraft,
    findings: &mut Findings,
) -> Result<(), PolicyErrors> {
    let Some(list) = get(rule, "simple_binaries").and_then(Node::as_list).filter(|list| !list.is_empty())
    else {
        return Ok(());
    };
    let list_place = format!("{place}.simple_binaries");
    words.simple = texts(&list_place, list)?;
    for program in &words.simple {
        slash(&list_place, program, findings);
    }
    match get(rule, "simple_max_args") {
        Some(Node::Int(max)) => words.simple_max = Some((*max).max(0)),
        _ => findings.warning(
            &format!("{place}.simple_max_args"),
            "it is missing or not a number, so these programs take any number of arguments",
        ),
    }
    Ok(())
}

fn slash(place: &str, program: &str, findings: &mut Findings) {
    if program.contains('/') {
        findings.warning(
            place,
            format!("`{program}` has a `/` and never matched: programs had to be bare names"),
        );
    }
}

/// Whether the prefix could ever match. Numbers never did; a deny rule is taken to mean them as they are written.
fn prefix(place: &str, rule: &Map, allow: bool, words: &mut WordsDraft, findings: &mut Findings) -> bool {
    let Some(list) = get(rule, "arg_prefix").and_then(Node::as_list) else { return true };
    words.prefix = list.iter().map(Node::shown).collect();
    let all_texts = list.iter().all(|node| node.as_text().is_some());
    if !all_texts {
        let what = if allow { "it is left out" } else { "it is read as text" };
        findings.warning(
            &format!("{place}.arg_prefix"),
            format!("an entry is no text and never matched; put it in quotes. Meanwhile {what}"),
        );
    }
    all_texts || !allow
}

fn paths(place: &str, rule: &Map, findings: &mut Findings) -> Result<Option<Paths>, PolicyErrors> {
    let Some(map) = get(rule, "path_args").and_then(Node::as_map) else { return Ok(None) };
    let place = format!("{place}.path_args");
    findings.unknown_keys(&place, map, &["indices", "patterns"]);
    let list = |key: &str| get(map, key).and_then(Node::as_list).filter(|list| !list.is_empty());
    let (Some(places), Some(patterns)) = (list("indices"), list("patterns")) else { return Ok(None) };
    let mut indices = Vec::new();
    for node in places {
        let Node::Int(index) = node else {
            return Err(failed(&format!("{place}.indices"), node, "a whole number"));
        };
        if *index < 0 {
            findings.warning(
                &format!("{place}.indices"),
                format!("{index} counts from the end, and so depends on how many words there are"),
            );
        }
        indices.push(*index);
    }
    let patterns = texts(&format!("{place}.patterns"), patterns)?;
    for pattern in patterns.iter().filter(|pattern| pattern.contains('*')) {
        findings.warning(
            &format!("{place}.patterns"),
            format!("the `*` of `{pattern}` crosses `/`: it matches whatever is under that directory; `..` out of it is refused"),
        );
    }
    Ok(Some((indices, patterns)))
}
