//! The floor speaks the whole policy language, and it is judged by this site's clock: at the gate, and again before the start.

use std::{collections::BTreeMap, time::Duration};

use lictor_certs::signer::SigningKey;
use lictor_core::{
    command::Command,
    content::Content,
    id::{GrantId, JobId},
    job::CommandInput,
    label::Labels,
    limits::DEFAULT_OUTPUT_BYTES,
    principal::{Principal, PrincipalKind, Via},
};
use lictor_policy::{PolicySet, parse_command_with_globs};

use super::*;
use crate::{secrets::FileSecrets, site::Host, ssh::known_hosts::KnownHosts};

/// Monday, 2026-01-05T10:00:00Z.
const TEN: Timestamp = Timestamp::from_micros(1_767_607_200_000_000);
const EPOCH: u64 = 7;

fn after(minutes: u64) -> Timestamp {
    TEN.plus(Duration::from_secs(60 * minutes))
}

fn site(floor: &str) -> Site {
    let host = Host {
        alias: "web-1".parse().unwrap(),
        address: "192.0.2.1".into(),
        port: 22,
        user: "ops".into(),
        credential: "key".into(),
        via: None,
        host_key_alias: None,
        max_connections: None,
        max_channels: None,
        tags: vec!["web".parse().unwrap()],
        labels: Labels::new([("env", "prod")]).unwrap(),
        description: String::new(),
    };
    Site {
        generation: 1,
        hosts: BTreeMap::from([(host.alias.clone(), host)]),
        secrets: FileSecrets(BTreeMap::new()),
        known_hosts: KnownHosts::default(),
        floor: Some(PolicySet::parse(&format!("version: 1\n{floor}")).unwrap()),
    }
}

struct Bench {
    key: SigningKey,
    gate: Gate,
}

impl Bench {
    fn new() -> Self {
        let key = SigningKey::generate().unwrap();
        let gate = Gate {
            key: key.public_key(),
            tenant: "acme".parse().unwrap(),
            site: "eu".parse().unwrap(),
            agent: "a1".parse().unwrap(),
        };
        Self { key, gate }
    }

    fn offer(&self, via: Via, command: Command) -> pb::Offer {
        self.sign(&self.grant(via, command))
    }

    fn grant(&self, via: Via, command: Command) -> Grant {
        let job = JobId::from_bytes([1; 16]);
        let target = GrantTarget {
            invocation: InvocationId::derive(job, "web-1", 1),
            host: "web-1".parse().unwrap(),
            attempt: 1,
            limits: Limits { timeout: Duration::from_secs(300), output_bytes: DEFAULT_OUTPUT_BYTES },
            networks_allowed: vec!["192.0.2.0/24".into()],
            networks_denied: Vec::new(),
        };
        Grant {
            id: GrantId::from_bytes([2; 16]),
            tenant: self.gate.tenant.clone(),
            site: self.gate.site.clone(),
            agent: self.gate.agent.clone(),
            epoch: EPOCH,
            job,
            principal: Principal {
                tenant: self.gate.tenant.clone(),
                kind: PrincipalKind::User,
                name: "alice".parse().unwrap(),
            },
            via,
            command,
            context: lictor_core::context::Context::default(),
            policy_version: 1,
            not_before: TEN.minus(MAX_CLOCK_SKEW),
            not_after: after(24 * 60),
            targets: vec![target],
            detached: false,
        }
    }

    fn sign(&self, grant: &Grant) -> pb::Offer {
        let bytes = pb::Grant::from(grant).encode_to_vec();
        let signature = self.key.sign(Purpose::Grant, &bytes).to_vec();
        pb::Offer { grant: bytes.into(), signature }
    }

    fn judge(&self, offer: &pb::Offer, site: &Site, now: Timestamp) -> Result<Admitted, Box<Refused>> {
        let mut verdict = self.gate.admit(offer, EPOCH, now, site, |_| true).unwrap();
        match (verdict.admitted.pop(), verdict.refused.pop()) {
            (Some(admitted), None) => Ok(admitted),
            (None, Some(refused)) => Err(Box::new(refused)),
            other => panic!("{other:?}"),
        }
    }

    fn uptime(&self, site: &Site, now: Timestamp) -> Result<Admitted, Box<Refused>> {
        self.judge(&self.offer(Via::Cli, Command::from_argv(&["uptime"]).unwrap()), site, now)
    }
}

