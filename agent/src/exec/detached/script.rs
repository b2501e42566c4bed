//! The scripts that a detached invocation's host receives, and what they answer. Only this file writes and reads them.
//!
//! `serve.sh` takes the guard (a directory named after the invocation, made by `mkdir`, which succeeds once), starts
//! `lead.sh` in a session of its own, and prints what the files in the directory get. Both are for any POSIX shell, have
//! no single quotes, and their line ends are blanks. In the directory: `boot` (the host's boot), `pid` (leader and its start
//! time), `out`, `err`, `exit` (put there whole, when both streams have ended), `whole.*` (gone when a stream was cut),
//! `lost.*` (bytes that were let go), `never` (taken so that it never starts), `done` (the rest was cleaned away).
//!
//! What a command is given comes before it, over the input of a request of its own, into a directory beside the guards that
//! is named after the invocation and that request: `env` (variables, as words behind `export`), `in` (standard input). The
//! start moves both behind the guard, and the leader removes their names before the command begins.

use lictor_core::id::InvocationId;

const SERVE: &str = include_str!("serve.sh");
const LEAD: &str = include_str!("lead.sh");
/// What runs them: every POSIX host has it, and the login shell may be anything.
pub(super) const SHELL: &str = "/bin/sh";
/// Most that a host keeps of each stream, in blocks of 512 bytes (1,024 where `sh` counts so): 1 GiB. What is printed
/// beyond it is counted and let go, so that a command that prints for ever fills no disk.
pub(super) const STREAM_BLOCKS: u64 = 2 * 1024 * 1024;
/// What a request begins with: any POSIX shell reads over it. Shells with a syntax of their own (fish, the C shells) refuse
/// the whole line for it, and would read the quotes behind it otherwise than they are meant.
const POSIX_ONLY: &str = "case x in x) LICTOR=detached;; esac; ";
/// What every line of the scripts starts with, before the nonce.
const PREFIX: &str = "lictor-detached";

/// What a script is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'a> {
    /// Keep what comes as input for a start that follows: so many bytes of variables, then standard input up to its end.
    /// Starts nothing.
    Keep { environment: u64, input: Option<u64> },
    /// Start this if nobody has, then print its output.
    Start(Launch<'a>),
    /// Print its output from these offsets on; if it never started, see to it that it never does.
    Follow { stdout: u64, stderr: u64 },
    /// Say how it stands.
    Look,
    /// Keep the guard, remove the rest, and the guards that are older than a week of what is settled.
    Clean,
}

/// What is to be started, and in what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch<'a> {
    pub(super) command: &'a str,
    /// Run by `/bin/sh`, as every command is that has variables or a directory; otherwise by the login shell.
    pub(super) shaped: bool,
    /// Where it starts.
    pub(super) directory: Option<&'a str>,
    /// What the host was given for it.
    pub(super) parcel: Option<&'a Parcel>,
}

/// What a host keeps for one start.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    /// The nonce of the request that brought it.
    pub(super) nonce: String,
    /// Variables are among it.
    pub(super) environment: bool,
    /// Standard input is among it.
    pub(super) input: bool,
}

/// What the first line of an answer to [`Ask::Keep`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// All of it is there.
    Kept,
    /// Not all of it is there, and what was is removed; the host's words follow.
    Unkept,
    /// The host has no place for it.
    Nowhere,
}

/// What the first line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// The guard was taken and the command started.
    Started,
    /// The guard had been taken before.
    Attached,
    /// There was no guard; now there is one, so that it never starts.
    Absent,
    /// The host has no place for a guard: nothing was started.
    Nowhere,
    /// The working directory cannot be entered: no guard was taken and nothing was started. The host's words follow.
    NoDirectory,
    /// What it is to be given is not there any more: no guard was taken and nothing was started.
    NotGiven,
}

/// How it stands on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) state: State,
    pub(super) stdout: Kept,
    pub(super) stderr: Kept,
}

/// What became of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// With this status.
    Ended(u32),
    /// It is gone and left no status.
    Vanished,
    /// It left no status, and the host was started anew since it began.
    Rebooted,
    /// There is no guard: it has not started, or its guard was removed.
    Absent,
    /// Its guard was taken so that it never starts.
    Never,
}

/// What the host kept of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kept {
    /// Bytes in the file; `None`: there is none.
    pub(super) bytes: Option<u64>,
    /// Bytes that were let go beyond them, as far as they could be counted; 0: none was.
    pub(super) lost: u64,
}

