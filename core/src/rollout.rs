//! How a job goes out over its hosts: in which waves, how many at a time, and what stops it. Pure decisions.
//!
//! A wave is begun when the one before has ended, has rested for the soak time and has passed its health check. The
//! error budget is strict: what is under way never exceeds what is left of it plus one, so that at most one error more
//! than the budget can happen.

use std::{fmt, time::Duration};

use crate::{clock::Timestamp, digest::Sha256Builder, id::JobId, job::CommandInput, principal::Principal};

/// Most waves of a job: enough to double from one host to the largest job.
pub const MAX_WAVES: usize = 16;
/// Longest rest between waves: a day; longer ones are two jobs.
pub const MAX_SOAK: Duration = Duration::from_secs(24 * 3600);
/// How long a job with a rollout may take as a whole before what has not begun EXPIRES: as long as keys are kept.
pub const MAX_ROLLOUT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A part of a job's hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many of a hundred, 0 to 100; a part of a host does not count.
    Percent(u8),
}

/// Text that is not a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidShare;

/// How a job goes out. The default is all at once, whatever happens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Rollout {
    /// How many hosts have been begun at the end of each wave; what is left is the last wave. Empty: one wave.
    pub waves: Vec<Share>,
    /// How long to rest after a wave before the next.
    pub soak: Duration,
    /// A command that must succeed on every host of the wave before the next begins.
    pub health_check: Option<CommandInput>,
    /// Most invocations under way at once.
    pub max_concurrency: Option<Share>,
    /// FAILED, TIMED_OUT and UNKNOWN ends that are borne; one more halts the job.
    pub max_errors: Option<Share>,
    /// UNREACHABLE and EXPIRED ends that are borne; one more halts the job.
    pub max_unreachable: Option<Share>,
    /// Most invocations under way at once at one site.
    pub max_per_site: Option<u32>,
}

/// Why a rollout cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidRollout {
    /// Too many waves.
    Waves,
    /// A wave that is empty or not larger than the one before.
    Order,
    /// A soak time that is too long.
    Soak,
    /// A share above 100 percent.
    Percent,
    /// Nothing may be under way.
    Nothing,
    /// A soak time or a health check without waves: there is nothing that they would hold up.
    Gate,
}

/// How far a rollout is. Recorded with the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The wave that is under way, 1 for the first.
    pub wave: u32,
    /// Of so many.
    pub waves: u32,
    /// The wave has ended; the next is not begun before.
    pub soak_until: Option<Timestamp>,
    /// The job that checks the health of the wave.
    pub health_job: Option<JobId>,
    /// Nothing new is begun, since when and by whom.
    pub paused: Option<(Principal, Timestamp)>,
    /// Nothing new will ever be begun.
    pub halted: Option<Halt>,
}

/// That a job was halted: what runs goes on to its end, what waits is SKIPPED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// Why.
    pub reason: HaltReason,
    /// Who, if somebody asked for it.
    pub by: Option<Principal>,
    /// When.
    pub at: Timestamp,
}

/// Why a job was halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HaltReason {
    /// Somebody aborted it.
    Aborted,
    /// More errors than are borne.
    TooManyErrors,
    /// More unreachable hosts than are borne.
    TooManyUnreachable,
    /// A wave after which others follow had no success at all: it proved nothing.
    WaveWithoutSuccess,
    /// The health check did not succeed on every host of the wave, or could not be run.
    HealthCheckFailed,
}

/// What has come of a job so far, as far as a rollout asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// FAILED, TIMED_OUT and UNKNOWN.
    pub errors: u32,
    /// UNREACHABLE and EXPIRED.
    pub unreachable: u32,
    /// Each wave, the first first.
    pub waves: Vec<WaveTally>,
}

/// What has come of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaveTally {
    /// Its hosts.
    pub hosts: u32,
    /// Those that have ended.
    pub ended: u32,
    /// Those that SUCCEEDED.
    pub succeeded: u32,
}

/// How a health check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// It has not ended.
    Checking,
    /// It SUCCEEDED on every host.
    Good,
    /// It did not, or could not be run.
    Bad,
}

/// What is to be done next with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// Nothing that time or an end does not bring.
    Wait,
    /// Halt it.
    Halt(HaltReason),
    /// The wave has ended: rest.
    Soak,
    /// The rest is over: check the health of the wave.
    CheckHealth,
    /// Begin this wave.
    Begin(u32),
}

// === impl Share ===

