//! `lictor replay`: what a command printed, as it came, from what was kept of it.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use lictor_client::{
    connect::Client,
    views::{InvocationView, JobView},
};
use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    name::HostAlias,
    output::StreamName,
    transfer::Transfer,
};
use lictor_runtime::exit::Exit;
use tokio::time::{Instant, sleep_until};

use super::{jobs::whole, output::find};
use crate::{
    Done,
    context::Context,
    output::{
        reading,
        show::{Place, tell_gap, write},
    },
    render::bytes::one_line,
    replay::{
        Content, Piece,
        cast::{self, Header},
        pieces,
    },
    trouble::Trouble,
};

/// Slowest and fastest playback.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

/// Play what a job printed on a host, with the pauses that there were
///
/// When each piece came is noted by the agent, to the millisecond as far as there is room; very long outputs become
/// coarser. With --out it becomes a recording for terminals (asciicast 2), with everything that the host printed in it. Times are no part of
/// the audit log; the digest of what was printed is. What a detached command printed before its agent was started again
/// comes without times of its own.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lictor replay job_… --host web-1 --speed 4\n  lictor replay job_… --out deploy.cast && asciinema play deploy.cast"
)]
pub(crate) struct Arguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: JobId,
    /// On this host; may be left out for a job on one
    #[arg(long, value_name = "HOST")]
    host: Option<HostAlias>,
    /// Write a recording into this file, which must not exist, instead of playing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// So many times as fast
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_speed, conflicts_with = "out")]
    speed: f64,
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| SPEEDS.contains(speed));
    speed.ok_or_else(|| format!("`{text}` is no number from {} to {}", SPEEDS.start(), SPEEDS.end()))
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    if context.is_json() && arguments.out.is_none() {
        return Err(Trouble::usage(
            "a playback is no JSON document",
            "write a recording, which is JSON lines: --out FILE",
        ));
    }
    let connected = context.connect()?;
    let client = connected.client();
    let (job, views) = whole(client, arguments.job).await?;
    let view = match (&arguments.host, views.first()) {
        (Some(host), _) => find(&views, job.id, host)?,
        (None, Some(first)) if views.iter().all(|view| view.host == first.host) => {
            find(&views, job.id, &first.host)?
        }
        (None, _) => {
            let next_step = format!("name one with --host; lictor jobs {} lists them", job.id);
            return Err(Trouble::usage(format!("{} is not a job on one host", job.id), next_step));
        }
    };
    let pieces = recorded(client, &job, view).await?;
    match &arguments.out {
        Some(file) => {
            let title = format!("{} on {}: {}", job.id, view.host, one_line(&job.command.to_string()));
            let began = view.started_at.map(|at| at.as_micros() / 1_000_000);
            write_cast(file, &Header::new(&pieces, began, title), &pieces)?;
            context.note(&format!("wrote {}", file.display()));
        }
        None => play(&pieces, arguments.speed, context).await?,
    }
    Ok(Exit::Ok.into())
}

/// What was kept of an invocation's output, with its times.
async fn recorded(client: &Client, job: &JobView, view: &InvocationView) -> Result<Vec<Piece>, Trouble> {
    let timing = client.output_timing(view.id).await?;
    let next_step = match &view.outcome {
        None => format!("it has not ended; follow it with lictor watch {}", view.job),
        Some(_) => {
            format!("see what was kept, without times: lictor output {} --host {}", view.job, view.host)
        }
    };
    if let Some(removed) = view.output_removed {
        let message = format!("what {} printed was {removed}", view.host);
        let next_step = format!("see its counts and digests: lictor jobs {} --output json", view.job);
        return Err(Failure::new(ErrorCode::NotFound, message, next_step).into());
    }
    if view.stdout.bytes_total == 0 && view.stderr.bytes_total == 0 {
        return Err(Trouble::usage(format!("nothing that was printed on {} is kept", view.host), next_step));
    }
    if timing.is_empty() && matches!(Transfer::of(&job.command), Ok(Some(_))) {
        return Err(Trouble::usage("a file transfer has no times", next_step));
    }
    if timing.is_empty() {
        let message =
            format!("when the output of {} came is not known: its agent did not note it", view.host);
        return Err(Trouble::usage(message, next_step));
    }
    let stdout = reading::held(client, view, StreamName::Stdout, 0, u64::MAX).await?;
    let stderr = reading::held(client, view, StreamName::Stderr, 0, u64::MAX).await?;
    Ok(pieces(&timing, &stdout, &stderr))
}

fn write_cast(file: &Path, header: &Header, pieces: &[Piece]) -> Result<(), Trouble> {
    let failed = |e| Trouble::file("write", file, &e);
    let mut out = BufWriter::new(File::create_new(file).map_err(failed)?);
    cast::write(&mut out, header, pieces).and_then(|()| out.flush()).map_err(failed)
}

/// Prints the pieces at their times. Escape sequences are written out where they would reach a terminal.
async fn play(pieces: &[Piece], speed: f64, context: &Context) -> Result<(), Trouble> {
    let begun = Instant::now();
    for Piece { millis, stream, content } in pieces {
        let after = Duration::from_millis(*millis).div_f64(speed);
        tokio::select! {
            () = sleep_until(begun + after) => {}
            interrupt = tokio::signal::ctrl_c() => return Ok(interrupt?),
        }
        match (content, stream) {
            (Content::Gap(gap), _) => tell_gap(context, *gap),
            (Content::Bytes(bytes), StreamName::Stdout) => write(context, bytes, Place::Stdout)?,
            (Content::Bytes(bytes), StreamName::Stderr) => write(context, bytes, Place::Stderr)?,
        }
    }
    Ok(())
}
