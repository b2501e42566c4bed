//! What a principal asks for, and what became of it as a whole.

use std::time::Duration;

use crate::{
    actor::Actor,
    approval::Approval,
    clock::Timestamp,
    command::Command,
    context::Context,
    digest::{Digest, Sha256Builder},
    id::JobId,
    limits::{MAX_IDEMPOTENCY_KEY_BYTES, MAX_NOTE_BYTES},
    name::{HostAlias, Tag},
    outcome::{Outcome, Ran},
    principal::{Principal, Via},
    rollout::{MAX_ROLLOUT, Progress, Rollout},
    target::TargetExpression,
};

mod state;

pub use self::state::{Counts, JobState};

/// Which hosts; resolved to a fixed list before anything is decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// These hosts, by alias.
    Hosts(Vec<HostAlias>),
    /// Every host with this tag.
    Tag(Tag),
    /// Every host that an expression means.
    Expression(TargetExpression),
}

/// A command as the caller gave it; it becomes a [`Command`] or is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CommandInput {
    /// Program and arguments: the primary form.
    Argv(Vec<String>),
    /// A line, accepted when it parses to simple commands of literal words.
    Line(String),
}

/// Which request this is a repetition of, if it is one: at most [`MAX_IDEMPOTENCY_KEY_BYTES`] printable bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

/// Not an idempotency key: empty, too long, or with unprintable characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidIdempotencyKey;

/// Where a request came from, as its client claims; recorded, and no rule widens by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The door.
    pub via: Via,
    /// The client's name and version as it says them, at most [`MAX_NOTE_BYTES`].
    pub client: String,
    /// The service that brought it for a user, as the controller proved it; `None` when the principal itself called.
    pub actor: Option<Actor>,
}

/// What a principal asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// Where.
    pub target: Target,
    /// What.
    pub command: CommandInput,
    /// In what; policy has to permit all of it.
    pub context: Context,
    /// For how long at most; policy may shorten it. `None`: what policy says.
    pub timeout: Option<Duration>,
    /// How many bytes of output to keep; policy may lower it. `None`: what policy says.
    pub output_bytes: Option<u64>,
    /// How long an invocation may wait for its agent.
    pub queue_wait: Option<Duration>,
    /// The key of the request.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Digest of the plan that is to be run exactly; whatever would be decided differently fails as stale.
    pub plan_digest: Option<Digest>,
    /// In which waves, how many at a time, and what stops it.
    pub rollout: Rollout,
    /// Whether it is to be guarded on the host and to outlive the connection and the agent.
    pub detached: bool,
    /// Where the request came from.
    pub origin: Origin,
}

/// Limits that hold for every invocation of a job on one host, as decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Longest runtime.
    pub timeout: Duration,
    /// Most output kept, both streams together.
    pub output_bytes: u64,
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its identifier.
    pub id: JobId,
    /// Who asked.
    pub principal: Principal,
    /// By which door.
    pub origin: Origin,
    /// For which hosts.
    pub target: Target,
    /// The judged command.
    pub command: Command,
    /// In what it runs, as judged.
    pub context: Context,
    /// The version of the policy that decided.
    pub policy_version: u64,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Until when its invocations may wait for an agent.
    pub queue_until: Timestamp,
    /// Who asked to cancel it, and when.
    pub cancel_requested: Option<(Principal, Timestamp)>,
    /// How many invocations it has.
    pub invocations: u32,
    /// For how long at most, as asked for; `None`: what policy says.
    pub timeout: Option<Duration>,
    /// How many bytes of output to keep, as asked for; `None`: what policy says.
    pub output_bytes: Option<u64>,
    /// In which waves, how many at a time, and what stops it.
    pub rollout: Rollout,
    /// How far that is.
    pub progress: Progress,
    /// Whether it is guarded on its hosts, where they let it, and outlives connections and agents.
    pub detached: bool,
    /// The consent of others that it needs or needed; `None`: policy allowed it as it is.
    pub approval: Option<Approval>,
}

// === impl IdempotencyKey ===

impl IdempotencyKey {
    /// Checks `text` and makes it a key.
    ///
    /// # Errors
    /// When it is empty, longer than [`MAX_IDEMPOTENCY_KEY_BYTES`], or has other than printable ASCII characters.
    pub fn new(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let fits = !text.is_empty()
            && text.len() <= MAX_IDEMPOTENCY_KEY_BYTES
            && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.into())).ok_or(InvalidIdempotencyKey)
    }
    /// A key of the controller's own: begins with a space, so that no caller can have used it.
    pub fn of_controller(text: &str) -> Self {
        Self(format!(" {text}"))
    }
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for InvalidIdempotencyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "not an idempotency key: expected 1 to {MAX_IDEMPOTENCY_KEY_BYTES} printable characters without spaces"
        )
    }
}
impl std::error::Error for InvalidIdempotencyKey {}

// === impl Origin ===

impl Origin {
    /// An origin; a client name that is too long is cut, control characters are left out.
    pub fn new(via: Via, client: &str) -> Self {
        let mut kept = String::new();
        for c in client.chars().filter(|c| !c.is_control()) {
            if kept.len() + c.len_utf8() > MAX_NOTE_BYTES {
                break;
            }
            kept.push(c);
        }
        Self { via, client: kept, actor: None }
    }
}

// === impl JobSpec ===

