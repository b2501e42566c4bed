//! `lictor output`: what a job printed, from what was kept.

use clap::Args;
use lictor_client::{
    connect::Client,
    grep::{Found, grep},
    groups::groups,
    views::InvocationView,
};
use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    name::HostAlias,
    output::StreamName,
};
use lictor_runtime::{exit::Exit, human::HumanBytes};
use regex::bytes::{Regex, RegexBuilder};
use serde::Serialize;

use super::jobs::whole;
use crate::{
    Done,
    context::Context,
    output::{
        diff::unified,
        groups as grouped, reading,
        show::{self, Place},
    },
    render::{
        groups::names,
        json::{GroupDocument, StreamDocument, stream_name},
        style::Tone,
    },
    trouble::Trouble,
};

/// Largest compiled pattern: a pattern is typed by a person.
const MAX_PATTERN_BYTES: usize = 4 * 1024 * 1024;
/// Most of a line that a match shows.
const MAX_LINE_BYTES: usize = 4 * 1024;
/// Most lines around a match.
const MAX_CONTEXT: i64 = 100;

/// Show what a job printed, from what was kept of it
///
/// Of several hosts, each different result is shown once, with the hosts that have it. Where the
/// middle of an output was not kept, its place and its exact size are told on standard error.
///
///   lictor output job_… --host web-1
///   lictor output job_… --host web-1 --from 65536 --bytes 64KiB
///   lictor output job_… --grep 'error|failed' --context 2
///   lictor output job_… --diff web-1 web-2
///
/// A match is told as line:position:text; behind a gap the line is `?`, because nobody counted.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Exit codes: 0 shown, 1 nothing matches or the outputs differ; see lictor --help."
)]
pub(crate) struct Arguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: JobId,
    /// Only what this host printed
    #[arg(long, value_name = "HOST")]
    host: Option<HostAlias>,
    /// Standard error instead of standard output
    #[arg(long)]
    stderr: bool,
    /// Begin at this position of the stream, in bytes
    #[arg(long, value_name = "POSITION", requires = "host")]
    from: Option<u64>,
    /// Show at most so many bytes of the stream, e.g. 64KiB
    #[arg(long, value_name = "SIZE", requires = "host")]
    bytes: Option<HumanBytes>,
    /// Only lines in which this regular expression matches
    #[arg(long, value_name = "REGEX", value_parser = parse_pattern)]
    grep: Option<Regex>,
    /// With --grep: so many lines around each match
    #[arg(long, value_name = "LINES", requires = "grep", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=MAX_CONTEXT))]
    context: u32,
    /// How the output of one host differs from that of another, line by line; ends with 1 if it does
    #[arg(long, num_args = 2, value_names = ["HOST", "HOST"], conflicts_with_all = ["host", "grep"])]
    diff: Vec<HostAlias>,
}

#[derive(Debug, Serialize)]
struct OutputDocument {
    job: String,
    groups: Vec<GroupDocument>,
}

#[derive(Debug, Serialize)]
struct PageDocument {
    job: String,
    host: String,
    state: &'static str,
    #[serde(flatten)]
    stream: StreamDocument,
}

#[derive(Debug, Serialize)]
struct MatchesDocument {
    job: String,
    matches: Vec<MatchDocument>,
}

#[derive(Debug, Serialize)]
struct MatchDocument {
    hosts: Vec<String>,
    stream: &'static str,
    line: Option<u64>,
    offset: u64,
    text: String,
    matches: bool,
}

#[derive(Debug, Serialize)]
struct DiffDocument {
    job: String,
    hosts: Vec<String>,
    stream: &'static str,
    identical: bool,
    diff: String,
}

fn parse_pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build().map_err(|error| error.to_string())
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let connected = context.connect()?;
    let client = connected.client();
    let (job, views) = whole(client, arguments.job).await?;
    tell_unfinished(context, &arguments, &views);
    if let [a, b] = arguments.diff.as_slice() {
        let (a, b) = (find(&views, job.id, a)?, find(&views, job.id, b)?);
        refuse_removed(&arguments, &[a, b])?;
        return diff(&arguments, context, client, a, b).await;
    }
    let chosen: Vec<&InvocationView> = match &arguments.host {
        Some(host) => vec![find(&views, job.id, host)?],
        None => views.iter().collect(),
    };
    if let Some(pattern) = &arguments.grep {
        refuse_removed(&arguments, &chosen)?;
        return search(&arguments, context, client, &chosen, pattern).await;
    }
    match chosen.as_slice() {
        [one] => one_host(&arguments, context, client, one).await,
        many => many_hosts(&arguments, context, client, many).await,
    }
}

