//! `lictor mcp install`: puts the bridge into a client's configuration, beside what is there.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use lictor_mcp_bridge::http::config::ENDPOINT;
use lictor_oauth::fetch::is_loopback;
use lictor_runtime::exit::Exit;
use serde_json::Value;
use toml_edit::{DocumentMut, Item, Table, value};

use super::{
    clients::{Client, Form, Reach, SERVER, Server},
    program, splice,
};
use crate::{Done, context::Context, trouble::Trouble};

/// Most backups beside a file: who has more has forgotten them.
const MAX_BACKUPS: u32 = 100;

/// Put the bridge into an MCP client's configuration
///
/// What is there stays as it is, and a backup is made. Does nothing if the client is set up already.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Which client
    #[arg(value_enum, value_name = "CLIENT")]
    client: Client,
    /// Print what belongs into the client's file, and change nothing
    #[arg(long)]
    print: bool,
    /// The file, where the client keeps it elsewhere
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A bridge that serves HTTP at this URL, instead of one that the client starts
    #[arg(long, value_name = "URL", value_parser = url)]
    http: Option<String>,
}

/// The URL of a listener, which ends as all of them do.
fn url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|error| format!("{error}"))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if is_loopback(host) => {}
        _ => return Err("it has to be https://HOST/mcp; http:// is for this machine alone".into()),
    }
    if uri.path() != ENDPOINT || uri.query().is_some() {
        return Err(format!("it has to end in {ENDPOINT}"));
    }
    Ok(text.to_owned())
}

/// Runs the verb.
pub(crate) fn run(arguments: Arguments, context: &Context) -> Done {
    let Arguments { client, print, file, http } = arguments;
    let reach = http.map(Reach::Url).map_or_else(|| server(context).map(Reach::Program), Ok)?;
    let entry = client.entry(&reach)?;
    let file = file.map_or_else(|| client.file(), Ok)?;
    if print {
        let empty = merged(client, "", &file, &entry)?;
        context.note(&format!("# {}", file.display()));
        context.print(&empty)?;
        return Ok(Exit::Ok.into());
    }
    // A link stays a link: what it leads to is changed.
    let file = file.canonicalize().unwrap_or(file);
    let before = match fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Trouble::file("read", &file, &error)),
    };
    let after = merged(client, before.as_deref().unwrap_or_default(), &file, &entry)?;
    if before.as_deref() == Some(after.as_str()) {
        context.print(&format!("{} is set up already: {}\n", client.title(), file.display()))?;
        return Ok(Exit::Ok.into());
    }
    let backup = before.is_some().then(|| back_up(&file)).transpose()?;
    write(&file, &after)?;
    let mut said = format!("{} is set up: {}\n", client.title(), file.display());
    if let Some(backup) = backup {
        said += &format!("what was there before: {}\n", backup.display());
    }
    context.print(&(said + "Restart the client. If it cannot connect: lictor mcp doctor\n"))?;
    Ok(Exit::Ok.into())
}

/// What a client of this directory is to start.
pub(super) fn server(context: &Context) -> Result<Server, Trouble> {
    let home = context.home()?;
    let dir = home.dir().canonicalize().unwrap_or_else(|_| home.dir().to_owned());
    let dir = dir.to_str().ok_or_else(|| {
        Trouble::usage(format!("{} is not UTF-8", dir.display()), "move the directory to a path that is")
    })?;
    Ok(Server { command: program()?, args: vec!["--dir".into(), dir.to_owned(), "mcp".into()] })
}

/// The file's text with the server in it.
fn merged(client: Client, before: &str, file: &Path, entry: &Value) -> Result<String, Trouble> {
    let broken = |why: String| {
        let message = format!("{}: {why}", file.display());
        Trouble::usage(message, "correct the file, which was left as it is; or use --print and paste")
    };
    match client.form() {
        Form::Json(section) => {
            let there = splice::find(before, section, SERVER).map_err(|error| broken(error.to_string()))?;
            if there.is_some_and(|there| serde_json::from_str::<Value>(there).ok().as_ref() == Some(entry)) {
                return Ok(before.to_owned());
            }
            splice::put(before, section, SERVER, entry).map_err(|error| broken(error.to_string()))
        }
        Form::Toml(section) => {
            let mut document: DocumentMut =
                before.parse().map_err(|error: toml_edit::TomlError| broken(error.to_string()))?;
            let servers = document.entry(section).or_insert_with(|| {
                let mut table = Table::new();
                table.set_implicit(true);
                Item::Table(table)
            });
            let servers =
                servers.as_table_like_mut().ok_or_else(|| broken(format!("{section} is not a table")))?;
            if servers.get(SERVER).is_some_and(|there| is_same(there, entry)) {
                return Ok(before.to_owned());
            }
            let mut table = Table::new();
            for (key, item) in entry.as_object().into_iter().flatten() {
                match item {
                    Value::Array(items) => {
                        let items: toml_edit::Array = items.iter().filter_map(Value::as_str).collect();
                        table.insert(key, value(items));
                    }
                    item => drop(table.insert(key, value(item.as_str().unwrap_or_default()))),
                }
            }
            servers.insert(SERVER, Item::Table(table));
            Ok(document.to_string())
        }
    }
}

/// Whether a table says what the entry says, and nothing else.
fn is_same(there: &Item, entry: &Value) -> bool {
    let (Some(table), Some(entry)) = (there.as_table_like(), entry.as_object()) else { return false };
    let same = |item: &Item, value: &Value| match value {
        Value::Array(items) => item.as_array().is_some_and(|there| {
            there.len() == items.len() && there.iter().zip(items).all(|(a, b)| a.as_str() == b.as_str())
        }),
        value => item.as_str() == value.as_str(),
    };
    table.len() == entry.len()
        && entry.iter().all(|(key, value)| table.get(key).is_some_and(|item| same(item, value)))
}

/// Copies the file to a name beside it that is free.
fn back_up(file: &Path) -> Result<PathBuf, Trouble> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for number in 1..=MAX_BACKUPS {
        let backup = file.with_file_name(format!("{name}.before-lictor-{number}"));
        if !backup.exists() {
            fs::copy(file, &backup).map_err(|error| Trouble::file("write", &backup, &error))?;
            return Ok(backup);
        }
    }
    let message = format!("there are {MAX_BACKUPS} backups beside {}", file.display());
    Err(Trouble::usage(message, "remove those that you do not need"))
}

/// Writes the file at once: whoever reads it sees the old text or the new one.
fn write(file: &Path, text: &str) -> Result<(), Trouble> {
    let wrong = |error: io::Error| Trouble::file("write", file, &error);
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(wrong)?;
    let mut new = tempfile::NamedTempFile::new_in(dir).map_err(wrong)?;
    new.write_all(text.as_bytes()).map_err(wrong)?;
    if let Ok(there) = fs::metadata(file) {
        new.as_file().set_permissions(there.permissions()).map_err(wrong)?;
    }
    new.as_file().sync_all().map_err(wrong)?;
    new.persist(file).map_err(|error| wrong(error.error))?;
    Ok(())
}
