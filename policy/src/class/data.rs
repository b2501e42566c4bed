//! Reading the data of a class: the file's types, strict, and checks that make a slip in the data an error.

use std::{collections::BTreeMap, sync::Arc};

use lictor_core::limits::MAX_WORDS;
use serde::Deserialize;

use super::{
    Class, Entry,
    form::{Form, Operands, Place},
    options::{OptionSet, Value},
};
use crate::pattern::Kind;

/// The forms that only read.
pub(super) const READ_ONLY: &str = include_str!("../../data/read-only.yml");

/// Stands for the value in the spelling of an option: `-n _`, `-n_`, `--lines=_`.
const VALUE: char = '_';

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassFile {
    means: String,
    kinds: BTreeMap<String, KindFile>,
    commands: Vec<EntryFile>,
}

/// A kind of value: either `re` or `int`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindFile {
    like: String,
    re: Option<String>,
    int: Option<[i64; 2]>,
    /// Whether a value may start with a dash: said, so that it is not so by accident.
    #[serde(default)]
    dash: bool,
}

/// Programs and their forms.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryFile {
    programs: Vec<String>,
    source: String,
    note: Option<String>,
    forms: Vec<FormFile>,
    #[serde(rename = "match")]
    matching: Vec<String>,
    not_match: Vec<String>,
}

/// One form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormFile {
    #[serde(default)]
    words: Vec<String>,
    before: Option<OptionsFile>,
    letters: Option<String>,
    flags: Option<String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    place: PlaceFile,
    #[serde(default)]
    require: Vec<String>,
    #[serde(default)]
    operands: Vec<OperandsFile>,
    /// Whether `--` is accepted.
    #[serde(default)]
    end: bool,
}

