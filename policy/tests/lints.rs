//! What the lint finds in a policy and what it leaves alone, and that errors refuse a file unless they are acknowledged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use lictor_policy::{Finding, LintFinding, PolicySet, Severity, lint};
use proptest::prelude::*;

/// A rule with an example that must not match, so that it has only the findings that a test is about.
fn rule(id: &str, effect: &str, commands: &[&str], more: &str) -> String {
    let list: Vec<String> = commands.iter().map(|c| format!("'{}'", c.replace('\'', "''"))).collect();
    let list = list.join(", ");
    format!("  - {{id: {id}, effect: {effect}, commands: [{list}], not_match: ['no match'], {more}}}\n")
}
fn everywhere(id: &str, effect: &str, commands: &[&str]) -> String {
    rule(id, effect, commands, "where: all")
}
fn acknowledged(command: &str, findings: &[Finding]) -> String {
    let names: Vec<&str> = findings.iter().map(|f| f.as_str()).collect();
    rule("r", "allow", &[command], &format!("where: all, acknowledge: [{}]", names.join(", ")))
}
fn parse(rules: &str) -> Result<PolicySet, String> {
    PolicySet::parse(&format!("version: 1\nrules:\n{rules}")).map_err(|e| e.to_string())
}
fn findings(rules: &str) -> Vec<LintFinding> {
    lint(&parse(rules).unwrap_or_else(|e| panic!("{rules}\n{e}")))
}
/// The findings about one command, those that refuse the file included.
fn all_of(effect: &str, command: &str) -> Vec<Finding> {
    if effect == "deny" {
        return findings(&everywhere("r", effect, &[command])).iter().map(|f| f.finding).collect();
    }
    let errors = errors(&everywhere("r", effect, &[command]));
    let warnings = findings(&acknowledged(command, &errors));
    errors.into_iter().chain(warnings.iter().map(|f| f.finding)).collect()
}
/// The errors because of which a file is refused.
fn errors(rules: &str) -> Vec<Finding> {
    let Err(text) = parse(rules) else { return Vec::new() };
    let found: Vec<Finding> =
        Finding::ALL.into_iter().filter(|f| text.contains(&format!("acknowledge: [{f}]"))).collect();
    assert!(!found.is_empty(), "refused for another reason: {text}");
    found
}

#[track_caller]
fn check(effect: &str, finding: Finding, with: &[&str], without: &[&str]) {
    for command in with {
        let found = all_of(effect, command);
        assert!(found.contains(&finding), "`{command}` must have {finding}, but has {found:?}");
    }
    for command in without {
        let found = all_of(effect, command);
        assert!(!found.contains(&finding), "`{command}` must not have {finding}: {found:?}");
    }
}

#[test]
fn a_program_that_the_caller_chooses_is_an_error() {
    check(
        "allow",
        Finding::StartsPrograms,
        &[
            "sh -c <any>",
            "sudo -n <word>",
            "sudo -n -u root <word>",
            "sudo [-n ls] <word>",
            "timeout 5 <word>",
            "timeout --signal=KILL 5 <word>",
            "sudo --user=root sh -c <any>",
            "timeout <int:1..60> sh -c <any>",
            "kubectl -n web <verb>",
            "git -C /srv <verb>",
            "git --no-pager <verb>",
            "make -C /srv <target>",
            "systemctl --no-pager <verb> <unit>",
            "systemctl <re:[a-z]+> nginx",
            "service <name> status",
            "sysctl <key>",
            "redis-cli <word>",
            "busybox sh <any>",
            "vim",
            "mysql",
            "<one-of:ls|sh> <any>",
            "entr <word>",
            "tar -xzf <word>",
            "tar <word> /srv/a.tar",
            "crontab <file>",
            "python3 [--version]",
            "sudo -n -l <word>",
            "sh -V",
        ],
        &[
            "uptime",
            "ls <any>",
            "sudo -n systemctl status <unit>",
            "sudo -n -u postgres uptime",
            "timeout 5 systemctl status <unit>",
            "timeout -k 5 <int:1..60> df -h",
            "timeout --signal=KILL 5 systemctl status <unit>",
            "nice -n 10 du -sh <path:/var>",
            "busybox ls <path:/var>",
            "systemctl <re:(status|show)> <unit>",
            "systemctl <one-of:status|restart> <one-of:nginx|ssh>",
            "service <one-of:nginx|ssh> status",
            "git log <re:[a-z]{1,20}>",
            "kubectl -n web get pods",
            "tcpdump -c <int:1..9> -i <word>",
            "sort <path:/var/log>",
            "crontab -l",
            "crontab -u <user> -l",
            "python3.11 --version",
            "java -version",
            "sudo -n -l",
            "logrotate -d /etc/logrotate.conf",
            "curl",
        ],
    );
}

