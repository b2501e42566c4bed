//! `docs/audit-format.md` says of every kind of record which fields it has, and of every flaw that it is one.
//!
//! `LICTOR_UPDATE_DOCS=1` writes the table into the page.

use std::{collections::BTreeMap, fs};

use lictor_core::audit::{Field, payload::is_payload, query::What};

use super::samples::every_kind;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/audit-format.md");
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/src/audit.rs");
const FLAWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/src/audit/flaw.rs");
const BEGIN: &str = "<!-- fields of records: begin -->\n";
const END: &str = "<!-- fields of records: end -->";

fn table() -> String {
    let kinds: BTreeMap<&str, String> = every_kind()
        .iter()
        .map(|event| {
            let fields = event.fields().into_iter().map(|(name, field)| {
                let mark = if is_payload(event.kind(), name) { "\\*" } else { "" };
                match field {
                    Field::Text(_) => format!("`{name}`{mark}"),
                    Field::Number(_) => format!("`{name}`{mark} (number)"),
                    Field::List(_) => format!("`{name}`{mark} (list)"),
                    Field::Absent => format!("`{name}`{mark} (or null)"),
                }
            });
            (event.kind(), fields.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let rows = kinds.iter().map(|(kind, fields)| format!("| `{kind}` | {fields} |\n"));
    format!("| kind | fields |\n|---|---|\n{}", rows.collect::<String>())
}

#[test]
fn the_page_of_the_format_lists_the_fields_of_every_kind() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("LICTOR_UPDATE_DOCS").is_some() {
        return fs::write(PAGE, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    }
    assert!(written == table, "LICTOR_UPDATE_DOCS=1 corrects it:\n{table}");
}

#[test]
fn no_field_has_the_name_of_a_member_that_payloads_need() {
    for event in every_kind() {
        let taken =
            event.fields().iter().any(|(name, _)| ["payload", "salt", "v", "at", "kind"].contains(name));
        assert!(!taken, "{}", event.kind());
    }
}

#[test]
fn there_is_a_sample_of_every_kind() {
    let source = fs::read_to_string(SOURCE).unwrap();
    let kinds = source.split("pub const fn kind(").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let kinds: Vec<&str> =
        kinds.lines().filter_map(|line| line.split("=> \"").nth(1)?.strip_suffix("\",")).collect();
    let samples: Vec<&str> = every_kind().iter().map(|event| event.kind()).collect();
    let missing: Vec<_> = kinds.iter().filter(|kind| !samples.contains(kind)).collect();
    assert!(kinds.len() >= 29 && missing.is_empty(), "tests/it/audit/samples.rs has no {missing:?}");
}

#[test]
fn the_page_of_the_format_lists_every_flaw_and_every_term_of_a_query() {
    let page = fs::read_to_string(PAGE).unwrap();
    let source = fs::read_to_string(FLAWS).unwrap();
    let codes = source.split("const fn code(").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let codes: Vec<&str> =
        codes.lines().filter_map(|line| line.split("=> \"").nth(1)?.strip_suffix("\",")).collect();
    assert!(codes.len() >= 15, "{codes:?}");
    let mut names: Vec<String> = codes.into_iter().map(str::to_owned).collect();
    names.extend(What::ALL.into_iter().map(|what| what.as_str().to_owned()));
    let missing: Vec<_> = names.iter().filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "docs/audit-format.md has no {missing:?}");
}
