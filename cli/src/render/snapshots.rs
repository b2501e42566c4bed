//! What results look like, kept as files: a change of any of them is seen and meant.

use std::time::Duration;

use lictor_client::{
    fleet::{HostView, SiteView},
    operator::{AgentState, AgentView, FreezeDone, FreezeView},
    policy::{ApprovalTerms, Effect, HostDecision, Plan, QuotaState},
    views::{InvocationView, JobView, Phase, StreamCounts},
};
use lictor_core::{
    clock::Timestamp,
    command::Command,
    digest::Digest,
    error::{ErrorCode, Failure},
    freeze::Freeze,
    guard::Guard,
    id::{FreezeId, InvocationId, JobId},
    job::{Counts, Limits, Origin, Target},
    label::Labels,
    name::{AgentName, GroupName, HostAlias, PrincipalName, RuleId, SiteName, Tag, TenantName},
    outcome::{Exit, Outcome, Unknown, Unreachable},
    principal::{Principal, PrincipalKind, Via},
};

use super::{audit, failure, fleet, freezes, guards, invocations, jobs, json, plan, style::Style};

const NOON: Timestamp = Timestamp::from_micros(1_795_348_800_000_000);
const LIMITS: Limits = Limits { timeout: Duration::from_secs(60), output_bytes: 65_536 };

fn host(alias: &str) -> HostAlias {
    HostAlias::new(alias).unwrap()
}

fn command(words: &[&str]) -> Command {
    Command::from_argv(words).unwrap()
}

fn job() -> JobView {
    let counts = Counts { succeeded: 1, failed: 1, not_run: 2, unknown: 1, ..Counts::default() };
    let name = PrincipalName::new("ada").unwrap();
    JobView {
        id: JobId::from_bytes([1; 16]),
        principal: Principal { tenant: TenantName::new("default").unwrap(), kind: PrincipalKind::User, name },
        origin: Origin::new(Via::Cli, "lictor/0.1.0"),
        target: Target::Hosts(vec![host("web-1"), host("web-2")]),
        command: command(&["systemctl", "status", "nginx", "a; b"]),
        context: lictor_core::context::Context::default(),
        policy_version: 3,
        created_at: NOON,
        state: counts.state(),
        counts,
        cancel_requested: true,
        timeout: None,
        output_bytes: None,
        rollout: lictor_core::rollout::Rollout::default(),
        progress: None,
        detached: false,
        approval: None,
    }
}

fn invocation(alias: &str, outcome: Option<Outcome>) -> InvocationView {
    let started = outcome.as_ref().is_none_or(|o| o.ran() != lictor_core::outcome::Ran::NotRun);
    InvocationView {
        id: InvocationId::from_bytes([2; 16]),
        job: JobId::from_bytes([1; 16]),
        host: host(alias),
        site: SiteName::new("berlin").unwrap(),
        attempt: 1,
        phase: if outcome.is_some() { Phase::Ended } else { Phase::Running },
        ended_at: outcome.as_ref().map(|_| NOON.plus(Duration::from_millis(1_400))),
        outcome,
        rule: Some(RuleId::new("look-around").unwrap()),
        limits: LIMITS,
        agent: Some(AgentName::new("agent-1").unwrap()),
        address: Some("192.0.2.1:22".to_owned()),
        started_at: started.then_some(NOON),
        stdout: StreamCounts { bytes_total: 3_000_000, bytes_kept: 65_536, digest: None },
        stderr: StreamCounts::default(),
        wave: 1,
        resolution: None,
        output_removed: None,
        guard: Guard::Journal,
        redactions: 0,
    }
}

fn all() -> Vec<InvocationView> {
    let denied = Outcome::Denied { code: "POLICY_DEFAULT_DENY".into(), reason: "no rule allows it".into() };
    let unreachable =
        Outcome::Unreachable { reason: Unreachable::HostKeyChanged, detail: "evil\x1b[2J".into() };
    vec![
        invocation("web-1", Some(Outcome::Succeeded)),
        invocation("web-2", Some(Outcome::Failed(Exit::Code(3)))),
        invocation("web-3", Some(Outcome::Failed(Exit::Signal("SEGV".into())))),
        invocation("db-1", Some(denied)),
        invocation("db-2", Some(unreachable)),
        invocation("db-3", Some(Outcome::Unknown(Unknown::KillUnconfirmed))),
        invocation("db-4", None),
    ]
}

