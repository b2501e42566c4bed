//! How a job is to go out, as it is typed: waves, limits, and what stands between waves.

use clap::Args;
use lictor_core::{
    job::CommandInput,
    rollout::{Rollout, Share},
};
use lictor_runtime::human::HumanDuration;

use super::request::command;

/// The heading of these options in the help.
const HEADING: &str = "How it goes out";

/// In which waves, how many at a time, and what stops it.
#[derive(Debug, Args, Default)]
pub(crate) struct RolloutArguments {
    /// How many hosts each wave brings it to, rising: 1,10%,50%; what is left is the last wave
    #[arg(long, value_name = "SHARE", value_delimiter = ',', help_heading = HEADING)]
    waves: Vec<Share>,
    /// How long to rest after each wave, e.g. 10m
    #[arg(long, value_name = "TIME", requires = "waves", help_heading = HEADING)]
    soak: Option<HumanDuration>,
    /// A command that must succeed on every host of a wave before the next begins
    #[arg(long, value_name = "COMMAND", requires = "waves", help_heading = HEADING)]
    health_check: Option<String>,
    /// How many hosts at a time: 20 or 10%
    #[arg(long, value_name = "SHARE", help_heading = HEADING)]
    max_concurrency: Option<Share>,
    /// How many failures are borne (0, 5, 2%); one more halts the job
    #[arg(long, value_name = "SHARE", help_heading = HEADING)]
    max_errors: Option<Share>,
    /// How many unreachable hosts are borne; one more halts the job
    #[arg(long, value_name = "SHARE", help_heading = HEADING)]
    max_unreachable: Option<Share>,
    /// How many hosts of one site at a time
    #[arg(long, value_name = "N", help_heading = HEADING)]
    max_per_site: Option<u32>,
}

// === impl RolloutArguments ===

impl RolloutArguments {
    /// The rollout that is asked for; what cannot be is refused by the controller, with its reason.
    pub(crate) fn into_rollout(self) -> Rollout {
        Rollout {
            waves: self.waves,
            soak: self.soak.map(HumanDuration::get).unwrap_or_default(),
            health_check: self.health_check.map(|line| one_command(&line)),
            max_concurrency: self.max_concurrency,
            max_errors: self.max_errors,
            max_unreachable: self.max_unreachable,
            max_per_site: self.max_per_site,
        }
    }
}

fn one_command(line: &str) -> CommandInput {
    command(vec![line.to_owned()])
}
