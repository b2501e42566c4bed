//! `lictor jobs`: the newest jobs, or one with its invocations.

use clap::Args;
use lictor_client::{
    connect::Client,
    views::{InvocationView, JobView},
};
use lictor_core::{clock::Clock as _, error::Failure, id::JobId, limits::MAX_HOSTS_PER_JOB};
use lictor_runtime::{clock::SystemClock, exit::Exit};
use serde::Serialize;

use crate::{
    Done,
    context::Context,
    render::{
        groups, guards, invocations, jobs,
        json::{GroupDocument, InvocationDocument, JobDocument},
    },
};

/// Jobs listed when the arguments do not say: a screen.
const DEFAULT_LIMIT: u32 = 20;
/// Most jobs listed: one page of the controller.
const MAX_LIMIT: i64 = 1000;
/// Invocations asked for at once: the largest page.
const PAGE: u32 = 1000;

/// List jobs, newest first, or show one with what became of it on each host
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Show this job
    #[arg(value_name = "JOB")]
    job: Option<JobId>,
    /// How many jobs to list
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(u32).range(1..=MAX_LIMIT))]
    limit: u32,
}

#[derive(Debug, Serialize)]
struct JobWithHosts {
    job: JobDocument,
    hosts: Vec<InvocationDocument>,
    groups: Vec<GroupDocument>,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let connected = context.connect()?;
    let client = connected.client();
    let Some(id) = arguments.job else {
        let page = client.list_jobs(arguments.limit, None).await?;
        let documents: Vec<JobDocument> = page.jobs.iter().map(Into::into).collect();
        context.show(&documents, |style| jobs::table(&page.jobs, SystemClock.now(), style))?;
        if page.next_page.is_some() && !context.is_json() {
            context.note(&format!(
                "there are older jobs: --limit N lists up to {MAX_LIMIT}, lictor audit search finds every one"
            ));
        }
        return Ok(Exit::Ok.into());
    };
    let (job, views) = whole(client, id).await?;
    let hosts = views.iter().map(|view| InvocationDocument::new(view, None)).collect();
    let refs: Vec<&InvocationView> = views.iter().collect();
    let groups = GroupDocument::all(&refs);
    context.show(&JobWithHosts { job: (&job).into(), hosts, groups }, |style| {
        let facts = jobs::facts(&job, style) + &guards::line(&job, &views, style);
        format!("{facts}\n{}{}", invocations::table(&refs, style), groups::summary(&refs, style))
    })?;
    Ok(Exit::Ok.into())
}

/// A job with all of its invocations.
pub(crate) async fn whole(client: &Client, id: JobId) -> Result<(JobView, Vec<InvocationView>), Failure> {
    let mut page = client.get_job(id, PAGE, None).await?;
    let mut views = std::mem::take(&mut page.invocations);
    while let Some(token) = page.next_page.filter(|_| views.len() < MAX_HOSTS_PER_JOB) {
        page = client.get_job(id, PAGE, Some(&token)).await?;
        views.append(&mut page.invocations);
    }
    Ok((page.job, views))
}
