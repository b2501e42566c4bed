//! A report as one HTML file: no script, nothing fetched, readable on paper. Whatever comes from records is escaped.

use std::fmt::Write as _;

use super::{Basis, Cited, Found, Report, Shown, Support};
use crate::render::bytes::one_line;

/// Nothing but the style below is let in, whatever a record holds.
const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --good: #1a7f37; --none: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --good: #57d279; --none: #e3b341; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code, pre { font: .85em/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .8rem; border-radius: .4rem; overflow-x: auto; white-space: pre-wrap; }
.what { background: var(--soft); padding: .8rem 1rem; border-left: .3rem solid var(--line); }
.records, .log { color: var(--good); font-weight: 600; } .none { color: var(--none); font-weight: 600; }
tr:target { background: var(--soft); }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
</style>
"#;

/// The report.
pub(crate) fn text(report: &Report) -> String {
    let title = format!("{}: evidence from the audit log of Lictor", report.framework);
    let title = escape(&title);
    let mut out = format!("{HEAD}<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n");
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "<p>{}</p>\n<p class=\"what\">{}</p>",
        escape(report.edition),
        escape(report.what_it_is)
    );
    out += &basis(report);
    out +=
        "<h2>Controls at a glance</h2>\n<table>\n<tr><th>control</th><th>about</th><th>evidence</th></tr>\n";
    for Shown { id, title, support, .. } in &report.controls {
        let (id, title) = (escape(id), escape(title));
        let _ = writeln!(
            out,
            "<tr><td><a href=\"#{}\">{id}</a></td><td>{title}</td><td>{}</td></tr>",
            anchor(&id),
            words(*support)
        );
    }
    out += "</table>\n";
    for control in &report.controls {
        out += &section(control);
    }
    out += "<h2>Outside of Lictor's sight</h2>\n<ul>\n";
    for item in &report.outside {
        let _ = writeln!(out, "<li>{}</li>", escape(item));
    }
    out += "</ul>\n";
    out += &cited(&report.records);
    out + "</body>\n</html>\n"
}

fn basis(report: &Report) -> String {
    let Basis { log, verified_what, part, size, root, checkpoint, .. } = &report.basis;
    let mut rows = vec![
        ("log", escape(log)),
        ("verified", format!("<span class=\"log\">yes</span>: {}", escape(verified_what))),
        ("head", format!("{size} records, root <code>{}</code>", escape(root))),
        ("anchor", escape(&report.basis.anchor())),
        ("witnesses", escape(&report.basis.witnesses())),
        ("period", escape(&report.period.words())),
        ("made", escape(&format!("{} with {}", report.made_at, report.made_by))),
    ];
    rows.extend(part.map(|part| ("a part", escape(part))));
    let mut out = "<h2>What it is made from</h2>\n<table>\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(out, "<tr><th>{name}</th><td>{value}</td></tr>");
    }
    let note = checkpoint.lines().map(escape).collect::<Vec<_>>().join("\n");
    let _ = write!(out, "</table>\n<p>The signed head, as a C2SP note:</p>\n<pre>{note}</pre>\n");
    out
}

fn section(control: &Shown) -> String {
    let Shown { id, title, lictor, support, evidence, outside } = control;
    let (id, title) = (escape(id), escape(title));
    let mut out = format!(
        "<h2 id=\"{}\">{id}: {title}</h2>\n<p>{}. {}</p>\n<table>\n<tr><th>evidence</th><th class=\"n\">records</th>\
         <th class=\"n\">first</th><th class=\"n\">last</th><th>find them with <code>lictor audit search</code></th></tr>\n",
        anchor(&id),
        words(*support),
        escape(lictor)
    );
    for Found { what, query, records, first, last } in evidence {
        let query = query.as_deref().unwrap_or("lictor audit verify");
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{records}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td><code>{}</code></td></tr>",
            escape(what),
            link(*first),
            link(*last),
            escape(query)
        );
    }
    let _ = write!(out, "</table>\n<p>Outside of Lictor's sight: {}</p>\n", escape(outside));
    out
}

fn cited(records: &[Cited]) -> String {
    if records.is_empty() {
        return String::new();
    }
    let mut out = "<h2>Records named above</h2>\n<p>The whole of one, with its leaf hash: \
        <code>lictor audit show INDEX</code>.</p>\n<table>\n<tr><th class=\"n\">index</th><th>at</th><th>kind</th>\
        <th>who</th><th>leaf hash</th></tr>\n"
        .to_owned();
    for Cited { index, at, kind, who, leaf } in records {
        let [at, kind, who, leaf] = [at, kind, who, leaf].map(|text| escape(text));
        let _ = writeln!(
            out,
            "<tr id=\"record-{index}\"><td class=\"n\">{index}</td><td>{at}</td><td>{kind}</td><td>{who}</td>\
             <td><code>{leaf}</code></td></tr>"
        );
    }
    out + "</table>\n"
}

fn words(support: Support) -> String {
    let class = match support {
        Support::Records => "records",
        Support::Log => "log",
        Support::None => "none",
    };
    format!("<span class=\"{class}\">{}</span>", support.words())
}

fn link(index: Option<u64>) -> String {
    index.map_or_else(String::new, |index| format!("<a href=\"#record-{index}\">{index}</a>"))
}

/// A control's identifier as the name of a place.
fn anchor(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}
