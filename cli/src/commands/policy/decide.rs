//! `lictor policy decide`: many commands at once, a line of JSON in for each and a line of JSON out.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use lictor_core::{
    clock::Timestamp,
    context::Context,
    job::CommandInput,
    label::Labels,
    name::{HostAlias, SiteName, Tag},
    principal::{Principal, Via},
};
use lictor_policy::{
    HostFacts, PolicySet, import, imported, time,
    verdict::{Circumstances, Verdict, judge},
};
use lictor_runtime::exit::Exit;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    circumstances::{now, parse_principal, parse_via},
    source,
};
use crate::{Done, run::in_context::ContextArguments, trouble::Trouble};

/// Longest line of a case: a command of the longest words, each byte escaped, with room for its tags.
const MAX_LINE_BYTES: u64 = 1024 * 1024;
/// Who asks when a case does not say.
const DEFAULT_PRINCIPAL: &str = "service:decide";
/// The site of a case that does not say.
const DEFAULT_SITE: &str = "default";
/// The code of a line that is no case.
const INPUT_CODE: &str = "E_INPUT";

/// Decide many commands by a policy file, a JSON line for each
///
/// A case is {"id", "host", "tags": [...], "command": "..."}, or "argv": [...] in place of "command";
/// also "labels": {...}, "as", "via", "site" and "at". Left out, they are none, service:decide, api,
/// default and now. Other keys are passed over. For each case, in order, a line is printed, whatever --output says:
///
///   {"id": ..., "decision": "allow|approve|deny", "code": "...", "rule": ..., "reason": "..."}
///
/// A line that is no case is denied with E_INPUT, and the next one is read. Ends with 0 when every
/// line was judged, whatever was decided.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The language of the policy; left out: native for a file with `version:`, else told from its rules
    #[arg(long, value_enum, value_name = "DIALECT")]
    dialect: Option<Dialect>,
    /// The cases; `-` for standard input
    #[arg(long, value_name = "FILE")]
    cases: PathBuf,
    #[command(flatten)]
    context: ContextArguments,
}

/// The languages of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// mcp-ssh-orchestrator before 1.1: globs, the last match decides
    V1,
    /// mcp-ssh-orchestrator from 1.1 on: words, the first match decides
    V2,
    /// Lictor's own
    Native,
}

/// A case as it is read; other keys are passed over, because corpora carry labels.
#[derive(Debug, Deserialize)]
struct CaseLine {
    id: Option<Value>,
    host: Option<Value>,
    tags: Option<Value>,
    labels: Option<Value>,
    command: Option<Value>,
    argv: Option<Value>,
    #[serde(rename = "as")]
    principal: Option<Value>,
    via: Option<Value>,
    site: Option<Value>,
    at: Option<Value>,
}

/// An answer.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    id: Option<&'a Value>,
    decision: &'static str,
    code: &'a str,
    rule: Option<String>,
    reason: &'a str,
}

/// Decides.
pub(super) fn run(arguments: &Arguments) -> Done {
    let set = read_policy(&arguments.policy, arguments.dialect)?;
    let given = Given { at: now(), context: arguments.context.clone().into_context()? };
    if arguments.cases == Path::new("-") {
        decide(&set, io::stdin().lock(), &arguments.cases, &given)
    } else {
        let file = File::open(&arguments.cases).map_err(|e| Trouble::file("read", &arguments.cases, &e))?;
        decide(&set, BufReader::new(file), &arguments.cases, &given)
    }
}

