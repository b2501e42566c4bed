//! Where the output of an ended invocation stays until the controller has it.

use lictor_core::{clock::Timestamp, id::InvocationId, output::Output};
use lictor_proto::limits::INLINE_OUTPUT_BYTES;

use super::{Run, Runner, detached::Followed};
use crate::ended::{Ended, Kept, SpooledOutput};

// === impl Runner ===

impl Runner {
    pub(super) async fn keep(&self, id: InvocationId, run: Run) -> Ended {
        let Run { outcome, started_at, address, output, spooled, redactions, guard, basis: _ } = run;
        let followed = Followed { outcome, output, redactions, address, guard };
        let ended = self.kept(id, started_at, followed).await;
        match spooled {
            Some(spooled) => Ended { output: Kept::Spooled(spooled), ..ended },
            None => ended,
        }
    }

    /// Masks what its host said of its end, and decides where the output is kept: in memory and journal, or in the spool.
    pub(super) async fn kept(
        &self,
        id: InvocationId,
        started_at: Option<Timestamp>,
        followed: Followed,
    ) -> Ended {
        let ended_at = self.clock.now();
        let Followed { outcome, output, redactions, address, guard } = followed;
        let (outcome, in_outcome) = self.site.redactor().outcome(outcome);
        let redactions = redactions + in_outcome;
        let bytes = output.stdout.bytes_kept() + output.stderr.bytes_kept();
        let output = if bytes <= INLINE_OUTPUT_BYTES {
            Kept::Inline(output)
        } else {
            Box::pin(self.spool_output(id, output)).await
        };
        let evidence = None;
        Ended { invocation: id, outcome, started_at, ended_at, address, output, evidence, guard, redactions }
    }

    async fn spool_output(&self, id: InvocationId, output: Output) -> Kept {
        let spool = self.spool.clone();
        let written = tokio::task::spawn_blocking(move || {
            (spool.write(id, &output).map(|()| SpooledOutput::of(&output)), output)
        })
        .await;
        match written {
            Ok((Ok(spooled), _)) => Kept::Spooled(spooled),
            Ok((Err(error), mut output)) => {
                tracing::error!(invocation = %id, %error, "output could not be spooled; only its counts are kept");
                for stream in [&mut output.stdout, &mut output.stderr] {
                    (stream.head, stream.tail) = (Vec::new(), Vec::new());
                }
                Kept::Inline(output)
            }
            Err(_) => Kept::Inline(Output::default()),
        }
    }
}
