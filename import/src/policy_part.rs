//! `policy.yml`: read by the policy crate, because what rules mean is known there.

use std::{borrow::Cow, fmt::Write as _};

use lictor_policy::{import, imported};

use crate::{
    Dialect, POLICY,
    finding::{Code, Finding, Findings, Place, Severity},
};

/// The new policy; `None`, with findings, when it cannot be read.
pub(crate) fn policy_part(text: &str, dialect: Option<Dialect>, findings: &mut Findings) -> Option<String> {
    let dialect = dialect.map(|dialect| match dialect {
        Dialect::V1 => imported::Dialect::LastMatch,
        Dialect::V2 => imported::Dialect::FirstMatch,
    });
    let policy = match import::policy(text, dialect) {
        Ok(policy) => policy,
        Err(errors) => {
            for error in errors.iter() {
                let place = Place { file: POLICY, line: 0 };
                findings.add(
                    Code::BrokenPolicy,
                    place,
                    error.to_string(),
                    "",
                    "correct the file and import again",
                );
            }
            return None;
        }
    };
    for finding in policy.findings() {
        findings.push(of_policy(finding));
    }
    Some(policy.to_yaml().to_owned())
}

fn of_policy(finding: &import::Finding) -> Finding {
    Finding {
        code: Cow::Owned(code(&finding.place)),
        severity: match finding.severity {
            import::Severity::Info => Severity::Info,
            import::Severity::Warning => Severity::Warning,
            import::Severity::Error => Severity::Error,
        },
        acceptable: true,
        file: POLICY,
        line: 0,
        what: format!("{}: {}", printable(&finding.place), printable(&finding.message)),
        done: String::new(),
        todo: String::new(),
    }
}

/// A code from a place: without the numbers, so that it means the same finding everywhere in the file.
fn code(place: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in place.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside || c.is_control() || c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// Text of the file may stand in it: nothing that steers a terminal.
fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => out.push(c),
            c => {
                let _ = write!(out, "{}", c.escape_debug());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_for_every_rule() {
        assert_eq!(code("rules[2].commands[0]"), "rules.commands");
        assert_eq!(code("known_hosts_path"), "known_hosts_path");
    }
}
