//! `lictor download`: reads a file of hosts.

mod receiving;

use std::path::{Path, PathBuf};

use clap::Args;
use lictor_client::{
    collect::{Collected, Collector, Keep},
    run::JobUpdate,
    transfer::download,
    views::InvocationView,
};
use lictor_core::{error::ErrorCode, job::Target, name::HostAlias, outcome::Outcome, output::StreamName};
use lictor_runtime::exit::Exit;
use serde::Serialize;

use self::receiving::{Receiving, There};
use crate::{
    Done,
    context::{Context, origin},
    run::{
        ending,
        follow::Stop,
        remote::{ManyHosts, RemotePath},
    },
    trouble::Trouble,
};

/// Read a file of hosts
///
/// It is a job whose command is `lictor:download PATH`: policy has to permit
/// that. The file comes whole, with the digest that the agent found, or not at
/// all. The rule that permits it says how large it may be (limits.output:
/// 256 KiB if it says nothing, at most 256 MiB). It takes its place here in one
/// step; what breaks off leaves what was there. A file that it replaces leaves
/// it its mode; a new one is for its owner only. Anything but a regular file is
/// never replaced: no device, no pipe, no symbolic link.
///
///   lictor download web-1:/etc/app/app.conf app.conf
///   lictor download --tag web :/var/log/app.log logs
///
/// Of one host, LOCAL is the file, or a folder that is there. Of several, it is
/// a folder, with a folder for each host in it.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Exit codes: 0 succeeded everywhere, 1 failed, 3 denied, 4 not run, 5 unknown; see lictor --help."
)]
pub(crate) struct Arguments {
    /// Which file: HOST[,HOST]:PATH, or :PATH with --tag or --match; an absolute path
    #[arg(value_name = "HOST:PATH")]
    remote: RemotePath,
    /// Where it goes
    #[arg(value_name = "LOCAL")]
    local: PathBuf,
    #[command(flatten)]
    many: ManyHosts,
}

/// Most that is kept of why there is no file: a transfer says a line.
const MAX_SAID_BYTES: usize = 64 * 1024;

/// What came of one host.
#[derive(Debug, Serialize)]
struct FileDocument {
    host: String,
    /// Where the file is; absent if it did not come.
    file: Option<PathBuf>,
    bytes: Option<u64>,
    sha256: Option<String>,
    outcome: Option<String>,
    error: Option<String>,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let Arguments { remote, local, many } = arguments;
    let (target, path) = remote.with(many)?;
    let name = path.as_str().rsplit('/').next().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Trouble::usage("`/` is no file", "name a file of the hosts"))?.to_owned();
    let hosts: &[HostAlias] = match &target {
        Target::Hosts(hosts) => hosts,
        // Which they are is known once the job is there. Each place is looked at again before a file takes it.
        Target::Tag(_) | Target::Expression(_) => &[],
    };
    free(&local, &name, hosts)?;
    let connected = context.connect()?;
    let client = connected.client();
    let mut stream = client.run(&download(target, &path, origin())).await?;
    let mut collector = Collector::new(Keep::at_most(MAX_SAID_BYTES));
    let mut receiving = Receiving::beside(&local);
    let mut stop = Stop::listen()?;
    loop {
        let job = stream.job();
        match stop.next(context, client, &mut stream).await {
            Ok(Some(JobUpdate::Output(piece))) if piece.stream == StreamName::Stdout => {
                receiving.take(&piece)
            }
            Ok(Some(update)) => collector.take(update),
            Ok(None) => break,
            Err(trouble) => {
                context.note(&format!(
                    "nothing was put in place; once {job} has ended, lictor output {job} --host HOST > FILE has what it brought"
                ));
                return Err(trouble);
            }
        }
    }
    let all = collector.invocations();
    let several = all.len() > 1;
    let mut exit = ending::of_all(all.iter().map(|(view, _)| *view));
    let mut documents = Vec::with_capacity(all.len());
    for (view, collected) in &all {
        let document = one(view, collected, &mut receiving, &place(&local, &name, &view.host, several));
        if document.file.is_none() && exit == Exit::Ok {
            exit = Exit::CommandFailed;
        }
        documents.push(document);
    }
    context.show(&documents, |_| documents.iter().filter_map(FileDocument::line).collect())?;
    for document in &documents {
        if let Some(error) = &document.error {
            context.note(&format!("{}: {error}", document.host));
        }
    }
    Ok(exit.into())
}