#[test]
fn hosts_sites_and_agents() {
    let hosts = [HostView {
        alias: host("web-1"),
        site: SiteName::new("berlin").unwrap(),
        tags: vec![Tag::new("web").unwrap(), Tag::new("eu").unwrap()],
        labels: Labels::new([("role", "web"), ("env", "prod")]).unwrap(),
        description: "first\nserver \u{202e}x".to_owned(),
        agent_connected: true,
        host_key_pinned: false,
        address: Some("192.0.2.1:22".to_owned()),
        user: Some("deploy".to_owned()),
        host_key_fingerprints: Vec::new(),
    }];
    let sites = [SiteView { name: SiteName::new("berlin").unwrap(), hosts: 12, agents_connected: 0 }];
    let agents = [AgentView {
        site: SiteName::new("berlin").unwrap(),
        name: AgentName::new("agent-1").unwrap(),
        state: AgentState::Suspect,
        epoch: 7,
        version: String::new(),
        last_seen: Some(NOON),
        address: None,
        in_flight: 2,
        enrolled_at: NOON,
        cosigned_size: None,
        witness_refusal: None,
        revocation: None,
    }];
    let now = NOON.plus(Duration::from_secs(20));
    let text = [
        fleet::hosts(&hosts, Style::PLAIN),
        fleet::sites(&sites, Style::PLAIN),
        fleet::agents(&agents, now, Style::PLAIN),
    ];
    insta::assert_snapshot!("fleet", text.join("\n"));
}

#[test]
fn jobs_and_what_became_of_them() {
    let (job, views) = (job(), all());
    let refs: Vec<&InvocationView> = views.iter().collect();
    let text = [
        jobs::table(std::slice::from_ref(&job), NOON.plus(Duration::from_secs(20)), Style::PLAIN),
        jobs::facts(&job, Style::PLAIN),
        invocations::table(&refs, Style::PLAIN),
        invocations::line(&views[1], Style::PLAIN) + "\n",
        invocations::summary(&job, Style::PLAIN) + "\n",
    ];
    insta::assert_snapshot!("jobs", text.join("\n"));
}

#[test]
fn a_plan() {
    let decision = |alias: &str, effect, code: &str, reason: &str, hint: &str| HostDecision {
        host: host(alias),
        site: Some(SiteName::new("berlin").unwrap()),
        effect,
        code: code.to_owned(),
        rule: None,
        reason: reason.to_owned(),
        hint: hint.to_owned(),
        part: None,
        pattern: None,
        word: None,
        limits: (effect == Effect::Allow).then_some(LIMITS),
        networks_allowed: Vec::new(),
        networks_denied: Vec::new(),
        max_hosts: None,
        approvals: Vec::new(),
        agent_connected: alias == "web-1",
    };
    let deny = |alias: &str| {
        let reason = format!("no rule allows `reboot` on {alias} for user:ada");
        decision(alias, Effect::Deny, "POLICY_DEFAULT_DENY", &reason, "ask whoever keeps the policy")
    };
    let asked = HostDecision {
        pattern: Some("reboot".to_owned()),
        networks_allowed: vec!["10.0.0.0/8".to_owned()],
        networks_denied: vec!["10.9.0.0/16".to_owned()],
        max_hosts: Some(2),
        approvals: vec![ApprovalTerms {
            approvals: 2,
            group: GroupName::new("leads").unwrap(),
            within: Duration::from_secs(3600),
            mfa: true,
        }],
        limits: Some(LIMITS),
        ..decision("web-2", Effect::Approve, "POLICY_APPROVAL_REQUIRED", "rule y asks", "ask two others")
    };
    let quota = |id: &str, used, per| QuotaState { id: RuleId::new(id).unwrap(), limit: 100, used, per };
    let plan_of = Plan {
        command: command(&["reboot"]),
        command_digest: Digest::of(b""),
        policy_version: 3,
        plan_digest: Digest::of(b""),
        quotas: vec![quota("hourly", 12, Some(Duration::from_secs(3600))), quota("at-once", 100, None)],
        hosts: vec![
            deny("db-1"),
            deny("db-2"),
            decision("web-1", Effect::Allow, "POLICY_ALLOWED", "rule x allows it", ""),
            asked,
        ],
    };
    insta::assert_snapshot!(
        "plan_json",
        serde_json::to_string_pretty(&json::PlanDocument::from(&plan_of)).unwrap()
    );
    let on = |hosts: &[&str], max_hosts| Plan {
        hosts: hosts
            .iter()
            .map(|alias| HostDecision {
                max_hosts,
                ..decision(alias, Effect::Allow, "POLICY_ALLOWED", "rule x allows it", "")
            })
            .collect(),
        quotas: vec![quota("hourly", 98, Some(Duration::from_secs(3600)))],
        ..plan_of.clone()
    };
    let (fits, too_many) = (on(&["web-1", "web-2"], Some(2)), on(&["web-1", "web-2", "web-3"], Some(2)));
    assert_eq!([&plan_of, &fits, &too_many].map(plan::runs), [false, true, false]);
    let text = [&plan_of, &fits, &too_many].map(|plan_of| plan::text(plan_of, Style::PLAIN));
    insta::assert_snapshot!("plan", text.join("\n---\n"));
}

