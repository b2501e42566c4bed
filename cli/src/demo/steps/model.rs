//! An AI's client: the same fleet under the same policy, over MCP.

use serde_json::{Value, json};

use super::{Broken, Screen, Stage};
use crate::{
    demo::{broken::ensure, mcp::McpClient},
    render::{
        bytes::one_line,
        style::{Style, Tone},
    },
};

/// A client that lists the tools, runs a command, and is refused another.
pub(super) async fn assistant(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    screen.step("An AI assistant works under the same policy, over MCP", "lictor mcp");
    let mut client = McpClient::connect(stage.home().dir()).await?;
    let tools = client.tools().await?;
    screen.show(&format!("{} {}", screen.style.faint("tools"), tools.join(" ")));

    let good = json!({ "alias": "ber-db-1", "command": "uname -sr" });
    let answer = call(&mut client, screen, &good).await?;
    ensure(text(&answer, "state") == "SUCCEEDED", || {
        format!("the assistant's command ended {}", text(&answer, "state"))
    })?;

    // The rule that allows it to people names the door; a model comes in by another.
    for command in ["sleep 60", "sudo rm -rf /"] {
        let answer = call(&mut client, screen, &json!({ "alias": "ber-web-1", "command": command })).await?;
        ensure(is_error(&answer), || format!("the assistant was allowed {command}"))?;
    }
    Ok("it got a typed result and typed refusals; no tool or argument of it can widen what policy allows"
        .to_owned())
}

async fn call(client: &mut McpClient, screen: &Screen, arguments: &Value) -> Result<Value, Broken> {
    let style = screen.style;
    screen.show(&format!("{} ssh_run {arguments}", style.paint(Tone::Accent, "→")));
    let answer = client.call("ssh_run", arguments.clone()).await?;
    screen.show(&format!("{} {}", style.paint(Tone::Accent, "←"), told(&answer, style)));
    Ok(answer)
}

fn told(answer: &Value, style: Style) -> String {
    if is_error(answer) {
        let message = one_line(&text(answer, "message"));
        return format!("{} {message}", style.paint(Tone::Bad, &text(answer, "code")));
    }
    let state = text(answer, "state");
    format!("{} {}", style.paint(Tone::of_state(&state), &state), one_line(text(answer, "stdout").trim_end()))
}

fn is_error(answer: &Value) -> bool {
    answer.get("isError").and_then(Value::as_bool).unwrap_or_default()
}

fn text(answer: &Value, field: &str) -> String {
    let value = answer.get("structuredContent").and_then(|structured| structured.get(field));
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}
