//! Following a job until it has ended. The first interrupt cancels it and waits for the hosts, the second leaves.

use lictor_client::{
    collect::{Collected, Collector, Keep},
    connect::Client,
    run::{JobUpdate, RunStream},
    views::InvocationView,
};
use lictor_core::{error::ErrorCode, job::JobSpec};
use lictor_runtime::exit::Exit;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ending, grouping::Grouping, live::Live};
use crate::{
    context::Context,
    output::{groups, reading},
    render::json::{GroupDocument, InvocationDocument, OutputDocument, RunDocument},
    trouble::Trouble,
};

/// Most output that one JSON document holds, all hosts together: what a script can be expected to read at once.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024 * 1024;

/// How it ended.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The program's end.
    pub(crate) exit: Exit,
    /// The status of the command itself, if it was one host and the command ended by itself.
    pub(crate) own_status: Option<u8>,
}

/// Submits the job, to be followed in the form that was asked for: people see what is printed while it is printed, a
/// document has what is kept.
pub(crate) async fn begin(context: &Context, client: &Client, spec: &JobSpec) -> Result<RunStream, Trouble> {
    let begun = if context.is_json() { client.run(spec).await } else { client.run_live(spec).await };
    Ok(begun?)
}

/// Follows `stream` and shows what happens, in the form that was asked for.
pub(crate) async fn follow(
    context: &Context,
    client: &Client,
    stream: RunStream,
    grouping: Grouping,
) -> Result<Followed, Trouble> {
    if context.is_json() {
        as_document(context, client, stream).await
    } else {
        as_text(context, client, stream, grouping).await
    }
}

async fn as_text(
    context: &Context,
    client: &Client,
    mut stream: RunStream,
    grouping: Grouping,
) -> Result<Followed, Trouble> {
    let mut live = Live::new(context);
    let mut stop = Stop::listen()?;
    let mut grouped = false;
    while let Some(update) = stop.next(context, client, &mut stream).await? {
        if let JobUpdate::Submitted(submitted) = &update {
            grouped = grouping.applies(submitted.job.counts.total());
            live.show_output(!grouped);
        }
        live.take(update)?;
    }
    if grouped {
        live.clear();
        groups::print(context, client, &live.invocations()).await?;
    }
    for owed in live.owed() {
        let views = live.invocations();
        let Some(view) = views.into_iter().find(|view| view.id == owed.invocation) else { continue };
        reading::print(context, client, view, owed.stream, owed.from).await?;
    }
    live.finish(grouped);
    Ok(ended(&live.invocations()))
}

async fn as_document(context: &Context, client: &Client, mut stream: RunStream) -> Result<Followed, Trouble> {
    let mut collector = Collector::new(Keep::ALL);
    let mut stop = Stop::listen()?;
    while let Some(update) = stop.next(context, client, &mut stream).await? {
        if let JobUpdate::Submitted(submitted) = &update {
            let hosts = usize::try_from(submitted.job.counts.total()).unwrap_or(usize::MAX).max(1);
            // Two streams a host.
            collector.set_keep(Keep::at_most(MAX_DOCUMENT_BYTES / 2 / hosts));
        }
        collector.take(update);
    }
    let (Some(job), Some(submitted)) = (collector.job(), collector.submitted()) else {
        return Err(Trouble::internal("a job ended without having begun"));
    };
    let all = collector.invocations();
    let hosts = all.iter().map(|(view, collected)| document(view, collected)).collect();
    let views: Vec<_> = all.into_iter().map(|(view, _)| view).collect();
    let groups = GroupDocument::all(&views);
    context.print_json(&RunDocument { job: job.into(), replayed: submitted.replayed, hosts, groups })?;
    Ok(ended(&views))
}

fn document(view: &InvocationView, collected: &Collected) -> InvocationDocument {
    let (stdout, stderr) = (&collected.stdout, &collected.stderr);
    let mut document = InvocationDocument::new(view, Some(OutputDocument::new(stdout, stderr)));
    document
        .left_out(stdout.left_out(view.stdout.bytes_total) > 0, stderr.left_out(view.stderr.bytes_total) > 0);
    document
}

fn ended(views: &[&InvocationView]) -> Followed {
    let own_status = match views {
        [only] => ending::own_status(only),
        _ => None,
    };
    Followed { exit: ending::of_all(views.iter().copied()), own_status }
}

/// What interrupts have asked for so far. One listener for the whole job, so that none is missed between two updates.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupts: Signal,
    cancelled: bool,
}

// === impl Stop ===

impl Stop {
    pub(crate) fn listen() -> Result<Self, Trouble> {
        let interrupts = signal(SignalKind::interrupt());
        let interrupts =
            interrupts.map_err(|e| Trouble::internal(format!("cannot listen to signals: {e}")))?;
        Ok(Self { interrupts, cancelled: false })
    }

    /// The next update; an interrupt in between cancels the job, another one leaves.
    pub(crate) async fn next(
        &mut self,
        context: &Context,
        client: &Client,
        stream: &mut RunStream,
    ) -> Result<Option<JobUpdate>, Trouble> {
        loop {
            tokio::select! {
                update = stream.next() => return Ok(update?),
                _ = self.interrupts.recv() => {
                    let job = stream.job();
                    if self.cancelled {
                        return Err(Trouble::new(
                            Exit::Unknown,
                            ErrorCode::Unavailable,
                            format!("left before {job} had ended; it is being cancelled"),
                            format!("see what became of it: lictor jobs {job}"),
                        ));
                    }
                    self.cancelled = true;
                    context.note("cancelling; waiting until the hosts confirm (interrupt again to leave)");
                    client.cancel(job).await?;
                }
            }
        }
    }
}
