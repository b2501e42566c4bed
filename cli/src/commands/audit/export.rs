//! Writing the log, or a part of it, for others: to be verified anywhere, or for other systems to take in.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use lictor_client::audit::AuditRecord;
use lictor_core::{
    audit::query::{Query, What},
    merkle::TreeHead,
};
use lictor_runtime::exit::Exit;
use lictor_store::record::AuditFacts;
use serde::Serialize;

use super::{
    KeyArguments,
    bounds::{Bound, between, meant, ordered},
    verify::{Signed, each_record, each_sealed, pinned, signed_head, verify_file},
};
use crate::{
    Done,
    audit::{
        Verified, anchor,
        bundle::{self, Writer},
        formats::{Format, Formatter},
        keys::Keys,
        payloads,
        replay::Replay,
        verdict::{Selection, is_in},
    },
    context::{Connected, Context},
    render::time::count,
    trouble::Trouble,
};

/// Write the log or a part of it into FILE
///
/// A bundle can be verified anywhere with the public key alone: lictor audit verify FILE. A part has what is
/// needed to hold it against the signed head of the whole log. The other formats are for other systems and
/// prove nothing; each is written from records that verify, and says so with exit code 8 when they do not.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file; it must not exist
    #[arg(value_name = "FILE", conflicts_with = "out")]
    file: Option<PathBuf>,
    /// The file; it must not exist. Left out: standard output (not for bundles)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Bundle, value_name = "FORMAT")]
    format: Format,
    /// From that record on, or that moment: an index, a time ago like 7d, or a moment like 2026-12-24T18:00:00Z
    #[arg(long, value_name = "TIME|INDEX")]
    from: Option<Bound>,
    /// Up to before that record or moment
    #[arg(long, value_name = "TIME|INDEX")]
    to: Option<Bound>,
    /// Only records that fit, e.g. "kind:request_denied who:service:ci"; others are left out
    #[arg(long, value_name = "QUERY", value_parser = meant)]
    filter: Option<Query>,
    /// Leave payloads out: commands, notes and other text that can be erased stay as digests (only for bundles)
    #[arg(long)]
    without_payloads: bool,
    /// Take the records from this bundle, once it is verified, and not from the controller
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArguments,
}

#[derive(Debug, Serialize)]
struct Exported<'a> {
    file: &'a Path,
    records: u64,
    of: u64,
    root: String,
}

/// Writes what was asked for.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Done {
    ordered(arguments.from, arguments.to)?;
    let file = arguments.out.as_deref().or(arguments.file.as_deref());
    match (arguments.format, file) {
        (Format::Bundle, None) => {
            Err(Trouble::usage("a bundle needs a file", "name one: lictor audit export --out FILE"))
        }
        (Format::Bundle, Some(_)) if arguments.bundle.is_some() => Err(Trouble::usage(
            "a bundle is not made from another one",
            "choose another --format, or make it from the controller without --bundle",
        )),
        (Format::Bundle, Some(_)) if arguments.selects_what_it_leaves_out() => Err(Trouble::usage(
            "records cannot be selected by their command without having it: nobody could check the selection",
            "leave out --without-payloads, or `command:` in --filter",
        )),
        (Format::Bundle, Some(file)) => bundle(&arguments, file, context).await,
        _ if arguments.without_payloads => Err(Trouble::usage(
            "only a bundle can be without payloads",
            "leave out --without-payloads, or --format",
        )),
        (_, Some(file)) => {
            let failed = |e: io::Error| Trouble::file("write", file, &e);
            let out = BufWriter::new(File::create_new(file).map_err(failed)?);
            let done = async {
                let (records, out) = lines(&arguments, out, context).await?;
                let out = out.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
                out.sync_all().map_err(failed)?;
                Ok::<_, Trouble>(records)
            };
            let records = done.await.inspect_err(|_| discard(file))?;
            context.note(&format!("wrote {} to {}", of(records), file.display()));
            Ok(Exit::Ok.into())
        }
        (_, None) => {
            lines(&arguments, io::stdout().lock(), context).await?.1.flush()?;
            Ok(Exit::Ok.into())
        }
    }
}

/// Writes a bundle.
async fn bundle(arguments: &Arguments, file: &Path, context: &Context) -> Done {
    let connected = context.connect()?;
    let keys = match arguments.keys.load()? {
        Some(keys) => keys,
        None => pinned(&connected.settings)?,
    };
    let signed = signed_head(&connected, &keys).await?;
    let head = signed.head;
    let range = range(arguments, &connected, head).await?;
    let selection =
        Selection { range, filter: arguments.filter.as_ref(), payloads: !arguments.without_payloads };
    let (verified, held) = write_bundle(&connected, file, &signed, &selection).await?;
    let document = Exported { file, records: held, of: head.size, root: verified.head.root.to_string() };
    context.show(&document, |_| {
        let part = if held == head.size { String::new() } else { format!(", of {} in the log,", head.size) };
        let key = signed.signer;
        format!(
            "wrote {}{part} to {}\nverify it anywhere: lictor audit verify FILE --key {key}\n",
            of(held),
            file.display()
        )
    })?;
    Ok(Exit::Ok.into())
}

// === impl Arguments ===

impl Arguments {
    /// Whether records are selected by what the bundle does not have of them.
    fn selects_what_it_leaves_out(&self) -> bool {
        self.without_payloads && self.filter.as_ref().is_some_and(|filter| filter.looks_at(What::Command))
    }
}

/// Writes the whole log into `file`, as a bundle.
pub(crate) async fn export_to(connected: &Connected, file: &Path) -> Result<(Verified, Keys), Trouble> {
    let keys = pinned(&connected.settings)?;
    let signed = signed_head(connected, &keys).await?;
    let all = Selection { range: (0, signed.head.size), filter: None, payloads: true };
    let (verified, _) = write_bundle(connected, file, &signed, &all).await?;
    Ok((verified, keys))
}