#[test]
fn a_slot_that_admits_an_option_is_an_error() {
    check(
        "allow",
        Finding::LeadingDash,
        &["ls <re:.*>", "ls <re:-[la]>", "ls -<word>", "ls --<word>", "ls <int:-5..5>", "ls <any>-x"],
        &["ls <word>", "ls <any>", "ls --color=<word>", "ls <int:0..5>", "ls <re:[a-z].*>", "ls <word>-x"],
    );
}

#[test]
fn a_free_operand_of_a_program_that_runs_writes_or_sends_is_an_error() {
    check(
        "allow",
        Finding::FreeOperand,
        &[
            "rm <word>",
            "rm -f <any>",
            "cp <path:/srv> <word>",
            "tee <any>",
            "touch <word>...",
            "dd if=<any>  of=<any>",
            "dd <word>",
            "chmod 644 <file>",
            "sort -o <word> /srv/a",
            "sort --outp=<word> /srv/a",
            "sort --compress-program <word> /srv/a",
            "tar -xf /srv/a.tar -C <word>",
            "tar --checkpoint-action=<word> -cf /srv/a.tar /srv/b",
            "tar -cf /srv/a.tar -I <path:/opt> /srv/b",
            "find <path:/var> -exec <word>",
            "find <path:/var> -fprint <word>",
            "sed -i s/a/b/ <file>",
            "docker exec web <cmd>",
            "docker compose exec web <cmd>",
            "kubectl exec <pod> -- <cmd>",
            "apt-get install -y <package>",
            "systemctl enable <unit>",
            "git clone <word> /srv/x",
            "psql -c <any>",
            "curl <url>",
            "curl -o <word> https://example.com/x",
            "wget <word>",
            "nc -l <word>",
            "scp <word> <word>",
            "rsync -a <path:/srv> <word>",
            "openssl s_client -connect <word>",
            "rm <re:.+[a-z]>",
            "rpm -Uvh <package>",
            "aws s3 cp <word> s3://a/b",
            "modprobe <module>",
            "uniq /srv/a <word>",
        ],
        &[
            "rm <path:/tmp/x>",
            "rm /tmp/<name>.tmp",
            "rm <one-of:/tmp/a|/tmp/b>",
            "rm <re:[a-z]{1,8}>",
            "tee <path:/srv>",
            "cp /etc/hosts <path:/srv>",
            "dd if=<path:/srv> of=/dev/null",
            "chmod <mode> /srv/a",
            "sort <word>",
            "sort -k <word> /srv/a",
            "tar -tvf /srv/a.tar",
            "tar -xzf <path:/srv>",
            "find <path:/var> -name <word>",
            "find <path:/var> -name <word> -delete",
            "sed -n 5p <file>",
            "docker exec <container> ps",
            "docker logs --tail <int:1..100> <container>",
            "kubectl exec <pod> -- ps",
            "kubectl get <one-of:pods|nodes>",
            "systemctl restart <unit>",
            "systemctl enable <one-of:nginx|ssh>",
            "psql -c 'select 1'",
            "curl https://example.com/<name>",
            "openssl x509 -noout -in <path:/etc/ssl>",
            "ping -c <int:1..5> <host>",
            "dig <name>",
            "uniq <word>",
            "rpm -qi <package>",
            "kubectl delete pod <pod>",
            "docker rm <container>",
            "umount <path:/mnt>",
            "whois <domain>",
            "git log -n <count> --oneline",
            "apt-get install -y nginx",
            "echo <any>",
        ],
    );
}

#[test]
fn a_pattern_that_no_command_matches_is_an_error() {
    check(
        "allow",
        Finding::NeverMatches,
        &[
            r"ls <re:[^\s\S]>",
            "ls <re:a$b>",
            "cat /etc/<path:/x>",
            "cat /etc/../<name>",
            "cat /etc/<one-of:a/b|c/d>",
            "cat /etc/<name>/../x",
            "printf -v x",
        ],
        &[
            "ls <re:[a-z]+>",
            "cat /etc/<name>",
            "cat /etc/<one-of:a/b|c>",
            "cat --file=<path:/x>",
            "cat /etc/..<name>",
            r"ls [<re:[^\s\S]>]",
            "printf '%s' x",
            "/usr/bin/printf -v x",
        ],
    );
}

