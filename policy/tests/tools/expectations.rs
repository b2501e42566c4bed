//! Files of cases.

use super::*;

const POLICY: &str =
    "version: 1\nrules:\n  - {id: r, effect: allow, where: {tags: [web]}, commands: [uptime]}\n";

fn run(cases_yaml: &str) -> Vec<Vec<String>> {
    let cases = cases::parse(cases_yaml).unwrap_or_else(|e| panic!("{e}"));
    cases::run(&policy(POLICY), &cases).unwrap().into_iter().map(|result| result.problems).collect()
}

#[test]
fn cases_that_hold_have_no_problem_and_others_say_what_is_instead() {
    let all = "
- {as: 'user:ada', host: web-1, tags: [web], command: uptime, expect: allow, rule: r, code: POLICY_ALLOWED}
- {as: 'service:ci', via: api, host: db-1, site: eu, argv: [uptime], expect: deny}
- {as: 'user:ada', host: web-1, tags: [web], command: 'uptime > /x', expect: deny, code: E_REDIRECT}
- {name: wrong, as: 'user:ada', host: db-1, command: uptime, expect: allow, rule: r}
";
    let problems = run(all);
    assert!(problems[..3].iter().all(Vec::is_empty), "{problems:?}");
    assert_eq!(
        problems[3],
        ["expected allow, but it is denied", "expected rule `r` to decide, but no rule does"]
    );
}

#[test]
fn a_file_of_cases_is_read_strictly() {
    for (bad, because) in [
        ("- {as: 'user:a', host: h, command: x, expect: allow, extra: 1}", "extra"),
        ("- {as: ada, host: h, command: x, expect: allow}", "user:NAME"),
        ("- {as: 'user:a', host: h, command: x, expect: maybe}", "approve"),
        ("- {as: 'user:a', host: h, expect: allow}", "`command` or `argv`"),
        ("- {as: 'user:a', host: h, command: x, argv: [x], expect: allow}", "not both"),
        ("- {as: 'user:a', host: '-h', command: x, expect: allow}", "host"),
        ("- {as: 'user:a', host: h, via: web, command: x, expect: allow}", "via"),
        ("- {as: 'user:a', host: h, command: x, expect: allow, at: today}", "moment"),
        ("- {as: 'user:a', host: h, command: x, expect: allow, code: E_NONE}", "code"),
        ("[]", "no case"),
    ] {
        let errors = cases::parse(bad).unwrap_err().to_string();
        assert!(errors.contains(because), "{bad}: {errors}");
    }
}

#[test]
fn a_policy_with_windows_asks_when() {
    let timed = policy(
        "version: 1\nwindows: {day: {zone: UTC, from: '08:00', to: '16:00'}}\nrules:\n  - {id: r, effect: allow, where: all, when: {during: [day]}, commands: [uptime]}\n",
    );
    let case = |at: &str| format!("- {{as: 'user:a', host: h, command: uptime, expect: allow{at}}}");
    let vague = cases::parse(&case("")).unwrap();
    assert!(cases::run(&timed, &vague).unwrap_err().to_string().contains("line 1: the policy has windows"));
    for (at, holds) in [("2026-01-05T10:00:00Z", true), ("2026-01-05T10:00:00+09:00", false)] {
        let exact = cases::parse(&case(&format!(", at: '{at}'"))).unwrap();
        assert_eq!(cases::run(&timed, &exact).unwrap()[0].problems.is_empty(), holds, "{at}");
    }
}