/// Options before the subcommand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionsFile {
    letters: Option<String>,
    flags: Option<String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PlaceFile {
    #[default]
    Anywhere,
    BehindSubcommand,
    BeforeOperands,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperandsFile {
    kind: String,
    #[serde(default)]
    min: usize,
    max: usize,
}

type Kinds = BTreeMap<String, Arc<Value>>;

/// Reads and checks the data.
pub(super) fn load(yaml: &str) -> Result<Class, String> {
    let file: ClassFile =
        serde_saphyr::from_str(yaml).map_err(|error| error.without_snippet().to_string())?;
    let kinds = file
        .kinds
        .into_iter()
        .map(|(name, kind)| Ok((name.clone(), Arc::new(checked_kind(name, kind)?))))
        .collect::<Result<Kinds, String>>()?;
    let mut class = Class { means: file.means, ..Class::default() };
    for entry in file.commands {
        let programs = entry.programs.join(", ");
        let entry = checked_entry(entry, &kinds).map_err(|error| format!("{programs}: {error}"))?;
        for program in &entry.programs {
            if class.by_program.insert(program.clone(), class.entries.len()).is_some() {
                return Err(format!("{program} is there twice"));
            }
        }
        class.entries.push(entry);
    }
    Ok(class)
}

fn checked_kind(name: String, file: KindFile) -> Result<Value, String> {
    let kind = match (file.re, file.int) {
        (Some(source), None) => Kind::regex(&source),
        (None, Some([min, max])) => Kind::int(min, max),
        _ => return Err(format!("kind {name} must have either re or int")),
    }
    .map_err(|error| format!("kind {name}: {error}"))?;
    if kind.admits_leading_dash() != file.dash {
        return Err(format!("kind {name} does not say truly whether a value may start with a dash"));
    }
    if !kind.accepts(&file.like) {
        return Err(format!("kind {name} does not accept its own example"));
    }
    Ok(Value { name, like: file.like, kind })
}

fn checked_entry(file: EntryFile, kinds: &Kinds) -> Result<Entry, String> {
    let named = |name: &String| !name.is_empty() && !name.contains('/') && !name.starts_with('-');
    if file.programs.is_empty() || !file.programs.iter().all(named) || file.forms.is_empty() {
        return Err("needs plain names and forms".into());
    }
    if file.source.is_empty() || file.matching.len() < 3 || file.not_match.len() < 4 {
        return Err("needs its source, 3 commands that match and 4 that do not".into());
    }
    let forms =
        file.forms.into_iter().map(|form| checked_form(form, kinds)).collect::<Result<_, String>>()?;
    Ok(Entry { programs: file.programs, source: file.source, note: file.note, forms })
}

fn checked_form(file: FormFile, kinds: &Kinds) -> Result<Form, String> {
    let before = file
        .before
        .map(|before| option_set(before.letters.as_deref(), before.flags.as_deref(), &before.options, kinds))
        .transpose()?;
    let options = option_set(file.letters.as_deref(), file.flags.as_deref(), &file.options, kinds)?;
    let operands = file
        .operands
        .into_iter()
        .map(|o| {
            if o.min > o.max || o.max == 0 || o.max > MAX_WORDS {
                return Err(format!("cannot have {} to {} operands", o.min, o.max));
            }
            Ok(Operands { value: value(&o.kind, kinds)?, min: o.min, max: o.max })
        })
        .collect::<Result<_, String>>()?;
    let required: Vec<Vec<String>> = file.require.iter().map(|names| alternatives(names)).collect();
    let known = |name: &String| {
        options.names().any(|n| n == *name)
            || before.as_ref().is_some_and(|before| before.names().any(|n| n == *name))
    };
    if let Some(name) = required.iter().flatten().find(|name| !known(name)) {
        return Err(format!("requires {name}, which is not among its options"));
    }
    Ok(Form {
        words: file.words.iter().map(|names| alternatives(names)).collect(),
        before,
        options,
        place: match file.place {
            PlaceFile::Anywhere => Place::Anywhere,
            PlaceFile::BehindSubcommand => Place::BehindSubcommand,
            PlaceFile::BeforeOperands => Place::BeforeOperands,
        },
        required,
        operands,
        end_of_options: file.end,
    })
}

fn option_set(
    letters: Option<&str>,
    flags: Option<&str>,
    options: &BTreeMap<String, String>,
    kinds: &Kinds,
) -> Result<OptionSet, String> {
    let mut set =
        OptionSet { letters: letters.unwrap_or_default().chars().collect(), ..OptionSet::default() };
    if let Some(bad) = set.letters.iter().find(|letter| !letter.is_ascii_alphanumeric()) {
        return Err(format!("`{bad}` is not the letter of an option"));
    }
    for flag in flags.unwrap_or_default().split_whitespace() {
        if flag == "--" || flag == "-" || (set.bundles() && is_cluster(flag)) {
            return Err(format!("`{flag}` cannot be told from short options that stand together"));
        }
        if !set.flags.insert(flag.to_owned()) {
            return Err(format!("`{flag}` is there twice"));
        }
    }
    for (spellings, kind) in options {
        let value = value(kind, kinds)?;
        spellings.split(", ").try_for_each(|spelling| set.add(spelling, value.clone()))?;
    }
    Ok(set)
}

/// More than one letter behind one dash.
fn is_cluster(flag: &str) -> bool {
    flag.strip_prefix('-').is_some_and(|rest| !rest.starts_with('-') && rest.chars().count() > 1)
}

/// The kind called `name`, or one of several words: `a|b|c`.
fn value(name: &str, kinds: &Kinds) -> Result<Arc<Value>, String> {
    if name.contains('|') {
        let choices = alternatives(name);
        let like = choices.first().cloned().unwrap_or_default();
        let kind = Kind::one_of(choices).map_err(|error| error.to_string())?;
        return Ok(Arc::new(Value { name: name.into(), like, kind }));
    }
    let builtin = |kind, like: &str| Arc::new(Value { name: name.into(), like: like.into(), kind });
    match name {
        "word" => Ok(builtin(Kind::Word, "nginx")),
        "any" => Ok(builtin(Kind::Any, "some text")),
        "host" => Ok(builtin(Kind::Host, "db.example.com")),
        _ => kinds.get(name).cloned().ok_or_else(|| format!("there is no kind `{name}`")),
    }
}

/// The words of `a|b|c`; a long list goes on in the next line.
fn alternatives(names: &str) -> Vec<String> {
    names.split('|').map(|name| name.trim().to_owned()).collect()
}

// === impl OptionSet ===

impl OptionSet {
    /// Adds an option with a value in one spelling.
    fn add(&mut self, spelling: &str, value: Arc<Value>) -> Result<(), String> {
        let name = spelling
            .strip_suffix(VALUE)
            .filter(|name| !name.trim().is_empty())
            .ok_or_else(|| format!("`{spelling}` does not say where the value is"))?;
        let letter = name.trim_end_matches([' ', '=']).strip_prefix('-').and_then(|rest| {
            let mut chars = rest.chars();
            chars.next().filter(|c| c.is_ascii_alphanumeric() && chars.next().is_none())
        });
        let twice = if let Some(name) = name.strip_suffix(' ') {
            self.separate.insert(name.to_owned(), value).is_some()
        } else if name.ends_with('=') {
            self.joined.insert(name.to_owned(), value).is_some()
        } else if let Some(letter) = letter.filter(|_| self.bundles()) {
            self.glued.insert(letter, value).is_some()
        } else {
            let twice = self.prefixes.iter().any(|(prefix, _)| prefix == name);
            self.prefixes.push((name.to_owned(), value));
            twice
        };
        if twice || letter.is_some_and(|letter| self.letters.contains(&letter)) {
            return Err(format!("`{name}` is there twice"));
        }
        Ok(())
    }

    /// Every option by the name that [`read`](Self::read) tells.
    fn names(&self) -> impl Iterator<Item = String> {
        let letters = self.letters.iter().chain(self.glued.keys()).map(|letter| format!("-{letter}"));
        let joined = self.joined.keys().map(|name| name.trim_end_matches('=').to_owned());
        let words = self.flags.iter().chain(self.separate.keys()).cloned();
        letters.chain(joined).chain(words).chain(self.prefixes.iter().map(|(prefix, _)| prefix.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_sound() {
        let class = load(READ_ONLY).unwrap();
        assert!(class.by_program.len() >= 60, "{} programs", class.by_program.len());
    }

    fn with_form(form: &str) -> Result<Class, String> {
        let examples = "match: [a, b, c], not_match: [a, b, c, d]";
        load(&format!(
            "means: x\nkinds: {{}}\ncommands: [{{programs: [p], source: p(1), {examples}, forms: [{form}]}}]"
        ))
    }

    #[test]
    fn a_slip_in_the_data_is_an_error() {
        assert!(with_form("{letters: ab, flags: --all, options: {'-n _, --n=_': word}}").is_ok());
        for slip in [
            "{lettres: ab}",
            "{letters: a-b}",
            "{letters: ab, flags: -xy}",
            "{letters: ab, flags: --}",
            "{letters: ab, options: {'-a _': word}}",
            "{options: {'-n': word}}",
            "{options: {'_': word}}",
            "{options: {'-n _': nothing}}",
            "{options: {'-n _, -n _': word}}",
            "{flags: --all --all}",
            "{require: [-x], letters: y}",
            "{operands: [{kind: word, min: 2, max: 1}]}",
            "{operands: [{kind: word, max: 1000}]}",
            "{place: first}",
        ] {
            assert!(with_form(slip).is_err(), "{slip}");
        }
    }
}
