//! The examples that a rule carries: checked against its patterns when the file is loaded.

use lictor_core::{command::Command, job::CommandInput};

use crate::{
    decision::Effect,
    parse::{parse_command, parse_command_with_globs},
    refusal::Refusal,
    rule::Rule,
};

/// Why `line`, which must match, does not.
pub(crate) fn must_match(rule: &Rule, line: &str) -> Option<String> {
    match parse(rule, line) {
        Err(refusal) => Some(format!("`match` has `{line}`, which is not a command: {refusal}")),
        Ok(command) if is_matched(rule, &command) => None,
        Ok(_) => Some(format!("`match` has `{line}`, but no pattern of the rule matches it")),
    }
}

/// Why `line`, which must not match, does. A line that is refused before any rule is asked does not match.
pub(crate) fn must_not_match(rule: &Rule, line: &str) -> Option<String> {
    let command = parse(rule, line).ok()?;
    is_matched(rule, &command)
        .then(|| format!("`not_match` has `{line}`, but a pattern of the rule matches it"))
}

/// Deny rules see globs whatever the other rules take.
fn parse(rule: &Rule, line: &str) -> Result<Command, Refusal> {
    let input = CommandInput::Line(line.into());
    if rule.globs || rule.effect() == Effect::Deny {
        parse_command_with_globs(&input)
    } else {
        parse_command(&input)
    }
}

/// An allow rule has to match every part of a command, a deny rule one.
fn is_matched(rule: &Rule, command: &Command) -> bool {
    let mut simples = command.simples();
    match rule.effect() {
        Effect::Allow | Effect::Approve => simples.all(|simple| rule.find(simple).is_some()),
        Effect::Deny => simples.any(|simple| rule.find(simple).is_some()),
    }
}