async fn one_host(arguments: &Arguments, context: &Context, client: &Client, view: &InvocationView) -> Done {
    let page = arguments.from.is_some() || arguments.bytes.is_some();
    let stream = if arguments.stderr { StreamName::Stderr } else { StreamName::Stdout };
    let most = arguments.bytes.as_ref().map_or(u64::MAX, |bytes| bytes.get());
    if arguments.bytes.is_none() && !context.is_json() && !context.out.is_terminal() {
        let from = arguments.from.unwrap_or(0);
        reading::print_in_parts(context, client, view, stream, from).await?;
        if !page && !arguments.stderr {
            reading::print(context, client, view, StreamName::Stderr, 0).await?;
        }
        return Ok(Exit::Ok.into());
    }
    let kept = reading::held(client, view, stream, arguments.from.unwrap_or(0), most).await?;
    if context.is_json() {
        let stream = StreamDocument::new(stream, &kept);
        let (job, host) = (arguments.job.to_string(), view.host.to_string());
        context.print_json(&PageDocument { job, host, state: view.state(), stream })?;
        return Ok(Exit::Ok.into());
    }
    show::print(context, &kept, Place::Stdout)?;
    if kept.has_more() {
        let rest = format!("[lictor: read on with --from {}; {} bytes in all]", kept.next(), kept.total);
        context.note(&context.err.paint(Tone::Faint, &rest));
    }
    if !page && !arguments.stderr {
        reading::print(context, client, view, StreamName::Stderr, 0).await?;
    }
    Ok(Exit::Ok.into())
}

async fn many_hosts(
    arguments: &Arguments,
    context: &Context,
    client: &Client,
    views: &[&InvocationView],
) -> Done {
    if !context.is_json() {
        grouped::print(context, client, views).await?;
        return Ok(Exit::Ok.into());
    }
    let mut documents = Vec::new();
    for group in groups(views.iter().copied()) {
        if let Some(mut document) = GroupDocument::new(&group) {
            document.streams = Some(grouped::streams(client, &group).await?);
            documents.push(document);
        }
    }
    context.print_json(&OutputDocument { job: arguments.job.to_string(), groups: documents })?;
    Ok(Exit::Ok.into())
}

/// Searches each different output once. Ends with 1 if nothing matches, as grep does.
async fn search(
    arguments: &Arguments,
    context: &Context,
    client: &Client,
    views: &[&InvocationView],
    pattern: &Regex,
) -> Done {
    let lines = usize::try_from(arguments.context).unwrap_or_default();
    let streams: &[StreamName] = match arguments.stderr {
        true => &[StreamName::Stderr],
        false => &[StreamName::Stdout, StreamName::Stderr],
    };
    let (mut documents, mut matched) = (Vec::new(), false);
    for group in groups(views.iter().copied()) {
        let Some(first) = group.first() else { continue };
        for stream in streams {
            if first.stream(*stream).bytes_total == 0 {
                continue;
            }
            let from = arguments.from.unwrap_or(0);
            let most = arguments.bytes.as_ref().map_or(u64::MAX, |bytes| bytes.get());
            let kept = reading::held(client, first, *stream, from, most).await?;
            let mut text = String::new();
            grep(&kept, pattern, lines, |found| {
                matched |= found.matches;
                if context.is_json() {
                    documents.push(MatchDocument::new(&group.hosts(), *stream, &found));
                } else {
                    text += &line(&found, lines > 0);
                }
            });
            if !text.is_empty() {
                let whose = format!("--- {}, {}", names(&group.hosts()), stream_name(*stream));
                context.print(&format!("{}\n{text}", context.out.strong(&whose)))?;
            }
        }
    }
    if context.is_json() {
        context.print_json(&MatchesDocument { job: arguments.job.to_string(), matches: documents })?;
    }
    Ok(if matched { Exit::Ok } else { Exit::CommandFailed }.into())
}