/// The exec request for `ask`. `nonce` marks where the answer begins, behind whatever start-up files print.
pub(super) fn render(invocation: InvocationId, nonce: &str, ask: Ask<'_>) -> String {
    render_for(SHELL, STREAM_BLOCKS, invocation, nonce, ask)
}

pub(super) fn render_for(
    shell: &str,
    blocks: u64,
    invocation: InvocationId,
    nonce: &str,
    ask: Ask<'_>,
) -> String {
    let one_line = |script: &str| script.trim_end().replace('\n', " ");
    let input = |input: Option<u64>| input.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    let (verb, first, second) = match ask {
        Ask::Keep { environment, input: bytes } => ("keep", environment, input(bytes)),
        Ask::Start(_) => ("start", 0, "0".to_owned()),
        Ask::Follow { stdout, stderr } => ("follow", stdout, stderr.to_string()),
        Ask::Look => ("look", 0, "0".to_owned()),
        Ask::Clean => ("clean", 0, "0".to_owned()),
    };
    let serve = one_line(SERVE);
    let mut text = format!(
        "{POSIX_ONLY}exec {shell} -c '{serve}' {PREFIX} {verb} {invocation} {nonce} {first} {second} {shell}"
    );
    if let Ask::Start(launch) = ask {
        let Launch { command, directory, parcel, .. } = launch;
        let kept = parcel.map_or("-", |parcel| parcel.nonce.as_str());
        text += &format!(
            " {blocks} '{}' {} {} {} {kept}",
            one_line(LEAD),
            word(command),
            launch.marks(),
            word(directory.unwrap_or_default())
        );
    }
    text
}

/// `text` as one word in single quotes.
fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

// === impl Launch ===

impl Launch<'_> {
    /// What the scripts are told of it, a letter for each: `c` shaped, `e` variables, `i` standard input; `-`: nothing.
    fn marks(&self) -> String {
        let given = self.parcel.map_or((false, false), |parcel| (parcel.environment, parcel.input));
        let marks = [(self.shaped, 'c'), (given.0, 'e'), (given.1, 'i')];
        let marks: String = marks.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark).collect();
        if marks.is_empty() { "-".to_owned() } else { marks }
    }
}

/// What an answer's first line starts with.
pub(super) fn mark(nonce: &str) -> String {
    format!("{PREFIX} {nonce}")
}

/// Reads the rest of the first line of standard output.
pub(super) fn read_begin(rest: &str) -> Option<Begin> {
    match rest.trim() {
        "started" => Some(Begin::Started),
        "attached" => Some(Begin::Attached),
        "absent" => Some(Begin::Absent),
        "nowhere" => Some(Begin::Nowhere),
        "closed" => Some(Begin::NoDirectory),
        "ungiven" => Some(Begin::NotGiven),
        _ => None,
    }
}

/// Reads the rest of the first line of an answer to [`Ask::Keep`].
pub(super) fn read_keeping(rest: &str) -> Option<Keeping> {
    match rest.trim() {
        "kept" => Some(Keeping::Kept),
        "unkept" => Some(Keeping::Unkept),
        "nowhere" => Some(Keeping::Nowhere),
        _ => None,
    }
}

/// Reads the answer to [`Ask::Look`] out of everything that came.
pub(super) fn read_stand(nonce: &str, text: &str) -> Option<Stand> {
    let mark = mark(nonce);
    let line = text.lines().find_map(|line| line.strip_prefix(&mark))?;
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let &[word, code, out, err, out_lost, err_lost] = words.as_slice() else { return None };
    let state = match word {
        "running" => State::Running,
        // The place for a status is made before the start, so a status that cannot be read was never written.
        "ended" => code.parse().map_or(State::Vanished, State::Ended),
        "vanished" => State::Vanished,
        "rebooted" => State::Rebooted,
        "absent" => State::Absent,
        "never" => State::Never,
        _ => return None,
    };
    let kept = |bytes: &str, lost: &str| Kept {
        bytes: bytes.parse().ok(),
        lost: lost.parse().map_or(0, at_least_one),
    };
    Some(Stand { state, stdout: kept(out, out_lost), stderr: kept(err, err_lost) })
}

/// What was swallowed when the limit was met is not in the count.
fn at_least_one(lost: u64) -> u64 {
    lost.max(1)
}