/// Refuses places that no file can take, before anything is asked of a host.
fn free(local: &Path, name: &str, hosts: &[HostAlias]) -> Result<(), Trouble> {
    if local.as_os_str() == "-" {
        return Err(Trouble::usage(
            "`-` is not a place for a file",
            "write ./- for a file of that name; to standard output: lictor output JOB --host HOST",
        ));
    }
    let several = hosts.len() > 1;
    let places = hosts.iter().map(|host| place(local, name, host, several));
    // Whatever the hosts are, a folder takes what comes: then LOCAL is no place of a file itself.
    let itself = (!local.is_dir()).then(|| local.to_owned());
    for place in places.chain(itself) {
        match There::at(&place) {
            Ok(There::Nothing | There::RegularFile(_)) => {}
            Ok(There::SomethingElse) => {
                return Err(Trouble::usage(
                    format!("{} is not a regular file", place.display()),
                    "name another place",
                ));
            }
            Err(error) => return Err(Trouble::file("write", &place, &error)),
        }
    }
    Ok(())
}

fn place(local: &Path, name: &str, host: &HostAlias, several: bool) -> PathBuf {
    if several {
        local.join(host.as_str()).join(name)
    } else if local.is_dir() {
        local.join(name)
    } else {
        local.to_owned()
    }
}

fn one(
    view: &InvocationView,
    collected: &Collected,
    receiving: &mut Receiving,
    place: &Path,
) -> FileDocument {
    let kept = match &view.outcome {
        Some(Outcome::Succeeded) => receiving.place(view, place).map_err(|why| why.to_string()),
        outcome => Err(said(outcome.as_ref(), collected)),
    };
    let counts = view.stdout;
    let came = kept.is_ok();
    FileDocument {
        host: view.host.to_string(),
        file: came.then(|| place.to_owned()),
        bytes: came.then_some(counts.bytes_total),
        sha256: counts.digest.filter(|_| came).map(|digest| digest.to_string()),
        outcome: view.outcome.as_ref().map(ToString::to_string),
        error: kept.err(),
    }
}

/// Why there is no file: what the transfer said, and otherwise how it ended.
fn said(outcome: Option<&Outcome>, collected: &Collected) -> String {
    let words = String::from_utf8_lossy(collected.stderr.head()).trim().to_owned();
    let ended = outcome.map_or_else(|| ErrorCode::Unavailable.as_str().to_owned(), ToString::to_string);
    if words.is_empty() { ended } else { format!("{ended}: {words}") }
}

// === impl FileDocument ===

impl FileDocument {
    fn line(&self) -> Option<String> {
        let Self { host, file, sha256, .. } = self;
        Some(format!("{}  {}  {host}\n", sha256.as_ref()?, file.as_ref()?.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_place_that_no_file_can_take_is_refused_before_anything_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let hosts = ["web-1", "web-2"].map(|host| HostAlias::new(host).unwrap());
        let (one, none) = (&hosts[..1], &hosts[..0]);
        fs::create_dir_all(at("logs/web-2")).unwrap();
        fs::write(at("file"), "old").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink("/dev/null", at("logs/a")).unwrap();
        symlink("/dev/null", at("logs/web-2/b")).unwrap();
        for (local, name, hosts, is_free) in [
            (PathBuf::from("-"), "a", one, false),
            (PathBuf::from("/dev/null"), "a", one, false),
            (PathBuf::from("/dev/null"), "a", none, false),
            (at("link"), "a", one, false),
            (at("file"), "a", one, true),
            (at("absent"), "a", one, true),
            (at("logs"), "a", one, false),
            (at("logs"), "a", &hosts[..], true),
            (at("logs"), "b", &hosts[..], false),
            (at("logs"), "b", none, true),
        ] {
            assert_eq!(free(&local, name, hosts).is_ok(), is_free, "{local:?} {name} {}", hosts.len());
        }
    }
}
