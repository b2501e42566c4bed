//! What the log shows of the controls of a framework, as a document for auditors.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use lictor_certs::{checkpoint::Origin, cosignature::WitnessKey};
use lictor_core::{audit::query::Query, clock::Clock as _};
use lictor_runtime::{clock::SystemClock, exit::Exit};
use lictor_store::record::AuditFacts;

use super::{
    KeyArguments,
    bounds::{Bound, between},
    export::{discard, each_verified},
    verify::tell_short,
};
use crate::{
    Done,
    audit::{
        Verified,
        report::{Basis, Framework, Period, Report, gather::Gatherer, html, markdown},
        witnesses,
    },
    context::Context,
    trouble::Trouble,
};

/// Records of a range are all there; what was not in it is not counted.
const RANGE: &str =
    "only a range of the log was there: every record in it is counted, and none outside of it";
/// Nobody can tell what a selection leaves out.
const SELECTION: &str = "only a selection of the log was there: what is counted is true, but there may be more that was not selected";

/// Gather evidence for the controls of a framework, from a log that verifies
///
/// A report counts the records that bear on each control, names the first and the last of them and the query that finds
/// all, and says what no record shows. It is evidence and certifies nothing. Of a log that does not verify there is no
/// report: the program ends with 8 and names the flaw.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lictor audit report --framework soc2 --from 90d --format html --out q3.html\n  \
    lictor audit report --framework pci-dss --bundle log.lictor --key KEY"
)]
pub(super) struct Arguments {
    /// The framework
    #[arg(long, value_enum, value_name = "FRAMEWORK")]
    framework: Framework,
    /// From that record on, or that moment: an index, a time ago like 90d, or a moment like 2026-10-01T00:00:00Z
    #[arg(long, value_name = "TIME|INDEX")]
    from: Option<Bound>,
    /// Up to before that record or moment
    #[arg(long, value_name = "TIME|INDEX")]
    to: Option<Bound>,
    /// The form; markdown when nothing is said, or json with --output json
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Form>,
    /// The file; it must not exist. Left out: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Take the records from this bundle, without any connection, and not from the controller
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArguments,
}

/// In which form a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Markdown
    Markdown,
    /// One HTML file, with nothing to fetch
    Html,
    /// JSON
    Json,
}

/// Writes the report.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Done {
    let report = make(&arguments, context).await?;
    let form = arguments.format.unwrap_or(if context.is_json() { Form::Json } else { Form::Markdown });
    let text = match form {
        Form::Markdown => markdown::text(&report),
        Form::Html => html::text(&report),
        Form::Json => {
            serde_json::to_string_pretty(&report).map_err(|e| Trouble::internal(e.to_string()))? + "\n"
        }
    };
    match &arguments.out {
        None => context.print(&text)?,
        Some(file) => {
            write(file, &text)?;
            context.note(&format!("wrote {}", file.display()));
        }
    }
    Ok(Exit::Ok.into())
}

async fn make(arguments: &Arguments, context: &Context) -> Result<Report, Trouble> {
    let (range, limits) = between(arguments.from, arguments.to)?;
    let filter =
        Query::new(limits.clone()).map_err(|e| Trouble::usage(e.to_string(), "leave a bound out"))?;
    let mut gatherer = Gatherer::new(arguments.framework);
    let take = |_: &str, index: u64, content: &[u8], read: &[u8]| {
        if (range.0..range.1).contains(&index)
            && let Some(facts) = AuditFacts::read(read).filter(|facts| filter.matches(facts))
        {
            gatherer.push(index, content, &facts);
        }
        Ok(())
    };
    let (log, verified) = each_verified(context, arguments.bundle.as_deref(), &arguments.keys, take).await?;
    let keys = arguments.keys.load()?;
    let basis = basis(log, verified, keys.as_ref().and_then(|keys| keys.pinned_witnesses()))?;
    let words = |bound: Option<Bound>| bound.map(|bound| bound.to_string());
    let period = Period { from: words(arguments.from), to: words(arguments.to), ..Period::default() };
    Ok(gatherer.finish(basis, period, &limits, SystemClock.now().to_string()))
}

fn basis(log: String, verified: Verified, pinned: Option<&[WitnessKey]>) -> Result<Basis, Trouble> {
    let origin = Origin::new(&log).map_err(|e| Trouble::internal(e.to_string()))?;
    let cosigned = witnesses::of(&verified, &origin, pinned)?;
    Ok(Basis {
        log,
        verified: true,
        verified_what: tell_short(&verified),
        part: verified.part.as_ref().map(|part| if part.filter.is_some() { SELECTION } else { RANGE }),
        size: verified.head.size,
        root: verified.head.root.to_string(),
        checkpoint: verified.note,
        anchored_at: verified.anchor.map(|anchor| anchor.size),
        witnesses: cosigned.iter().map(|one| one.witness.to_string()).collect(),
        witnesses_pinned: pinned.is_some(),
    })
}

fn write(file: &Path, text: &str) -> Result<(), Trouble> {
    let failed = |e| Trouble::file("write", file, &e);
    let mut out = File::create_new(file).map_err(failed)?;
    let written = out.write_all(text.as_bytes()).and_then(|()| out.sync_all());
    written.map_err(failed).inspect_err(|_| discard(file))
}
