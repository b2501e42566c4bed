//! What was asked for in the past, as the audit log has it: from a running controller or an exported log.
//!
//! A permitted job is one record, and each of its hosts another; a refused request is one record for all of its hosts.
//! Records say neither tags nor requested limits: tags are those that hosts have now.

mod fleet;
mod in_context;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    path::PathBuf,
};

use clap::Args;
use lictor_core::{
    clock::Timestamp,
    context::Context as JobContext,
    job::CommandInput,
    label::Labels,
    name::{HostAlias, SiteName, TenantName},
    principal::{Principal, Via},
};
use lictor_policy::{
    Effect, HostFacts,
    simulate::{Past, PastDecision},
    time,
    verdict::{self, Circumstances},
};
use lictor_runtime::human::HumanDuration;
use lictor_store::record::Missing;
use serde_json::Value;

use self::fleet::{Fleet, UNKNOWN_SITE};
use super::circumstances::now;
use crate::{
    audit::{bundle, payloads},
    context::Context,
    trouble::Trouble,
};

/// Most jobs that are remembered until their hosts come: those follow in the same commit, so that a few would do.
const MAX_JOBS: usize = 10_000;
/// Most hosts without known tags that are named.
const MAX_UNKNOWN_HOSTS: usize = 20;
/// How a refusal by a rule begins; other codes (of quotas, say) are not about rules.
const DECIDED: [&str; 2] = ["POLICY_", "E_"];

/// Which part of the past.
#[derive(Debug, Args)]
pub(super) struct PastArguments {
    /// An exported log (lictor audit export); left out: the log of the controller
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Only what was asked for since then: a time ago, e.g. 7d, or a moment, e.g. 2026-12-24T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Timestamp>,
    /// Tags of hosts, as in a site's hosts.yml; left out: those that the controller knows now
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,
}

/// What of the past was read.
#[derive(Debug, Default)]
pub(super) struct Extent {
    /// Records of the log.
    pub(super) records: u64,
    /// Where the records are from.
    pub(super) log: String,
    /// Where the tags of hosts are from.
    pub(super) tags: String,
    /// The first and the last moment of a request.
    pub(super) times: Option<(Timestamp, Timestamp)>,
    /// Hosts of which no tags are known.
    pub(super) unknown_hosts: BTreeSet<String>,
    /// Requests that were refused for another reason than a rule's.
    pub(super) other_refusals: u64,
}

/// Records on their way into requests.
#[derive(Debug)]
struct Reader {
    fleet: Fleet,
    since: Option<Timestamp>,
    extent: Extent,
    jobs: HashMap<String, Asked>,
    order: VecDeque<String>,
    /// Invocations that were permitted, so that what became of them later is no decision.
    intended: HashSet<String>,
}

/// What a record says of a request.
#[derive(Debug, Clone)]
struct Asked {
    principal: Principal,
    via: Via,
    command: String,
    context: JobContext,
    cut: bool,
    at: Timestamp,
}

fn parse_since(text: &str) -> Result<Timestamp, String> {
    match text.parse::<HumanDuration>() {
        Ok(ago) => Ok(now().minus(ago.get())),
        Err(_) => {
            time::rfc3339(text).map_err(|_| format!("`{text}` is neither a time ago, like 7d, nor a moment"))
        }
    }
}

/// Gives every request of the past to `take`.
pub(super) async fn each(
    arguments: &PastArguments,
    context: &Context,
    mut take: impl FnMut(Past),
) -> Result<Extent, Trouble> {
    let (fleet, tags) = match &arguments.hosts {
        Some(path) => (Fleet::of_file(path)?, path.display().to_string()),
        None if arguments.bundle.is_none() => {
            (Fleet::of_controller(context).await?, "the controller, now".to_owned())
        }
        None => match Fleet::of_controller(context).await {
            Ok(fleet) => (fleet, "the controller, now".to_owned()),
            Err(_) => (Fleet::default(), "nowhere: no --hosts, and no controller to ask".to_owned()),
        },
    };
    let mut reader = Reader::new(fleet, arguments.since);
    match &arguments.bundle {
        Some(path) => {
            reader.extent.log = format!("{} (not verified: lictor audit verify)", path.display());
            bundle::each_record(path, |_, _, content| reader.push(content, &mut take))?;
        }
        None => {
            let connected = context.connect()?;
            reader.extent.log = connected.settings.controller.clone();
            let mut export = connected.operator.export_audit(0, None).await?;
            while let Some(record) = export.next().await? {
                reader.push(&payloads::read(&record), &mut take);
            }
        }
    }
    reader.extent.tags = tags;
    Ok(reader.extent)
}

// === impl Reader ===

impl Reader {
    fn new(fleet: Fleet, since: Option<Timestamp>) -> Self {
        Self {
            fleet,
            since,
            extent: Extent::default(),
            jobs: HashMap::new(),
            order: VecDeque::new(),
            intended: HashSet::new(),
        }
    }

