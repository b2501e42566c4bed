//! When a word is what a deny pattern names, in whatever spelling: the same path, the same number, any word where the
//! rule says "some word". Where the text does not tell, the answer is yes.

use crate::pattern::{Kind, Test};

/// Whether `word`, not the program, is what `test` denies.
pub(super) fn denies(test: &Test, word: &str) -> bool {
    match test {
        Test::Literal(text) => is_same(text, word),
        Test::Slot { prefix, kind, suffix } if is_absolute(prefix) => match normal(word) {
            Some(path) => between(&path, prefix, suffix).is_some_and(|value| admits(kind, value)),
            None => true,
        },
        Test::Slot { prefix, kind, suffix } => {
            between(word, prefix, suffix).is_some_and(|value| admits(kind, value))
        }
    }
}

/// Whether `word`, in the place of the program, is what `test` denies. A program without a slash is found by its name
/// and is no relative path.
pub(super) fn denies_program(test: &Test, word: &str) -> bool {
    match test {
        Test::Slot { prefix, kind: Kind::Path(_), .. } if prefix.is_empty() && !word.contains('/') => false,
        Test::Slot { prefix, .. } if is_absolute(prefix) && !word.contains('/') => false,
        // These are compared by their last component already.
        Test::Literal(_) | Test::Slot { kind: Kind::OneOf(_), .. } => test.accepts(word),
        Test::Slot { .. } => denies(test, word),
    }
}

fn between<'w>(word: &'w str, prefix: &str, suffix: &str) -> Option<&'w str> {
    word.strip_prefix(prefix)?.strip_suffix(suffix)
}

fn admits(kind: &Kind, word: &str) -> bool {
    match kind {
        Kind::Word | Kind::Any | Kind::Host => true,
        Kind::OneOf(choices) => choices.iter().any(|choice| is_same(choice, word)),
        Kind::Int { min, max } => may_be_between(word, *min, *max),
        Kind::Path(root) => match word.strip_prefix('-') {
            // An option is no path, but may have one in it.
            Some(option) => option
                .find('/')
                .is_some_and(|at| option.get(at..).and_then(normal).is_none_or(|path| is_under(&path, root))),
            None => normal(word).is_none_or(|path| is_under(&path, root)),
        },
        Kind::Regex { .. } => {
            kind.accepts(word)
                || (is_absolute(word) && normal(word).is_none_or(|path| path != word && kind.accepts(&path)))
        }
    }
}

/// The same text, or two spellings of a path: relative to some directory, or with `..`, counts when it may be it.
fn is_same(text: &str, word: &str) -> bool {
    if text == word {
        return true;
    }
    let Some(path) = normal(text) else { return false };
    match normal(word) {
        Some(other) => other == path,
        None if word.split('/').any(|segment| segment == "..") => true,
        None => {
            let relative = segments(word).collect::<Vec<_>>().join("/");
            let is_here = relative.is_empty() && !word.is_empty();
            is_here || (!relative.is_empty() && path.ends_with(&format!("/{relative}")))
        }
    }
}

fn is_absolute(text: &str) -> bool {
    text.starts_with('/')
}

/// An absolute path without what does not change its meaning (`//`, `/./`, a slash at its end); `None` when its meaning
/// depends on the host: it is relative, or goes up, perhaps from behind a symbolic link.
fn normal(path: &str) -> Option<String> {
    if !is_absolute(path) || path.split('/').any(|segment| segment == "..") {
        return None;
    }
    Some(format!("/{}", segments(path).collect::<Vec<_>>().join("/")))
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !matches!(*segment, "" | "."))
}

fn is_under(path: &str, root: &str) -> bool {
    root == "/" || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether some program reads `word` as a number in the range: with a sign, with leading zeros that mean nothing or that
/// mean octal. A word that only begins like a number (`0x7f`, `1e3`, `90s`) or is too large may be any.
fn may_be_between(word: &str, min: i64, max: i64) -> bool {
    let word = word.trim();
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return true;
    }
    let within = |radix| {
        let value = i64::from_str_radix(digits, radix).ok()?;
        Some((min..=max).contains(&if negative { -value } else { value }))
    };
    within(10).unwrap_or(true) || (digits.starts_with('0') && within(8).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(kind: Kind) -> Test {
        Test::Slot { prefix: String::new(), kind, suffix: String::new() }
    }

    #[track_caller]
    fn check(test: &Test, denied: &[&str], passed: &[&str]) {
        for word in denied {
            assert!(denies(test, word), "{test:?} must deny {word}");
        }
        for word in passed {
            assert!(!denies(test, word), "{test:?} must not deny {word}");
        }
    }

    #[test]
    fn a_path_is_denied_in_every_spelling() {
        check(
            &slot(Kind::path("/root").unwrap()),
            &[
                "/root",
                "/root/",
                "//root/x",
                "/./root",
                "/root/./x",
                "/tmp/../root",
                "/root/../tmp",
                "x",
                "../x",
                "./x",
                "",
                "~/x",
            ],
            &["/rooted", "/tmp/x", "/tmp//x/", "/"],
        );
        check(
            &Test::Literal("/etc/shadow".into()),
            &[
                "/etc/shadow",
                "//etc///shadow",
                "/etc/./shadow",
                "/etc/x/../shadow",
                "shadow",
                "etc/shadow",
                ".",
                "./shadow",
            ],
            &["/etc/shadow.bak", "/etc", "hadow", "-n", ""],
        );
        let conf = Test::Slot { prefix: "/etc/".into(), kind: Kind::Word, suffix: ".conf".into() };
        check(
            &conf,
            &["/etc/a.conf", "//etc/./a.conf", "/etc/ssh/a.conf", "/x/../etc/a.conf", "a.conf"],
            &["/etc/a.cfg", "/opt/a.conf"],
        );
    }

    #[test]
    fn a_number_is_denied_in_every_spelling() {
        check(
            &slot(Kind::int(1, 9).unwrap()),
            &["1", "01", "+1", " 1", "0x1", "1.0", "1s", "011", ".5", "99999999999999999999"],
            &["0", "10", "-1", "x", "", "+", "-"],
        );
        check(&slot(Kind::int(8, 8).unwrap()), &["8", "010"], &["10", "9", "7"]);
    }

    #[test]
    fn some_word_is_every_word() {
        for kind in [Kind::Word, Kind::Any, Kind::Host] {
            check(&slot(kind), &["", "-x", "a b", "日", "*", "127.1"], &[]);
        }
    }
}
