//! Which characters a command may have at all, quoted or not.

use std::ops::Range;

use unicode_general_category::{GeneralCategory, get_general_category};

use crate::refusal::{Refusal, RefusalCode};

/// Characters that show nothing although their category says letter or mark: a reader and a machine would see two
/// different commands. From Unicode's Default_Ignorable_Code_Point, plus the blank braille cell.
const SHOWS_NOTHING: [std::ops::RangeInclusive<char>; 11] = [
    '\u{34F}'..='\u{34F}',
    '\u{115F}'..='\u{1160}',
    '\u{17B4}'..='\u{17B5}',
    '\u{180B}'..='\u{180F}',
    '\u{2065}'..='\u{2065}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{FE00}'..='\u{FE0F}',
    '\u{FFA0}'..='\u{FFA0}',
    '\u{FFF0}'..='\u{FFF8}',
    '\u{E0000}'..='\u{E0FFF}',
];

/// Refuses the first character of `text` that no command may have; with `spans`, says where it is.
pub(crate) fn check(text: &str, spans: bool) -> Result<(), Refusal> {
    for (at, c) in text.char_indices() {
        let Some((code, what)) = problem(c) else { continue };
        let span: Option<Range<usize>> = spans.then(|| at..at + c.len_utf8());
        return Err(Refusal::new(code, span, format!("the character U+{:04X} is {what}", u32::from(c))));
    }
    Ok(())
}

fn problem(c: char) -> Option<(RefusalCode, &'static str)> {
    if matches!(c, ' '..='~') {
        return None;
    }
    if matches!(c, '\n' | '\r') {
        return Some((RefusalCode::Newline, "a line break"));
    }
    if SHOWS_NOTHING.iter().any(|range| range.contains(&c)) {
        return Some((RefusalCode::Control, "invisible"));
    }
    let what = match get_general_category(c) {
        GeneralCategory::Control => "a control character",
        GeneralCategory::Format => "invisible or changes the direction of text",
        GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator => "a line separator",
        GeneralCategory::SpaceSeparator => "a space other than the plain one",
        GeneralCategory::PrivateUse => "for private use and means nothing to others",
        GeneralCategory::Unassigned | GeneralCategory::Surrogate => "not assigned in Unicode",
        _ => return None,
    };
    Some((RefusalCode::Control, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_invisible_passes() {
        for c in [
            '\0',
            '\t',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{202e}',
            '\u{2066}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffff}',
            '\u{fdd0}',
            '\u{e000}',
            '\u{e0041}',
            '\u{e01ef}',
            '\u{378}',
            '\u{10ffff}',
        ] {
            assert_eq!(
                check(&format!("a{c}"), true).unwrap_err().code,
                RefusalCode::Control,
                "{:04x}",
                u32::from(c)
            );
        }
        assert_eq!(check("a\nb", true).unwrap_err().code, RefusalCode::Newline);
    }

    #[test]
    fn what_people_write_passes() {
        for text in ["Grüße", "naïve", "日本語", "путь", "عربى", "€ – …", "e\u{301}"] {
            assert_eq!(check(text, true), Ok(()), "{text}");
        }
    }
}