fn code(refused: &Refused) -> &str {
    refused.outcome.reason_code().unwrap()
}

#[test]
fn a_window_of_the_floor_that_closes_while_an_invocation_waits_holds_for_it() {
    let (bench, site) = (
        Bench::new(),
        site(
            "windows: {morning: {zone: Europe/Vienna, days: [mon], from: '10:00', to: '12:00'}}\n\
             rules: [{id: r, effect: allow, where: all, commands: [uptime], when: {during: [morning]}}]",
        ),
    );
    // Eleven o'clock in Vienna.
    let admitted = bench.uptime(&site, TEN).unwrap();
    let admitted = admitted.judged_by(&site, after(59)).unwrap();
    let refused = admitted.judged_by(&site, after(60)).unwrap_err();
    assert_eq!(code(&refused), "FLOOR_DENIED");
    assert_eq!(code(&bench.uptime(&site, after(60)).unwrap_err()), "FLOOR_DENIED");
}

#[test]
fn a_freeze_of_the_floor_stops_what_was_admitted_before_it_but_for_exempt_rules() {
    let bench = Bench::new();
    let floor = |exempt: &str| {
        site(&format!(
            "freezes:\n- {{id: f, reason: audit week, where: {{tags: [web]}}, zone: UTC, start: '2026-01-05T10:30', end: '2026-01-05T11:30'}}\n\
             rules: [{{id: r, effect: allow, where: all, commands: [uptime]{exempt}}}]"
        ))
    };
    let frozen = floor("");
    let admitted = bench.uptime(&frozen, TEN).unwrap();
    let refused = admitted.judged_by(&frozen, after(30)).unwrap_err();
    assert_eq!(code(&refused), "FLOOR_DENIED");
    assert!(refused.outcome.detail().unwrap().contains("audit week"), "{refused:?}");
    assert!(bench.uptime(&frozen, after(90)).is_ok());
    assert!(bench.uptime(&floor(", exempt_from_freezes: true"), after(45)).is_ok());
}

#[test]
fn a_condition_of_the_floor_sees_the_door_that_the_request_came_by() {
    let bench = Bench::new();
    let site = site(
        "rules: [{id: r, effect: allow, where: all, commands: [uptime], condition: \"via != 'mcp' && 'web' in host.tags\"}]",
    );
    let offer = |via| bench.offer(via, Command::from_argv(&["uptime"]).unwrap());
    assert!(bench.judge(&offer(Via::Cli), &site, TEN).is_ok());
    assert_eq!(code(&bench.judge(&offer(Via::Mcp), &site, TEN).unwrap_err()), "FLOOR_DENIED");
}

#[test]
fn the_floor_judges_by_the_labels_that_the_site_gives_its_host() {
    let bench = Bench::new();
    let floor = |labels: &str| {
        site(&format!("rules: [{{id: r, effect: allow, where: {{labels: {labels}}}, commands: [uptime]}}]"))
    };
    assert!(bench.uptime(&floor("{env: prod}"), TEN).is_ok());
    for other in ["{env: staging}", "{env: prod, role: db}"] {
        assert_eq!(code(&bench.uptime(&floor(other), TEN).unwrap_err()), "FLOOR_DENIED", "{other}");
    }
}

#[test]
fn groups_and_globs_of_the_floor_are_its_own() {
    let bench = Bench::new();
    let floor = |who: &str, globs: bool| {
        site(&format!(
            "groups: {{ops: {{users: [{who}]}}}}\nrules:\n\
             - {{id: r, effect: allow, who: {{groups: [ops]}}, where: all, commands: [uptime]}}\n\
             - {{id: g, effect: allow, where: all, globs: {globs}, commands: ['wc <path:/var/log>...']}}"
        ))
    };
    assert!(bench.uptime(&floor("alice", true), TEN).is_ok());
    assert!(bench.uptime(&floor("bob", true), TEN).is_err());
    let line = CommandInput::Line("wc /var/log/*.log".into());
    let offer = bench.offer(Via::Cli, parse_command_with_globs(&line).unwrap());
    assert!(bench.judge(&offer, &floor("alice", true), TEN).is_ok());
    assert_eq!(code(&bench.judge(&offer, &floor("alice", false), TEN).unwrap_err()), "FLOOR_DENIED");
}

