//! In what a recorded request would run.

use std::str::FromStr;

use lictor_core::{
    content::Content,
    context::{Context, Environment},
};
use serde_json::Value;

/// What a record says of it, which is nothing where nothing was asked for; `None`: it does not say it whole.
pub(super) fn of(record: &Value) -> Option<Context> {
    let variables = match record.get("environment") {
        Some(list) => list.as_array()?.iter().map(pair).collect::<Option<Vec<_>>>()?,
        None => Vec::new(),
    };
    Some(Context {
        environment: Environment::from_pairs(variables).ok()?,
        working_directory: one(record, "working_directory")?,
        run_as: one(record, "run_as")?,
        stdin: stdin(record)?,
    })
}

fn pair(item: &Value) -> Option<(&str, &str)> {
    item.as_str()?.split_once('=')
}

fn stdin(record: &Value) -> Option<Option<Content>> {
    let (digest, bytes) = (record.get("stdin_sha256"), record.get("stdin_bytes"));
    match (digest, bytes) {
        (None, None) => Some(None),
        _ => Content::new(digest?.as_str()?.parse().ok()?, bytes?.as_u64()?).ok().map(Some),
    }
}

fn one<T: FromStr>(record: &Value, name: &str) -> Option<Option<T>> {
    match record.get(name) {
        Some(value) => value.as_str()?.parse().ok().map(Some),
        None => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_recorded_is_judged_again_and_what_was_cut_is_not() {
        let context =
            of(&json!({"environment": ["A=x=y", "B="], "working_directory": "/srv", "run_as": "deploy"}));
        let items = ["A=x=y", "B=", "working_directory=/srv", "run_as=deploy"];
        assert_eq!(context.unwrap().items(), items);
        assert_eq!(of(&json!({"command": "uptime"})), Some(Context::default()));
        for cut in [
            json!({"environment": ["A=1", {"more": 3, "sha256": "x"}]}),
            json!({"environment": [{"cut": "A=1", "bytes": 2000, "sha256": "x"}]}),
            json!({"environment": "A=1"}),
            json!({"working_directory": "srv"}),
            json!({"run_as": 7}),
        ] {
            assert_eq!(of(&cut), None, "{cut}");
        }
    }
}
