//! What a job printed, grouped: each result once, with the hosts that have it.

use lictor_client::{
    connect::Client,
    groups::{Group, groups},
    views::InvocationView,
};
use lictor_core::output::StreamName;

use super::reading;
use crate::{
    context::Context,
    render::{groups as render, json::StreamDocument},
    trouble::Trouble,
};

/// Prints every group: a line that says which hosts, then what they printed.
pub(crate) async fn print(
    context: &Context,
    client: &Client,
    views: &[&InvocationView],
) -> Result<(), Trouble> {
    for group in groups(views.iter().copied()) {
        context.print(&(render::header(&group, views.len(), context.out) + "\n"))?;
        let Some(first) = group.first() else { continue };
        for stream in [StreamName::Stdout, StreamName::Stderr] {
            if first.stream(stream).bytes_total == 0 {
                continue;
            }
            if stream == StreamName::Stderr {
                context.note(&render::header_of_errors(&group, context.err));
            }
            reading::print(context, client, first, stream, 0).await?;
        }
    }
    Ok(())
}

/// A group with what its hosts printed, for scripts.
pub(crate) async fn streams(client: &Client, group: &Group<'_>) -> Result<Vec<StreamDocument>, Trouble> {
    let mut streams = Vec::new();
    if let Some(first) = group.first() {
        for stream in [StreamName::Stdout, StreamName::Stderr] {
            let kept = reading::held(client, first, stream, 0, u64::MAX).await?;
            streams.push(StreamDocument::new(stream, &kept));
        }
    }
    Ok(streams)
}
