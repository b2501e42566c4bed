//! Operands that a shell's own `test`, `[`, `printf` or `kill` evaluates instead of just reading them.
//!
//! A subscript is an arithmetic expression, and arithmetic runs the substitutions in it: `test -v 'a[$(id)]'`. The text
//! may also come from a variable that the command itself has set: after `echo 'a[$(id)]'`, bash runs `id` for
//! `test -v 'b[_]'`, and shells that calculate the operands of `-eq` or `%d` (ksh, zsh) run it for `test _ -eq 1`.

/// Builtins of every shell that also exist as programs; by their path they are plain programs and not judged here.
const EVALUATORS: [&str; 4] = ["test", "[", "printf", "kill"];

/// Their operand is the name of a variable.
const TESTS_OF_VARIABLES: [&str; 2] = ["-v", "-R"];

/// Some shells calculate the operands on both sides.
const COMPARISONS: [&str; 6] = ["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];

/// Some shells calculate the file descriptor.
const TERMINAL: &str = "-t";

/// Why the operands may not be given to `program`; `None` when they may.
pub(crate) fn problem(program: &str, operands: &[&str]) -> Option<String> {
    if !EVALUATORS.contains(&program) {
        return None;
    }
    if operands.iter().any(|word| word.contains('[')) {
        return Some(format!("the `{program}` of a shell may evaluate an operand with `[`"));
    }
    match program {
        "test" | "[" => test(program, operands),
        "printf" => printf(operands),
        _ => None,
    }
}

fn test(program: &str, operands: &[&str]) -> Option<String> {
    if let Some(option) = operands.iter().find(|word| TESTS_OF_VARIABLES.contains(word)) {
        return Some(format!("`{program} {option}` evaluates the name of a variable"));
    }
    let calculated = operands.iter().enumerate().find_map(|(index, word)| {
        let after = operands.get(index + 1);
        let before = index.checked_sub(1).and_then(|index| operands.get(index));
        let sides = match *word {
            TERMINAL => [None, after],
            comparison if COMPARISONS.contains(&comparison) => [before, after],
            _ => return None,
        };
        sides.into_iter().flatten().find(|side| **side != "]" && !is_number(side))
    });
    calculated
        .map(|word| format!("`{program}` compares numbers, and a shell may evaluate `{word}`, which is none"))
}

fn printf(operands: &[&str]) -> Option<String> {
    let (first, rest) = operands.split_first()?;
    let (format, values) = match *first {
        "--" => rest.split_first()?,
        option if option.starts_with('-') => {
            return Some(format!("`printf {option}` may set a variable of the shell"));
        }
        _ => (first, rest),
    };
    if !calculates(format) {
        return None;
    }
    let value = values.iter().find(|value| !is_number(value))?;
    Some(format!("`printf` is to print numbers, and a shell may evaluate `{value}`, which is none"))
}

/// Whether `format` has a conversion other than the ones of text, which only copy their operand. An escape may stand for
/// any character, for `%` too.
fn calculates(format: &str) -> bool {
    let mut escaped = format.split('\\').skip(1).filter_map(|after| after.chars().next());
    if escaped.any(|c| c.is_ascii_digit() || matches!(c, 'x' | 'u' | 'U')) {
        return true;
    }
    let mut rest = format;
    while let Some((_, after)) = rest.split_once('%') {
        let conversion = after.trim_start_matches(|c: char| c.is_ascii_digit() || "-+ #.'".contains(c));
        let mut chars = conversion.chars();
        if !matches!(chars.next(), Some('s' | 'b' | 'c' | 'q' | '%') | None) {
            return true;
        }
        rest = chars.as_str();
    }
    false
}

/// Digits with a sign or a point: nothing in which a name could stand.
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        problem(words[0], &words[1..]).is_some()
    }

    #[test]
    fn nothing_that_a_shell_would_evaluate_passes() {
        for line in [
            "test -v b[_]",
            "test -v b",
            "test -R b",
            "[ -v b[_] ]",
            "[ x -a -v b ]",
            "test a[$(id)] -eq 1",
            "[ 1 -lt _ ]",
            "test _ -eq 1",
            "test -t _",
            "test ! -t fd",
            "printf -v x y",
            "printf -vx y",
            "printf -v a[0] y",
            "printf %s a[0]",
            "printf %d _",
            "printf -- %d _",
            "printf %5.*f 1 _",
            "printf %s%x 1 b",
            "printf %(%F)T _",
            "printf \\045d _",
            "printf %\\x64 _",
            "kill %a[0]",
            "kill a[`id`]",
        ] {
            assert!(refused(line), "{line}");
        }
    }

    #[test]
    fn what_is_only_read_passes() {
        for line in [
            "test -f /etc/passwd",
            "[ -f /etc/passwd ]",
            "[ 1 -eq 2 ]",
            "test -5 -lt 3",
            "[ -t ]",
            "test -t 1",
            "[ a = b ]",
            "[ ]",
            "printf %s\\n -v",
            "printf -- %s a",
            "printf %d%% 5",
            "printf %-10s|%b a b",
            "printf",
            "kill -TERM 42",
            "/usr/bin/test -v b[_]",
            "echo a[0]",
        ] {
            assert!(!refused(line), "{line}");
        }
    }
}