#[test]
fn a_pager_is_a_warning() {
    check(
        "allow",
        Finding::OpensPager,
        &[
            "journalctl -u <unit>",
            "systemctl status <unit>",
            "systemctl <one-of:restart|status> <one-of:nginx|ssh>",
            "git log",
            "git -C /srv diff",
            "less <path:/var/log>",
            "man 5 crontab",
            "journalctl [--no-pager]",
        ],
        &[
            "journalctl -u <unit> --no-pager",
            "systemctl --no-pager status <unit>",
            "systemctl restart <unit>",
            "systemctl is-active status.service",
            "git --no-pager log",
            "git rev-parse HEAD",
            "cat <path:/var/log>",
            "uptime",
        ],
    );
}

#[test]
fn any_file_is_a_warning() {
    check(
        "allow",
        Finding::ReadsAnyFile,
        &[
            "cat <any>",
            "cat <word>",
            "cat <path:/>",
            "tail -n <int:1..9> <word>",
            "grep -e x y <word>",
            "grep error <any>",
            "grep -f <word> /srv/a",
            "journalctl --no-pager --file=<any>",
            "dd if=<any> of=/dev/null",
            "sudo -n cat <file>",
            "md5sum <re:.*[a-z]>",
        ],
        &[
            "cat <path:/var/log>",
            "cat /etc/<name>.conf",
            "cat <one-of:/etc/hosts|/etc/fstab>",
            "tail -n <word> /var/log/syslog",
            "grep <word> <path:/var/log>",
            "grep -c <word> /var/log/syslog",
            "journalctl --no-pager -u <unit>",
            "ls <any>",
            "echo <any>",
        ],
    );
    check(
        "allow",
        Finding::WritesFiles,
        &[
            "rm <path:/>",
            "tee <path:/>",
            "cp /srv/a <path:/>",
            "sort -o <path:/> /srv/a",
            "sed -i s/a/b/ <path:/>",
        ],
        &["rm <path:/tmp>", "tee <path:/srv>", "cat <path:/>", "sort <path:/>", "sed s/a/b/ <path:/>"],
    );
}

#[test]
fn a_deny_of_an_option_is_a_warning() {
    check(
        "deny",
        Finding::DenyListOfOptions,
        &[
            "rm --recursive",
            "rm -r",
            "ls --color=<word>",
            "sudo -n rm -rf",
            "unknown --force",
            "tar --to-command",
        ],
        &["rm", "systemctl stop", "docker run --privileged", "find -delete", "kubectl delete --all", "ls -"],
    );
    check("allow", Finding::DenyListOfOptions, &[], &["ls --all", "ls -l"]);
}

#[test]
fn an_allow_rule_without_a_counterexample_is_a_warning() {
    let without = |effect: &str| format!("  - {{id: r, effect: {effect}, where: all, commands: [uptime]}}\n");
    let names = |rules: &str| findings(rules).iter().map(|f| f.finding).collect::<Vec<_>>();
    assert_eq!(names(&without("allow")), [Finding::NoExamples]);
    assert_eq!(names(&without("deny")), []);
    assert_eq!(names(&everywhere("r", "allow", &["uptime"])), []);
    let with_match = without("allow").replace("commands", "match: [uptime], commands");
    assert_eq!(names(&with_match), [Finding::NoExamples]);
}