/// A policy in the language that is asked for; left open, a file with `version:` is native, and of another one the
/// dialect is told from its rules.
fn read_policy(path: &Path, dialect: Option<Dialect>) -> Result<PolicySet, Trouble> {
    let text = fs::read_to_string(path).map_err(|e| Trouble::file("read", path, &e))?;
    let is_native = text.lines().any(|line| line.starts_with("version:"));
    let dialect = match dialect {
        Some(Dialect::Native) => return source::file(path),
        Some(Dialect::V1 | Dialect::V2) if is_native => {
            return Err(Trouble::usage(
                format!("{} is a native policy: it has a `version:`", path.display()),
                "leave out --dialect, or say --dialect native",
            ));
        }
        Some(Dialect::V1) => Some(imported::Dialect::LastMatch),
        Some(Dialect::V2) => Some(imported::Dialect::FirstMatch),
        None if is_native => return source::file(path),
        None => None,
    };
    let policy = import::policy(&text, dialect).map_err(|errors| {
        Trouble::usage(
            format!("{} cannot be taken over:\n{errors}", path.display()),
            "correct it, or say in which language it is: --dialect",
        )
    })?;
    Ok(policy.set().clone())
}

/// Reads cases to the end and answers each as it comes.
fn decide(set: &PolicySet, mut cases: impl BufRead, path: &Path, given: &Given) -> Done {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    loop {
        let whole = next_line(&mut cases, &mut line).map_err(|e| Trouble::file("read", path, &e))?;
        match whole {
            Line::End => break,
            Line::Blank => continue,
            Line::TooLong => write_answer(&mut out, None, &too_long())?,
            Line::Whole => answer(set, &line, given, &mut out)?,
        }
    }
    out.flush()?;
    Ok(Exit::Ok.into())
}

/// What stands in the next line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Whole,
    Blank,
    TooLong,
    End,
}

fn next_line(cases: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    cases.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', line)?;
    if line.is_empty() {
        return Ok(Line::End);
    }
    if line.last() != Some(&b'\n') && u64::try_from(line.len()).unwrap_or(u64::MAX) >= MAX_LINE_BYTES {
        skip_line(cases)?;
        return Ok(Line::TooLong);
    }
    let is_blank = line.iter().all(u8::is_ascii_whitespace);
    Ok(if is_blank { Line::Blank } else { Line::Whole })
}

/// Passes over the rest of a line without keeping it.
fn skip_line(cases: &mut impl BufRead) -> io::Result<()> {
    loop {
        let ready = cases.fill_buf()?;
        let end = ready.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(ready.len(), |at| at + 1);
        let is_last = end.is_some() || ready.is_empty();
        cases.consume(length);
        if is_last {
            return Ok(());
        }
    }
}

fn too_long() -> Outcome {
    Outcome::Wrong(format!("the line is longer than {MAX_LINE_BYTES} bytes"))
}

/// What holds for every case that does not say otherwise.
#[derive(Debug, Default)]
struct Given {
    at: Timestamp,
    context: Context,
}

/// A verdict, or why there is none.
enum Outcome {
    Judged(Verdict),
    Wrong(String),
}

fn answer(set: &PolicySet, line: &[u8], given: &Given, out: &mut impl io::Write) -> io::Result<()> {
    let case: CaseLine = match serde_json::from_slice(line) {
        Ok(case) => case,
        Err(error) => {
            // What has an id keeps it, whatever else is wrong with it.
            let id = serde_json::from_slice::<Value>(line).ok().and_then(|value| value.get("id").cloned());
            let wrong = Outcome::Wrong(format!("the line is no case: {error}"));
            return write_answer(out, id.as_ref().filter(|id| is_id(id)), &wrong);
        }
    };
    let outcome = match case.judge(set, given) {
        Ok(verdict) => Outcome::Judged(verdict),
        Err(why) => Outcome::Wrong(why),
    };
    write_answer(out, case.id.as_ref().filter(|id| is_id(id)), &outcome)
}

/// Texts and numbers; other values name nothing.
fn is_id(id: &Value) -> bool {
    id.is_string() || id.is_number()
}

fn write_answer(out: &mut impl io::Write, id: Option<&Value>, outcome: &Outcome) -> io::Result<()> {
    let answer = match outcome {
        Outcome::Judged(verdict) => Answer {
            id,
            decision: verdict.effect.as_str(),
            code: verdict.code,
            rule: verdict.rule.as_ref().map(ToString::to_string),
            reason: &verdict.reason,
        },
        Outcome::Wrong(why) => Answer { id, decision: "deny", code: INPUT_CODE, rule: None, reason: why },
    };
    serde_json::to_writer(&mut *out, &answer)?;
    out.write_all(b"\n")
}

