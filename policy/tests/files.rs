//! Which policy files are refused: unknown keys at every level, values out of bounds, rules that say too much.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use lictor_policy::{PolicySet, json_schema};

fn errors(yaml: &str) -> String {
    match PolicySet::parse(yaml) {
        Ok(_) => panic!("accepted:\n{yaml}"),
        Err(errors) => errors.to_string(),
    }
}
#[track_caller]
fn refused(yaml: &str, because: &str) {
    let text = errors(yaml);
    assert!(text.contains(because), "{yaml}\nmust be refused because of `{because}`, but: {text}");
}
fn with_rule(rest: &str) -> String {
    format!("version: 1\nrules:\n  - id: r\n    where: all\n{rest}")
}
fn allow(command: &str) -> String {
    with_rule(&format!("    effect: allow\n    commands:\n      - {command}\n"))
}
fn deny(command: &str) -> String {
    with_rule(&format!("    effect: deny\n    commands:\n      - {command}\n"))
}

const FULL: &str = r#"
version: 1
limits: { timeout: 60s, output: 256KiB }
network: { allow: [10.0.0.0/8, "fd00::/8"], deny: [169.254.169.254/32] }
rules:
  - id: read-only-basics
    description: what anybody may look at
    effect: allow
    who: { users: [ops], services: [ci], via: [cli, mcp, api] }
    where: { hosts: [web-1], tags: [web], sites: [eu] }
    commands:
      - uptime
      - systemctl status <unit>
      - tail -n <int:1..1000> <path:/var/log>
      - argv: [grep, { prefix: "--max-count=", int: { min: 1, max: 10 } }, { regex: "[a-z ]+" }, { path: /var/log, repeat: true }, { word: true, optional: true }]
    limits: { timeout: 5m, output: 1MiB }
    network: { allow: [10.1.0.0/16], deny: [10.1.9.0/24] }
    match: ["uptime", "grep --max-count=3 'a b' /var/log/x /var/log/y", "uptime | uptime"]
    not_match: ["uptime -x", "grep --max-count=30 a /var/log/x", "tail -n 5 /var/log/$(id)"]
  - id: never
    effect: deny
    where: all
    commands: [shutdown, "reboot <end>", { argv: [halt], end: true }]
    match: ["sudo shutdown now", "halt"]
    not_match: ["halt -p"]
"#;

#[test]
fn the_whole_language_is_accepted() {
    let set = PolicySet::parse(FULL).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(set.source(), FULL);
    assert_eq!(set.digest(), lictor_core::digest::Digest::of(FULL.as_bytes()));
    assert_eq!(set.rules().map(|r| r.id().as_str()).collect::<Vec<_>>(), ["read-only-basics", "never"]);
    let patterns: Vec<&str> = set.rules().next().unwrap().patterns().iter().map(|p| p.as_str()).collect();
    assert_eq!(patterns[3], "grep --max-count=<int:1..10> <re:[a-z ]+> <path:/var/log>... [<word>]");
}

#[test]
fn the_policy_in_the_manual_is_accepted() {
    let manual = include_str!("../README.md");
    let block = manual.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(PolicySet::parse(block).unwrap_or_else(|e| panic!("{e}")).rules().count(), 2);
}

#[test]
fn an_unknown_key_is_refused_at_every_level() {
    for (place, with) in [
        ("version: 1\n", "version: 1\nextra: 1\n"),
        ("limits: { timeout: 60s", "limits: { extra: 1, timeout: 60s"),
        ("network: { allow: [10.0", "network: { extra: 1, allow: [10.0"),
        ("    effect: allow\n", "    effect: allow\n    extra: 1\n"),
        ("who: { users", "who: { extra: 1, users"),
        ("where: { hosts", "where: { extra: 1, hosts"),
        ("      - argv: [grep,", "      - extra: 1\n        argv: [grep,"),
        ("{ path: /var/log, repeat", "{ extra: 1, path: /var/log, repeat"),
        ("int: { min: 1", "int: { extra: 1, min: 1"),
        ("limits: { timeout: 5m", "limits: { extra: 1, timeout: 5m"),
        ("network: { allow: [10.1", "network: { extra: 1, allow: [10.1"),
    ] {
        assert!(FULL.contains(place), "{place}");
        refused(&FULL.replacen(place, with, 1), "extra");
    }
}

#[test]
fn unknown_values_are_refused() {
    refused(&FULL.replace("effect: allow", "effect: approve"), "approve");
    refused(&FULL.replace("via: [cli,", "via: [web,"), "web");
    refused(&FULL.replace("version: 1", "version: 2"), "version 2");
    refused("rules: []", "version");
    refused("version: 1", "rules");
    refused(&FULL.replacen("    where: { hosts: [web-1], tags: [web], sites: [eu] }\n", "", 1), "where");
    refused(&FULL.replacen("where: { hosts: [web-1], tags: [web], sites: [eu] }", "where: any", 1), "all");
    refused(&allow("uptime").replace("- uptime", "- uptime\n    acknowledge: [all]"), "all");
}

