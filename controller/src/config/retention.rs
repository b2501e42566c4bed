//! How long things are kept, as a controller's file says it.

use lictor_core::retention::RetentionLimits;
use lictor_runtime::human::{HumanBytes, HumanDuration};
use serde::Deserialize;

use crate::{
    contents::ContentLimits,
    retention::{MIN_JOB_AGE, MIN_OUTPUT_AGE, MIN_PAYLOAD_AGE},
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetentionFile {
    outputs: AgeAndBytes,
    jobs: Age,
    payloads: Age,
    contents: AgeAndBytes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AgeAndBytes {
    age: Option<HumanDuration>,
    bytes: Option<HumanBytes>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Age {
    age: Option<HumanDuration>,
}

/// What the file says, or what holds where it says nothing.
pub(super) fn limits(file: &RetentionFile, problems: &mut Vec<String>) -> (RetentionLimits, ContentLimits) {
    let RetentionFile { outputs, jobs, payloads, contents } = file;
    let (default, content) = (RetentionLimits::default(), ContentLimits::default());
    let limits = RetentionLimits {
        output_age: outputs.age.map_or(default.output_age, HumanDuration::get),
        output_bytes: outputs.bytes.map_or(default.output_bytes, HumanBytes::get),
        job_age: jobs.age.map_or(default.job_age, HumanDuration::get),
        payload_age: payloads.age.map(HumanDuration::get).or(default.payload_age),
    };
    let content = ContentLimits {
        age: contents.age.map_or(content.age, HumanDuration::get),
        bytes: contents.bytes.map_or(content.bytes, HumanBytes::get),
    };
    if limits.output_age < MIN_OUTPUT_AGE {
        let least = HumanDuration::new(MIN_OUTPUT_AGE);
        problems
            .push(format!("retention.outputs.age: what follows a job needs its output for {least} at least"));
    }
    if limits.job_age < MIN_JOB_AGE {
        let least = HumanDuration::new(MIN_JOB_AGE);
        problems.push(format!(
            "retention.jobs.age: idempotency keys need their jobs for {least}; say that or more"
        ));
    }
    if limits.payload_age.is_some_and(|age| age < MIN_PAYLOAD_AGE) {
        let least = HumanDuration::new(MIN_PAYLOAD_AGE);
        problems.push(format!(
            "retention.payloads.age: whoever copies the log elsewhere needs them for {least} at least"
        ));
    }
    if limits.output_age > limits.job_age {
        problems.push(
            "retention.outputs.age: outputs go with their jobs; say no more than retention.jobs.age"
                .to_owned(),
        );
    }
    (limits, content)
}
