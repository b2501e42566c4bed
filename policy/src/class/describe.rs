//! The entries of a class as text, for documentation and for people who ask what is in it.

use super::{
    Entry,
    form::{Form, Operands},
    options::OptionSet,
};

/// How many operands are written out as "and more": nobody types so many.
const MANY: usize = 10;

/// Programs and their forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described<'a> {
    /// The programs, which share the forms.
    pub programs: Vec<&'a str>,
    /// Where the forms are documented.
    pub source: &'a str,
    /// What a reader should know besides.
    pub note: Option<&'a str>,
    /// One line for each form, without the program: `status|show [--no-pager] <unit>...`.
    pub forms: Vec<String>,
}

// === impl Described ===

impl<'a> Described<'a> {
    pub(super) fn new(entry: &'a Entry) -> Self {
        Self {
            programs: entry.programs.iter().map(String::as_str).collect(),
            source: &entry.source,
            note: entry.note.as_deref(),
            forms: entry.forms.iter().map(form).collect(),
        }
    }
}

fn form(form: &Form) -> String {
    let mut parts = Vec::new();
    if let Some(before) = &form.before {
        options(before, &mut parts);
    }
    parts.extend(form.words.iter().map(|names| names.join("|")));
    parts.extend(form.required.iter().map(|names| format!("({})", names.join("|"))));
    options(&form.options, &mut parts);
    if form.end_of_options && !form.operands.is_empty() {
        parts.push("[--]".into());
    }
    parts.extend(form.operands.iter().map(operands));
    parts.join(" ")
}

fn options(set: &OptionSet, parts: &mut Vec<String>) {
    if set.bundles() {
        parts.push(format!("[-{}]", set.letters.iter().collect::<String>()));
    }
    parts.extend(set.flags.iter().map(|flag| format!("[{flag}]")));
    parts.extend(set.separate.iter().map(|(name, value)| format!("[{name} <{}>]", value.name)));
    parts.extend(set.glued.iter().map(|(letter, value)| format!("[-{letter}<{}>]", value.name)));
    parts.extend(set.joined.iter().map(|(name, value)| format!("[{name}<{}>]", value.name)));
    parts.extend(set.prefixes.iter().map(|(prefix, value)| format!("[{prefix}<{}>]", value.name)));
}

fn operands(operands: &Operands) -> String {
    let Operands { value, min, max } = operands;
    let one = format!("<{}>", value.name);
    let required = vec![one.clone(); *min].join(" ");
    let optional = match max.saturating_sub(*min) {
        0 => String::new(),
        more if more >= MANY => format!("[{one}...]"),
        more => vec![format!("[{one}]"); more].join(" "),
    };
    format!("{required} {optional}").trim().to_owned()
}
