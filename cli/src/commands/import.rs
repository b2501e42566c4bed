//! `lictor import`: takes over the files of mcp-ssh-orchestrator, and says what should be known about them.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use lictor_core::{
    error::{ErrorCode, Failure},
    name::SiteName,
};
use lictor_import::{
    CREDENTIALS, Files, Finding, Imported, NewFile, Options, POLICY, REPORT, Refused, SERVERS, Severity,
};
use lictor_runtime::exit::Exit;
use serde::Serialize;

use crate::{
    Done,
    context::Context,
    init,
    render::{
        style::{Style, Tone},
        time,
    },
    trouble::Trouble,
};

/// Mode of a file that anybody may read.
const PUBLIC: u32 = 0o644;
/// Mode of a file that is its owner's.
const PRIVATE: u32 = 0o600;

/// Take over the files of mcp-ssh-orchestrator
///
/// Reads servers.yml, credentials.yml and policy.yml as that system read them, and writes hosts.yml and
/// credentials.yml for an agent, policy.yml for the controller, and import-report.md with everything
/// that was found and is left to do. What failed open there, or never worked, is an error: nothing is
/// written until each is corrected, or accepted by its name. Secrets are never copied.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory with servers.yml, credentials.yml and policy.yml
    #[arg(value_name = "DIRECTORY")]
    source: PathBuf,
    /// Where the new files go; absent or empty, or --force
    #[arg(long, value_name = "DIRECTORY")]
    out: PathBuf,
    /// Which releases policy.yml was written for; needed when its rules do not tell
    #[arg(long, value_enum, value_name = "DIALECT")]
    dialect: Option<Dialect>,
    /// The site that the hosts will be at, for the next steps
    #[arg(long, value_name = "NAME")]
    site: Option<SiteName>,
    /// Errors that are accepted, by their names
    #[arg(long, value_name = "FINDING", value_delimiter = ',', num_args = 1..)]
    accept: Vec<String>,
    /// Where the keys were: what MCP_SSH_KEYS_DIR said
    #[arg(long, value_name = "DIRECTORY", default_value = lictor_import::DEFAULT_KEYS_DIR)]
    keys_dir: String,
    /// Replace files of an earlier import
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Dialect {
    /// 1.0: rules with `commands`, the last match wins
    V1,
    /// 1.1 and later: rules with `simple_binaries` and `binary`, the first match wins
    V2,
}

#[derive(Debug, Serialize)]
struct Document {
    directory: PathBuf,
    files: Vec<&'static str>,
    hosts: usize,
    credentials: usize,
    findings: Vec<FindingDocument>,
    next_steps: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FindingDocument {
    code: String,
    severity: &'static str,
    place: String,
    what: String,
    done: String,
    todo: String,
}

/// Runs the verb.
pub(crate) fn run(arguments: Arguments, context: &Context) -> Done {
    let Arguments { source, out, dialect, site, accept, keys_dir, force } = arguments;
    let target = Target::look(&out, &source, force)?;
    let servers = required(&source.join(SERVERS))?;
    let credentials = text_of(&source.join(CREDENTIALS))?;
    let policy = text_of(&source.join(POLICY))?;
    let files = Files { servers: &servers, credentials: credentials.as_deref(), policy: policy.as_deref() };
    let dialect = dialect.map(|dialect| match dialect {
        Dialect::V1 => lictor_import::Dialect::V1,
        Dialect::V2 => lictor_import::Dialect::V2,
    });
    let options = Options { dialect, site, accept: accept.into_iter().collect(), keys_dir };
    let imported = lictor_import::import(&files, &options).map_err(|refused| trouble(&refused, &source))?;
    target.fill(&imported)?;
    let document = Document {
        directory: out.canonicalize().unwrap_or(out),
        files: imported.files.iter().map(|file| file.name).collect(),
        hosts: imported.hosts,
        credentials: imported.credentials,
        findings: imported.findings.iter().map(FindingDocument::from).collect(),
        next_steps: imported.next_steps.clone(),
    };
    context.show(&document, |style| told(&document, &imported, style))?;
    Ok(Exit::Ok.into())
}

/// The text of a file that has to be there.
fn required(path: &Path) -> Result<String, Trouble> {
    text_of(path)?.ok_or_else(|| {
        Trouble::usage(
            format!("there is no {}", path.display()),
            "name the directory with the files of mcp-ssh-orchestrator: what MCP_SSH_CONFIG_DIR said",
        )
    })
}

/// The text of a file; `None` when there is none.
fn text_of(path: &Path) -> Result<Option<String>, Trouble> {
    let wrong = |what: &str| {
        let message =
            format!("{} {what}; mcp-ssh-orchestrator took such a file for an empty one", path.display());
        Trouble::usage(message, "correct the file and import again")
    };
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Trouble::file("read", path, &error)),
    };
    // Opening a pipe waits for whoever writes to it, maybe for ever.
    if !meta.is_file() {
        return Err(wrong("is not a regular file"));
    }
    if meta.len() > lictor_import::MAX_FILE_BYTES {
        return Err(wrong(&format!("is larger than {} bytes", lictor_import::MAX_FILE_BYTES)));
    }
    let bytes = fs::read(path).map_err(|e| Trouble::file("read", path, &e))?;
    String::from_utf8(bytes).map(Some).map_err(|_| wrong("is not UTF-8"))
}