impl Share {
    /// How many of `whole` that is.
    pub fn of(self, whole: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let part = u64::from(whole) * u64::from(percent) / 100;
                u32::try_from(part).unwrap_or(u32::MAX)
            }
        }
    }
    /// As [`of`](Self::of), and at least one.
    pub fn at_least_one_of(self, whole: u32) -> u32 {
        self.of(whole).max(1)
    }
}

impl std::str::FromStr for Share {
    type Err = InvalidShare;
    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.strip_suffix('%') {
            Some(percent) if digits(percent) => {
                let percent: u8 = percent.parse().map_err(|_| InvalidShare)?;
                (percent <= 100).then_some(Self::Percent(percent)).ok_or(InvalidShare)
            }
            None if digits(text) => text.parse().map(Self::Count).map_err(|_| InvalidShare),
            _ => Err(InvalidShare),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl fmt::Display for InvalidShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a number of hosts, as 20, or a percentage up to 100%, as 10%")
    }
}
impl std::error::Error for InvalidShare {}

// === impl Rollout ===

impl Rollout {
    /// Whether everything goes out at once, whatever happens.
    pub fn is_immediate(&self) -> bool {
        *self == Self::default()
    }

    /// Adds everything that is asked for to the digest of a request.
    #[must_use]
    pub fn digest_into(&self, builder: Sha256Builder) -> Sha256Builder {
        let Self { waves, soak, health_check, max_concurrency, max_errors, max_unreachable, max_per_site } =
            self;
        let share = |share: &Option<Share>| share.map(|share| share.to_string()).unwrap_or_default();
        let builder = waves.iter().fold(builder, |builder, wave| builder.part(wave.to_string().as_bytes()));
        let builder = builder.part(b"soak").part(&soak.as_micros().to_be_bytes());
        let builder = match health_check {
            None => builder.part(b"unchecked"),
            Some(CommandInput::Argv(words)) => {
                words.iter().fold(builder.part(b"argv"), |builder, word| builder.part(word.as_bytes()))
            }
            Some(CommandInput::Line(line)) => builder.part(b"line").part(line.as_bytes()),
        };
        builder
            .part(b"limits")
            .part(share(max_concurrency).as_bytes())
            .part(share(max_errors).as_bytes())
            .part(share(max_unreachable).as_bytes())
            .part(max_per_site.map(|most| most.to_string()).unwrap_or_default().as_bytes())
    }

    /// Checks what no number of hosts can mend.
    ///
    /// # Errors
    /// [`InvalidRollout`], the first that is found.
    pub fn check(&self) -> Result<(), InvalidRollout> {
        if self.waves.len() > MAX_WAVES {
            return Err(InvalidRollout::Waves);
        }
        if self.soak > MAX_SOAK {
            return Err(InvalidRollout::Soak);
        }
        let limits = [self.max_concurrency, self.max_errors, self.max_unreachable];
        let shares = self.waves.iter().copied().chain(limits.into_iter().flatten());
        if shares.into_iter().any(|share| matches!(share, Share::Percent(percent) if percent > 100)) {
            return Err(InvalidRollout::Percent);
        }
        let none = |share: &Share| matches!(share, Share::Count(0) | Share::Percent(0));
        if self.max_concurrency.as_ref().is_some_and(none) || self.max_per_site == Some(0) {
            return Err(InvalidRollout::Nothing);
        }
        if self.waves.iter().any(none) || !self.waves.is_sorted_by(rises) {
            return Err(InvalidRollout::Order);
        }
        if self.waves.is_empty() && (!self.soak.is_zero() || self.health_check.is_some()) {
            return Err(InvalidRollout::Gate);
        }
        Ok(())
    }

    /// How many of `hosts` are begun at the end of each wave; rises strictly and ends with `hosts`.
    pub fn boundaries(&self, hosts: u32) -> Vec<u32> {
        let mut ends: Vec<u32> = Vec::with_capacity(self.waves.len() + 1);
        for wave in &self.waves {
            let end = wave.at_least_one_of(hosts).min(hosts);
            if ends.last().is_none_or(|last| end > *last) {
                ends.push(end);
            }
        }
        if ends.last().is_none_or(|last| *last < hosts) {
            ends.push(hosts);
        }
        ends
    }

