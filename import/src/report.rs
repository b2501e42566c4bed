//! `import-report.md`: what was looked for, what was found, and what is left to do.

use std::fmt::Write as _;

use crate::{
    CREDENTIALS, Imported, Options, POLICY, SERVERS,
    finding::{Finding, Severity},
    rows::ROWS,
    show::shell_word,
    site::Site,
};

/// The report as Markdown.
pub(crate) fn markdown(imported: &Imported, site: &Site, options: &Options) -> String {
    let mut out = String::from("# Import from mcp-ssh-orchestrator\n\n");
    summary(&mut out, imported, site, options);
    checklist(&mut out, imported, site);
    findings(&mut out, &imported.findings);
    rows(&mut out, &imported.findings, imported.has_policy);
    out
}

fn summary(out: &mut String, imported: &Imported, site: &Site, options: &Options) {
    let count = |severity| imported.findings.iter().filter(|f| f.severity == severity).count();
    let _ = writeln!(
        out,
        "Taken over{}: {}, {}. Found: {}, {}, {}.\n",
        options.site.as_ref().map(|site| format!(" for the site `{site}`")).unwrap_or_default(),
        counted(imported.hosts, "host"),
        counted(imported.credentials, "credential"),
        counted(count(Severity::Error), "accepted error"),
        counted(count(Severity::Warning), "warning"),
        counted(count(Severity::Info), "note"),
    );
    if !site.left_out.is_empty() {
        let _ = writeln!(
            out,
            "Hosts without a login that can be used, left out: {}.\n",
            site.left_out.join(", ")
        );
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn checklist(out: &mut String, imported: &Imported, site: &Site) {
    out.push_str("## To do\n\nIn the directory with the new files:\n\n");
    for (old, new) in site.keys() {
        let _ = writeln!(
            out,
            "- [ ] copy a key: `install -D -m 600 {} {}`",
            code(&shell_word(old)),
            code(&shell_word(new))
        );
    }
    for file in site.secrets() {
        let _ = writeln!(
            out,
            "- [ ] make `{}`, mode 600, with one secret in it: {}",
            code(&file.path),
            escaped(&file.source.describe())
        );
    }
    for step in &imported.next_steps {
        let _ = writeln!(out, "- [ ] {}", escaped(step));
    }
    out.push('\n');
}

fn findings(out: &mut String, findings: &[Finding]) {
    for (severity, title) in [
        (Severity::Error, "Errors that were accepted"),
        (Severity::Warning, "Warnings: this is other than before, or was never as it looked"),
        (Severity::Info, "Good to know"),
    ] {
        let _ = writeln!(out, "## {title}\n");
        let mut none = true;
        for finding in findings.iter().filter(|f| f.severity == severity) {
            none = false;
            let _ = writeln!(
                out,
                "- **{}** {}: {}",
                escaped(&finding.code),
                finding.place(),
                escaped(&finding.what)
            );
            for (label, text) in [("done", &finding.done), ("to do", &finding.todo)] {
                if !text.is_empty() {
                    let _ = writeln!(out, "  - {label}: {}", escaped(text));
                }
            }
        }
        out.push_str(if none { "None.\n\n" } else { "\n" });
    }
}

fn rows(out: &mut String, findings: &[Finding], has_policy: bool) {
    out.push_str(
        "## What was looked for\n\n| in | mcp-ssh-orchestrator | Lictor | found |\n|---|---|---|---|\n",
    );
    for row in ROWS {
        let found = findings.iter().filter(|f| f.file == row.file && row.covers(f)).count();
        let found = match (found, row.file) {
            (_, POLICY) if !has_policy => "no policy.yml".to_owned(),
            (0, _) => "–".to_owned(),
            (n, _) => n.to_string(),
        };
        let _ = writeln!(out, "| {} | {} | {} | {found} |", row.file, row.there, row.here);
    }
    let covered = |f: &&Finding| ROWS.iter().any(|row| row.file == f.file && row.covers(f));
    for file in [SERVERS, CREDENTIALS, POLICY] {
        let other = findings.iter().filter(|f| f.file == file).filter(|f| !covered(f)).count();
        if other > 0 {
            let _ = writeln!(out, "| {file} | anything else | as the finding says | {other} |");
        }
    }
}

/// Text between backticks of Markdown.
fn code(text: &str) -> String {
    text.chars().map(|c| if c == '`' || c.is_control() { '?' } else { c }).collect()
}

/// Text of Markdown that is no markup.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '|' | '#' | '&' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