impl JobSpec {
    /// A request with nothing beyond what is necessary: policy says the rest.
    pub fn new(target: Target, command: CommandInput, origin: Origin) -> Self {
        Self {
            target,
            command,
            context: Context::default(),
            timeout: None,
            output_bytes: None,
            queue_wait: None,
            idempotency_key: None,
            plan_digest: None,
            rollout: Rollout {
                waves: Vec::new(),
                soak: Duration::ZERO,
                health_check: None,
                max_concurrency: None,
                max_errors: None,
                max_unreachable: None,
                max_per_site: None,
            },
            detached: false,
            origin,
        }
    }

    /// A digest of everything that is asked for, to tell a repetition from another request under the same key.
    pub fn digest(&self) -> Digest {
        let mut builder = Sha256Builder::new("lictor job request v1");
        match &self.target {
            Target::Hosts(hosts) => {
                builder = builder.part(b"hosts");
                for host in hosts {
                    builder = builder.part(host.as_str().as_bytes());
                }
            }
            Target::Tag(tag) => builder = builder.part(b"tag").part(tag.as_str().as_bytes()),
            Target::Expression(expression) => {
                builder = builder.part(b"expression").part(expression.to_string().as_bytes());
            }
        }
        match &self.command {
            CommandInput::Argv(words) => {
                builder = builder.part(b"argv");
                for word in words {
                    builder = builder.part(word.as_bytes());
                }
            }
            CommandInput::Line(line) => builder = builder.part(b"line").part(line.as_bytes()),
        }
        let number = |value: Option<u128>| value.map_or(Vec::new(), |v| v.to_be_bytes().to_vec());
        builder = builder
            .part(b"limits")
            .part(&number(self.timeout.map(|d| d.as_micros())))
            .part(&number(self.output_bytes.map(u128::from)))
            .part(&number(self.queue_wait.map(|d| d.as_micros())));
        if let Some(plan) = &self.plan_digest {
            builder = builder.part(b"plan").part(plan.as_bytes());
        }
        if !self.rollout.is_immediate() {
            builder = self.rollout.digest_into(builder.part(b"rollout"));
        }
        // Only where it is asked for: keys that were bound before stand for the same request.
        if self.detached {
            builder = builder.part(b"detached");
        }
        self.context.digest_into(builder).finish()
    }
}

// === impl Job ===

impl Job {
    /// Whether nothing more of it may begin, for good.
    pub const fn is_stopped(&self) -> bool {
        self.cancel_requested.is_some() || self.progress.halted.is_some()
    }
    /// Its state, with these counts of its invocations.
    pub const fn state(&self, counts: &Counts) -> JobState {
        let halted = self.progress.halted.is_some();
        match counts.state() {
            JobState::Queued | JobState::Running if self.cancel_requested.is_some() => JobState::Cancelling,
            JobState::Queued | JobState::Running if halted => JobState::Halting,
            JobState::Queued | JobState::Running if self.awaits_approval() => JobState::AwaitingApproval,
            JobState::Queued | JobState::Running if self.progress.paused.is_some() => JobState::Paused,
            state if state.ended() && halted => JobState::Halted,
            state => state,
        }
    }
    /// Whether it waits for the consent of others.
    pub const fn awaits_approval(&self) -> bool {
        matches!(&self.approval, Some(approval) if approval.is_pending())
    }
    /// Until when its invocations may wait for an agent, where nothing else holds them back.
    pub fn waits_until(&self) -> Timestamp {
        let used_at = self.approval.as_ref().and_then(Approval::used_at);
        used_at.map_or(self.queue_until, |at| at.plus(self.queue_wait()))
    }
    /// Until when its invocations may be held back: a rollout has its time from when it may begin at all.
    pub fn held_until(&self) -> Timestamp {
        let used_at = self.approval.as_ref().and_then(Approval::used_at);
        used_at.unwrap_or(self.created_at).plus(MAX_ROLLOUT)
    }
    /// How long an invocation may wait for its agent once it may begin.
    pub fn queue_wait(&self) -> Duration {
        self.queue_until.since(self.created_at)
    }
}

/// Whether asking again is safe for an invocation that ended so.
pub const fn safe_to_retry(outcome: &Outcome) -> bool {
    matches!(outcome.ran(), Ran::NotRun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_part_of_a_request_only_where_there_is_one() {
        let spec = |plan| JobSpec {
            plan_digest: plan,
            ..JobSpec::new(
                Target::Tag(Tag::new("web").unwrap()),
                CommandInput::Argv(vec!["uptime".into()]),
                Origin::new(Via::Cli, "test"),
            )
        };
        // As it was before requests could name a plan: keys that were bound then still stand for the same request.
        assert_eq!(
            spec(None).digest().to_string(),
            "a99357cc8ca1c9b8f3624cc50c3a63860cbe17452b8dd395cfba311e7b81bc36"
        );
        let (one, two) = (spec(Some(Digest::of(b"1"))).digest(), spec(Some(Digest::of(b"2"))).digest());
        assert!(one != two && one != spec(None).digest());
        let detached = JobSpec { detached: true, ..spec(None) };
        assert!(![spec(None).digest(), one, two].contains(&detached.digest()));
    }

    #[test]
    fn a_context_is_part_of_a_request_only_where_there_is_one() {
        let plain = JobSpec::new(
            Target::Tag(Tag::new("web").unwrap()),
            CommandInput::Argv(vec!["uptime".into()]),
            Origin::new(Via::Cli, "test"),
        );
        let login = |name: &str| JobSpec {
            context: Context {
                run_as: Some(crate::context::LoginName::new(name).unwrap()),
                ..Context::default()
            },
            ..plain.clone()
        };
        // The digest of the other test: keys that were bound before there were contexts keep their request.
        assert!(plain.digest().to_string().starts_with("a99357cc8ca1c9b8"));
        assert!(login("a").digest() != plain.digest() && login("a").digest() != login("b").digest());
    }
}