// === impl CaseLine ===

impl CaseLine {
    fn judge(&self, set: &PolicySet, given: &Given) -> Result<Verdict, String> {
        let command = self.command()?;
        let circumstances = self.circumstances(given)?;
        Ok(judge(set, &command, &circumstances))
    }

    fn command(&self) -> Result<CommandInput, String> {
        match (&self.command, &self.argv) {
            (Some(command), None) => Ok(CommandInput::Line(text("command", command)?.to_owned())),
            (None, Some(argv)) => Ok(CommandInput::Argv(texts("argv", argv)?)),
            _ => Err("a case has `command` or `argv`, and not both".into()),
        }
    }

    fn circumstances(&self, given: &Given) -> Result<Circumstances, String> {
        let host = self.host.as_ref().ok_or("a case has a `host`")?;
        let named = |key: &str, e: &dyn std::fmt::Display| format!("`{key}`: {e}");
        let principal: Principal = match &self.principal {
            Some(principal) => parse_principal(text("as", principal)?)?,
            None => parse_principal(DEFAULT_PRINCIPAL)?,
        };
        let via = match &self.via {
            Some(via) => parse_via(text("via", via)?).map_err(|e| named("via", &e))?,
            None => Via::Api,
        };
        let site = match &self.site {
            Some(site) => text("site", site)?,
            None => DEFAULT_SITE,
        };
        let at = match &self.at {
            Some(at) => time::rfc3339(text("at", at)?)?,
            None => given.at,
        };
        let tags = self.tags.as_ref().map(|tags| texts("tags", tags)).transpose()?.unwrap_or_default();
        let tag = |tag: &String| Tag::new(tag).map_err(|e| named("tags", &format!("`{tag}` is {e}")));
        let host = HostFacts {
            alias: HostAlias::new(text("host", host)?).map_err(|e| named("host", &e))?,
            site: SiteName::new(site).map_err(|e| named("site", &e))?,
            tags: tags.iter().map(tag).collect::<Result<_, _>>()?,
            labels: self.labels.as_ref().map(labels).transpose()?.unwrap_or_default(),
        };
        Ok(Circumstances { principal, via, host, context: given.context.clone(), at })
    }
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("`{key}` is not a text"))
}

/// The labels of a host; a list or a text under that key is what a corpus says of the case.
fn labels(value: &Value) -> Result<Labels, String> {
    let Some(pairs) = value.as_object() else { return Ok(Labels::default()) };
    let texts = pairs.iter().map(|(key, value)| Some((key, value.as_str()?))).collect::<Option<Vec<_>>>();
    let texts = texts.ok_or("`labels` has a value that is not a text")?;
    Labels::new(texts).map_err(|e| format!("`labels`: {e}"))
}

