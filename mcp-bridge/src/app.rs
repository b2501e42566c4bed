//! The job view: a page of HTML that clients with the extension MCP Apps (`io.modelcontextprotocol/ui`, 2026-01-26) show beside
//! the answers of some tools. Who does not declare the extension is told nothing of it.
//!
//! The page has no authority of its own: it asks through its client, as whoever its client speaks for, and only what reads or
//! stops. It loads nothing and sends nothing anywhere else; its own policy and that of its client both forbid it.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_core::digest::Digest;
use rmcp::{
    RoleServer,
    model::{MetaObject, ResourceContents, Tool},
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::tools::{self, Effect};

/// The extension, as clients declare it.
const EXTENSION: &str = "io.modelcontextprotocol/ui";
/// The form of the page.
const MIME: &str = "text/html;profile=mcp-app";
/// Where the page is read.
pub(crate) const URI: &str = "ui://lictor/job";
/// The page, with names in place of its parts.
const FRAME: &str = include_str!("app/job.html");
const STYLE: &str = include_str!("app/job.css");
/// The script's parts, in one function of their own.
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("app/state.js"),
    include_str!("app/text.js"),
    include_str!("app/client.js"),
    include_str!("app/job.js"),
    include_str!("app/groups.js"),
    include_str!("app/output.js"),
    include_str!("app/draw.js"),
    include_str!("app/hands.js"),
    "})();\n"
);
/// The tools whose answers name a job, beside which a person wants to see it. Not those that ask how one stands: a model calls
/// them again and again, and each call would open another view.
const SHOWN_FOR: [&str; 3] = ["ssh_run_on_tag", "ssh_run_async", "ssh_get_task_result"];

/// Whether the client of the request shows such pages.
pub(crate) fn wanted(context: &RequestContext<RoleServer>) -> bool {
    let declared = context.client_capabilities().and_then(|capabilities| capabilities.extensions);
    let kinds = declared.as_ref().and_then(|all| all.get(EXTENSION)?.get("mimeTypes")?.as_array());
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == MIME))
}

/// The tools as a client is told that shows such pages: which of them have the view, which the view may call, and the one that is
/// for the view alone.
pub(crate) fn tools() -> &'static [Tool] {
    static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
        let listed = tools::all().iter().map(|entry| (entry, false));
        listed.chain([(tools::for_view(), true)]).map(|(entry, hidden)| told(entry, hidden)).collect()
    });
    &TOOLS
}

/// The page, as it is read.
pub(crate) fn contents() -> ResourceContents {
    ResourceContents::text(page(), URI).with_mime_type(MIME).with_meta(meta(json!({ "prefersBorder": true })))
}

/// The whole page. It says itself that nothing but its own script and style may run and that nothing may be loaded, whatever the
/// client allows: what gets into it by mistake stays text.
fn page() -> &'static str {
    static PAGE: LazyLock<String> = LazyLock::new(|| {
        let [style, script] = [STYLE, SCRIPT]
            .map(|part| format!("'sha256-{}'", STANDARD.encode(Digest::of(part.as_bytes()).as_bytes())));
        let policy = format!(
            "default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; form-action 'none'"
        );
        FRAME.replacen("POLICY", &policy, 1).replacen("STYLE", STYLE, 1).replacen("SCRIPT", SCRIPT, 1)
    });
    &PAGE
}

fn told(entry: &tools::Entry, hidden: bool) -> Tool {
    let mut ui = serde_json::Map::new();
    if SHOWN_FOR.contains(&entry.tool.name.as_ref()) {
        ui.insert("resourceUri".into(), URI.into());
    }
    if hidden {
        ui.insert("visibility".into(), json!(["app"]));
    } else if !matches!(entry.effect, Effect::Reads | Effect::Stops) {
        // Nothing that a page shows can make it start a command.
        ui.insert("visibility".into(), json!(["model"]));
    }
    if ui.is_empty() {
        return entry.tool.clone();
    }
    entry.tool.clone().with_meta(meta(Value::Object(ui)))
}

fn meta(ui: Value) -> MetaObject {
    let mut meta = MetaObject::new();
    meta.0.insert("ui".into(), ui);
    meta
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_has_no_address_to_load_anything_from() {
        for name in ["POLICY", "STYLE", "SCRIPT"] {
            assert_eq!(FRAME.matches(name).count(), 1, "{name}");
            assert!(!page().contains(name), "{name}");
        }
        assert!(page().contains(STYLE) && page().contains(SCRIPT));
        assert!(!page().contains("http:") && !page().contains("https:") && !STYLE.contains("url("));
        // A part that ended its element would let the rest of it be markup.
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
    }

    #[test]
    fn the_page_turns_no_text_into_code_or_markup() {
        for way in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "createContextualFragment",
            "DOMParser",
            "setHTML",
            "srcdoc",
            "eval(",
            "Function(",
            "import(",
            "fetch(",
            "XMLHttpRequest",
            "WebSocket",
            "localStorage",
            "window.open",
            "location",
        ] {
            assert!(!SCRIPT.contains(way), "{way}");
        }
    }
}