#[test]
fn what_is_not_one_plain_document_is_refused() {
    for empty in ["", "  \n", "# nothing\n", "---\n", "---\n# nothing\n...\n"] {
        refused(empty, "empty");
    }
    for bad in
        ["[]", "null", "version: [", "\tversion: 1", "version: 1\nrules: []\n---\nversion: 1\nrules: []\n"]
    {
        errors(bad);
    }
    refused("version: 1\nversion: 1\nrules: []", "line 2: the key `version` is there twice");
    errors(&FULL.replace("description: what", "effect: deny\n    description: what"));
    errors("version: 1\nrules:\n  - &a {id: a, effect: allow, where: all, commands: [x]}\n");
    errors(
        "version: 1\nlimits: &l {timeout: 5s}\nrules:\n  - {id: a, effect: allow, where: all, commands: [x], limits: *l}\n",
    );
    errors("version: 1\nrules: !include x\n");
    errors(&" ".repeat(2 << 20));
}

#[test]
fn what_a_reviewer_cannot_see_is_refused() {
    for hidden in ["\u{202e}", "\u{200b}", "\u{feff}", "\t", "\u{7}"] {
        refused(
            &FULL.replacen("what anybody", &format!("what{hidden} anybody"), 1),
            "line 7: the character U+",
        );
    }
    assert!(PolicySet::parse(&FULL.replace('\n', "\r\n")).is_ok());
}

#[test]
fn every_problem_is_reported_with_its_line() {
    let text = errors(
        "version: 1\nlimits: {timeout: 5}\nrules:\n  - id: a\n    effect: allow\n    where: {tags: ['-x']}\n    commands:\n      - ls *\n      - rm <any>...x\n      - cd /\n    match:\n      - ls\n  - id: a\n    effect: allow\n    where: all\n    commands: any\n",
    );
    for part in [
        "`5` is not a duration",
        "line 4: rule `a`: `tags` has `-x`",
        "line 8: rule `a`: pattern `ls *`",
        "line 10: rule `a`: pattern `cd /` can never match",
        "line 12: rule `a`: `match` has `ls`",
        "line 13: rule `a`: the id is used already, at line 4",
        "line 13: rule `a`: `commands: any` is only for deny rules",
    ] {
        assert!(text.contains(part), "missing `{part}` in:\n{text}");
    }
}

#[test]
fn a_key_that_says_nothing_is_refused() {
    for (from, to) in [
        ("who: { users: [ops], services: [ci], via: [cli, mcp, api] }", "who: {}"),
        ("users: [ops]", "users: []"),
        ("via: [cli, mcp, api]", "via: []"),
        ("where: { hosts: [web-1], tags: [web], sites: [eu] }", "where: {}"),
        ("tags: [web]", "tags: []"),
        ("limits: { timeout: 5m, output: 1MiB }", "limits: {}"),
        ("network: { allow: [10.1.0.0/16], deny: [10.1.9.0/24] }", "network: {}"),
        ("allow: [10.1.0.0/16]", "allow: []"),
        ("commands: [shutdown, \"reboot <end>\", { argv: [halt], end: true }]", "commands: []"),
        ("{ argv: [halt], end: true }", "{ argv: [] }"),
    ] {
        assert!(FULL.contains(from), "{from}");
        refused(&FULL.replace(from, to), "empty");
    }
    refused(&(deny("x") + "    limits: {timeout: 5s}\n"), "no meaning in a deny rule");
}

#[test]
fn what_is_not_a_pattern_is_refused() {
    for bad in [
        "ls *",
        "ls $x",
        "ls a;b",
        "a | b",
        "a && b",
        "a > b",
        "ls <int>",
        "ls <int:5..1>",
        "ls <int:a..b>",
        "ls <path:log>",
        "ls <path:/a/..>",
        "ls <re:(>",
        "ls <one-of:a||b>",
        "ls <Name>",
        "ls <x",
        "ls [<x>",
        "ls <x>]",
        "ls [[<x>]]",
        "ls []",
        "[ls] x",
        "ls <glob:x>",
        "ls <a><b>",
        "ls [<x>]...",
        "-x",
        "'' x",
        "A=b ls",
        "ls 'x",
        "ls <x> <end>",
        "<x>... ls",
    ] {
        errors(&allow(&format!("\"{}\"", bad.replace('"', "\\\""))));
    }
    refused(&allow("true"), "quotes");
    refused(&deny("ls <end> x"), "follow `<end>`");
    for slot in [
        "{}",
        "{word: false}",
        "{word: true, any: true}",
        "{int: {min: 2, max: 1}}",
        "{regex: '('}",
        "{one_of: []}",
    ] {
        errors(&allow(&format!("{{argv: [ls, {slot}]}}")));
    }
    errors(&allow("{argv: [{word: true}]}"));
    errors(&allow("{argv: [ls], end: true}"));
}

