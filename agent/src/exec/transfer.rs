//! A file to or from a host. An upload goes to a file beside its place, which then takes its name in one step: whoever
//! reads it there sees the old file or the new one, whole.

mod download;

use lictor_core::{
    guard::Guard,
    id::InvocationId,
    outcome::{Exit, Outcome, Unknown, Unreachable},
    output::{Capture, Output, StreamSummary},
    transfer::Transfer,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Run, Runner};
use crate::{
    admit::Admitted,
    content::Given,
    ended::SpooledOutput,
    frozen::Look,
    ssh::{
        session::Session,
        sftp::{Fault, Handle, Sftp},
    },
};

/// How long the host may take for the last step of an upload, and for tidying up: it is one request each.
const LAST_STEP: std::time::Duration = std::time::Duration::from_secs(30);
/// The status of a transfer that failed: a transfer has no other.
const FAILED: u32 = 1;

/// A transfer under way.
struct Step<'a> {
    runner: &'a Runner,
    admitted: &'a Admitted,
    sftp: Sftp,
    stop: CancellationToken,
    deadline: Instant,
}

/// Why a part of a transfer is not done.
enum Broken {
    Fault(Fault),
    TimeUp,
    Told,
}

/// How a transfer ended, and what is said of it.
struct Told {
    outcome: Outcome,
    stdout: StreamSummary,
    stderr: String,
    /// In place of both, where a file came that is too large for memory.
    spooled: Option<SpooledOutput>,
}

// === impl Runner ===

impl Runner {
    pub(super) async fn exec_transfer(
        &self,
        admitted: &Admitted,
        transfer: Transfer,
        session: Session,
        given: Option<Given>,
        stop: CancellationToken,
    ) -> Run {
        let address = session.peer().to_string();
        let not_run = |outcome| Run { address: address.clone(), ..Run::not_run(outcome, admitted.basis()) };
        let unreachable = |reason, detail: &str| Outcome::Unreachable { reason, detail: detail.to_owned() };
        let deadline = Instant::now() + admitted.limits().timeout;
        let begun = tokio::select! {
            begun = session.sftp() => begun,
            () = stop.cancelled() => return not_run(Outcome::Cancelled),
            () = tokio::time::sleep_until(deadline) => {
                return not_run(unreachable(Unreachable::SessionRefused, "the host did not begin the file transfer in time"));
            }
        };
        let sftp = match begun {
            Ok(sftp) => sftp,
            Err(Fault::Refused(why)) => return not_run(unreachable(Unreachable::SessionRefused, &why)),
            Err(Fault::Lost) => {
                let why = "the connection ended before the file transfer began";
                return not_run(unreachable(Unreachable::ConnectFailed, why));
            }
        };
        // Nothing comes between this look and the first request, so a freeze that is confirmed has missed nothing.
        let look = match self.frozen.look(admitted.host()) {
            Ok(look) => look,
            Err(frozen) => return not_run(frozen),
        };
        let started_at = self.clock.now();
        let step = Step { runner: self, admitted, sftp, stop, deadline };
        let Told { outcome, stdout, stderr, spooled } = match (transfer, given) {
            (Transfer::Upload { path, mode }, Some(given)) => {
                step.upload(path.as_str(), mode, &given, look).await
            }
            (Transfer::Download { path }, None) => step.download(path.as_str(), look).await,
            // Admission refuses both.
            (Transfer::Upload { .. }, None) => failed("the upload has no content".into()),
            (Transfer::Download { .. }, Some(_)) => failed("a download takes no content".into()),
        };
        // What a host says of a file is masked; a file itself is what its digest says.
        let (stderr, redactions) = self.site.redactor().text(&stderr);
        let output = Output { stdout, stderr: whole(stderr.as_bytes()), ..Output::default() };
        Run {
            outcome,
            started_at: Some(started_at),
            address,
            output,
            spooled,
            redactions,
            guard: Guard::Journal,
            basis: admitted.basis(),
        }
    }
}

// === impl Step ===

