//! The job view: who is told of it, what it may call, and what it is told.

use rmcp::model::{
    ExtensionCapabilities, ReadResourceRequestParams, ReadResourceResponse, ResourceContents, Tool,
};
use serde_json::{Value, json};

use crate::{
    ERAS,
    world::{Era, World},
};

const VIEW: &str = "ui://lictor/job";
pub(crate) const MIME: &str = "text/html;profile=mcp-app";

pub(crate) async fn showing(era: Era, kinds: &[&str]) -> World {
    let Value::Object(settings) = json!({ "mimeTypes": kinds }) else { panic!("settings are an object") };
    let mut extensions = ExtensionCapabilities::new();
    extensions.insert("io.modelcontextprotocol/ui".into(), settings);
    World::declaring(era, extensions).await
}

fn ui(tool: &Tool) -> Value {
    serde_json::to_value(tool).unwrap()["_meta"]["ui"].clone()
}

#[tokio::test]
async fn who_shows_pages_is_told_of_the_view_and_everybody_else_nothing() {
    for era in ERAS {
        let plain = World::new(era).await.mcp.list_all_tools().await.unwrap();
        assert!(plain.iter().all(|tool| tool.meta.is_none() && tool.name != "ssh_view_job"));
        let other = showing(era, &["text/uri-list"]).await.mcp.list_all_tools().await.unwrap();
        assert_eq!(other, plain, "another kind of page");

        let told = showing(era, &["text/uri-list", MIME]).await.mcp.list_all_tools().await.unwrap();
        let without: Vec<Tool> = told
            .iter()
            .filter(|tool| tool.name != "ssh_view_job")
            .cloned()
            .map(|mut tool| {
                tool.meta = None;
                tool
            })
            .collect();
        assert_eq!(without, plain, "what tools are does not depend on it");
        let shown: Vec<&str> = told
            .iter()
            .filter(|tool| ui(tool)["resourceUri"] == VIEW)
            .map(|tool| tool.name.as_ref())
            .collect();
        assert_eq!(shown, ["ssh_run_on_tag", "ssh_run_async", "ssh_get_task_result"]);
    }
}

#[tokio::test]
async fn the_view_starts_nothing_and_models_are_not_shown_what_is_for_the_view() {
    let world = showing(Era::Modern, &[MIME]).await;
    for tool in world.mcp.list_all_tools().await.unwrap() {
        let reads = tool.annotations.as_ref().unwrap().read_only_hint == Some(true);
        let expected = match tool.name.as_ref() {
            "ssh_view_job" => json!(["app"]),
            "ssh_cancel" | "ssh_cancel_async_task" => Value::Null,
            // It changes nothing, but runs as a job.
            "ssh_download" => json!(["model"]),
            _ if reads => Value::Null,
            _ => json!(["model"]),
        };
        assert!(!reads || !tool.name.starts_with("ssh_run"), "{}", tool.name);
        assert_eq!(ui(&tool)["visibility"], expected, "{}", tool.name);
    }
}

#[tokio::test]
async fn the_page_is_read_as_html_that_allows_itself_nothing_but_its_own_script() {
    for era in ERAS {
        let world = World::new(era).await;
        let read = world.mcp.read_resource(ReadResourceRequestParams::new(VIEW)).await.unwrap();
        let ReadResourceResponse::Complete(read) = read.into() else { panic!("a resource asks for nothing") };
        let [ResourceContents::TextResourceContents { uri, mime_type, text, meta }] = &read.contents[..]
        else {
            panic!("one page")
        };
        assert_eq!((uri.as_str(), mime_type.as_deref()), (VIEW, Some(MIME)));
        assert!(text.starts_with("<!DOCTYPE html>"));
        assert!(text.contains("content=\"default-src 'none'; script-src 'sha256-"));
        // Nothing is asked of the client: no addresses to load from, no camera, no clipboard.
        assert_eq!(serde_json::to_value(meta).unwrap(), json!({"ui": {"prefersBorder": true}}));
        assert!(world.mcp.read_resource(ReadResourceRequestParams::new("ui://lictor/other")).await.is_err());
    }
}

#[tokio::test]
async fn the_view_is_told_how_a_job_stands_and_each_host_once() {
    for era in ERAS {
        let world = showing(era, &[MIME]).await;
        let started = world.call("ssh_run_async", json!({"tag": "n3", "argv": ["ok"]})).await;
        let job = &started.body["task_id"];
        let seen = world.call("ssh_view_job", json!({"job_id": job})).await;
        assert!(!seen.is_error);
        assert_eq!((&seen.body["job_id"], &seen.body["command"]), (job, &json!("ok")));
        assert_eq!((&seen.body["state"], &seen.body["succeeded"]), (&json!("SUCCEEDED"), &json!(3)));
        let hosts = seen.body["hosts"].as_array().unwrap();
        let names: Vec<&str> = hosts.iter().map(|host| host["host"].as_str().unwrap()).collect();
        assert_eq!(names, ["host-0000", "host-0001", "host-0002"]);
        assert_eq!((&hosts[0]["state"], &hosts[0]["exit_code"]), (&json!("SUCCEEDED"), &json!(0)));
        // The controller told no digest of what was printed, so nothing says that it was the same.
        assert!(hosts[0]["stdout_bytes_total"].as_u64().unwrap() > 0 && hosts[0]["printed"].is_null());
        assert!(!seen.text.contains("10.0.0.5"));

        let absent = world.call("ssh_view_job", json!({"job_id": "job_00000000000000000000000000"})).await;
        assert_eq!((absent.is_error, &absent.body["code"]), (true, &json!("NOT_FOUND")));
        let more = world.call("ssh_view_job", json!({"job_id": job, "approve": true})).await;
        assert_eq!((more.is_error, &more.body["code"]), (true, &json!("INVALID_ARGUMENT")));
    }
}
