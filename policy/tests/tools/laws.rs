//! No widening and no narrowing is left out, whatever the two policies: small policies over a small world, so that rules meet.

use lictor_core::context::{Context, Environment};
use proptest::sample::{select, subsequence};

use super::*;

fn list(items: &'static [&'static str]) -> impl Strategy<Value = String> {
    subsequence(items, 1..=items.len()).prop_map(|items| format!("[{}]", items.join(", ")))
}

fn who() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        list(&["ada", "bob"]).prop_map(|l| format!(", who: {{users: {l}}}")),
        Just(", who: {groups: [ops]}".to_owned()),
        Just(", who: {kinds: [service]}".to_owned()),
        list(&["cli", "mcp"]).prop_map(|l| format!(", who: {{via: {l}}}")),
        Just(", who: {groups: [ops], via: [mcp]}".to_owned()),
    ]
}

fn place() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("all".to_owned()),
        list(&["web-1", "db-1", "web-*", "'*-1'"]).prop_map(|l| format!("{{hosts: {l}}}")),
        list(&["web", "db"]).prop_map(|l| format!("{{tags: {l}}}")),
        Just("{sites: [eu]}".to_owned()),
    ]
}

fn commands() -> impl Strategy<Value = String> {
    list(&[
        "id",
        "id <user>",
        "'id [<user>]'",
        "{class: read-only}",
        "id root",
        "'id <one-of:root|bob>'",
        "date",
        "date <int:1..9>",
        "date <int:1..5>",
    ])
}

fn rule() -> impl Strategy<Value = String> {
    let effect = select(vec!["allow", "deny", "approve"]);
    let when = select(vec![
        "",
        "",
        ", when: {during: [day]}",
        ", when: {not_during: [day]}",
        ", when: {during: [day, all-day], not_during: [evening]}",
    ]);
    let condition = select(vec![
        "",
        "",
        "",
        ", condition: \"via == 'cli'\"",
        ", condition: \"'ops' in principal.groups\"",
    ]);
    let extra = select(vec![
        "",
        "",
        ", globs: true",
        ", limits: {timeout: 5s}",
        ", limits: {timeout: 5m}",
        ", max_hosts: 2",
        ", exempt_from_freezes: true",
        ", network: {allow: [10.1.0.0/16]}",
        ", network: {deny: [10.1.0.0/16]}",
    ]);
    let context = select(vec![
        "",
        "",
        "",
        ", run_as: [deploy]",
        ", run_as: [deploy, root]",
        ", environment: [LANG=C]",
        ", environment: [LANG=C, LC_ALL], run_as: [root]",
        ", working_directory: ['<path:/srv>']",
    ]);
    (effect, who(), place(), commands(), when, condition, extra, context).prop_map(
        |(effect, who, place, commands, when, condition, extra, context)| {
            // A class is what is harmless, so that nothing is denied by one.
            let commands =
                if effect == "deny" { commands.replace("{class: read-only}", "who") } else { commands };
            // Nor does one permit a context.
            let context = if commands.contains("class") { "" } else { context };
            let (extra, approve) = match effect {
                "deny" => ("", ""),
                "approve" => (extra, ", approve: {approvals: 1, group: ops, within: 1h}"),
                _ => (extra, ""),
            };
            format!(
                "effect: {effect}{who}, where: {place}, commands: {commands}{when}{condition}{extra}{context}{approve}"
            )
        },
    )
}

prop_compose! {
    fn file()(
        rules in prop::collection::btree_map(select(vec!["a", "b", "c"]), rule(), 0..=3),
        ops in list(&["ada", "bob", "eve"]),
        hours in select(vec!["from: '08:00', to: '16:00'", "from: '07:00', to: '17:00'", "from: '20:00', to: '04:00'", "days: [mon]"]),
        freeze in select(vec!["", "", "{id: f, reason: x, where: all, zone: UTC, start: 2026-01-05T09:00, end: 2026-01-05T15:00}", "{id: f, reason: x, where: {tags: [web]}, zone: UTC, start: 2026-01-05T08:00, end: 2026-01-05T23:00}"]),
        limits in select(vec!["30s", "60s"]),
        more in select(vec!["", "", "{where: {tags: [web]}, limits: {timeout: 10s}}", "{where: all, limits: {timeout: 10m}}"]),
        network in select(vec!["", "network: {allow: [10.0.0.0/8]}\n", "network: {deny: [10.2.0.0/16]}\n"]),
    ) -> String {
        let rules: String = rules.iter().map(|(id, rule)| format!("  - {{id: {id}, {rule}}}\n")).collect();
        let rules = if rules.is_empty() { "  []\n".to_owned() } else { rules };
        format!(
            "version: 1\nlimits: {{timeout: {limits}}}\n{network}groups:\n  ops: {{users: {ops}}}\nwindows:\n  day: {{zone: UTC, {hours}}}\n  all-day: {{zone: UTC}}\n  evening: {{zone: UTC, from: '18:00', to: '22:00'}}\nfreezes: [{freeze}]\noverrides: [{more}]\nrules:\n{rules}"
        )
    }
}

