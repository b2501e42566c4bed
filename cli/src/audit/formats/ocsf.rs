//! Records as events of the Open Cybersecurity Schema Framework, version 1.3.0 (schema.ocsf.io/1.3.0).
//!
//! What ran, or may have, is a Process Activity (class 1007, Launch); everything else is an API Activity (class 6003). A
//! record says more than these classes have places for: all of it is in `unmapped`.

use std::collections::{HashMap, VecDeque};

use lictor_core::audit::query::{Facts as _, What};
use lictor_policy::time::rfc3339;
use lictor_store::record::AuditFacts;
use serde_json::{Map, Value, json};

use super::Severity;

/// The version of the schema.
const VERSION: &str = "1.3.0";
/// Most jobs whose command and asker are remembered until their ends come; older ones end without them.
const MAX_JOBS: usize = 10_000;

/// Process Activity, in the category System Activity.
const PROCESS: Class = Class { category: 1, class: 1007 };
/// API Activity, in the category Application Activity.
const API: Class = Class { category: 6, class: 6003 };

struct Class {
    category: u64,
    class: u64,
}

/// Writes events; remembers of jobs what the ends of their invocations do not say.
#[derive(Debug, Default)]
pub(super) struct Ocsf {
    jobs: HashMap<String, Asked>,
    order: VecDeque<String>,
}

#[derive(Debug, Clone, Default)]
struct Asked {
    who: String,
    command: String,
}

// === impl Ocsf ===

impl Ocsf {
    /// The event that says what the record says.
    pub(super) fn event(&mut self, index: u64, facts: &AuditFacts, log: &str) -> Value {
        if facts.text("kind") == "job_submitted" {
            self.remember(facts);
        }
        let has_run = matches!(facts.text("ran"), "ran" | "may_have_run");
        if facts.text("kind") == "invocation_ended" && has_run {
            let asked = self.jobs.get(facts.text("job")).cloned().unwrap_or_default();
            process(common(index, facts, log, &PROCESS, 1), facts, &asked)
        } else {
            api(common(index, facts, log, &API, activity(facts.text("kind"))), facts)
        }
    }

    fn remember(&mut self, facts: &AuditFacts) {
        if self.order.len() >= MAX_JOBS
            && let Some(oldest) = self.order.pop_front()
        {
            self.jobs.remove(&oldest);
        }
        let job = facts.text("job").to_owned();
        let (who, command) = (facts.text("principal").to_owned(), facts.text("command").to_owned());
        self.order.push_back(job.clone());
        self.jobs.insert(job, Asked { who, command });
    }
}

/// What every event has.
fn common(index: u64, facts: &AuditFacts, log: &str, class: &Class, activity: u64) -> Map<String, Value> {
    let kind = facts.text("kind");
    let severity = match Severity::of(facts) {
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
    };
    let mut event = Map::new();
    event.insert("category_uid".into(), class.category.into());
    event.insert("class_uid".into(), class.class.into());
    event.insert("activity_id".into(), activity.into());
    event.insert("type_uid".into(), (class.class * 100 + activity).into());
    event.insert("severity_id".into(), severity.into());
    event.insert("status_id".into(), status(facts).into());
    event.insert("time".into(), millis(facts.text("at")));
    let product = json!({ "name": "Lictor", "vendor_name": "Lictor", "version": env!("CARGO_PKG_VERSION") });
    event.insert(
        "metadata".into(),
        json!({
            "version": VERSION,
            "product": product,
            "log_name": log,
            "uid": format!("{log}#{index}"),
            "event_code": kind,
            "original_time": facts.text("at"),
        }),
    );
    for field in ["detail", "reason"] {
        if !facts.text(field).is_empty() {
            event.insert("message".into(), facts.text(field).into());
        }
    }
    event.insert("unmapped".into(), Value::Object(facts.fields().clone()));
    event
}

/// Something that ran on a host.
fn process(mut event: Map<String, Value>, facts: &AuditFacts, asked: &Asked) -> Value {
    let mut process = json!({ "uid": facts.text("invocation"), "name": program(&asked.command) });
    if !asked.command.is_empty() {
        process["cmd_line"] = asked.command.as_str().into();
    }
    let mut device = json!({ "type_id": 0, "name": facts.text("host"), "hostname": facts.text("host") });
    if !facts.text("address").is_empty() {
        device["ip"] = without_port(facts.text("address")).into();
    }
    event.insert("process".into(), process);
    event.insert("device".into(), device);
    event.insert("actor".into(), actor(&asked.who));
    if let Some(code) = facts.number("exit_code") {
        event.insert("exit_code".into(), code.into());
    }
    for (field, name) in [("started_at", "start_time"), ("ended_at", "end_time")] {
        if !facts.text(field).is_empty() {
            event.insert(name.into(), millis(facts.text(field)));
        }
    }
    event.into()
}