/// Why nothing was written, with everything that was found.
fn trouble(refused: &Refused, source: &Path) -> Trouble {
    let mut message = format!("{} is not imported; nothing was written", source.display());
    for finding in &refused.findings {
        message += &format!("\n{finding}");
    }
    let known = |f: &&Finding| f.severity == Severity::Error && f.acceptable;
    let mut codes: Vec<&str> = refused.findings.iter().filter(known).map(|f| f.code.as_ref()).collect();
    codes.sort_unstable();
    codes.dedup();
    if !refused.not_acceptable.is_empty() {
        message +=
            &format!("\n--accept names no error that was found: {}", refused.not_acceptable.join(", "));
    }
    let next_step = match codes.as_slice() {
        [] => "correct what is an error, and import again".to_owned(),
        codes => format!(
            "correct what is an error; or, where what is written of it is right, accept it: --accept {}",
            codes.join(",")
        ),
    };
    let errors = refused.findings.iter().filter(|f| f.severity == Severity::Error).count();
    Failure::new(ErrorCode::InvalidArgument, message, next_step).with("errors", errors.to_string()).into()
}

fn told(document: &Document, imported: &Imported, style: Style) -> String {
    let dir = document.directory.display();
    let count = |severity| imported.findings.iter().filter(|f| f.severity == severity).count();
    let mut text = format!(
        "imported {} and {} into {dir}\n{}, {}, {}; all in {REPORT}\n",
        time::count(imported.hosts, "host"),
        time::count(imported.credentials, "credential"),
        time::count(count(Severity::Error), "accepted error"),
        time::count(count(Severity::Warning), "warning"),
        time::count(count(Severity::Info), "note"),
    );
    for finding in imported.findings.iter().filter(|f| f.severity != Severity::Info) {
        let tone = if finding.severity == Severity::Error { Tone::Bad } else { Tone::Warn };
        text += &format!(
            "\n{} {} {}\n",
            style.paint(tone, finding.severity.as_str()),
            finding.code,
            finding.place()
        );
        text += &format!("  {}\n", finding.what);
        if !finding.done.is_empty() {
            text += &format!("  {}\n", style.faint(&format!("done: {}", finding.done)));
        }
        if !finding.todo.is_empty() {
            text += &format!("  to do: {}\n", finding.todo);
        }
    }
    text += &format!("\n{}\n", style.strong("Next:"));
    let first = format!("put keys and secrets into place: the list is in {REPORT}");
    for (number, step) in (1..).zip(std::iter::once(&first).chain(&imported.next_steps)) {
        text += &format!("  {number}. {step}\n");
    }
    text
}

/// Where the new files go.
#[derive(Debug)]
enum Target<'a> {
    /// It is made complete, or not at all.
    New(&'a Path),
    /// It is there; each file is replaced as a whole.
    There(&'a Path),
}

// === impl Target ===

impl<'a> Target<'a> {
    /// What `out` is. Nothing is written yet, so that a wrong directory is known before anything is read.
    fn look(out: &'a Path, source: &Path, force: bool) -> Result<Self, Trouble> {
        let entries = match fs::read_dir(out) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::New(out)),
            Err(error) => return Err(Trouble::file("use", out, &error)),
        };
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if real(out) == real(source) {
            return Err(Trouble::usage(
                format!("{} has the files that are to be imported", out.display()),
                "name another directory with --out",
            ));
        }
        if entries.count() > 0 && !force {
            return Err(Trouble::usage(
                format!("{} is not empty", out.display()),
                "name an empty directory, or add --force to replace the files of an earlier import",
            ));
        }
        Ok(Self::There(out))
    }

    fn fill(&self, imported: &Imported) -> Result<(), Trouble> {
        match self {
            Self::New(out) => {
                let staged = init::stage(out)?;
                for folder in &imported.folders {
                    init::make_private(&staged.path().join(folder))?;
                }
                for file in &imported.files {
                    init::write(&staged.path().join(file.name), &file.text, mode(file))?;
                }
                init::put_in_place(&staged, out)
            }
            Self::There(out) => {
                for folder in &imported.folders {
                    init::make_private(&out.join(folder))?;
                }
                imported.files.iter().try_for_each(|file| replace(&out.join(file.name), file))
            }
        }
    }
}

const fn mode(file: &NewFile) -> u32 {
    if file.private { PRIVATE } else { PUBLIC }
}

/// Writes a file beside the one that may be there, and gives it its name.
fn replace(path: &Path, file: &NewFile) -> Result<(), Trouble> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let write = || -> io::Result<()> {
        let mut new = tempfile::NamedTempFile::new_in(dir)?;
        io::Write::write_all(&mut new, file.text.as_bytes())?;
        new.as_file().set_permissions(fs::Permissions::from_mode(mode(file)))?;
        new.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|e| Trouble::file("write", path, &e))
}

// === impl FindingDocument ===

impl From<&Finding> for FindingDocument {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.code.to_string(),
            severity: finding.severity.as_str(),
            place: finding.place(),
            what: finding.what.clone(),
            done: finding.done.clone(),
            todo: finding.todo.clone(),
        }
    }
}
