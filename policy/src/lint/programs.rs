//! What programs can be talked into: the file `data/programs.yml`, read once.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Deserialize, de::Error as _};

use crate::set::options;

/// The text of the file; its head says what the keys mean and where the facts come from.
const SOURCE: &str = include_str!("../../data/programs.yml");

/// The dynamic loader, which runs the program that it is given: `ld-linux-x86-64.so.2`, `ld-musl-aarch64.so.1`.
const LOADERS: [&str; 2] = ["ld-linux", "ld-musl"];
/// The name that the file has for it.
const LOADER: &str = "ld.so";

static FILE: LazyLock<Result<File, String>> =
    LazyLock::new(|| serde_saphyr::from_str_with_options(SOURCE, options()).map_err(|e| e.to_string()));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    programs: BTreeMap<String, Program>,
}

/// What one program can be talked into, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Program {
    /// Runs other programs.
    pub(crate) starts: Vec<Way>,
    /// Opens a pager or an editor.
    pub(crate) pager: Vec<Way>,
    /// Options that keep the pager away.
    pub(crate) no_pager: Vec<String>,
    /// Reads files.
    pub(crate) reads: Vec<Way>,
    /// Writes, changes or removes files.
    pub(crate) writes: Vec<Way>,
    /// Loads libraries, modules or plug-ins.
    pub(crate) loads: Vec<Way>,
    /// Sends what it is given.
    pub(crate) network: Vec<Way>,
    /// Options whose next word is a value that names no file and no program.
    pub(crate) valued: Vec<String>,
    /// Long options must be written out, short ones cannot be joined.
    pub(crate) exact_options: bool,
    /// Options that, when nothing else is given, print something and do no more.
    pub(crate) only_prints: Vec<String>,
    /// Its first operand is a program.
    pub(crate) wraps: Option<Wraps>,
}

/// What may stand between a wrapper and the program that it runs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wraps {
    /// Options without a value.
    pub(crate) flags: Vec<String>,
    /// Options with a value.
    pub(crate) valued: Vec<String>,
    /// How many operands come before the program.
    pub(crate) operands: usize,
}

/// How a program is talked into something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// By an operand, from this one on, counted from 1.
    Operand(usize),
    /// By something among its words: a subcommand, an expression, a script.
    Word,
    /// By giving it nothing.
    Alone,
    /// By what it reads.
    Input,
    /// Whatever it is given.
    Always,
    /// By this option, subcommand or (with an `=` at its end) form of operand.
    Named(String),
}

/// Whether the file can be used.
///
/// # Errors
/// What is wrong with it; then nothing that depends on it may pass.
pub(crate) fn check() -> Result<(), String> {
    FILE.as_ref().map(|_| ()).map_err(|why| format!("the list of programs cannot be read: {why}"))
}

/// What is known of the program `name`, a path component: as it is, or with a version or a variant behind it, as in
/// `python3.11`, `gawk-5.1` and `vim.basic`.
pub(crate) fn find(name: &str) -> Option<&'static Program> {
    let programs = &FILE.as_ref().ok()?.programs;
    let variant = name.split('.').next().unwrap_or(name);
    let is_version = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    let spellings = [name, variant, name.trim_end_matches(is_version), variant.trim_end_matches(is_version)];
    let known = spellings.iter().find_map(|spelling| programs.get(*spelling));
    let is_loader = LOADERS.iter().any(|loader| name.starts_with(loader));
    known.or_else(|| programs.get(LOADER).filter(|_| is_loader))
}

// === impl Way ===

impl Way {
    /// Whether it is among the words as a subcommand, rather than as an option or a form of operand.
    pub(crate) fn subcommand(&self) -> Option<&str> {
        match self {
            Self::Named(name) if !name.starts_with('-') && !name.ends_with('=') => Some(name),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Way {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "<operand>" => Self::Operand(1),
            "<operand:2>" => Self::Operand(2),
            "<word>" => Self::Word,
            "<alone>" => Self::Alone,
            "<input>" => Self::Input,
            "<always>" => Self::Always,
            name if name.is_empty() || name.starts_with('<') => {
                return Err(D::Error::custom(format!("`{name}` is not a way")));
            }
            name => Self::Named(name.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs() -> &'static BTreeMap<String, Program> {
        &FILE.as_ref().unwrap().programs
    }

    /// The names in the order of the file, as the file writes them.
    fn written() -> Vec<String> {
        let entries = SOURCE.lines().skip_while(|line| *line != "programs:").skip(1);
        entries
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
            .map(|line| {
                line.trim().split(": ").next().unwrap().trim_end_matches(':').trim_matches('\'').into()
            })
            .collect()
    }

    #[test]
    fn every_name_is_there_once_and_in_order() {
        check().unwrap();
        let written = written();
        assert!(written.is_sorted_by(|a: &String, b| a < b), "sorted, and none twice");
        assert_eq!(written, programs().keys().cloned().collect::<Vec<_>>());
        assert!(written.len() >= 250, "{}", written.len());
    }

    #[test]
    fn every_entry_says_something_and_nothing_twice() {
        for (name, program) in programs() {
            assert!(!name.is_empty() && !name.contains(['/', ' ', '=']), "{name}");
            let classes = [
                &program.starts,
                &program.pager,
                &program.reads,
                &program.writes,
                &program.loads,
                &program.network,
            ];
            let says = classes.iter().any(|ways| !ways.is_empty()) || !program.valued.is_empty();
            assert!(says || program.exact_options, "{name} says nothing");
            for ways in classes {
                for (index, way) in ways.iter().enumerate() {
                    assert!(!ways[..index].contains(way), "{name} has {way:?} twice");
                    assert!(*way != Way::Always || ways == &program.pager, "{name}: <always> is for pagers");
                }
            }
            assert!(program.no_pager.is_empty() || !program.pager.is_empty(), "{name}");
            let options = program.valued.iter().chain(&program.no_pager).chain(&program.only_prints);
            for option in options {
                assert!(option.starts_with('-'), "{name}: {option}");
            }
            assert!(program.wraps.is_none() || program.starts.contains(&Way::Operand(1)), "{name}");
        }
    }

    #[test]
    fn a_version_or_a_variant_changes_nothing() {
        for name in ["python3.11", "vim.basic", "gawk-5.1", "nodejs", "php8.2", "ld-linux-x86-64.so.2"] {
            assert!(find(name).is_some_and(|p| !p.starts.is_empty()), "{name}");
        }
        for name in ["uptime", "lspython", "", "3.11", "my-sh"] {
            assert!(find(name).is_none(), "{name}");
        }
        assert!(find("bzip2").is_some() && find("md5sum").is_some());
    }
}
