//! `ssh_list_jobs`: the caller's own jobs, newest first.

use lictor_client::views::JobView;
use lictor_core::error::{ErrorCode, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{answer::Answer, job_status::JobSummary};

/// Jobs when the call does not say.
const DEFAULT_JOBS: usize = 20;
/// Most jobs in one result: some 4,000 tokens.
const MAX_JOBS: usize = 50;
/// Most pages that one call looks through, each no larger than what is still wanted; `page` reads on.
const MAX_PAGES: usize = 20;
/// Longest text that is searched for, in bytes.
const MAX_TEXT: usize = 200;

/// The tool.
#[derive(Debug)]
pub(super) enum ListJobs {}

/// Which jobs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Only those with this text in command or target.
    #[serde(default)]
    text: Option<String>,
    /// Only those that have not ended.
    #[serde(default)]
    active: bool,
    /// 1 to 50; 20 if left out.
    #[serde(default)]
    max_jobs: Option<usize>,
    /// next_page of the result before.
    #[serde(default)]
    page: Option<String>,
}

/// The jobs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Jobs {
    /// The jobs, newest first.
    jobs: Vec<JobSummary>,
    /// Where to read on; left out at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<String>,
}

impl BridgeTool for ListJobs {
    const NAME: &'static str = "ssh_list_jobs";
    const TITLE: &'static str = "List jobs";
    const DESCRIPTION: &'static str = "Lists this client's jobs, newest first; searches them by text.";
    const EFFECT: Effect = Effect::Reads;
    type Parameters = Parameters;
    type Result = Jobs;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Jobs>, Failure> {
        let Parameters { text, active, max_jobs, page } = parameters;
        let most = max_jobs.unwrap_or(DEFAULT_JOBS);
        if !(1..=MAX_JOBS).contains(&most) {
            return Err(invalid(format!("max_jobs: not 1 to {MAX_JOBS}"), "ask for fewer jobs"));
        }
        if text.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
            return Err(invalid(format!("text: longer than {MAX_TEXT} bytes"), "search for a part of it"));
        }
        let wanted = |job: &JobView, summary: &JobSummary| {
            (!active || !job.state.ended())
                && text
                    .as_ref()
                    .is_none_or(|text| job.command.render().contains(text) || summary.target.contains(text))
        };
        let (mut jobs, mut next) = (Vec::new(), page);
        for _ in 0..MAX_PAGES {
            let size = u32::try_from(most - jobs.len()).unwrap_or(u32::MAX);
            let page = call.client.list_jobs(size, next.as_deref()).await?;
            let found = page.jobs.iter().map(|job| (job, JobSummary::of(job)));
            jobs.extend(found.filter(|(job, summary)| wanted(job, summary)).map(|(_, summary)| summary));
            next = page.next_page;
            if next.is_none() || jobs.len() >= most {
                break;
            }
        }
        Ok(Answer::done(Jobs { jobs, next_page: next }))
    }
}

fn invalid(message: String, next_step: &str) -> Failure {
    Failure::new(ErrorCode::InvalidArgument, message, next_step)
}
