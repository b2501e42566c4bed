//! Cases: what a policy is expected to decide, in a file beside it.
//!
//! ```yaml
//! - name: the pipeline may restart the web server
//!   as: service:ci
//!   via: api                      # cli when left out
//!   host: web-1
//!   site: eu                      # "default" when left out
//!   tags: [web]
//!   labels: { env: prod }
//!   at: "2026-01-05T10:00:00Z"    # needed when the policy has windows or freezes
//!   run_as: deploy                # optional, as environment: {NAME: value} and working_directory
//!   command: systemctl restart nginx    # or argv: [systemctl, restart, nginx]
//!   expect: allow                 # allow, approve or deny
//!   rule: restart-web             # optional: the rule that decides
//!   code: POLICY_ALLOWED          # optional: the code, also E_… of a refusal
//! ```

use std::collections::BTreeMap;

use lictor_core::{
    clock::Timestamp,
    content::Content,
    context::{Context, Environment, InvalidContext},
    digest::Digest,
    job::CommandInput,
    label::Labels,
    name::{HostAlias, SiteName, Tag, TenantName},
    principal::Via,
};
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::{
    decision::{DecisionCode, Effect},
    explain::{Explanation, explain},
    refusal::RefusalCode,
    request::HostFacts,
    set::{self, PolicyError, PolicyErrors, PolicySet},
    time,
    verdict::{self, Circumstances, Verdict, judge},
};

/// Most cases in one file: more than anybody reads, and still judged in a second.
pub const MAX_CASES: usize = 10_000;
/// The site of a case that does not name one.
pub const DEFAULT_SITE: &str = "default";
/// The tenant of cases: no rule asks for it.
const TENANT: &str = "default";

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The line of the file at which it begins.
    pub line: Option<u64>,
    /// What it is about.
    pub name: Option<String>,
    /// The command as it is written.
    pub command: CommandInput,
    /// Who asks, where and when; without a moment in the file, at the start of time.
    pub circumstances: Circumstances,
    /// Whether the file says when.
    pub has_moment: bool,
    /// What must be decided.
    pub expect: Effect,
    /// The rule that must decide.
    pub rule: Option<String>,
    /// The code that must be given.
    pub code: Option<String>,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// What was decided.
    pub verdict: Verdict,
    /// In what that is not what was expected; empty when it is.
    pub problems: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    name: Option<String>,
    #[serde(rename = "as")]
    principal: String,
    via: Option<String>,
    host: String,
    site: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    at: Option<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    working_directory: Option<String>,
    run_as: Option<String>,
    stdin_bytes: Option<u64>,
    command: Option<String>,
    argv: Option<Vec<String>>,
    expect: String,
    rule: Option<String>,
    code: Option<String>,
}

/// Reads a file of cases, as strictly as a policy.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(yaml: &str) -> Result<Vec<Case>, PolicyErrors> {
    let files: Vec<Spanned<CaseFile>> = set::read_strictly(yaml)?;
    if files.len() > MAX_CASES {
        return Err(PolicyErrors::one(
            None,
            format!("there are more than {MAX_CASES} cases; split the file"),
        ));
    }
    if files.is_empty() {
        return Err(PolicyErrors::one(None, "there is no case in it"));
    }
    let (mut cases, mut problems) = (Vec::new(), Vec::new());
    for spanned in files {
        let line = Some(spanned.referenced.line()).filter(|line| *line > 0);
        match case(line, spanned.value) {
            Ok(case) => cases.push(case),
            Err(message) => problems.push(PolicyError { line, rule: None, message }),
        }
    }
    PolicyErrors::unless_empty(problems).map(|()| cases)
}

/// Judges every case, in order.
///
/// # Errors
/// Cases that do not say when, although the policy depends on it.
pub fn run(set: &PolicySet, cases: &[Case]) -> Result<Vec<CaseResult>, PolicyErrors> {
    if set.depends_on_time() {
        let vague = cases.iter().filter(|case| !case.has_moment).map(|case| PolicyError {
            line: case.line,
            rule: None,
            message: "the policy has windows or freezes; say when: at: \"2026-01-05T10:00:00Z\"".into(),
        });
        PolicyErrors::unless_empty(vague.collect())?;
    }
    Ok(cases.iter().map(|case| case.judge(set)).collect())
}

