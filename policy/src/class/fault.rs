//! Why a command is outside a form, and how that is said to a person.

/// Most alternatives that are spelled out: enough to see what kind is meant.
const MAX_CHOICES: usize = 4;
/// Longest quotation of a word, in characters: enough to recognise it.
const MAX_QUOTED_CHARS: usize = 80;

/// The first thing that was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// How many words behind the program were understood before it.
    pub(super) at: usize,
    pub(super) why: Why,
}

/// What was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// Not listed; `word` is where it stands, which is the option itself unless short ones stand together.
    UnknownOption { option: String, word: String },
    /// The form does without `--`, or it stands before the subcommand.
    EndOfOptions,
    /// Options end at the first operand.
    OptionAfterOperand { option: String },
    /// Nothing behind an option that takes a value.
    NoValue { option: String, like: String },
    /// The value of an option is of another kind.
    Value { option: String, value: String, like: String },
    /// A word where a subcommand is expected, or nothing.
    Subcommand { word: Option<String>, expected: Vec<String> },
    /// A word that no operand may be, or one too many.
    Operand { word: String },
    /// Operands are missing.
    TooFew { like: String },
    /// An option without which the program does more than reading.
    Required { names: Vec<String> },
}

// === impl Fault ===

impl Fault {
    /// As a sentence without a capital letter at its start.
    pub(super) fn describe(&self, program: &str) -> String {
        let forms = format!("the read-only forms of {program}");
        match &self.why {
            Why::UnknownOption { option, word } if option == word => {
                format!("`{}` is not in {forms}", shorten(option))
            }
            Why::UnknownOption { option, word } => {
                format!("`{option}` in `{}` is not in {forms}", shorten(word))
            }
            Why::EndOfOptions => format!("`--` is not accepted at this place in {forms}"),
            Why::OptionAfterOperand { option } => {
                format!("`{}` must stand before the operands in {forms}", shorten(option))
            }
            Why::NoValue { option, like } => format!("`{option}` needs a value (like `{like}`) in {forms}"),
            Why::Value { option, value, like } => {
                format!("`{}` is not a value of `{option}` (like `{like}`) in {forms}", shorten(value))
            }
            Why::Subcommand { word: Some(word), expected } => {
                format!("`{}` is not in {forms}; {} is", shorten(word), choice(expected))
            }
            Why::Subcommand { word: None, expected } => {
                format!("{} is missing for {forms}", choice(expected))
            }
            Why::Operand { word } => format!("there is no place for `{}` in {forms}", shorten(word)),
            Why::TooFew { like } => format!("an operand (like `{like}`) is missing for {forms}"),
            Why::Required { names } => format!("{} is missing for {forms}", choice(names)),
        }
    }
}

fn choice(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(MAX_CHOICES).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(MAX_CHOICES) {
        0 => {}
        1 => shown.push("another one".into()),
        more => shown.push(format!("one of {more} others")),
    }
    shown.join(" or ")
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
