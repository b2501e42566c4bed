//! `lictor mcp doctor`: why an MCP client cannot connect.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use clap::ValueEnum as _;
use lictor_certs::files::IdentityFiles;
use lictor_mcp_bridge::config::BridgeConfig;
use lictor_runtime::exit::Exit;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
    time::timeout,
};
use toml_edit::DocumentMut;

use super::{
    clients::{Client, Form, Reach, SERVER, Server},
    era::Era,
    listener, splice,
};
use crate::{
    Done,
    commands::{
        doctor::{Finding, certificate, report},
        serve::chain,
    },
    context::Context,
    home::Home,
    render::time::count,
    trouble::exit_of,
};

/// How long a bridge may take to answer the first message.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Runs the verb.
pub(crate) async fn run(context: &Context) -> Done {
    let home = context.home()?;
    let mut findings = Vec::new();
    for client in Client::value_variants() {
        findings.extend(set_up(*client, &home).await);
    }
    if findings.is_empty() {
        findings.push(Finding::warn(
            "clients",
            "no MCP client of this user is set up",
            "lictor mcp install CLIENT",
        ));
    }
    findings.extend(bridge(&home).await);
    report(&findings, context)
}

/// How a client is set up; nothing where it is not.
async fn set_up(client: Client, home: &Home) -> Option<Finding> {
    let file = client.file().ok()?;
    let text = fs::read_to_string(&file).ok()?;
    let title = client.title();
    let again = format!("lictor mcp install {}", client.to_possible_value()?.get_name());
    let server = match entry(client, &text) {
        Ok(None) => return None,
        Ok(Some(Reach::Program(server))) => server,
        Ok(Some(Reach::Url(url))) => return Some(listener::client(title, &url, again).await),
        Err(why) => {
            let detail = format!("{title}: {}: {why}", file.display());
            return Some(Finding::fail("client", detail, "correct the file", Exit::Usage));
        }
    };
    if !server.command.exists() {
        let detail = format!("{title} starts {}, which is not there", server.command.display());
        return Some(Finding::fail("client", detail, again, Exit::Usage));
    }
    let dir = server.args.iter().skip_while(|arg| *arg != "--dir").nth(1);
    if dir.is_some_and(|dir| PathBuf::from(dir).canonicalize().ok() != home.dir().canonicalize().ok()) {
        let detail = format!("{title} uses another directory: {}", dir.map_or("", String::as_str));
        return Some(Finding::warn("client", detail, format!("if that is not meant: {again}")));
    }
    Some(match shake_hands(&server).await {
        Ok(()) => Finding::ok("client", format!("{title}: what it starts answers")),
        Err(why) => {
            let detail = format!("{title} starts {}: {why}", server.command.display());
            Finding::fail("client", detail, "see the findings below", Exit::Unreachable)
        }
    })
}

/// How the client is to get to the bridge.
fn entry(client: Client, text: &str) -> Result<Option<Reach>, String> {
    let entry = match client.form() {
        Form::Json(section) => {
            let found = splice::find(text, section, SERVER).map_err(|broken| broken.to_string())?;
            found.map(serde_json::from_str::<Value>).transpose().map_err(|error| error.to_string())?
        }
        Form::Toml(section) => {
            let document: DocumentMut =
                text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
            document.get(section).and_then(|servers| servers.get(SERVER)).map(|server| {
                if let Some(url) = server.get("url").and_then(|url| url.as_str()) {
                    return json!({ "url": url });
                }
                let args = server.get("args").and_then(|args| args.as_array()).into_iter().flatten();
                let args: Vec<&str> = args.filter_map(|arg| arg.as_str()).collect();
                json!({ "command": server.get("command").and_then(|command| command.as_str()), "args": args })
            })
        }
    };
    let Some(entry) = entry else { return Ok(None) };
    let url = entry.get("url").or_else(|| entry.get("httpUrl"));
    if let Some(url) = url.and_then(Value::as_str) {
        return Ok(Some(Reach::Url(url.to_owned())));
    }
    let command = entry.get("command").and_then(Value::as_str).ok_or("the entry names no command")?;
    let args = entry.get("args").and_then(Value::as_array).into_iter().flatten();
    let args = args.filter_map(|arg| arg.as_str().map(ToOwned::to_owned)).collect();
    Ok(Some(Reach::Program(Server { command: command.into(), args })))
}

/// Starts what the client would start, and says the first word as clients of both eras would.
async fn shake_hands(server: &Server) -> Result<(), String> {
    for era in Era::BOTH {
        greet(server, era).await.map_err(|why| format!("{}: {why}", era.version()))?;
    }
    Ok(())
}

async fn greet(server: &Server, era: Era) -> Result<(), String> {
    let mut child = Command::new(&server.command)
        .args(&server.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("it has no standard input and output".to_owned());
    };
    let hello = era.hello();
    let asked = async {
        to.write_all(format!("{hello}\n").as_bytes()).await?;
        to.flush().await?;
        BufReader::new(from).lines().next_line().await
    };
    let answer = match timeout(ANSWER_WAIT, asked).await {
        Err(_) => return Err(format!("it did not answer within {} s", ANSWER_WAIT.as_secs())),
        Ok(Err(error)) => return Err(error.to_string()),
        Ok(Ok(None)) => return Err("it ended without an answer".to_owned()),
        Ok(Ok(Some(line))) => line,
    };
    let answer: Value = serde_json::from_str(&answer).map_err(|_| "its answer is not MCP".to_owned())?;
    era.is_lictor(&answer)
}

/// What the bridge needs: its file, its certificate, the controller, hosts.
async fn bridge(home: &Home) -> Vec<Finding> {
    let config = match BridgeConfig::load(&home.bridge_file()) {
        Ok(config) => config,
        Err(error) => return vec![Finding::fail("bridge", chain(&error), "correct the file", Exit::Usage)],
    };
    let http = match &config.http {
        Some(http) => listener::served(http, home).await,
        None => Vec::new(),
    };
    let mut findings = vec![
        Finding::ok("bridge", format!("{} loads", home.bridge_file().display())),
        certificate(&IdentityFiles::in_dir(&config.identity_dir, &config.identity_name), true),
    ];
    findings.extend(http);
    let client = match config.identity().and_then(|identity| identity.client()) {
        Ok(client) => client,
        Err(failure) => {
            let exit = exit_of(failure.code);
            findings.push(Finding::fail("controller", failure.message, failure.next_step, exit));
            return findings;
        }
    };
    match client.sites().await {
        Err(failure) => {
            let exit = exit_of(failure.code);
            findings.push(Finding::fail("controller", failure.message, failure.next_step, exit));
            return findings;
        }
        Ok(sites) => {
            findings.push(Finding::ok("controller", format!("{} answers the bridge", client.address())));
            for site in sites.iter().filter(|site| site.agents_connected == 0) {
                let detail = format!("no agent of site {} is connected, so nothing can run there", site.name);
                findings.push(Finding::warn(
                    "site",
                    detail,
                    "start the agent: lictor-agent run --config FILE",
                ));
            }
        }
    }
    findings.push(match client.hosts(None).await {
        Err(failure) => Finding::fail("hosts", failure.message, failure.next_step, exit_of(failure.code)),
        Ok(hosts) if hosts.is_empty() => {
            Finding::warn("hosts", "the bridge sees no host", "add hosts at a site: hosts.yml")
        }
        Ok(hosts) => Finding::ok("hosts", format!("the bridge sees {}", count(hosts.len(), "host"))),
    });
    findings
}
