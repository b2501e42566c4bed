//! Conversion between wire and domain. In: `TryFrom`, which refuses whatever is missing, unknown or too large. Out: `From`.

mod approval;
mod command;
mod context;
mod erasure;
mod freeze;
mod grant;
mod guard;
mod invocation;
mod job;
mod outcome;
mod output;
mod principal;
mod retention;
mod revocation;
mod rollout;

use std::fmt;

pub use self::{
    approval::{approval_to_wire, terms_from_wire, terms_to_wire},
    command::command_text,
    context::{content_from_wire, content_to_wire, context_from_wire, context_to_wire},
    guard::guard_from_wire,
    invocation::invocation_to_wire,
    job::{counts_from_wire, job_state_from_wire, job_to_wire},
    output::{summary_with_bytes, summary_without_bytes, timing_from_wire},
    rollout::{
        halt_reason_from_wire, health_job_from_wire, progress_to_wire, rollout_from_wire, rollout_to_wire,
    },
};

/// A message that cannot be taken; says which field and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    field: &'static str,
    why: String,
}

impl Invalid {
    /// A refusal of `field`.
    pub fn new(field: &'static str, why: impl fmt::Display) -> Self {
        Self { field, why: why.to_string() }
    }
    /// The field that was refused.
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.why)
    }
}
impl std::error::Error for Invalid {}

impl From<Invalid> for lictor_core::error::Failure {
    fn from(invalid: Invalid) -> Self {
        Self::new(
            lictor_core::error::ErrorCode::InvalidArgument,
            invalid.to_string(),
            "correct this field of the request",
        )
        .with("field", invalid.field)
    }
}

/// The value of a message field that must be there.
///
/// # Errors
/// [`Invalid`] if it is absent.
pub fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| Invalid::new(field, "it is missing"))
}

/// Parses a text field.
///
/// # Errors
/// [`Invalid`] with the parser's reason.
pub fn parse<T>(field: &'static str, text: &str) -> Result<T, Invalid>
where
    T: std::str::FromStr,
    T::Err: fmt::Display,
{
    text.parse().map_err(|e| Invalid::new(field, e))
}

/// The value of an enum field, which must be known and not the zero value.
///
/// # Errors
/// [`Invalid`] if it is neither.
pub fn known<T>(field: &'static str, value: i32) -> Result<T, Invalid>
where
    T: TryFrom<i32>,
{
    if value == 0 {
        return Err(Invalid::new(field, "it is not set"));
    }
    T::try_from(value)
        .map_err(|_| Invalid::new(field, format_args!("the value {value} is not known to this version")))
}

/// Refuses lists that are too long.
///
/// # Errors
/// [`Invalid`] with the bound.
pub fn at_most<T>(field: &'static str, list: &[T], most: usize) -> Result<(), Invalid> {
    if list.len() > most {
        return Err(Invalid::new(
            field,
            format_args!("there are {} entries, at most {most} are allowed", list.len()),
        ));
    }
    Ok(())
}

/// A digest of 32 bytes.
///
/// # Errors
/// [`Invalid`] for any other length.
pub fn digest(field: &'static str, bytes: &[u8]) -> Result<lictor_core::digest::Digest, Invalid> {
    <[u8; 32]>::try_from(bytes)
        .map(lictor_core::digest::Digest::from_bytes)
        .map_err(|_| Invalid::new(field, "a digest has 32 bytes"))
}

/// A duration in milliseconds as it travels.
pub fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An unset page size, or one within bounds.
///
/// # Errors
/// [`Invalid`] above [`crate::limits::MAX_PAGE`].
pub fn page_size(field: &'static str, asked: u32, default: u32) -> Result<u32, Invalid> {
    match asked {
        0 => Ok(default),
        1..=crate::limits::MAX_PAGE => Ok(asked),
        _ => Err(Invalid::new(field, format_args!("at most {} are allowed", crate::limits::MAX_PAGE))),
    }
}