fn texts(key: &str, value: &Value) -> Result<Vec<String>, String> {
    let list = value.as_array().map(|list| list.iter().map(|item| item.as_str().map(str::to_owned)));
    list.and_then(Iterator::collect).ok_or_else(|| format!("`{key}` is not a list of texts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(input: &str) -> Vec<Value> {
        let set = PolicySet::parse(
            "version: 1\ngroups: {g: {users: [x]}}\nrules:\n  - {id: web, effect: allow, where: {tags: [web]}, commands: [uptime, \"echo <any>\"]}\n  - {id: ask, effect: approve, where: all, commands: [date], approve: {approvals: 1, group: g, within: 1h}}\n",
        )
        .unwrap();
        let mut out = Vec::new();
        for line in input.lines() {
            answer(&set, line.as_bytes(), &Given::default(), &mut out).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn each_line_is_answered_in_order_with_its_own_id() {
        let told: Vec<String> = answers(
            r#"{"id":"a","host":"h","tags":["web"],"command":"uptime","label":"benign"}
{"id":7,"host":"h","tags":["web"],"argv":["echo","a; b"]}
{"id":12345678901234567890,"host":"h","command":"date"}
{"id":"d","host":"h","tags":["db"],"command":"uptime"}
{"id":"e","host":"h","tags":["web"],"command":"uptime; `id`"}"#,
        )
        .iter()
        .map(|a| format!("{} {} {} {}", a["id"], a["decision"], a["code"], a["rule"]))
        .collect();
        assert_eq!(
            told,
            [
                r#""a" "allow" "POLICY_ALLOWED" "web""#,
                r#"7 "allow" "POLICY_ALLOWED" "web""#,
                r#"12345678901234567890 "approve" "POLICY_APPROVAL_REQUIRED" "ask""#,
                r#""d" "deny" "POLICY_DEFAULT_DENY" null"#,
                r#""e" "deny" "E_EXPANSION" null"#,
            ]
        );
    }

    #[test]
    fn a_line_that_is_no_case_is_denied_with_a_reason_and_keeps_its_id() {
        for (line, id, because) in [
            ("rubbish", Value::Null, "no case"),
            ("[]", Value::Null, "no case"),
            (r#"{"id":"x","host":"h","command":"a","command":"b"}"#, "x".into(), "duplicate"),
            (r#"{"id":"x","host":"h"}"#, "x".into(), "`command` or `argv`"),
            (r#"{"id":"x","command":"uptime"}"#, "x".into(), "host"),
            (r#"{"id":"x","host":"-h","command":"uptime"}"#, "x".into(), "host"),
            (r#"{"id":"x","host":"h","tags":["a b"],"command":"uptime"}"#, "x".into(), "tags"),
            (r#"{"id":"x","host":"h","tags":"web","command":"uptime"}"#, "x".into(), "tags"),
            (r#"{"id":"x","host":"h","command":7}"#, "x".into(), "command"),
            (r#"{"id":{"a":1},"host":"h","argv":[7]}"#, Value::Null, "argv"),
            (r#"{"id":"x","host":"h","command":"uptime","as":"me"}"#, "x".into(), "user:NAME"),
            (r#"{"id":"x","host":"h","command":"uptime","at":"now"}"#, "x".into(), "moment"),
        ] {
            let all = answers(line);
            assert_eq!(all.len(), 1, "{line}");
            assert_eq!(all[0]["decision"], "deny", "{line}");
            assert_eq!(all[0]["code"], INPUT_CODE, "{line}");
            assert_eq!(all[0]["id"], id, "{line}");
            assert!(all[0]["reason"].as_str().unwrap().contains(because), "{line}: {}", all[0]["reason"]);
        }
    }

    #[test]
    fn a_native_policy_is_not_read_as_one_of_another_system() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yml");
        fs::write(&path, "version: 1\nrules: []\n").unwrap();
        for dialect in [Dialect::V1, Dialect::V2] {
            let trouble = read_policy(&path, Some(dialect)).unwrap_err();
            assert_eq!(trouble.exit(), Exit::Usage);
            assert!(trouble.to_string().contains("is a native policy"), "{trouble}");
        }
        for dialect in [None, Some(Dialect::Native)] {
            assert!(read_policy(&path, dialect).is_ok());
        }
    }

    #[test]
    fn a_line_without_end_is_passed_over_in_bounded_memory() {
        let long = "x".repeat(usize::try_from(MAX_LINE_BYTES).unwrap() + 10);
        let text = format!("{long}\n\nshort\nlast");
        let mut cases = BufReader::new(text.as_bytes());
        let mut line = Vec::new();
        let mut next = || next_line(&mut cases, &mut line).unwrap();
        assert_eq!(
            [next(), next(), next(), next(), next()],
            [Line::TooLong, Line::Blank, Line::Whole, Line::Whole, Line::End]
        );
    }
}