impl Step<'_> {
    async fn upload(&self, path: &str, mode: u32, given: &Given, look: Look) -> Told {
        let beside = beside(path, self.admitted.invocation());
        let handle = match self.within(first_request(self.sftp.create(&beside), look)).await {
            Ok(handle) => handle,
            Err(Broken::Fault(Fault::Refused(why))) => {
                return failed(format!("{path}: no file can be made in its directory: {why}"));
            }
            Err(other) => return self.stopped(other, path, Some(&beside)).await,
        };
        let written = self.within(self.fill(handle, mode, given)).await;
        match written {
            Ok(()) => self.put_in_place(&beside, path, given).await,
            Err(Broken::Fault(Fault::Refused(why))) => {
                let left = self.tidy(&beside).await;
                failed(format!("{path}: the file cannot be written: {why}; what is there is as it was{left}"))
            }
            Err(other) => self.stopped(other, path, Some(&beside)).await,
        }
    }

    async fn fill(&self, handle: Handle, mode: u32, given: &Given) -> Result<(), Fault> {
        let unreadable =
            |why: std::io::Error| Fault::Refused(format!("the agent cannot read the content: {why}"));
        let mut file = given.open().await.map_err(unreadable)?;
        let bytes = self.sftp.write_all(&handle, &mut file).await?;
        if bytes != given.content().bytes() {
            return Err(Fault::Refused("the agent's copy of the content is not whole".into()));
        }
        self.sftp.complete(handle, mode).await
    }

    /// The one step that changes the file; from here on it is not stopped any more, and without an answer nobody knows.
    async fn put_in_place(&self, beside: &str, path: &str, given: &Given) -> Told {
        if self.stop.is_cancelled() {
            return self.stopped(Broken::Told, path, Some(beside)).await;
        }
        match tokio::time::timeout(LAST_STEP, self.sftp.rename(beside, path)).await {
            Ok(Ok(())) => {
                let content = given.content();
                let line = format!("{}  {path}\n", content.digest());
                done(whole(line.as_bytes()))
            }
            Ok(Err(Fault::Refused(why))) => {
                let left = self.tidy(beside).await;
                failed(format!(
                    "{path}: the new file cannot take its place: {why}; what is there is as it was{left}"
                ))
            }
            Ok(Err(Fault::Lost)) | Err(_) => Told {
                outcome: Outcome::Unknown(Unknown::ConnectionLost),
                stdout: StreamSummary::default(),
                stderr: format!(
                    "{path}: the host did not say whether the new file took its place; it is the old file or the new one, whole\n"
                ),
                spooled: None,
            },
        }
    }

    /// Does `work`, unless the time is up or it is told to stop before.
    async fn within<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Broken> {
        tokio::select! {
            done = work => done.map_err(Broken::Fault),
            () = self.stop.cancelled() => Err(Broken::Told),
            () = tokio::time::sleep_until(self.deadline) => Err(Broken::TimeUp),
        }
    }

    /// It ends before the file changed: nothing had asked for that yet.
    async fn stopped(&self, broken: Broken, path: &str, beside: Option<&str>) -> Told {
        let (outcome, why) = match broken {
            Broken::TimeUp => (Outcome::TimedOut, "its time was up"),
            Broken::Told => (Outcome::Killed, "it was cancelled"),
            Broken::Fault(Fault::Refused(_) | Fault::Lost) => {
                (Outcome::Failed(Exit::Code(FAILED)), "the connection to the host ended")
            }
        };
        let left = match beside {
            Some(beside) => self.tidy(beside).await,
            None => String::new(),
        };
        Told {
            outcome,
            stdout: StreamSummary::default(),
            stderr: format!("{path}: {why}; the file is as it was{left}\n"),
            spooled: None,
        }
    }

    /// Removes the file beside; says what may be left where that is not certain.
    async fn tidy(&self, beside: &str) -> String {
        match tokio::time::timeout(LAST_STEP, self.sftp.remove(beside)).await {
            Ok(Ok(())) => String::new(),
            _ => format!("; {beside} may be left on the host"),
        }
    }
}

/// Sends a request, lets go of `look` once it is sent, and waits for its answer.
async fn first_request<T>(request: impl Future<Output = T>, look: Look) -> T {
    let mut request = std::pin::pin!(request);
    let mut look = Some(look);
    std::future::poll_fn(move |context| {
        let polled = request.as_mut().poll(context);
        look.take();
        polled
    })
    .await
}

/// A name in the same directory that nothing else has.
fn beside(path: &str, id: InvocationId) -> String {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{directory}/.lictor-{id}")
}

fn failed(why: String) -> Told {
    let outcome = Outcome::Failed(Exit::Code(FAILED));
    Told { outcome, stdout: StreamSummary::default(), stderr: format!("{why}\n"), spooled: None }
}

const fn done(stdout: StreamSummary) -> Told {
    Told { outcome: Outcome::Succeeded, stdout, stderr: String::new(), spooled: None }
}

/// A stream that is kept whole.
fn whole(bytes: &[u8]) -> StreamSummary {
    let mut kept = Capture::new(bytes.len() as u64);
    kept.push(bytes);
    kept.finish()
}