    /// Takes a record. What is no record of a request, or not of a form that this program knows, is passed over.
    fn push(&mut self, content: &[u8], take: &mut impl FnMut(Past)) {
        self.extent.records += 1;
        let Ok(record) = serde_json::from_slice::<Value>(content) else { return };
        match record.get("kind").and_then(Value::as_str) {
            Some("job_submitted") => self.submitted(&record),
            Some("invocation_intended") => {
                self.intended.extend(text(&record, "invocation").map(str::to_owned));
                let decided = PastDecision {
                    effect: Effect::Allow,
                    code: "POLICY_ALLOWED".into(),
                    rule: text(&record, "rule").map(str::to_owned),
                };
                self.of_job(&record, decided, take);
            }
            Some("invocation_ended") => self.ended(&record, take),
            Some("request_denied") => self.denied(&record, take),
            _ => {}
        }
    }

    fn submitted(&mut self, record: &Value) {
        let (Some(job), Some(asked)) = (text(record, "job"), Asked::of(record)) else { return };
        if self.order.len() >= MAX_JOBS
            && let Some(oldest) = self.order.pop_front()
        {
            self.jobs.remove(&oldest);
        }
        self.order.push_back(job.to_owned());
        self.jobs.insert(job.to_owned(), asked);
    }

    /// One host of a job.
    fn of_job(&mut self, record: &Value, decided: PastDecision, take: &mut impl FnMut(Past)) {
        let asked = text(record, "job").and_then(|job| self.jobs.get(job)).cloned();
        let alias = text(record, "host").and_then(|host| HostAlias::new(host).ok());
        let site = text(record, "site").and_then(|site| SiteName::new(site).ok());
        if let (Some(asked), Some(alias)) = (asked, alias) {
            self.give(&asked, &alias, site, decided, take);
        }
    }

    /// A host that was denied in a job that was permitted on others ends without ever having been intended.
    fn ended(&mut self, record: &Value, take: &mut impl FnMut(Past)) {
        let was_intended = text(record, "invocation").is_some_and(|id| self.intended.remove(id));
        if was_intended || text(record, "outcome") != Some("DENIED") {
            return;
        }
        let detail = text(record, "detail").unwrap_or_default();
        let code =
            detail.strip_prefix("DENIED (").and_then(|rest| rest.split(')').next()).unwrap_or_default();
        if is_decision(code) {
            let decided = PastDecision { effect: Effect::Deny, code: code.to_owned(), rule: None };
            self.of_job(record, decided, take);
        }
    }

    fn denied(&mut self, record: &Value, take: &mut impl FnMut(Past)) {
        let Some(asked) = Asked::of(record) else { return };
        let code = text(record, "code").unwrap_or_default();
        if !is_decision(code) {
            self.extent.other_refusals += 1;
            return;
        }
        let rule = text(record, "rule").map(str::to_owned);
        let decided = PastDecision { effect: Effect::Deny, code: code.to_owned(), rule };
        let hosts = match record.get("target") {
            Some(Value::String(target)) => self.fleet.meant_by(target),
            Some(Value::Array(hosts)) => {
                hosts.iter().filter_map(Value::as_str).filter_map(|host| HostAlias::new(host).ok()).collect()
            }
            _ => Vec::new(),
        };
        for host in hosts {
            self.give(&asked, &host, None, decided.clone(), take);
        }
    }

    fn give(
        &mut self,
        asked: &Asked,
        alias: &HostAlias,
        site: Option<SiteName>,
        decided: PastDecision,
        take: &mut impl FnMut(Past),
    ) {
        if self.since.is_some_and(|since| asked.at < since) {
            return;
        }
        let Some(host) = self.fleet.facts(alias, site.clone()).or_else(|| self.unknown(alias, site)) else {
            return;
        };
        let (first, last) = self.extent.times.unwrap_or((asked.at, asked.at));
        self.extent.times = Some((first.min(asked.at), last.max(asked.at)));
        take(Past {
            command: CommandInput::Line(asked.command.clone()),
            cut: asked.cut,
            circumstances: Circumstances {
                principal: asked.principal.clone(),
                via: asked.via,
                host,
                context: asked.context.clone(),
                at: asked.at,
            },
            decided,
        });
    }

    fn unknown(&mut self, alias: &HostAlias, site: Option<SiteName>) -> Option<HostFacts> {
        if self.extent.unknown_hosts.len() < MAX_UNKNOWN_HOSTS {
            self.extent.unknown_hosts.insert(alias.to_string());
        }
        let site = site.or_else(|| SiteName::new(UNKNOWN_SITE).ok())?;
        Some(HostFacts { alias: alias.clone(), site, tags: Vec::new(), labels: Labels::default() })
    }
}

// === impl Asked ===

/// Refused texts are recorded up to this many characters.
const MAX_RECORDED_CHARS: usize = 1_024;

