//! Every bound of the domain: its unit is in its name or type, its reason in its doc.

use std::time::Duration;

/// Longest command line accepted, in bytes. Far above what people type, far below what makes parsing felt.
pub const MAX_LINE_BYTES: usize = 8 * 1024;
/// Most words in one command (all parts together). Longer lists belong in a file on the host.
pub const MAX_WORDS: usize = 128;
/// Longest single word, in bytes; Linux itself caps one argument at 128 KiB.
pub const MAX_WORD_BYTES: usize = 4 * 1024;
/// Most simple commands in one pipeline or list; each is judged on its own.
pub const MAX_PARTS: usize = 16;
/// Longest alias, tag, site or user name, as in mcp-ssh-orchestrator, so that its files import.
pub const MAX_NAME_BYTES: usize = 100;
/// Longest idempotency key: room for a UUID with a prefix, short enough to index.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 128;
/// Longest free text that a caller may attach (client name, reason).
pub const MAX_NOTE_BYTES: usize = 256;
/// Freezes in force at once: agents are told all of their site in one message, and every request is held against them.
pub const MAX_FREEZES: usize = 1_000;

/// Runtime of a command when neither request nor policy says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest runtime that a policy may give: a day; longer work belongs to the host's own scheduler.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// Output kept per invocation (both streams together) when nothing says otherwise.
pub const DEFAULT_OUTPUT_BYTES: u64 = 256 * 1024;
/// Most output that can be kept per invocation. Bounds agent and controller memory per running command.
pub const MAX_OUTPUT_BYTES: u64 = 4 * 1024 * 1024;
/// Largest file that a download brings. It goes from disk to disk and takes no memory, but an agent keeps it until the
/// controller has it, and the controller as long as other output: four of them fill what an agent keeps, eighty what a
/// controller keeps by default. Larger files belong in a store that hosts write to themselves.
pub const MAX_DOWNLOAD_BYTES: u64 = 256 * 1024 * 1024;
/// Most hosts in one job; DESIGN's figure for the largest fan-out.
pub const MAX_HOSTS_PER_JOB: usize = 10_000;
/// Targets in one grant: a grant of this size stays well under the wire's message bound.
pub const MAX_TARGETS_PER_GRANT: usize = 1_000;
/// Hosts that one site may report: bounds the inventory message and the fleet's memory.
pub const MAX_HOSTS_PER_SITE: usize = 10_000;
/// Tags on one host.
pub const MAX_TAGS_PER_HOST: usize = 32;
/// Labels on one host: as many as tags.
pub const MAX_LABELS_PER_HOST: usize = 32;
/// Longest target expression, in bytes, as it is typed and as it is kept: it is one line of a record.
pub const MAX_EXPRESSION_BYTES: usize = 1024;
/// Deepest nesting of a target expression: brackets and negations; far above what people read, far below any stack.
pub const MAX_EXPRESSION_DEPTH: usize = 32;
/// Most terms of a target expression: each is asked of each host of the fleet.
pub const MAX_EXPRESSION_TERMS: usize = 64;

/// How long an invocation may wait for its agent before it EXPIRES, when the request does not say.
pub const DEFAULT_QUEUE_WAIT: Duration = Duration::from_secs(30);
/// Validity of a grant around now: covers the clock skew an agent tolerates plus delivery.
pub const GRANT_VALIDITY: Duration = Duration::from_secs(60);
/// Clock difference that an agent tolerates before it refuses a grant.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(30);
/// Time that TERM is given before KILL.
pub const TERM_GRACE: Duration = Duration::from_secs(10);
/// Time in which a killed process must be gone, else the outcome is UNKNOWN(kill_unconfirmed).
pub const KILL_CONFIRM: Duration = Duration::from_secs(5);
/// Silence past the timeout and the kill ladder after which the controller settles an invocation as UNKNOWN.
pub const AGENT_LOST_GRACE: Duration = Duration::from_secs(60);
/// How long idempotency keys and journal tombstones are kept.
pub const REPLAY_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);
/// Life of a join token.
pub const JOIN_TOKEN_TTL: Duration = Duration::from_secs(15 * 60);
/// Interval of an agent's heartbeat, before jitter.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// Heartbeats missed before a session is SUSPECT.
pub const HEARTBEATS_MISSED: u32 = 3;
