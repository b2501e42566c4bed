//! What went wrong with a call, in plain words: who answered, who did not, and what to do next.

use std::{error::Error, fmt, io, time::Duration};

use lictor_core::error::{ErrorCode, Failure};
use lictor_proto::{convert::Invalid, status::from_status};
use tonic::Status;

/// How rustls prints an alert that came from the other end.
const ALERT: &str = "received fatal alert";

/// The connection could not be made.
#[derive(Debug)]
pub(crate) struct NotConnected {
    pub(crate) address: String,
    pub(crate) source: io::Error,
}

/// The failure that `status` is; what never reached a controller is said in plain words.
pub(crate) fn explain(status: &Status, address: &str) -> Failure {
    if let Some(broken) = causes(status).find_map(|error| error.downcast_ref::<NotConnected>()) {
        return not_connected(broken);
    }
    let failure = from_status(status);
    // A failure that a controller sent has a next step of its own and no transport error below it.
    if status.source().is_none() || failure.code == ErrorCode::LimitExceeded {
        return failure;
    }
    if causes(status).any(is_refusal) {
        return certificate_refused(address);
    }
    Failure::new(
        ErrorCode::Unavailable,
        format!("the connection to the controller at {address} broke ({})", with_sources(status)),
        "try again; if it happens each time, the controller may be refusing this client's certificate (lictor doctor)",
    )
}

/// The answer did not come in time.
pub(crate) fn deadline_exceeded(address: &str, deadline: Duration) -> Failure {
    let message = format!("the controller at {address} did not answer within {} s", deadline.as_secs());
    Failure::new(
        ErrorCode::DeadlineExceeded,
        message,
        "try again; if it happens each time, see the controller's log",
    )
}

/// The controller said something that this version does not understand.
pub(crate) fn not_understood(invalid: &Invalid) -> Failure {
    let message = format!("the controller's answer is not understood: {invalid}");
    Failure::new(ErrorCode::Internal, message, "use client and controller of the same version")
}

/// The errors below `error`, from the outermost on.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |below: &&'a (dyn Error + 'static)| (*below).source())
}

/// An error and what is below it, in one line. Parts that only repeat what is above them are left out.
pub(crate) fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn not_connected(broken: &NotConnected) -> Failure {
    let NotConnected { address, source } = broken;
    if is_refusal(source) {
        return certificate_refused(address);
    }
    if source.kind() == io::ErrorKind::InvalidData {
        return Failure::new(
            ErrorCode::Unavailable,
            format!("whoever answers at {address} did not prove to be our controller: {source}"),
            "check the address and that root.pem beside this client's certificate is the controller's root (lictor doctor)",
        );
    }
    let (what, next_step) = match source.kind() {
        io::ErrorKind::ConnectionRefused => (
            "nothing listens there".to_owned(),
            "start the controller, or correct the address (lictor doctor)",
        ),
        io::ErrorKind::TimedOut => {
            ("nothing answered in time".to_owned(), "check the network and the address (lictor doctor)")
        }
        _ => (source.to_string(), "check the address and the network (lictor doctor)"),
    };
    Failure::new(
        ErrorCode::Unavailable,
        format!("the controller at {address} cannot be reached: {what}"),
        next_step,
    )
}

fn certificate_refused(address: &str) -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        format!("the controller at {address} refuses this client's certificate"),
        "it may have expired or come from another root: have a new identity issued (lictor doctor)",
    )
}

/// Whether the other end refused our certificate. With TLS 1.3 it says so only after the handshake has ended for us, by
/// an alert in answer to the first call; HTTP/2 keeps no more of that than rustls' text.
fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.to_string().contains(ALERT))
}

// === impl NotConnected ===

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection to {}", self.address)
    }
}

impl Error for NotConnected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
