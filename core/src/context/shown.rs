//! Characters that a reader sees: what shows nothing, or turns text around, would let two values look alike.

/// Control-like characters of Unicode beyond `char::is_control`: formats, separators, blanks that are no plain space,
/// private use, and what is ignored by default.
const NOT_SHOWN: [std::ops::RangeInclusive<char>; 35] = [
    '\u{A0}'..='\u{A0}',
    '\u{AD}'..='\u{AD}',
    '\u{34F}'..='\u{34F}',
    '\u{600}'..='\u{605}',
    '\u{61C}'..='\u{61C}',
    '\u{6DD}'..='\u{6DD}',
    '\u{70F}'..='\u{70F}',
    '\u{890}'..='\u{891}',
    '\u{8E2}'..='\u{8E2}',
    '\u{115F}'..='\u{1160}',
    '\u{1680}'..='\u{1680}',
    '\u{17B4}'..='\u{17B5}',
    '\u{180B}'..='\u{180F}',
    '\u{2000}'..='\u{200F}',
    '\u{2028}'..='\u{202F}',
    '\u{205F}'..='\u{206F}',
    '\u{2800}'..='\u{2800}',
    '\u{3000}'..='\u{3000}',
    '\u{3164}'..='\u{3164}',
    '\u{E000}'..='\u{F8FF}',
    '\u{FDD0}'..='\u{FDEF}',
    '\u{FE00}'..='\u{FE0F}',
    '\u{FEFF}'..='\u{FEFF}',
    '\u{FFA0}'..='\u{FFA0}',
    '\u{FFF0}'..='\u{FFFB}',
    '\u{FFFE}'..='\u{FFFF}',
    '\u{110BD}'..='\u{110BD}',
    '\u{110CD}'..='\u{110CD}',
    '\u{13430}'..='\u{1343F}',
    '\u{1BCA0}'..='\u{1BCA3}',
    '\u{1D173}'..='\u{1D17A}',
    '\u{E0000}'..='\u{E0FFF}',
    '\u{F0000}'..='\u{FFFFF}',
    '\u{100000}'..='\u{10FFFF}',
    '\u{1FFFE}'..='\u{1FFFF}',
];

/// Whether a reader sees the character as itself.
pub(super) fn is_shown(c: char) -> bool {
    matches!(c, ' '..='~') || !(c.is_control() || NOT_SHOWN.iter().any(|range| range.contains(&c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_shown_and_what_hides_is_not() {
        assert!("Grüße naïve 日本語 путь عربى € – … e\u{301}".chars().all(is_shown));
        for c in
            "\0\t\n\u{7f}\u{85}\u{a0}\u{ad}\u{200b}\u{200e}\u{2028}\u{202e}\u{2066}\u{3164}\u{feff}\u{e0041}"
                .chars()
        {
            assert!(!is_shown(c), "{:04x}", u32::from(c));
        }
    }
}
