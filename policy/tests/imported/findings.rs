//! What reading a `policy.yml` finds, and how it is written.

use lictor_policy::{
    Dialect, PolicySet,
    import::{self, Severity},
};

use super::{host, judge_line, read};

const RULES: &str = "known_hosts_path: k\nrules: [{action: allow, commands: [ls]}]\n";

#[track_caller]
fn finds(yaml: &str, severity: Severity, place: &str) {
    let policy = read(yaml);
    let found =
        policy.findings().iter().any(|finding| finding.severity == severity && finding.place == place);
    assert!(found, "{yaml}\nhas no {severity:?} at {place}: {:#?}", policy.findings());
}
#[track_caller]
fn refused(yaml: &str, because: &str) {
    let error = import::policy(yaml, None).expect_err(yaml).to_string();
    assert!(error.contains(because), "{yaml}\n{error}");
}
fn allowed(yaml: &str, alias: &str, tags: &[&str], line: &str) -> bool {
    let policy = read(yaml);
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    judge_line(policy.set().imported().unwrap(), &host(alias, &tags), line).is_ok()
}

#[test]
fn a_plain_file_has_no_errors_and_no_warnings() {
    let findings = read(RULES).findings().to_vec();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Info), "{findings:#?}");
}

#[test]
fn everything_that_failed_open_is_an_error() {
    use Severity::Error;
    finds("rules: []", Error, "known_hosts_path");
    finds("rules: [{action: allow, tags: web, commands: [ls]}]", Error, "rules[0].tags");
    for list in ["[]", "null", "'rm'"] {
        finds(&format!("limits: {{deny_substrings: {list}}}\n{RULES}"), Error, "limits.deny_substrings");
    }
    finds("network: {allow_cidrs: 10.0.0.0/8}", Error, "network.allow_cidrs");
    finds("network: {allow_cidrs: [10.0.0.0/33]}", Error, "network.allow_cidrs[0]");
    finds("network: {allow_cidrs: [10.0.0.0/33]}", Error, "network");
    finds("network: {block_ips: [010.0.0.1]}", Error, "network.block_ips[0]");
}

#[test]
fn everything_that_surprises_is_a_warning() {
    use Severity::Warning;
    finds("rules: [{action: allow, commands: [ls *]}]", Warning, "rules[0].commands[0]");
    finds("rules: [{action: allow, commands: ['ls | wc']}]", Warning, "rules[0].commands[0]");
    finds("rules: [{action: allow}]", Warning, "rules[0].commands");
    finds("rules: [{action: Allow, commands: [ls]}]", Warning, "rules[0].action");
    finds("rules: [{commands: [ls]}]", Warning, "rules[0].action");
    finds("limits: {max_seconds: 0}", Warning, "limits.max_seconds");
    finds("limits: {max_second: 1}", Warning, "limits.max_second");
    finds("extra: 1", Warning, "extra");
    finds("rules: [{action: allow, commands: [ls], hosts: [a]}]", Warning, "rules[0].hosts");
    finds("rules: [{action: allow, simple_binaries: [ls]}]", Warning, "rules[0].simple_max_args");
    finds(
        "rules: [{action: allow, simple_binaries: [ls], simple_max_args: '1'}]",
        Warning,
        "rules[0].simple_max_args",
    );
    finds(
        "rules: [{action: allow, simple_binaries: [/bin/ls], simple_max_args: 1}]",
        Warning,
        "rules[0].simple_binaries",
    );
    finds("rules: [{action: allow, binary: tail, arg_prefix: [-n, 200]}]", Warning, "rules[0].arg_prefix");
    finds("rules: [{action: allow, binary: tail, arg_prefix: [-n]}]", Warning, "rules[0].allow_extra_args");
    finds("rules: [{action: allow, binary: tail}]", Warning, "rules[0].binary");
    let paths = "rules: [{action: allow, binary: cat, path_args: {indices: [-1], patterns: ['/a/*']}}]";
    finds(paths, Warning, "rules[0].path_args.indices");
    finds(paths, Warning, "rules[0].path_args.patterns");
    finds("", Warning, "policy.yml");
}

#[test]
fn what_had_no_effect_is_worth_knowing() {
    use Severity::Info;
    finds(RULES, Info, "limits.deny_substrings");
    finds("limits: {require_known_host: false}", Info, "limits.require_known_host");
    finds("limits: {host_key_auto_add: yes}", Info, "limits.host_key_auto_add");
    finds("network: {require_known_host: no}", Info, "network.require_known_host");
    finds("overrides: {tags: {t: {deny_substrings: [x]}}}", Info, "overrides.tags.t");
    finds("network: {block_cidrs: [10.0.0.1/8]}", Info, "network.block_cidrs[0]");
}