/// Verifies on the way: what does not verify is not exported as if it did.
async fn write_bundle(
    connected: &Connected,
    file: &Path,
    Signed { note, head, keys, .. }: &Signed,
    selection: &Selection<'_>,
) -> Result<(Verified, u64), Trouble> {
    let mut writer = Writer::create(file, note, selection)?;
    let at = |e: io::Error| Trouble::file("write", file, &e);
    let origin = connected.settings.origin()?;
    let mut replay = Replay::new(&origin, keys.clone(), None);
    let mut held = 0;
    let written = each_sealed(connected, *head, |AuditRecord { index, content, payload }| {
        let index = *index;
        replay.push(index, content, Some(payload))?;
        if selection.has(index, content, payload) {
            held += 1;
            writer.record(index, content, payload).map_err(at)
        } else {
            writer.leave_out(index, content);
            Ok(())
        }
    })
    .await;
    let verified = match written {
        Ok(()) => replay
            .finish(*head)
            .and_then(|v| v.under(note, &origin))
            .map_err(Trouble::from)
            .and_then(|v| writer.close().map_err(at).map(|()| v)),
        Err(trouble) => Err(trouble),
    };
    Ok((verified.inspect_err(|_| discard(file))?, held))
}

/// From which index to which: for moments, from the first record at or after one to the last before the other, with
/// whatever stands between them, so that the part is whole even if the clock was set back in it.
async fn range(arguments: &Arguments, connected: &Connected, head: TreeHead) -> Result<(u64, u64), Trouble> {
    let index = |bound: Option<Bound>, otherwise: u64| match bound {
        Some(Bound::Index(index)) => index.min(head.size),
        _ => otherwise,
    };
    let (from, to) = (index(arguments.from, 0), index(arguments.to, head.size));
    let moment = |bound: Option<Bound>| match bound {
        Some(Bound::Moment(at)) => Some(at.to_string()),
        _ => None,
    };
    let (since, until) = (moment(arguments.from), moment(arguments.to));
    if since.is_none() && until.is_none() {
        return Ok((from.min(to), to));
    }
    let (mut first, mut last) = (None, None);
    each_record(connected, head, |index, content| {
        let facts = AuditFacts::read(content).unwrap_or_default();
        if first.is_none() && since.as_deref().is_none_or(|since| facts.text("at") >= since) {
            first = Some(index);
        }
        if until.as_deref().is_none_or(|until| facts.text("at") < until) {
            last = Some(index + 1);
        }
        Ok(())
    })
    .await?;
    let from = if since.is_some() { first.unwrap_or(head.size) } else { from };
    let to = if until.is_some() { last.unwrap_or(0) } else { to };
    Ok((from.min(to), to))
}

/// Writes a line a record.
async fn lines<W: Write>(arguments: &Arguments, mut out: W, context: &Context) -> Result<(u64, W), Trouble> {
    let (range, terms) = between(arguments.from, arguments.to)?;
    let filter = arguments.filter.clone().unwrap_or_default().and(terms);
    let filter = filter.map_err(|e| Trouble::usage(e.to_string(), "leave a term out"))?;
    let mut formatter = Formatter::new(arguments.format, "lictor");
    let mut written = 0;
    let take = |log: &str, index: u64, _: &[u8], content: &[u8]| -> Result<(), Trouble> {
        formatter.name(log);
        let is_taken = is_in(index, content, range, Some(&filter));
        if let Some(line) = formatter.line(index, content).filter(|_| is_taken) {
            out.write_all(line.as_bytes())?;
            out.write_all(b"\n")?;
            written += 1;
        }
        Ok(())
    };
    each_verified(context, arguments.bundle.as_deref(), &arguments.keys, take).await?;
    Ok((written, out))
}

/// Gives every record to `take`, as it is hashed and as it is read, with the name of the log: of a bundle once all of it was
/// verified, or of the controller, where it is verified on the way.
pub(super) async fn each_verified(
    context: &Context,
    file: Option<&Path>,
    keys: &KeyArguments,
    mut take: impl FnMut(&str, u64, &[u8], &[u8]) -> Result<(), Trouble>,
) -> Result<(String, Verified), Trouble> {
    let keys = keys.load()?;
    if let Some(file) = file {
        let (log, verified) = verify_file(file, keys.as_ref(), None, context)?;
        let log = log.to_string();
        let mut failed = None;
        bundle::each_record(file, |index, content, read| {
            if failed.is_none() {
                failed = take(&log, index, content, read).err();
            }
        })?;
        return failed.map_or(Ok((log, verified)), Err);
    }
    let connected = context.connect()?;
    let keys = keys.map_or_else(|| pinned(&connected.settings), Ok)?;
    let origin = connected.settings.origin()?;
    let log = origin.to_string();
    let Signed { note, head, keys, .. } = signed_head(&connected, &keys).await?;
    let known = anchor::load(&connected.home.checkpoint(), &origin, &keys)?;
    let mut replay = Replay::new(&origin, keys, known);
    each_sealed(&connected, head, |record| {
        replay.push(record.index, &record.content, Some(&record.payload))?;
        take(&log, record.index, &record.content, &payloads::read(record))
    })
    .await?;
    let verified = replay.finish(head)?.under(&note, &origin)?;
    Ok((log, verified))
}

/// Half a file is not kept: somebody might take it for a whole one.
pub(super) fn discard(file: &Path) {
    // Why it is not whole is told; that it cannot be removed either would say nothing more.
    let _ = std::fs::remove_file(file);
}

fn of(records: u64) -> String {
    count(usize::try_from(records).unwrap_or(usize::MAX), "record")
}