#[test]
fn the_floor_lowers_limits_and_narrows_networks_and_never_the_other_way() {
    let bench = Bench::new();
    let floor = |timeout: &str, network: &str| {
        site(&format!(
            "limits: {{timeout: 1h, output: 4MiB}}\n{network}\noverrides: [{{where: {{tags: [web]}}, limits: {{timeout: {timeout}, output: 4KiB}}}}]\n\
             rules: [{{id: r, effect: allow, where: all, commands: [uptime]}}]"
        ))
    };
    let narrow = bench.uptime(&floor("10s", "network: {allow: [192.0.2.0/28]}"), TEN).unwrap();
    assert_eq!(narrow.limits(), Limits { timeout: Duration::from_secs(10), output_bytes: 4096 });
    let wide = bench.uptime(&floor("1h", "network: {allow: ['0.0.0.0/0']}"), TEN).unwrap();
    assert_eq!(wide.limits().timeout, Duration::from_secs(300), "the grant's own limit stays");
    let address = |text: &str| text.parse().unwrap();
    for (admitted, last, permitted) in
        [(&narrow, "192.0.2.16", false), (&wide, "192.0.2.16", true), (&wide, "198.51.100.1", false)]
    {
        assert!(admitted.networks().permit(address("192.0.2.1")));
        assert_eq!(admitted.networks().permit(address(last)), permitted, "{last}");
    }
    let denied = bench.uptime(&floor("1h", "network: {deny: [192.0.2.1/32]}"), TEN).unwrap();
    assert!(!denied.networks().permit(address("192.0.2.1")));
    // Again, before the start: what was narrowed meanwhile holds.
    let narrowed = wide.judged_by(&floor("10s", "network: {deny: [192.0.2.1/32]}"), TEN).unwrap();
    assert_eq!(narrowed.limits().timeout, Duration::from_secs(10));
    assert!(!narrowed.networks().permit(address("192.0.2.1")));
}

#[test]
fn a_refusal_rests_on_the_exact_bytes_of_the_grant_and_on_the_floor_that_judged_last() {
    let bench = Bench::new();
    let floor = |command: &str| {
        site(&format!("rules: [{{id: r, effect: allow, where: all, commands: [{command}]}}]"))
    };
    let (wide, narrow) = (floor("uptime"), floor("df"));
    let offer = bench.offer(Via::Cli, Command::from_argv(&["uptime"]).unwrap());
    let admitted = bench.judge(&offer, &wide, TEN).unwrap();
    let digest = |site: &Site| site.floor.as_ref().map(PolicySet::digest);
    assert_eq!(admitted.basis(), Basis { grant: Digest::of(&offer.grant), floor: digest(&wide) });
    let refused = admitted.judged_by(&narrow, TEN).unwrap_err();
    assert_eq!(refused.basis, Basis { grant: Digest::of(&offer.grant), floor: digest(&narrow) });
    assert_ne!(digest(&wide), digest(&narrow));
    let without = Site { floor: None, ..floor("uptime") };
    let late = bench.judge(&offer, &without, after(48 * 60)).unwrap_err();
    assert_eq!((code(&late), late.basis.floor), ("GRANT_EXPIRED", None));
}

#[test]
fn a_detached_command_is_not_run_as_another_login_than_it_was_judged_with() {
    let bench = Bench::new();
    let site = site(
        "rules: [{id: r, effect: allow, where: all, commands: [uptime], run_as: [deploy], working_directory: [/srv], stdin: true}]",
    );
    let plain = bench.grant(Via::Cli, Command::from_argv(&["uptime"]).unwrap());
    let asked = Context { run_as: Some("deploy".parse().unwrap()), ..Context::default() };
    for (context, detached, runs) in [
        (Context::default(), true, true),
        (asked.clone(), false, true),
        (asked, true, false),
        (Context { working_directory: Some("/srv".parse().unwrap()), ..Context::default() }, true, true),
        (Context { stdin: Some(Content::of(b"given").unwrap()), ..Context::default() }, true, true),
    ] {
        let grant = Grant { context, detached, ..plain.clone() };
        match bench.judge(&bench.sign(&grant), &site, TEN) {
            Ok(_) => assert!(runs, "{:?}", grant.context),
            Err(refused) => assert!(!runs && code(&refused) == "GRANT_CONTEXT", "{refused:?}"),
        }
    }
}