impl Asked {
    fn of(record: &Value) -> Option<Self> {
        let tenant = TenantName::new(text(record, "tenant")?).ok()?;
        let (command, cut) = match record.get("command")? {
            Value::String(command) => {
                let is_refusal = record.get("code").is_some();
                let is_gone = [Missing::Erased, Missing::LeftOut].iter().any(|why| why.as_str() == command);
                (command.clone(), is_gone || is_refusal && command.chars().count() >= MAX_RECORDED_CHARS)
            }
            Value::Object(cut) => {
                (cut.get("cut").and_then(Value::as_str).unwrap_or_default().to_owned(), true)
            }
            _ => return None,
        };
        // What was cut, or is not understood, cannot be judged again.
        let (context, cut) =
            in_context::of(record).map_or_else(|| (JobContext::default(), true), |context| (context, cut));
        Some(Self {
            principal: verdict::principal(&tenant, text(record, "principal")?).ok()?,
            via: Via::parse(text(record, "via")?)?,
            command,
            context,
            cut,
            at: time::rfc3339(text(record, "at")?).ok()?,
        })
    }
}

fn is_decision(code: &str) -> bool {
    DECIDED.iter().any(|prefix| code.starts_with(prefix))
}

fn text<'a>(record: &'a Value, name: &str) -> Option<&'a str> {
    record.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use lictor_core::name::Tag;

    use super::*;

    fn read(fleet: Fleet, since: Option<Timestamp>, records: &[&str]) -> (Vec<Past>, Extent) {
        let mut reader = Reader::new(fleet, since);
        let mut all = Vec::new();
        for record in records {
            reader.push(record.as_bytes(), &mut |past| all.push(past));
        }
        (all, reader.extent)
    }

    const JOB: &str = r#"{"v":1,"at":"2026-11-22T12:00:00.000000Z","kind":"job_submitted","job":"j1","principal":"user:ada","tenant":"default","via":"cli","client":"x","target":["web-1","db-1"],"command":"uptime","policy_version":1}"#;
    const INTENDED: &str = r#"{"v":1,"at":"2026-11-22T12:00:00.000000Z","kind":"invocation_intended","invocation":"i1","job":"j1","host":"web-1","site":"eu","rule":"look"}"#;
    const DENIED_HOST: &str = r#"{"v":1,"at":"2026-11-22T12:00:01.000000Z","kind":"invocation_ended","invocation":"i2","job":"j1","host":"db-1","site":"eu","outcome":"DENIED","detail":"DENIED (POLICY_DEFAULT_DENY): no rule"}"#;
    const DENIED: &str = r#"{"v":1,"at":"2026-11-22T13:00:00.000000Z","kind":"request_denied","principal":"service:ci","tenant":"default","via":"api","client":"x","target":"tag:web","command":"rm x > y","code":"E_REDIRECT","reason":"r","rule":null,"policy_version":1}"#;

    fn fleet() -> Fleet {
        let facts = |alias: &str, tags: &[&str]| HostFacts {
            alias: HostAlias::new(alias).unwrap(),
            site: SiteName::new("us").unwrap(),
            tags: tags.iter().map(|tag| Tag::new(tag).unwrap()).collect(),
            labels: Labels::default(),
        };
        Fleet(
            [facts("web-1", &["web"]), facts("web-2", &["web"])]
                .map(|host| (host.alias.clone(), host))
                .into(),
        )
    }

    #[test]
    fn each_host_of_what_ran_and_of_what_was_refused_is_a_request() {
        let (all, extent) = read(fleet(), None, &[JOB, INTENDED, DENIED_HOST, DENIED, "rubbish"]);
        let told: Vec<(&str, &str, &str)> = all
            .iter()
            .map(|past| {
                let CommandInput::Line(line) = &past.command else { panic!("records have lines") };
                (past.circumstances.host.alias.as_str(), past.decided.code.as_str(), line.as_str())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("web-1", "POLICY_ALLOWED", "uptime"),
                ("db-1", "POLICY_DEFAULT_DENY", "uptime"),
                ("web-1", "E_REDIRECT", "rm x > y"),
                ("web-2", "E_REDIRECT", "rm x > y"),
            ]
        );
        // The site is the record's, the tags are those of now.
        assert_eq!(all[0].circumstances.host.site.as_str(), "eu");
        assert_eq!(all[0].circumstances.host.tags.len(), 1);
        assert_eq!(extent.unknown_hosts, BTreeSet::from(["db-1".to_owned()]));
        assert_eq!(extent.records, 5);
    }

    #[test]
    fn what_was_permitted_and_then_denied_on_its_way_counts_once() {
        let late = DENIED_HOST.replace("i2", "i1").replace("db-1", "web-1");
        assert_eq!(read(fleet(), None, &[JOB, INTENDED, &late]).0.len(), 1);
    }

    #[test]
    fn what_was_before_is_left_out_and_what_was_cut_is_known() {
        let since = time::rfc3339("2026-11-22T12:30:00Z").unwrap();
        assert_eq!(read(fleet(), Some(since), &[JOB, INTENDED, DENIED]).0.len(), 2);
        let cut = DENIED.replace("\"rm x > y\"", r#"{"cut":"rm","bytes":9999,"sha256":"00"}"#);
        assert!(read(fleet(), None, &[&cut]).0.iter().all(|past| past.cut));
        let quota = DENIED.replace("E_REDIRECT", "QUOTA_EXCEEDED");
        let (none, extent) = read(fleet(), None, &[&quota]);
        assert!(none.is_empty() && extent.other_refusals == 1);
    }
}