#[test]
fn failures_for_people_and_for_scripts() {
    let failure_of = Failure::new(ErrorCode::PolicyDenied, "no rule allows it:\n\x1b[31mfake", "use another")
        .with("host", "db-1");
    let document = serde_json::to_string_pretty(&json::ErrorDocument::from(&failure_of)).unwrap();
    insta::assert_snapshot!("failure", failure::text(&failure_of, Style::PLAIN) + "\n" + &document);
}

#[test]
fn the_guard_of_a_detached_job_says_where_it_held_and_where_it_did_not() {
    let detached = JobView { detached: true, ..job() };
    let views = [
        InvocationView { guard: Guard::Host, ..invocation("web-1", Some(Outcome::Succeeded)) },
        invocation("web-2", Some(Outcome::Failed(Exit::Code(1)))),
        invocation("web-3", Some(Outcome::Cancelled)),
    ];
    assert_eq!(
        guards::line(&detached, &views, Style::PLAIN),
        "guard   on the host (web-1); only in the agent's journal, because the host offered no place for it (web-2)\n"
    );
    assert_eq!(guards::line(&job(), &views, Style::PLAIN), "");
}

#[test]
fn documents_of_an_invocation() {
    let documents: Vec<_> = all().iter().map(|view| json::InvocationDocument::new(view, None)).collect();
    insta::assert_snapshot!("invocations_json", serde_json::to_string_pretty(&documents).unwrap());
}

#[test]
fn records_of_the_audit() {
    let ended = br#"{"v":1,"at":"2026-11-22T12:00:00.000000Z","kind":"invocation_ended","agent":"a","detail":"FAILED (exit 3)","exit_code":3,"host":"web-1","outcome":"FAILED","stdout_digest":"00","tenant":"default"}"#;
    let text = [audit::line(7, ended, Style::PLAIN), audit::line(8, b"\x1b[2J", Style::PLAIN)];
    insta::assert_snapshot!("audit", text.concat());
}

#[test]
fn freezes_set_listed_and_lifted() {
    let freeze = |n: u8, scope: &str| Freeze {
        id: FreezeId::from_bytes([n; 16]),
        scope: scope.parse().unwrap(),
        reason: "the migration went wrong".parse().unwrap(),
        by: job().principal,
        at: NOON,
    };
    let views = [
        FreezeView { freeze: freeze(1, "all"), recorded: true },
        FreezeView { freeze: freeze(2, "host:web-1"), recorded: false },
    ];
    let done =
        FreezeDone { freeze: freeze(1, "site:berlin"), unconfirmed_agents: vec!["berlin/agent-1".into()] };
    let quiet = FreezeDone { unconfirmed_agents: Vec::new(), ..done.clone() };
    let documents: Vec<json::FreezeDocument> = views.iter().map(Into::into).collect();
    let text = [
        freezes::table(&views, NOON.plus(Duration::from_secs(20)), Style::PLAIN),
        freezes::table(&[], NOON, Style::PLAIN),
        freezes::done(&quiet, Style::PLAIN),
        freezes::done(&done, Style::PLAIN),
        freezes::lifted(&done.freeze, Style::PLAIN),
        serde_json::to_string_pretty(&documents).unwrap(),
        serde_json::to_string_pretty(&json::FreezeDoneDocument::from(&done)).unwrap(),
        serde_json::to_string_pretty(&json::FreezeDocument::from(&done.freeze)).unwrap(),
    ];
    insta::assert_snapshot!("freezes", text.join("\n"));
}