fn requests() -> impl Iterator<Item = (Circumstances, CommandInput)> {
    let people = ["user:ada", "user:bob", "user:eve", "service:ci"];
    let hosts = [("web-1", "eu", "web"), ("db-1", "us", "db"), ("web-2", "us", "web")];
    let lines = ["id", "id root", "id bob", "date", "date 3", "date 7"];
    let all = people.into_iter().flat_map(move |who| {
        [Via::Cli, Via::Mcp].into_iter().flat_map(move |via| {
            hosts.into_iter().flat_map(move |(host, site, tag)| {
                [3, 7, 10, 19].into_iter().map(move |hour| by(who, via, host, site, &[tag], hour))
            })
        })
    });
    let contexts = [
        Context::default(),
        Context { run_as: Some("deploy".parse().unwrap()), ..Context::default() },
        Context { run_as: Some("root".parse().unwrap()), ..Context::default() },
        Context { environment: Environment::from_pairs([("LANG", "C")]).unwrap(), ..Context::default() },
        Context { working_directory: Some("/srv/app".parse().unwrap()), ..Context::default() },
    ];
    let all = all.flat_map(move |circumstances| {
        contexts.clone().map(|context| Circumstances { context, ..circumstances.clone() })
    });
    all.flat_map(move |circumstances| lines.into_iter().map(move |text| (circumstances.clone(), line(text))))
}

const fn rank(effect: Effect) -> u8 {
    match effect {
        Effect::Deny => 0,
        Effect::Approve => 1,
        Effect::Allow => 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn no_widening_and_no_narrowing_is_left_out(old in file(), new in file(), alike in any::<bool>(), which in 0usize..12) {
        // Half of the pairs differ in one line only, as edits do.
        let new = if alike { splice(&old, &new, which) } else { new };
        let (old_set, new_set) = (policy(&old), policy(&new));
        let changes = diff(&old_set, &new_set);
        let widens = changes.iter().any(|change| change.kind.widens());
        let narrows = changes.iter().any(|change| change.kind.narrows());
        for (circumstances, input) in requests() {
            let command = old_set.parse_command(&input).unwrap();
            let request = circumstances.request(&command);
            let (before, after) = (evaluate(&old_set, &request), evaluate(&new_set, &request));
            let (was, is) = (rank(before.effect), rank(after.effect));
            let both = was > 0 && is > 0;
            let hosts = |most: Option<u32>| most.unwrap_or(u32::MAX);
            let more = is > was || both && (after.limits.timeout > before.limits.timeout || hosts(after.max_hosts) > hosts(before.max_hosts));
            let less = is < was || both && (after.limits.timeout < before.limits.timeout || hosts(after.max_hosts) < hosts(before.max_hosts));
            prop_assert!(!more || widens, "{circumstances:?} {input:?} gets more, but:\n{changes:#?}\nold:\n{old}\nnew:\n{new}");
            prop_assert!(!less || narrows, "{circumstances:?} {input:?} gets less, but:\n{changes:#?}\nold:\n{old}\nnew:\n{new}");
            if both {
                for address in ["10.1.2.3", "10.2.3.4", "10.3.4.5", "192.0.2.1"] {
                    let address: std::net::IpAddr = address.parse().unwrap();
                    let open = |d: &lictor_policy::Decision| {
                        (d.networks_allowed.is_empty() || d.networks_allowed.iter().any(|n| n.contains(&address)))
                            && !d.networks_denied.iter().any(|n| n.contains(&address))
                    };
                    prop_assert!(open(&before) || !open(&after) || widens, "{address} opens:\n{changes:#?}\nold:\n{old}\nnew:\n{new}");
                    prop_assert!(!open(&before) || open(&after) || narrows, "{address} closes:\n{changes:#?}\nold:\n{old}\nnew:\n{new}");
                }
            }
        }
    }
}

/// `old` with one line of `new`.
fn splice(old: &str, new: &str, which: usize) -> String {
    let (mut lines, others): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let candidates: Vec<&str> = others.into_iter().filter(|line| !lines.contains(line)).collect();
    let Some(line) = candidates.get(which % candidates.len().max(1)).copied() else {
        return old.to_owned();
    };
    let key = |line: &str| line.split([':', ',']).take(2).collect::<Vec<_>>().join(":");
    let key_of = key(line);
    if let Some(place) = lines.iter().position(|other| {
        let other = key(other);
        other == key_of || (!line.contains("- {id") && other.split(':').next() == key_of.split(':').next())
    }) {
        lines[place] = line;
    } else if line.contains("- {id") {
        lines.retain(|line| line.trim() != "[]");
        lines.push(line);
    } else {
        return old.to_owned();
    }
    let text = lines.join("\n") + "\n";
    // A line that does not fit there makes no pair.
    if PolicySet::parse(&text).is_ok() { text } else { old.to_owned() }
}