fn line(found: &Found<'_>, with_context: bool) -> String {
    let mark = if found.matches { ':' } else { '-' };
    let number = found.line.map_or_else(|| "?".to_owned(), |line| line.to_string());
    let (shown, more) = found.text.split_at(found.text.len().min(MAX_LINE_BYTES));
    let more = if more.is_empty() { String::new() } else { format!(" [lictor: {} bytes more]", more.len()) };
    let apart = if with_context && found.apart { "--\n" } else { "" };
    format!("{apart}{number}{mark}{}{mark}{}{more}\n", found.offset, show::escaped(shown))
}

async fn diff(
    arguments: &Arguments,
    context: &Context,
    client: &Client,
    a: &InvocationView,
    b: &InvocationView,
) -> Done {
    let stream = if arguments.stderr { StreamName::Stderr } else { StreamName::Stdout };
    let identical = a.stream(stream).digest.is_some() && a.stream(stream).digest == b.stream(stream).digest;
    let diff = if identical {
        String::new()
    } else {
        let one = reading::held(client, a, stream, 0, u64::MAX).await?;
        let two = reading::held(client, b, stream, 0, u64::MAX).await?;
        unified((a.host.as_str(), &one), (b.host.as_str(), &two))
    };
    if context.is_json() {
        let (job, hosts) = (arguments.job.to_string(), vec![a.host.to_string(), b.host.to_string()]);
        context.print_json(&DiffDocument { job, hosts, stream: stream_name(stream), identical, diff })?;
    } else if identical {
        context.note("both printed the same");
    } else if diff.is_empty() {
        context.note("what was kept is the same; they differ in what was not kept, or it is not known");
    } else {
        let text = if context.out.is_terminal() { show::escaped(diff.as_bytes()) } else { diff };
        context.print(&text)?;
    }
    Ok(if identical { Exit::Ok } else { Exit::CommandFailed }.into())
}

/// The newest attempt on this host.
pub(super) fn find<'a>(
    views: &'a [InvocationView],
    job: JobId,
    host: &HostAlias,
) -> Result<&'a InvocationView, Trouble> {
    views.iter().filter(|view| view.host == *host).max_by_key(|view| view.attempt).ok_or_else(|| {
        let next_step = format!("see the job's hosts: lictor jobs {job}");
        Failure::new(ErrorCode::NotFound, format!("{job} has no host {host}"), next_step).into()
    })
}

/// What is no longer kept can neither be searched nor compared: that nothing was found would say nothing.
fn refuse_removed(arguments: &Arguments, views: &[&InvocationView]) -> Result<(), Trouble> {
    let streams: &[StreamName] = match (arguments.stderr, arguments.diff.is_empty()) {
        (true, _) => &[StreamName::Stderr],
        (false, false) => &[StreamName::Stdout],
        (false, true) => &[StreamName::Stdout, StreamName::Stderr],
    };
    let printed = |view: &InvocationView| streams.iter().any(|stream| view.stream(*stream).bytes_total > 0);
    let gone = views.iter().find_map(|view| Some((view, view.output_removed.filter(|_| printed(view))?)));
    let Some((view, removed)) = gone else { return Ok(()) };
    let message = format!("what {} printed was {removed}", view.host);
    let next_step = format!("see its counts and digests: lictor jobs {} --output json", arguments.job);
    Err(Failure::new(ErrorCode::NotFound, message, next_step).into())
}

fn tell_unfinished(context: &Context, arguments: &Arguments, views: &[InvocationView]) {
    let open = views.iter().filter(|view| view.outcome.is_none()).count();
    if open > 0 {
        let job = arguments.job;
        context.note(&format!(
            "{open} of {} hosts have not ended; output is kept when they do (lictor watch {job})",
            views.len()
        ));
    }
}

// === conversions ===

impl MatchDocument {
    fn new(hosts: &[&str], stream: StreamName, found: &Found<'_>) -> Self {
        Self {
            hosts: hosts.iter().map(ToString::to_string).collect(),
            stream: stream_name(stream),
            line: found.line,
            offset: found.offset,
            text: String::from_utf8_lossy(found.text).into_owned(),
            matches: found.matches,
        }
    }
}
