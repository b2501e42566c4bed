//! Words with globs of their own: what a host's shell could make of them.
//!
//! An allow rule takes one only when everything that it could become is allowed; a deny rule already when something is.

use lictor_core::command::{Piece, Word};

use super::{Element, Kind, Test};

/// Whether the word could expand to `text`. Wider than any shell: a `*` may cover slashes and a leading dot, and the
/// letters of a set may be any character.
pub(crate) fn could_be(word: &Word, text: &str) -> bool {
    let pieces: Vec<Piece<'_>> = word.pieces().collect();
    let text: Vec<char> = text.chars().collect();
    // places[n]: the pieces so far could be the first n characters.
    let mut places = vec![false; text.len() + 1];
    if let Some(first) = places.first_mut() {
        *first = true;
    }
    for piece in pieces {
        places = match piece {
            Piece::AnyText => {
                let mut reached = false;
                places
                    .iter()
                    .map(|place| {
                        reached |= place;
                        reached
                    })
                    .collect()
            }
            Piece::AnyChar | Piece::Set(_) => shifted(&places, 1, |_| true),
            Piece::Literal(literal) => {
                let literal: Vec<char> = literal.chars().collect();
                shifted(&places, literal.len(), |at| {
                    text.get(at..).is_some_and(|rest| rest.starts_with(&literal))
                })
            }
        };
    }
    places.last().copied().unwrap_or(false)
}

/// The places moved on by `by` characters, from where `may` says so.
fn shifted(places: &[bool], by: usize, may: impl Fn(usize) -> bool) -> Vec<bool> {
    let from = |to: usize| to.checked_sub(by).filter(|at| places.get(*at) == Some(&true) && may(*at));
    (0..places.len()).map(|to| from(to).is_some()).collect()
}

/// The last component of the word, which names a program; globs included.
pub(crate) fn base_name(word: &Word) -> Option<Word> {
    let cut = word.as_str().rfind('/').map_or(0, |at| at + 1);
    let globs: Vec<usize> = word.globs().iter().filter_map(|at| at.checked_sub(cut)).collect();
    Word::with_globs(word.as_str().get(cut..)?, &globs).ok()
}

/// Whether a deny test could be met by something that the word expands to; yes when in doubt.
pub(crate) fn could_meet(test: &Test, word: &Word) -> bool {
    match test {
        Test::Literal(text) => could_be(word, text),
        Test::Slot { prefix, kind: Kind::OneOf(choices), suffix } => {
            choices.iter().any(|choice| could_be(word, &format!("{prefix}{choice}{suffix}")))
        }
        Test::Slot { prefix, kind: Kind::Path(root), .. } if prefix.is_empty() => could_be_under(word, root),
        Test::Slot { prefix, .. } => {
            let before = literal_start(word);
            before.starts_with(prefix.as_str()) || prefix.starts_with(before)
        }
    }
}

/// Whether the word could expand to a path at or under `root`; yes when the text does not tell.
fn could_be_under(word: &Word, root: &str) -> bool {
    let text = word.as_str();
    // Zsh looks through all levels for `**`; other words are not plain paths.
    let is_plain = text.starts_with('/') && !text.contains("**") && segments_stay(word);
    let mut segments = segments(word).skip(1);
    let mut matched = root.split('/').skip(1).filter(|name| !name.is_empty());
    !is_plain || matched.all(|name| segments.next().is_some_and(|segment| could_be(&segment, name)))
}

/// The word cut at slashes, with the globs of each piece.
fn segments(word: &Word) -> impl Iterator<Item = Word> {
    let mut start = 0;
    word.as_str().split('/').filter_map(move |segment| {
        let place = start..start + segment.len();
        start = place.end + 1;
        let globs: Vec<usize> =
            word.globs().iter().filter(|at| place.contains(at)).map(|at| at - place.start).collect();
        Word::with_globs(segment, &globs).ok()
    })
}

/// Whether everything that the word can expand to, however many words that are, fits an element of a rule that lets
/// hosts expand globs: a repeated path slot whose root stands literally before the first glob.
pub(crate) fn always_fits(element: &Element, word: &Word) -> bool {
    let Test::Slot { prefix, kind: Kind::Path(root), suffix } = &element.test else { return false };
    let before = literal_start(word);
    let below_root =
        before.strip_prefix(root.as_str()).is_some_and(|rest| root == "/" || rest.starts_with('/'));
    element.repeat && prefix.is_empty() && suffix.is_empty() && below_root && segments_stay(word)
}

/// The text before the first glob.
fn literal_start(word: &Word) -> &str {
    match word.pieces().next() {
        Some(Piece::Literal(text)) => text,
        _ => "",
    }
}

/// Whether no segment is empty, `.` or `..` or could become one: shells differ on whether `.*` means `..` too.
fn segments_stay(word: &Word) -> bool {
    let text = word.as_str();
    let mut start = 0;
    text.split('/').enumerate().all(|(index, segment)| {
        let place = start..start + segment.len();
        start = place.end + 1;
        let has_glob = word.globs().iter().any(|at| place.contains(at));
        let first_is_open = segment.starts_with('.') || (segment.starts_with('[') && segment.contains('.'));
        match segment {
            "" => index == 0,
            "." | ".." => false,
            _ => !(has_glob && first_is_open),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(line: &str) -> Word {
        let input = lictor_core::job::CommandInput::Line(format!("x {line}"));
        let command = crate::parse_command_with_globs(&input).unwrap();
        command.simples().next().unwrap().words()[1].clone()
    }

    #[test]
    fn a_glob_could_be_what_a_shell_makes_of_it() {
        for (glob, text) in [
            ("/etc/shad*", "/etc/shadow"),
            ("/???/rm", "/bin/rm"),
            ("/et[abc]/*", "/etc/x"),
            ("*", ""),
            ("a*b*c", "aXbYc"),
            ("'*'*", "*x"),
        ] {
            assert!(could_be(&word(glob), text), "{glob} {text}");
        }
        for (glob, text) in
            [("/etc/pass*", "/etc/shadow"), ("/?/rm", "/bin/rm"), ("'*'x", "ax"), ("a*b", "ac")]
        {
            assert!(!could_be(&word(glob), text), "{glob} {text}");
        }
    }

    #[test]
    fn only_globs_below_the_root_of_a_repeated_path_fit() {
        let element = |repeat| Element {
            test: Test::Slot {
                prefix: String::new(),
                kind: Kind::path("/var/log").unwrap(),
                suffix: String::new(),
            },
            repeat,
            skip_to: None,
        };
        for fits in ["/var/log/*", "/var/log/*.gz", "/var/log/nginx/access?.log", "/var/log/[a-c]*/x"] {
            assert!(always_fits(&element(true), &word(fits)), "{fits}");
            assert!(!always_fits(&element(false), &word(fits)), "{fits} may be many words");
        }
        for bad in [
            "/var/*",
            "/var/log*",
            "/var/log/.*",
            "/var/log/.*/.*",
            "/var/log/../*",
            "/var/log/*/../x",
            "/var/log//*",
            "/var/log/[.]*",
            "*",
            "/*/log/x",
        ] {
            assert!(!always_fits(&element(true), &word(bad)), "{bad}");
        }
    }
}