fn case(line: Option<u64>, file: CaseFile) -> Result<Case, String> {
    let tenant = TenantName::new(TENANT).map_err(|e| e.to_string())?;
    let named = |what: &str, text: &str, e: &dyn std::fmt::Display| format!("`{what}` has `{text}`: {e}");
    let alias = HostAlias::new(&file.host).map_err(|e| named("host", &file.host, &e))?;
    let site = file.site.as_deref().unwrap_or(DEFAULT_SITE);
    let site = SiteName::new(site).map_err(|e| named("site", site, &e))?;
    let tag = |text: &String| Tag::new(text).map_err(|e| named("tags", text, &e));
    let tags = file.tags.iter().map(tag).collect::<Result<_, _>>()?;
    let labels = Labels::new(&file.labels).map_err(|e| format!("`labels`: {e}"))?;
    let via = file.via.as_deref().unwrap_or(Via::Cli.as_str());
    let via = Via::parse(via).ok_or_else(|| format!("`via` has `{via}`; there are cli, mcp and api"))?;
    let moment = file.at.as_deref().map(time::rfc3339).transpose()?;
    let circumstances = Circumstances {
        principal: verdict::principal(&tenant, &file.principal)?,
        via,
        host: HostFacts { alias, site, tags, labels },
        context: context(&file)?,
        at: moment.unwrap_or(Timestamp::default()),
    };
    let command = match (file.command, file.argv) {
        (Some(line), None) => CommandInput::Line(line),
        (None, Some(words)) => CommandInput::Argv(words),
        _ => return Err("it needs `command` or `argv`, and not both".into()),
    };
    let effects = [Effect::Allow, Effect::Approve, Effect::Deny];
    let expect = effects.into_iter().find(|effect| effect.as_str() == file.expect);
    let expect =
        expect.ok_or_else(|| format!("`expect` has `{}`; there are allow, approve and deny", file.expect))?;
    if let Some(code) = file.code.as_deref().filter(|code| !is_code(code)) {
        return Err(format!("`code` has `{code}`, which no decision and no refusal has"));
    }
    Ok(Case {
        line,
        name: file.name,
        command,
        circumstances,
        has_moment: moment.is_some(),
        expect,
        rule: file.rule,
        code: file.code,
    })
}

fn context(file: &CaseFile) -> Result<Context, String> {
    let named = |key: &str, why: InvalidContext| format!("`{key}`: {why}");
    let directory = file.working_directory.as_deref().map(str::parse).transpose();
    let login = file.run_as.as_deref().map(str::parse).transpose();
    Ok(Context {
        environment: Environment::from_pairs(&file.environment).map_err(|why| named("environment", why))?,
        working_directory: directory.map_err(|why| named("working_directory", why))?,
        run_as: login.map_err(|why| named("run_as", why))?,
        stdin: file.stdin_bytes.map(some_content).transpose()?,
    })
}

/// Of standard input only its length is judged.
fn some_content(bytes: u64) -> Result<Content, String> {
    Content::new(Digest::of(b""), bytes).map_err(|why| format!("`stdin_bytes`: {why}"))
}

fn is_code(code: &str) -> bool {
    DecisionCode::ALL.iter().any(|known| known.as_str() == code)
        || RefusalCode::ALL.iter().any(|known| known.as_str() == code)
}

// === impl Case ===

impl Case {
    /// Judges it.
    pub fn judge(&self, set: &PolicySet) -> CaseResult {
        let verdict = judge(set, &self.command, &self.circumstances);
        let mut problems = Vec::new();
        if verdict.effect != self.expect {
            problems.push(format!("expected {}, but it is {}", self.expect, decided(verdict.effect)));
        }
        if let Some(code) = self.code.as_deref().filter(|code| *code != verdict.code) {
            problems.push(format!("expected {code}, but it is {}", verdict.code));
        }
        let rule = verdict.rule.as_ref().map(ToString::to_string);
        if let Some(expected) = self.rule.as_ref().filter(|expected| rule.as_ref() != Some(*expected)) {
            let found = rule.map_or_else(|| "no rule does".into(), |rule| format!("rule `{rule}` does"));
            problems.push(format!("expected rule `{expected}` to decide, but {found}"));
        }
        CaseResult { verdict, problems }
    }

    /// Why it is decided as it is; `None` when it is refused before any rule is asked.
    pub fn explain(&self, set: &PolicySet) -> Option<Explanation> {
        let command = set.parse_command(&self.command).ok()?;
        Some(explain(set, &self.circumstances.request(&command)))
    }

    /// The command in one line, as it is written.
    pub fn text(&self) -> String {
        match &self.command {
            CommandInput::Line(line) => line.clone(),
            CommandInput::Argv(words) => format!("{words:?}"),
        }
    }
}

const fn decided(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allowed",
        Effect::Approve => "allowed with consent",
        Effect::Deny => "denied",
    }
}
