//! The long form of a pattern: a list of literal words and of maps, for what the short form cannot say readably.

use super::{Element, Kind, Pattern, PatternError, Test};
use crate::file::{LongPatternFile, SlotFile, WordFile};

/// Builds the pattern; `end: true` is accepted only when `deny`.
pub(crate) fn build(file: &LongPatternFile, deny: bool) -> Result<Pattern, PatternError> {
    if file.end && !deny {
        return Err(PatternError(
            "`end` is only for deny rules: an allow pattern always covers the whole command".into(),
        ));
    }
    let mut elements = Vec::new();
    let mut text = Vec::new();
    for word in file.argv.iter().flatten() {
        let element = match word {
            WordFile::Literal(literal) => {
                Element { test: Test::Literal(literal.clone()), repeat: false, skip_to: None }
            }
            WordFile::Slot(slot) => element(slot, elements.len())?,
        };
        text.push(describe(&element));
        elements.push(element);
    }
    if file.end {
        text.push("<end>".into());
    }
    Pattern::new(elements, file.end, text.join(" "))
}

fn element(slot: &SlotFile, index: usize) -> Result<Element, PatternError> {
    Ok(Element {
        test: Test::Slot {
            prefix: slot.prefix.clone().unwrap_or_default(),
            kind: kind(slot)?,
            suffix: slot.suffix.clone().unwrap_or_default(),
        },
        repeat: slot.repeat,
        skip_to: slot.optional.then_some(index + 1),
    })
}

fn kind(slot: &SlotFile) -> Result<Kind, PatternError> {
    if [slot.word, slot.any, slot.host].contains(&Some(false)) {
        return Err(PatternError("a slot is chosen by `true`; leave the other kinds out".into()));
    }
    let mut kinds = Vec::new();
    kinds.extend(slot.word.map(|_| Ok(Kind::Word)));
    kinds.extend(slot.any.map(|_| Ok(Kind::Any)));
    kinds.extend(slot.host.map(|_| Ok(Kind::Host)));
    kinds.extend(slot.one_of.clone().map(Kind::one_of));
    kinds.extend(slot.int.as_ref().map(|int| Kind::int(int.min, int.max)));
    kinds.extend(slot.path.as_deref().map(Kind::path));
    kinds.extend(slot.regex.as_deref().map(Kind::regex));
    match (kinds.pop(), kinds.is_empty()) {
        (Some(kind), true) => kind,
        _ => Err(PatternError("a slot has exactly one of: word, any, host, one_of, int, path, regex".into())),
    }
}

/// The element as the short form would write it, for reasons and listings.
pub(crate) fn describe(element: &Element) -> String {
    let body = match &element.test {
        Test::Literal(text) if !text.is_empty() && text.bytes().all(crate::parse::scan::is_bare) => {
            text.clone()
        }
        Test::Literal(text) => format!("'{text}'"),
        Test::Slot { prefix, kind, suffix } => {
            let kind = match kind {
                Kind::Word => "word".into(),
                Kind::Any => "any".into(),
                Kind::Host => "host".into(),
                Kind::OneOf(choices) => format!("one-of:{}", choices.join("|")),
                Kind::Int { min, max } => format!("int:{min}..{max}"),
                Kind::Path(root) => format!("path:{root}"),
                Kind::Regex { source, .. } => format!("re:{source}"),
            };
            format!("{prefix}<{kind}>{suffix}")
        }
    };
    let repeated = if element.repeat { "..." } else { "" };
    if element.skip_to.is_some() { format!("[{body}{repeated}]") } else { format!("{body}{repeated}") }
}
