//! Command classes: commands that a rule can allow by a name, because Lictor knows their forms.
//!
//! A class is data (`data/read-only.yml`): for each program its forms, and in each form the options, their values and
//! the operands that it may have. Everything that is not listed is outside the class: an unknown option, an
//! abbreviation of a known one, a value or an operand of another kind. Options are compared as they are spelled.
//!
//! A word is read as the program would read it: short options may stand together where the program lets them, the
//! value of an option is the word behind it or the rest of it as listed, and no word that starts with a dash is ever
//! an operand. Time is words times forms of the program.

mod data;
mod describe;
mod fault;
mod form;
mod options;

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use form::Form;

pub use describe::Described;

/// Directories in which a program may also be named by its path: those that only the system's packages write to.
const DIRECTORIES: [&str; 4] = ["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"];

/// The name of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClassName {
    /// Changes nothing on the host, though it may show any file that the login user may read.
    ReadOnly,
}

/// A class of commands.
#[derive(Debug, Default)]
pub struct Class {
    means: String,
    entries: Vec<Entry>,
    /// Where in `entries` a program is.
    by_program: BTreeMap<String, usize>,
}

/// Programs that share their forms.
#[derive(Debug)]
struct Entry {
    programs: Vec<String>,
    source: String,
    note: Option<String>,
    forms: Vec<Form>,
}

// === impl ClassName ===

impl ClassName {
    /// Every class there is.
    pub const ALL: [Self; 1] = [Self::ReadOnly];

    /// The class called `name`; `None` when there is no such class.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
    /// The name as a policy file has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
        }
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Class ===

impl Class {
    /// The class called `name`.
    pub fn get(name: ClassName) -> &'static Self {
        // The data is part of the program and a test reads it; if it could not be read, the class would be empty and
        // nothing would be in it.
        static READ_ONLY: LazyLock<Class> = LazyLock::new(|| data::load(data::READ_ONLY).unwrap_or_default());
        match name {
            ClassName::ReadOnly => &READ_ONLY,
        }
    }

    /// Whether the literal words, program first, are a command of this class.
    pub fn matches(&self, words: &[&str]) -> bool {
        let Some((program, words)) = words.split_first() else { return false };
        self.entry(program).is_some_and(|entry| entry.forms.iter().any(|form| form.read(words).is_ok()))
    }

    /// For a person: which word is outside the class, and why, by the form that has a place for most of the words.
    /// `None` when the program is not in the class at all, or the command is.
    pub fn nearest(&self, words: &[&str]) -> Option<String> {
        let (program, words) = words.split_first()?;
        let entry = self.entry(program)?;
        let mut nearest: Option<fault::Fault> = None;
        for form in &entry.forms {
            let fault = form.read(words).err()?;
            if nearest.as_ref().is_none_or(|before| before.at < fault.at) {
                nearest = Some(fault);
            }
        }
        let name = plain_name(program).unwrap_or(program);
        nearest.map(|fault| fault.describe(name))
    }

    /// Every program of the class by its plain name, in alphabetical order.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        self.by_program.keys().map(String::as_str)
    }

    /// What it means that a command is in this class: prose, with paragraphs apart by empty lines.
    pub fn means(&self) -> &str {
        &self.means
    }

    /// Programs and their forms as text, in the order of the data file.
    pub fn describe(&self) -> impl Iterator<Item = Described<'_>> {
        self.entries.iter().map(Described::new)
    }

    fn entry(&self, program: &str) -> Option<&Entry> {
        self.by_program.get(plain_name(program)?).and_then(|index| self.entries.get(*index))
    }
}

/// The name of a program that is named plainly, or by its path in one of the [`DIRECTORIES`].
pub(crate) fn plain_name(program: &str) -> Option<&str> {
    let name = DIRECTORIES.iter().find_map(|directory| program.strip_prefix(directory)).unwrap_or(program);
    (!name.contains('/')).then_some(name)
}