    /// How many more may be begun now, with `under_way` of `hosts`.
    pub fn room(&self, hosts: u32, under_way: u32, tally: &Tally) -> u32 {
        let concurrency = self.max_concurrency.map_or(u32::MAX, |share| share.at_least_one_of(hosts));
        let left = |budget: Option<Share>, used: u32| {
            let left = |share: Share| share.of(hosts).checked_sub(used);
            budget.map_or(u32::MAX, |share| left(share).map_or(0, |left| left.saturating_add(1)))
        };
        let most = concurrency
            .min(left(self.max_errors, tally.errors))
            .min(left(self.max_unreachable, tally.unreachable));
        most.saturating_sub(under_way)
    }

    /// What is to be done next with a job of `hosts` hosts.
    pub fn next(
        &self,
        hosts: u32,
        progress: &Progress,
        tally: &Tally,
        health: Option<Health>,
        now: Timestamp,
    ) -> Next {
        if progress.halted.is_some() {
            return Next::Wait;
        }
        let over = |budget: Option<Share>, used: u32| budget.is_some_and(|share| used > share.of(hosts));
        if over(self.max_errors, tally.errors) {
            return Next::Halt(HaltReason::TooManyErrors);
        }
        if over(self.max_unreachable, tally.unreachable) {
            return Next::Halt(HaltReason::TooManyUnreachable);
        }
        if health == Some(Health::Bad) {
            return Next::Halt(HaltReason::HealthCheckFailed);
        }
        let begun = progress.wave as usize;
        let last = begun >= tally.waves.len();
        let Some(wave) = begun.checked_sub(1).and_then(|index| tally.waves.get(index)) else {
            return Next::Wait;
        };
        if last || wave.ended < wave.hosts || progress.paused.is_some() {
            return Next::Wait;
        }
        if wave.succeeded == 0 {
            return Next::Halt(HaltReason::WaveWithoutSuccess);
        }
        match (progress.soak_until, &self.health_check, health) {
            (None, _, _) => Next::Soak,
            (Some(until), _, _) if now < until => Next::Wait,
            (Some(_), Some(_), None) => Next::CheckHealth,
            (Some(_), Some(_), Some(Health::Checking | Health::Bad)) => Next::Wait,
            (Some(_), None, _) | (Some(_), Some(_), Some(Health::Good)) => Next::Begin(progress.wave + 1),
        }
    }
}

/// Whether a wave may follow another: shares of one kind must rise; of different kinds only the hosts can tell.
const fn rises(one: &Share, other: &Share) -> bool {
    match (*one, *other) {
        (Share::Count(one), Share::Count(other)) => one < other,
        (Share::Percent(one), Share::Percent(other)) => one < other,
        (Share::Count(_), Share::Percent(_)) | (Share::Percent(_), Share::Count(_)) => true,
    }
}

impl fmt::Display for InvalidRollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waves => write!(f, "there are more than {MAX_WAVES} waves"),
            Self::Order => f.write_str("each wave must be larger than the one before, as 1, 10%, 50%"),
            Self::Soak => f.write_str("the soak time is longer than a day"),
            Self::Percent => f.write_str("a percentage is above 100"),
            Self::Nothing => f.write_str("at least one invocation must be allowed at a time"),
            Self::Gate => f.write_str("a soak time or a health check needs waves to stand between"),
        }
    }
}
impl std::error::Error for InvalidRollout {}

// === impl Progress ===

impl Default for Progress {
    fn default() -> Self {
        Self { wave: 1, waves: 1, soak_until: None, health_job: None, paused: None, halted: None }
    }
}

// === impl HaltReason ===

impl HaltReason {
    /// Every reason, for conversion and tests.
    pub const ALL: [Self; 5] = [
        Self::Aborted,
        Self::TooManyErrors,
        Self::TooManyUnreachable,
        Self::WaveWithoutSuccess,
        Self::HealthCheckFailed,
    ];
    /// The reason as it is written in records and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::TooManyErrors => "too_many_errors",
            Self::TooManyUnreachable => "too_many_unreachable",
            Self::WaveWithoutSuccess => "wave_without_success",
            Self::HealthCheckFailed => "health_check_failed",
        }
    }
}

impl std::str::FromStr for HaltReason {
    type Err = InvalidHaltReason;
    fn from_str(text: &str) -> Result<Self, InvalidHaltReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(InvalidHaltReason)
    }
}

/// Text that is not the reason of a halt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidHaltReason;

impl fmt::Display for InvalidHaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a reason for which a job is halted")
    }
}
impl std::error::Error for InvalidHaltReason {}

#[cfg(test)]
mod tests;
