//! Kept output on its way here: in parts where it only passes through, and no more than is held at once where it does not.

use lictor_client::{connect::Client, kept::KeptBytes, views::InvocationView};
use lictor_core::{
    digest::Sha256Stream,
    error::{ErrorCode, Failure},
    limits::MAX_OUTPUT_BYTES,
    output::StreamName,
};

use super::show::{self, Place};
use crate::{context::Context, trouble::Trouble};

/// Most of an output that is held at once: all of what a command prints. What is larger is a file of a host.
const MAX_HELD_BYTES: u64 = MAX_OUTPUT_BYTES;
/// Most that is held of what only passes through: a few pages.
const PART_BYTES: u64 = 1024 * 1024;

/// At most `most` bytes of what is kept of a stream from `from` on, to be held.
///
/// # Errors
/// That it is too large for that, or cannot be read.
pub(crate) async fn held(
    client: &Client,
    view: &InvocationView,
    stream: StreamName,
    from: u64,
    most: u64,
) -> Result<KeptBytes, Trouble> {
    let bytes = bytes_from(view, stream, from).min(most);
    if bytes > MAX_HELD_BYTES {
        let what = Place::from(stream).stream();
        let message = format!(
            "{bytes} bytes of {what} of {} are asked for; at most {MAX_HELD_BYTES} are shown at once",
            view.host
        );
        let next_step = format!(
            "write all of it into a file, {}, or ask for fewer: --bytes 4MiB",
            into_a_file(view, stream)
        );
        return Err(Failure::new(ErrorCode::LimitExceeded, message, next_step).into());
    }
    // Of what has ended meanwhile there may be more than was known.
    Ok(client.kept_output(view.id, stream, from, most.min(MAX_HELD_BYTES)).await?)
}

/// Prints what is kept of a stream from `from` on: into a file or a pipe all of it, on a terminal what can be shown there.
///
/// # Errors
/// That it cannot be read, or cannot be told any more whether all of it came.
pub(crate) async fn print(
    context: &Context,
    client: &Client,
    view: &InvocationView,
    stream: StreamName,
    from: u64,
) -> Result<(), Trouble> {
    let place = Place::from(stream);
    let style = if place == Place::Stdout { context.out } else { context.err };
    if !style.is_terminal() {
        return print_in_parts(context, client, view, stream, from).await;
    }
    let bytes = bytes_from(view, stream, from);
    if bytes > MAX_HELD_BYTES {
        let (what, file) = (place.stream(), into_a_file(view, stream));
        context.note(&format!(
            "[lictor: {bytes} bytes of {what} of {} are too many to be shown: {file}]",
            view.host
        ));
        return Ok(());
    }
    show::print(context, &held(client, view, stream, from, u64::MAX).await?, place)
}

/// Prints what is kept of a stream from `from` on, holding a part of it at a time. What comes whole has to be what was
/// printed: it may become a file.
///
/// # Errors
/// That it cannot be read, was removed meanwhile, or is not what was printed.
pub(crate) async fn print_in_parts(
    context: &Context,
    client: &Client,
    view: &InvocationView,
    stream: StreamName,
    from: u64,
) -> Result<(), Trouble> {
    let (mut at, mut printed, mut hash) = (from, 0_u64, Sha256Stream::default());
    loop {
        let kept = client.kept_output(view.id, stream, at, PART_BYTES).await?;
        if let Some(removed) = kept.removed.filter(|_| printed > 0) {
            let message =
                format!("what {} printed was {removed}, after {printed} bytes of it came", view.host);
            return Err(not_it(ErrorCode::NotFound, message));
        }
        show::print(context, &kept, stream.into())?;
        kept.parts.iter().for_each(|part| hash.update(&part.bytes));
        printed = printed.saturating_add(kept.bytes_read() as u64);
        if !kept.has_more() || kept.next() <= at {
            break;
        }
        at = kept.next();
    }
    let counts = view.stream(stream);
    if from > 0 || printed == 0 || counts.bytes_kept < counts.bytes_total {
        return Ok(());
    }
    if view.outcome.is_some() && printed != counts.bytes_total {
        let message = format!("{printed} bytes came of {} that {} printed", counts.bytes_total, view.host);
        return Err(not_it(ErrorCode::Unavailable, message));
    }
    if counts.digest.is_some_and(|digest| digest != hash.finish()) {
        let message = format!("what came is not what {} printed: it has another digest", view.host);
        return Err(not_it(ErrorCode::Internal, message));
    }
    Ok(())
}

/// Bytes that are kept from there on, as far as is known.
fn bytes_from(view: &InvocationView, stream: StreamName, from: u64) -> u64 {
    let counts = view.stream(stream);
    counts.bytes_kept.min(counts.bytes_total.saturating_sub(from))
}

/// The command that writes a whole stream into a file.
fn into_a_file(view: &InvocationView, stream: StreamName) -> String {
    let option = match stream {
        StreamName::Stdout => "",
        StreamName::Stderr => " --stderr",
    };
    format!("lictor output {} --host {}{option} > FILE", view.job, view.host)
}

fn not_it(code: ErrorCode, message: String) -> Trouble {
    Failure::new(code, message, "do not use what was written; ask again, or run it again").into()
}
