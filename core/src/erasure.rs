//! Erasing payloads of the audit log, which takes two people; and legal holds, which keep payloads from being erased.

use std::{fmt, time::Duration};

use crate::{
    approval::Note,
    clock::Timestamp,
    id::{ErasureId, HoldId, JobId},
    job::Job,
    name::PrincipalName,
    principal::{Principal, PrincipalKind},
};

/// How long a second person can consent: as long as to a job at most.
pub const CONSENT_WAIT: Duration = crate::approval::MAX_APPROVAL_WAIT;
/// Erasures that wait for consent: more than people keep in mind, and few enough to list whole.
pub const MAX_ERASURES: usize = 100;
/// Holds in force: each record that is to be erased is held against each of them.
pub const MAX_HOLDS: usize = 100;

/// Which payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadScope {
    /// Of what somebody asked for or did, and of everything that became of their jobs.
    Subject {
        /// Person or machine.
        kind: PrincipalKind,
        /// The name, however it is written.
        name: PrincipalName,
    },
    /// Of everything about a job.
    Job(JobId),
    /// Of everything that was recorded at or after a moment and before another.
    Period {
        /// The first moment.
        from: Timestamp,
        /// The moment behind the last.
        to: Timestamp,
    },
}

/// Text or moments that are no scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidScope(String);

/// Payloads that somebody wants erased; another person has to consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Its identifier.
    pub id: ErasureId,
    /// Which payloads.
    pub scope: PayloadScope,
    /// Why.
    pub reason: Note,
    /// Who asks.
    pub by: Principal,
    /// Since when.
    pub at: Timestamp,
}

/// Somebody's word that payloads are kept, whoever wants them erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its identifier.
    pub id: HoldId,
    /// Which payloads.
    pub scope: PayloadScope,
    /// Why.
    pub reason: Note,
    /// Who set it.
    pub by: Principal,
    /// Since when.
    pub at: Timestamp,
    /// Who wants it lifted; another person has to consent.
    pub lift: Option<LiftRequest>,
    /// Grows by one with each change.
    pub version: u64,
}

/// Somebody wants a hold lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiftRequest {
    /// Who.
    pub by: Principal,
    /// Why.
    pub reason: Note,
    /// Since when.
    pub at: Timestamp,
}

// === impl PayloadScope ===

impl PayloadScope {
    /// The payloads of a principal, as `user:NAME` or `service:NAME`.
    ///
    /// # Errors
    /// [`InvalidScope`] when it is not written so.
    pub fn subject(text: &str) -> Result<Self, InvalidScope> {
        let kinds = [PrincipalKind::User, PrincipalKind::Service];
        let (kind, name) = text
            .split_once(':')
            .and_then(|(kind, name)| Some((kinds.into_iter().find(|k| k.as_str() == kind)?, name)))
            .ok_or_else(|| InvalidScope(format!("`{text}` is nobody; write user:NAME or service:NAME")))?;
        let name = PrincipalName::new(name).map_err(|e| InvalidScope(format!("`{text}`: {e}")))?;
        Ok(Self::Subject { kind, name })
    }

    /// The payloads of a period.
    ///
    /// # Errors
    /// [`InvalidScope`] when it ends before it begins.
    pub fn period(from: Timestamp, to: Timestamp) -> Result<Self, InvalidScope> {
        if from < to {
            Ok(Self::Period { from, to })
        } else {
            Err(InvalidScope(format!("the period from {from} to {to} is empty")))
        }
    }

    /// Whether it is about this principal, as records name one.
    pub fn is_subject(&self, principal: &str) -> bool {
        let Self::Subject { kind, name } = self else { return false };
        principal
            .split_once(':')
            .is_some_and(|(k, n)| k == kind.as_str() && n.eq_ignore_ascii_case(name.as_str()))
    }

    /// Whether it covers what is kept of a job that ended at that moment.
    pub fn covers_job(&self, job: &Job, ended_at: Timestamp) -> bool {
        match self {
            Self::Subject { .. } => self.is_subject(&job.principal.to_string()),
            Self::Job(id) => *id == job.id,
            Self::Period { from, to } => job.created_at < *to && ended_at >= *from,
        }
    }
}

impl fmt::Display for PayloadScope {
    /// `user:ada`, `job_…`, `2026-11-01T00:00:00.000000Z..2026-12-01T00:00:00.000000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject { kind, name } => write!(f, "{}:{name}", kind.as_str()),
            Self::Job(id) => write!(f, "{id}"),
            Self::Period { from, to } => write!(f, "{from}..{to}"),
        }
    }
}

impl fmt::Display for InvalidScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for InvalidScope {}

// === impl Erasure ===

impl Erasure {
    /// Until when somebody can consent.
    pub fn expires_at(&self) -> Timestamp {
        self.at.plus(CONSENT_WAIT)
    }
}

// === impl Hold ===

impl Hold {
    /// The request to lift it that can still be consented to.
    pub fn lift_at(&self, now: Timestamp) -> Option<&LiftRequest> {
        self.lift.as_ref().filter(|lift| now < lift.at.plus(CONSENT_WAIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_principal_however_its_name_is_written_and_nothing_else() {
        let ada = PayloadScope::subject("user:ada").unwrap();
        assert_eq!(ada.to_string(), "user:ada");
        assert!(ada.is_subject("user:ada") && ada.is_subject("user:Ada"));
        assert!(!ada.is_subject("service:ada") && !ada.is_subject("user:adam") && !ada.is_subject("ada"));
        for bad in ["", "ada", "user:", "group:ada", "user:a b"] {
            assert!(PayloadScope::subject(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_period_has_a_beginning_before_its_end() {
        let at = Timestamp::from_micros;
        let period = PayloadScope::period(at(1), at(2)).unwrap();
        assert_eq!(period.to_string(), "1970-01-01T00:00:00.000001Z..1970-01-01T00:00:00.000002Z");
        assert!(PayloadScope::period(at(2), at(2)).is_err());
    }
}