/// Something that was asked of Lictor, or that Lictor did.
fn api(mut event: Map<String, Value>, facts: &AuditFacts) -> Value {
    let who = What::Who.fields().iter().find_map(|field| facts.texts(field).first().copied());
    let from = [facts.text("client"), facts.text("address"), facts.text("agent")];
    let from = from.into_iter().find(|text| !text.is_empty()).unwrap_or("lictor");
    event.insert("actor".into(), actor(who.unwrap_or_default()));
    event.insert("api".into(), json!({ "operation": facts.text("kind"), "service": { "name": "lictor" } }));
    event.insert("src_endpoint".into(), json!({ "name": from }));
    if !facts.text("code").is_empty() {
        event.insert("status_code".into(), facts.text("code").into());
    }
    event.into()
}

fn actor(who: &str) -> Value {
    // User: 1 a person, 3 a machine's account.
    match who.split_once(':') {
        Some(("user", name)) => json!({ "user": { "name": name, "type_id": 1 } }),
        Some((_, name)) => json!({ "user": { "name": name, "type_id": 3 } }),
        None => json!({ "app_name": "lictor" }),
    }
}

/// 1 Create, 2 Read, 3 Update, 4 Delete, 99 Other.
fn activity(kind: &str) -> u64 {
    match kind {
        "audit_read" => 2,
        "job_submitted" | "join_token_issued" | "agent_enrolled" | "freeze_set" | "hold_set"
        | "shadow_policy_set" => 1,
        "policy_changed"
        | "certificate_renewed"
        | "hosts_reported"
        | "retention_set"
        | "retention_shortened" => 3,
        "agent_revoked"
        | "freeze_lifted"
        | "hold_lifted"
        | "payloads_erased"
        | "payloads_removed"
        | "shadow_policy_cleared" => 4,
        _ => 99,
    }
}

/// 0 Unknown, 1 Success, 2 Failure.
fn status(facts: &AuditFacts) -> u64 {
    match (facts.text("kind"), facts.text("outcome")) {
        (
            "request_denied" | "call_refused" | "enrolment_refused" | "grant_refused" | "evidence_invalid",
            _,
        ) => 2,
        ("invocation_ended" | "invocation_resolved", "SUCCEEDED") => 1,
        ("invocation_ended" | "invocation_resolved", "UNKNOWN") => 0,
        ("invocation_ended" | "invocation_resolved", _) => 2,
        _ => 1,
    }
}

fn program(command: &str) -> &str {
    command.split(' ').next().unwrap_or_default()
}

fn without_port(address: &str) -> String {
    address.parse::<std::net::SocketAddr>().map_or_else(|_| address.to_owned(), |at| at.ip().to_string())
}

fn millis(at: &str) -> Value {
    rfc3339(at).map_or(Value::Null, |at| (at.as_micros() / 1000).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(ocsf: &mut Ocsf, record: &str) -> Value {
        ocsf.event(5, &AuditFacts::read(record.as_bytes()).unwrap(), "fleet.example/audit/acme")
    }

    #[test]
    fn what_ran_is_a_process_with_its_command_and_who_asked_for_it() {
        let mut ocsf = Ocsf::default();
        let asked = r#"{"at":"2026-11-22T12:00:00.000000Z","kind":"job_submitted","job":"job_1","principal":"service:ci","command":"df -h","client":"ci/1"}"#;
        let asked = event(&mut ocsf, asked);
        assert_eq!((asked["class_uid"].as_u64(), asked["type_uid"].as_u64()), (Some(6003), Some(600_301)));
        assert_eq!(asked["src_endpoint"]["name"], "ci/1");
        let ended = r#"{"at":"2026-11-22T12:00:01.500000Z","kind":"invocation_ended","job":"job_1","invocation":"inv_1","host":"web-1","address":"10.0.0.7:22","ran":"ran","outcome":"FAILED","exit_code":3,"started_at":"2026-11-22T12:00:01.000000Z"}"#;
        let ended = event(&mut ocsf, ended);
        assert_eq!((ended["class_uid"].as_u64(), ended["type_uid"].as_u64()), (Some(1007), Some(100_701)));
        assert_eq!(ended["process"], json!({ "uid": "inv_1", "name": "df", "cmd_line": "df -h" }));
        assert_eq!(ended["device"]["ip"], "10.0.0.7");
        assert_eq!(ended["actor"]["user"], json!({ "name": "ci", "type_id": 3 }));
        assert_eq!((ended["status_id"].as_u64(), ended["exit_code"].as_u64()), (Some(2), Some(3)));
        assert_eq!(ended["time"], 1_795_348_801_500u64);
        assert_eq!(ended["metadata"]["uid"], "fleet.example/audit/acme#5");
        assert_eq!(ended["unmapped"]["outcome"], "FAILED");
    }

    #[test]
    fn what_never_ran_is_no_process() {
        let record =
            r#"{"at":"x","kind":"invocation_ended","host":"web-1","ran":"not_run","outcome":"DENIED"}"#;
        let event = event(&mut Ocsf::default(), record);
        assert_eq!((event["class_uid"].as_u64(), event["time"].is_null()), (Some(6003), true));
        assert_eq!(event["actor"]["app_name"], "lictor");
    }
}
