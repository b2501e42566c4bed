//! A report as Markdown. Whatever comes from records is escaped, so that it is text and nothing else.

use std::fmt::Write as _;

use super::{Basis, Cited, Found, Report, Shown};
use crate::render::bytes::one_line;

/// The report.
pub(crate) fn text(report: &Report) -> String {
    let mut out = format!("# {}: evidence from the audit log of Lictor\n\n", report.framework);
    // Writing to a string does not fail.
    let _ = write!(out, "{}\n\n{}\n\n", report.edition, report.what_it_is);
    out += &basis(report);
    out += "## Controls at a glance\n\n| control | about | evidence |\n|---|---|---|\n";
    for control in &report.controls {
        let _ = writeln!(out, "| {} | {} | {} |", control.id, control.title, control.support.words());
    }
    out += "\n";
    for control in &report.controls {
        out += &section(control);
    }
    out += "## Outside of Lictor's sight\n\n";
    for item in &report.outside {
        let _ = writeln!(out, "- {item}");
    }
    out += &cited(&report.records);
    out
}

fn basis(report: &Report) -> String {
    let Basis { log, verified_what, part, size, root, checkpoint, .. } = &report.basis;
    let mut rows = vec![
        ("log", code(log)),
        ("verified", format!("yes: {verified_what}")),
        ("head", format!("{size} records, root {}", code(root))),
        ("anchor", report.basis.anchor()),
        ("witnesses", escape(&report.basis.witnesses())),
        ("period", escape(&report.period.words())),
        ("made", format!("{} with {}", report.made_at, report.made_by)),
    ];
    rows.extend(part.map(|part| ("a part", part.to_owned())));
    let mut out = "## What it is made from\n\n| | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(out, "| {name} | {value} |");
    }
    out += "\nThe signed head, as a C2SP note:\n\n";
    for line in checkpoint.lines() {
        let _ = writeln!(out, "    {}", one_line(line));
    }
    out + "\n"
}

fn section(control: &Shown) -> String {
    let Shown { id, title, lictor, support, evidence, outside } = control;
    let mut out = format!("## {id}: {title}\n\n**{}**. {lictor}\n\n", capital(support.words()));
    out += "| evidence | records | first | last | find them with `lictor audit search` |\n|---|---:|---:|---:|---|\n";
    for Found { what, query, records, first, last } in evidence {
        let query = query.as_deref().map_or_else(|| "`lictor audit verify`".to_owned(), code);
        let _ = writeln!(out, "| {what} | {records} | {} | {} | {query} |", link(*first), link(*last));
    }
    let _ = write!(out, "\nOutside of Lictor's sight: {outside}\n\n");
    out
}

fn cited(records: &[Cited]) -> String {
    if records.is_empty() {
        return String::new();
    }
    let mut out =
        "\n## Records named above\n\nThe whole of one, with its leaf hash: `lictor audit show INDEX`.\n\n\
        | index | at | kind | who | leaf hash |\n|---:|---|---|---|---|\n"
            .to_owned();
    for Cited { index, at, kind, who, leaf } in records {
        let _ = writeln!(
            out,
            "| <a id=\"record-{index}\"></a>{index} | {} | {} | {} | `{leaf}` |",
            escape(at),
            escape(kind),
            escape(who)
        );
    }
    out
}

fn link(index: Option<u64>) -> String {
    index.map_or_else(String::new, |index| format!("[{index}](#record-{index})"))
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Text that stands as it is: what Markdown, HTML in it, or a table could read otherwise is escaped.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Text as code in a cell of a table, where `|` ends a cell even in code. What has a backtick cannot be fenced by one.
fn code(text: &str) -> String {
    let text = one_line(text);
    if text.contains('`') { escape(&text) } else { format!("`{}`", text.replace('|', "\\|")) }
}
