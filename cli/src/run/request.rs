//! What is asked for, as it is typed: hosts, a tag or an expression, and a command.

use clap::Args;
use lictor_core::{
    digest::Digest,
    job::{CommandInput, IdempotencyKey, JobSpec, Target},
    name::{HostAlias, Tag},
    target::TargetExpression,
};
use lictor_runtime::human::{HumanBytes, HumanDuration};

use super::{in_context::ContextArguments, rollout::RolloutArguments};
use crate::{context::origin, trouble::Trouble};

/// Where and what.
#[derive(Debug, Args)]
pub(crate) struct RequestArguments {
    /// Hosts, by alias: web-1 or web-1,web-2
    #[arg(
        value_name = "HOST",
        value_delimiter = ',',
        required_unless_present_any = ["tag", "expression"],
        conflicts_with_all = ["tag", "expression"]
    )]
    hosts: Vec<HostAlias>,
    /// Every host with this tag
    #[arg(long, value_name = "TAG", conflicts_with = "expression")]
    tag: Option<Tag>,
    /// Every host that this means, in quotes, e.g. 'tag:web and not site:eu'
    ///
    /// Terms are tag:T, site:S, label:K=V, label:K, host:A or just A, and all; `*` in V and A stands for any
    /// characters. They are joined by not, and, or, and brackets. A term that is true of no host is refused. See
    /// which hosts it means with lictor hosts --match.
    #[arg(long = "match", value_name = "EXPRESSION")]
    expression: Option<TargetExpression>,
    /// Longest time it may run, e.g. 30s; policy may shorten it
    #[arg(long, value_name = "TIME")]
    timeout: Option<HumanDuration>,
    /// Most output to keep of each host, e.g. 1MiB; policy may lower it
    #[arg(long, value_name = "SIZE")]
    output_limit: Option<HumanBytes>,
    #[command(flatten)]
    context: ContextArguments,
    #[command(flatten)]
    rollout: RolloutArguments,
    /// Guard it on the host, too, and let it outlive the SSH connection and the agent; for what must never start twice
    #[arg(long)]
    detached: bool,
    /// Program and arguments, each taken literally; or one quoted line, e.g. 'uptime; df -h'
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

// === impl RequestArguments ===

impl RequestArguments {
    /// The job that is asked for, exactly as `plan` decided if there is one, and the bytes that it is to be given.
    ///
    /// # Errors
    /// When more is asked for than one request may.
    pub(crate) fn into_spec(
        self,
        key: Option<IdempotencyKey>,
        plan: Option<Digest>,
    ) -> Result<(JobSpec, Option<Vec<u8>>), Trouble> {
        let target = match (self.tag, self.expression) {
            (Some(tag), _) => Target::Tag(tag),
            (None, Some(expression)) => Target::Expression(expression),
            (None, None) => Target::Hosts(self.hosts),
        };
        let (context, given) = self.context.read()?;
        let spec = JobSpec {
            context,
            timeout: self.timeout.map(HumanDuration::get),
            output_bytes: self.output_limit.map(HumanBytes::get),
            idempotency_key: key,
            plan_digest: plan,
            rollout: self.rollout.into_rollout(),
            detached: self.detached,
            ..JobSpec::new(target, command(self.command), origin())
        };
        Ok((spec, given))
    }
}

/// Words are words; a single one with a blank in it is a line, because no program is called that.
pub(crate) fn command(words: Vec<String>) -> CommandInput {
    match words.as_slice() {
        [line] if line.contains(char::is_whitespace) => CommandInput::Line(line.clone()),
        _ => CommandInput::Argv(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_literal_and_one_word_with_a_blank_is_a_line() {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(command(words(&["uptime"])), CommandInput::Argv(words(&["uptime"])));
        assert_eq!(command(words(&["echo", "a; b"])), CommandInput::Argv(words(&["echo", "a; b"])));
        assert_eq!(command(words(&["uptime; df -h"])), CommandInput::Line("uptime; df -h".into()));
    }
}