#[test]
fn an_allow_that_lets_its_caller_choose_a_program_needs_an_acknowledgement() {
    for open in [
        "sh",
        "sh -c <any>",
        "bash <path:/opt>",
        "bash -s",
        "env <word>",
        "sudo <word>",
        "sudo -u root <word>",
        "sudo -i",
        "xargs",
        "xargs ls",
        "find <path:/var> <any>",
        "find . <x>...",
        "git <word>",
        "less <any>",
        "vim",
        "timeout 5 <word>",
        "sudo env <word>",
        "nohup nice <word> x",
        "python3",
        "python3 -",
        "awk <any>",
        "ssh <host> <word>",
        "/usr/bin/sudo <x>",
        "<one-of:ls|sh>",
        "docker exec <c> <cmd>...",
        "kubectl <verb>",
        "python3.11 <path:/opt>",
        "/usr/bin/python3.11 -",
        "vim.basic",
        "nodejs <path:/opt>",
        "php8.2 <word>",
        "perl5.36.0 <word>",
        "gawk-5.1 <any>",
        "npx <word>",
        "npm run <name>",
        "taskset 1 <word>",
        "chrt 1 <word>",
        "expect <path:/opt>",
        "capsh <word>",
        "run-parts <path:/etc>",
        "ltrace <word>",
        "strace <word>",
        "gdb <word>",
        "/lib64/ld-linux-x86-64.so.2 <path:/opt>",
        "/lib/ld.so <path:/opt>",
        "/usr/bin/time <word>",
        "systemd-run <word>",
        "busybox <word>",
        "unshare <word>",
        "nsenter <word>",
        "chroot /srv <word>",
        "setpriv <word>",
        "runuser <word>",
        "doas <word>",
        "pkexec <word>",
        "script <word>",
        "watch <word>",
        "flock /x <word>",
        "parallel <word>",
        "make <target>",
        "java <word>",
        "lua5.4 <word>",
        "tclsh8.6 <word>",
        "pwsh <word>",
        "emacs <any>",
        "ed",
        "ex <any>",
        "systemctl <verb> <unit>",
        "systemctl status <any>",
        "systemctl edit <unit>...",
        "git log <ref>...",
        "sudo systemctl <verb>",
    ] {
        refused(&allow(&format!("'{open}'")), "starts-programs");
        let acknowledged = allow(&format!("'{open}'")) + "    acknowledge: [starts-programs]\n";
        PolicySet::parse(&acknowledged).unwrap_or_else(|e| panic!("{open}: {e}"));
        PolicySet::parse(&deny(&format!("'{open}'"))).unwrap_or_else(|e| panic!("{open}: {e}"));
    }
    for closed in [
        "sh /opt/check.sh",
        "sudo systemctl restart <one-of:nginx|ssh>",
        "sudo systemctl status <unit>",
        "find <path:/var/log> -name <word>",
        "git log",
        "git -C /srv log <one-of:main|dev>",
        "docker logs <container>",
        "python3 /opt/x.py <int:1..5>",
        "nohup uptime",
        "ssh -V x",
        "systemctl",
        "systemctl status <unit>",
        "systemctl status <unit> --no-pager",
        "systemctl status <unit>...",
        "docker logs <container>...",
        "sudo -n systemctl restart <one-of:nginx|ssh>",
        "make -C /srv check",
        "tee <path:/srv>",
        "md5sum <path:/srv>",
        "bzip2 <path:/srv>",
    ] {
        PolicySet::parse(&allow(&format!("'{closed}'"))).unwrap_or_else(|e| panic!("{closed}: {e}"));
    }
    PolicySet::parse(&allow("/opt/bin/cd x")).unwrap_or_else(|e| panic!("a path is not a builtin: {e}"));
    refused(&allow("<word>"), "spell its program out");
    refused(&allow("<any> x"), "spell its program out");
}

#[test]
fn an_allow_that_admits_any_option_needs_an_acknowledgement() {
    for open in ["ls <re:.*>", "ls <re:-[la]+>", "ls <int:-5..5>", "ls -<word>", "ls --<word>"] {
        refused(&allow(&format!("'{open}'")), "leading-dash");
        let acknowledged = allow(&format!("'{open}'")) + "    acknowledge: [leading-dash]\n";
        PolicySet::parse(&acknowledged).unwrap_or_else(|e| panic!("{open}: {e}"));
    }
    for closed in ["ls <re:[a-z]+>", "ls --color=<word>", "ls -l", "ls <any>"] {
        PolicySet::parse(&allow(&format!("'{closed}'"))).unwrap_or_else(|e| panic!("{closed}: {e}"));
    }
}

#[test]
fn examples_are_checked_when_the_file_is_loaded() {
    refused(&(allow("uptime") + "    match: [uptime -x]\n"), "`match` has `uptime -x`");
    refused(&(allow("uptime") + "    match: ['uptime $x']\n"), "E_EXPANSION");
    refused(&(allow("uptime") + "    not_match: [uptime]\n"), "`not_match` has `uptime`");
    refused(&(deny("rm") + "    not_match: [sudo rm x]\n"), "`not_match` has `sudo rm x`");
}

#[test]
fn the_schema_describes_every_key() {
    let schema = json_schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["version", "rules"]));
    let text = schema.to_string();
    for key in ["acknowledge", "not_match", "one_of", "sites", "starts-programs", "timeout", "argv"] {
        assert!(text.contains(key), "{key}");
    }
}