#[test]
fn a_file_that_let_nothing_run_is_refused() {
    for (yaml, because) in [
        ("rules: null", "`rules` is nothing"),
        ("rules: ls", "`rules` is a text"),
        ("rules: [ls]", "`rules[0]` is a text"),
        ("limits: null", "`limits`"),
        ("limits: []", "`limits`"),
        ("overrides: null", "`overrides`"),
        ("overrides: {aliases: null}", "`overrides.aliases`"),
        ("overrides: {aliases: {a: null}}", "`overrides.aliases.a`"),
        ("limits: {max_seconds: soon}", "`limits.max_seconds`"),
        ("limits: {deny_substrings: [1]}", "`limits.deny_substrings`"),
        ("rules: [{action: allow, commands: [1]}]", "`rules[0].commands`"),
        ("- a", "`policy.yml` is a list"),
        ("rules: []\nrules: []", "duplicate"),
        ("rules: [", ""),
        ("rules: [{action: allow, commands: [ls]}, {action: allow, simple_binaries: [ls]}]", "--dialect"),
    ] {
        refused(yaml, because);
    }
}

#[test]
fn rules_of_the_other_dialect_say_nothing() {
    let both = "rules: [{action: allow, commands: [ls]}, {action: allow, simple_binaries: [id]}]";
    for (dialect, yes, no) in [(Dialect::LastMatch, "ls", "id"), (Dialect::FirstMatch, "id", "ls")] {
        let policy = import::policy(both, Some(dialect)).unwrap();
        assert_eq!(policy.dialect(), dialect);
        let block = policy.set().imported().unwrap();
        assert!(
            judge_line(block, &host("a", &[]), yes).is_ok()
                && judge_line(block, &host("a", &[]), no).is_err()
        );
    }
}

#[test]
fn what_is_unclear_is_read_strictly() {
    let allow = "rules: [{action: allow, tags: web, commands: [ls]}]";
    assert!(allowed(allow, "a", &["web"], "ls") && !allowed(allow, "a", &["db"], "ls"));
    let deny = "rules: [{action: allow, commands: ['*']}, {action: deny, tags: web, commands: [ls]}]";
    assert!(!allowed(deny, "a", &["web"], "ls") && !allowed(deny, "a", &["db"], "ls"));
    let text = "rules: [{action: allow, aliases: a, commands: [ls]}]";
    assert!(!allowed(text, "a", &[], "ls"));
    let off = "limits: {deny_substrings: []}\nrules: [{action: allow, commands: ['*']}]";
    assert!(
        allowed(off, "a", &[], "reboot") && !allowed(&off.replace("limits", "limit"), "a", &[], "reboot")
    );
    let yaml = read("network: {allow_ips: [x]}").to_yaml().to_owned();
    assert!(yaml.contains("deny: [\"0.0.0.0/0\", \"::/0\"]"), "{yaml}");
    let yaml = read("network: {allow_cidrs: [10.0.0.1/8], allow_ips: [192.0.2.1], block_ips: [10.0.0.9]}")
        .to_yaml()
        .to_owned();
    assert!(
        yaml.contains("allow: [\"10.0.0.0/8\", \"192.0.2.1/32\"]")
            && yaml.contains("deny: [\"10.0.0.9/32\"]"),
        "{yaml}"
    );
}

#[test]
fn what_is_written_reads_back_as_the_same_block() {
    for folder in ["v1", "v2"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "yml") {
                let policy = read(&std::fs::read_to_string(path).unwrap());
                let again = PolicySet::parse(policy.to_yaml()).unwrap();
                assert!(again.imported() == policy.set().imported() && again.rules().count() == 0);
            }
        }
    }
    let strange = "rules: [{action: deny, commands: [\"a\\\"b\\\\c: #\\t\\u202E é '\"]}]\noverrides: {tags: {'a: b': {}}}";
    let policy = read(strange);
    assert!(!policy.to_yaml().contains('\u{202e}') && policy.to_yaml().contains("\\U0000202E"));
}

#[test]
fn a_block_that_says_nothing_or_too_much_is_refused() {
    let with = |rest: &str| format!("version: 1\nrules: []\nimported:\n  dialect: last-match\n{rest}");
    for (rest, because) in [
        ("  rules: [{id: a, action: allow}]\n", "`commands` is missing"),
        ("  rules: [{id: a, action: allow, commands: [ls], binary: x}]\n", "nothing else"),
        (
            "  rules: [{id: a, action: allow, commands: [ls]}, {id: a, action: deny, commands: [ls]}]\n",
            "used already",
        ),
        ("  rules: [{id: a, action: allow, commands: [ls], aliases: []}]\n", "`aliases` is empty"),
        ("  rules: [{id: a, action: approve, commands: [ls]}]\n", "approve"),
        ("  rules: [{id: a, action: allow, commands: [ls], where: all}]\n", "where"),
        ("  rules: []\n  deny_substrings: ['']\n", "empty text"),
        ("  rules: []\n  limits: {timeout: 2d}\n", "2d"),
        ("  dialect: v1\n  rules: []\n", ""),
    ] {
        let error = PolicySet::parse(&with(rest)).expect_err(rest).to_string();
        assert!(error.contains(because), "{rest}: {error}");
    }
    let many = format!(
        "  rules: []\n  deny_substrings: [{}]\n  overrides: {{tags: {{t: {{deny_substrings: [y]}}}}}}\n",
        vec!["x"; 1_000].join(", ")
    );
    assert!(PolicySet::parse(&with(&many)).unwrap_err().to_string().contains("more than 1000 deny globs"));
    let words = with("  rules: [{id: a, action: allow, binary: x}]\n").replace("last-match", "first-match");
    assert!(PolicySet::parse(&words).unwrap_err().to_string().contains("never matches"));
}