#[test]
fn what_another_rule_says_already_is_a_warning() {
    let shadowed = |rules: &[String]| -> Vec<String> {
        let found = findings(&rules.concat());
        let found = found.iter().filter(|f| f.finding == Finding::Shadowed);
        found.map(|f| f.pattern.clone().unwrap_or_else(|| f.rule.to_string())).collect()
    };
    let all = |id: &str, effect: &str, commands: &[&str]| everywhere(id, effect, commands);
    let web = |id: &str, effect: &str, commands: &[&str]| rule(id, effect, commands, "where: {tags: [web]}");

    assert_eq!(shadowed(&[all("a", "allow", &["ls <word>"]), web("b", "allow", &["ls x", "ls y"])]), ["b"]);
    assert_eq!(shadowed(&[web("b", "allow", &["ls x"]), all("a", "allow", &["ls <word>", "df"])]), ["b"]);
    assert_eq!(
        shadowed(&[all("a", "allow", &["ls"]), all("b", "allow", &["ls"])]),
        ["b"],
        "the later of two"
    );
    let apart = [all("a", "allow", &["ls", "df"]), all("b", "allow", &["ls"]), all("c", "allow", &["df"])];
    assert_eq!(shadowed(&apart), ["b", "c"], "never both sides of the same");
    assert_eq!(shadowed(&[all("a", "deny", &["rm"]), web("b", "deny", &["rm -rf"])]), ["b"]);
    assert_eq!(shadowed(&[all("a", "deny", &["halt <end>"]), all("b", "deny", &["halt"])]), ["a"]);
    assert_eq!(shadowed(&[rule("a", "allow", &["ls <word>", "ls x"], "where: all")]), ["ls x"]);
    let any = "  - {id: a, effect: deny, where: all, commands: any}\n".to_owned();
    assert_eq!(shadowed(&[any, web("b", "deny", &["rm"])]), ["b"]);

    let limited = rule("b", "allow", &["ls x"], "where: all, limits: {timeout: 1s}");
    for apart in [
        vec![web("a", "allow", &["ls <word>"]), all("b", "allow", &["ls x"])],
        vec![all("a", "allow", &["ls <word>"]), web("b", "allow", &["ls x", "df"])],
        vec![all("a", "allow", &["ls <word>"]), limited],
        vec![all("a", "allow", &["ls <word>"]), all("b", "deny", &["ls x"])],
        vec![all("a", "deny", &["rm -rf"]), all("b", "deny", &["rm -r"])],
        vec![all("a", "deny", &["halt <end>"]), all("b", "deny", &["halt -p"])],
        vec![
            rule("a", "allow", &["ls"], "where: all, who: {via: [cli]}"),
            rule("b", "allow", &["ls"], "where: all, who: {users: [eve]}"),
        ],
    ] {
        assert_eq!(shadowed(&apart), [""; 0], "{apart:?}");
    }
}

#[test]
fn what_a_deny_leaves_nothing_of_is_a_warning_and_never_refuses_a_file() {
    let denied = |rules: &[String]| -> Vec<String> {
        let found = findings(&rules.concat());
        assert!(found.iter().all(|f| f.severity == Severity::Warning));
        let found = found.into_iter().filter(|f| f.finding == Finding::AlwaysDenied);
        found.map(|f| f.pattern.unwrap()).collect()
    };
    let never = everywhere("never", "deny", &["rm", "systemctl stop", "halt <end>"]);
    let some =
        ["rm <path:/tmp>", "/bin/rm /x", "systemctl stop <unit>", "halt", "uptime", "systemctl status x"];
    assert_eq!(denied(&[everywhere("a", "allow", &some), never.clone()]), some[..4]);
    assert_eq!(
        denied(&[never, everywhere("a", "allow", &["uptime", "halt -p", "rmdir <path:/tmp>"])]),
        [""; 0]
    );
    let any = "  - {id: stop, effect: deny, where: all, commands: any}\n".to_owned();
    assert_eq!(denied(&[any, everywhere("a", "allow", &["uptime", "df"])]), ["uptime", "df"]);
    let web = rule("never", "deny", &["rm"], "where: {tags: [web]}");
    assert_eq!(denied(&[web, everywhere("a", "allow", &["rm <path:/tmp>"])]), [""; 0], "elsewhere it may");
}

#[test]
fn the_same_in_another_order_of_options_is_a_warning() {
    let orders = |rules: &[String]| {
        findings(&rules.concat()).iter().filter(|f| f.finding == Finding::FlagOrder).count()
    };
    for same in [
        ["ls -l -a <path:/var>", "ls -a -l <path:/var>"],
        ["df -h --total", "df --total -h"],
        ["tail -n <int:1..9> <path:/var/log>", "tail <path:/var/log> -n <int:1..9>"],
        ["ls -l <path:/var>", "ls <path:/var> -l"],
    ] {
        assert_eq!(orders(&[everywhere("a", "allow", &same)]), 1, "{same:?}");
        let [one, other] = same;
        assert_eq!(
            orders(&[everywhere("a", "deny", &[one]), everywhere("b", "allow", &[other])]),
            1,
            "{same:?}"
        );
        assert_eq!(
            orders(&[everywhere("a", "allow", &[one]), everywhere("b", "allow", &[other])]),
            0,
            "{same:?}"
        );
    }
    for apart in
        [["ls -l", "ls -a"], ["diff a b", "diff b a"], ["diff -u a b", "diff -u b a"], ["ls -l", "ls -l -a"]]
    {
        assert_eq!(orders(&[everywhere("a", "allow", &apart)]), 0, "{apart:?}");
    }
}

#[test]
fn an_acknowledgement_for_nothing_is_a_warning() {
    let unused = |rules: &str| {
        let found = findings(rules);
        found.iter().filter(|f| f.finding == Finding::UnusedAcknowledge).count()
    };
    assert_eq!(unused(&acknowledged("uptime", &[Finding::StartsPrograms])), 1);
    assert_eq!(unused(&acknowledged("sh -c <any>", &[Finding::StartsPrograms, Finding::FreeOperand])), 1);
    assert_eq!(unused(&acknowledged("sh -c <any>", &[Finding::StartsPrograms])), 0);
    assert_eq!(unused(&acknowledged("cat <any>", &[Finding::ReadsAnyFile])), 0);
}

#[test]
fn a_finding_says_where_it_is_and_what_to_do() {
    let yaml = "version: 1\nrules:\n  - id: logs\n    effect: allow\n    where: all\n    commands:\n      - uptime\n      - cat <any>\n    not_match: [df]\n";
    let found = lint(&PolicySet::parse(yaml).unwrap());
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "line 8: rule `logs`: reads-any-file: pattern `cat <any>`: `cat` reads files that its operands name, and \
          `<any>` leaves one to the caller; bound it with `<path:/dir>`, or list the files with `<one-of:a|b>`"
        ]
    );
    let refused = PolicySet::parse(&yaml.replace("cat <any>", "rm <any>")).unwrap_err().to_string();
    assert_eq!(
        refused,
        "line 8: rule `logs`: lint: pattern `rm <any>`: `rm` writes files that its operands name, and `<any>` leaves \
         one to the caller; list the values with `<one-of:a|b>`, or bound them with `<path:/dir>`, or add \
         `acknowledge: [free-operand]` to the rule"
    );
}

#[test]
fn every_finding_but_one_can_be_acknowledged() {
    for finding in Finding::ALL {
        let known = parse(&acknowledged("uptime", &[finding]));
        assert_eq!(known.is_ok(), finding != Finding::UnusedAcknowledge, "{finding}: {known:?}");
    }
    let deny = rule("r", "deny", &["rm -r"], "where: all, acknowledge: [deny-list-of-options]");
    assert_eq!(findings(&deny), []);
}

#[test]
fn a_large_policy_is_linted_within_bounds() {
    let rules: String = (0..600)
        .map(|n| {
            everywhere(&format!("r{n}"), "allow", &[&format!("systemctl status <re:u{n}[a-z]*> --no-pager")])
        })
        .collect();
    assert_eq!(findings(&rules), []);
}

const PROGRAMS: [&str; 12] =
    ["ls", "rm", "sh", "find", "sudo", "git", "tee", "cat", "tar", "systemctl", "curl", "journalctl"];
const WORDS: [&str; 14] = [
    "-f",
    "-exec",
    "status",
    "log",
    "x",
    "/srv/a",
    "<word>",
    "<any>",
    "<path:/srv>",
    "<path:/>",
    "<int:1..9>",
    "<one-of:a|b>",
    "<re:.*>",
    "[<word>...]",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_loads_exactly_when_its_errors_are_acknowledged(
        program in 0..PROGRAMS.len(),
        words in prop::collection::vec(0..WORDS.len(), 0..4),
        known in any::<u8>(),
    ) {
        let words: Vec<&str> = words.iter().map(|i| WORDS[*i]).collect();
        let command = format!("{} {}", PROGRAMS[program], words.join(" "));
        let errors = errors(&everywhere("r", "allow", &[&command]));
        let some: Vec<Finding> =
            errors.iter().enumerate().filter(|(i, _)| known & (1 << i) != 0).map(|(_, f)| *f).collect();
        if !errors.is_empty() {
            prop_assert_eq!(parse(&acknowledged(&command, &some)).is_ok(), some.len() == errors.len());
        }
        // A file that loads has only warnings, whatever else it has.
        let found = findings(&acknowledged(&command, &errors));
        prop_assert!(found.iter().all(|f| f.severity == Severity::Warning), "{:?}", found);
        prop_assert!(!found.iter().any(|f| f.finding == Finding::UnusedAcknowledge), "{:?}", found);
    }

    #[test]
    fn a_rule_without_an_error_has_none_with_fewer_patterns(
        program in 0..PROGRAMS.len(),
        words in prop::collection::vec(0..WORDS.len(), 0..3),
    ) {
        let words: Vec<&str> = words.iter().map(|i| WORDS[*i]).collect();
        let command = format!("{} {}", PROGRAMS[program], words.join(" "));
        let both = errors(&everywhere("r", "allow", &["uptime", &command]));
        prop_assert_eq!(both, errors(&everywhere("r", "allow", &[&command])));
    }
}
