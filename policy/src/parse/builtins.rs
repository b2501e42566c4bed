//! First words that a login shell does not run as a program but does itself. The text sent to a host passes through
//! such a shell, so these are refused in lines and in argument lists alike.

use crate::refusal::RefusalCode;

/// Run text, or a command that is not the first word, or change what a name means (POSIX, bash, ksh, zsh).
const INDIRECT: [&str; 35] = [
    ".",
    "source",
    "eval",
    "exec",
    "command",
    "builtin",
    "time",
    "let",
    "nameref",
    "mapfile",
    "readarray",
    "compgen",
    "complete",
    "compopt",
    "enable",
    "bind",
    "fc",
    "history",
    "emulate",
    "autoload",
    "zmodload",
    "noglob",
    "nocorrect",
    "zle",
    "sched",
    "print",
    "whence",
    "function",
    "functions",
    "vared",
    "zcompile",
    "zstyle",
    "foreach",
    "repeat",
    "end",
];

/// Change the state of the shell, which ends with the command or steers the next one.
const STATE: [&str; 36] = [
    "cd", "pushd", "popd", "dirs", "umask", "ulimit", "limit", "set", "unset", "shift", "export", "readonly",
    "declare", "typeset", "local", "integer", "float", "alias", "unalias", "trap", "shopt", "setopt",
    "unsetopt", "setenv", "unsetenv", "read", "getopts", "hash", "rehash", "exit", "return", "break",
    "continue", "logout", "suspend", "chdir",
];

/// Steer jobs of a shell that has none.
const JOBS: [&str; 6] = ["coproc", "bg", "fg", "jobs", "disown", "wait"];

/// Builtins that are harmless except that some shells evaluate an array subscript in their operands, and run the
/// substitution inside it: `test -v 'a[$(id)]'`.
const EVALUATE_SUBSCRIPTS: [&str; 4] = ["test", "[", "printf", "kill"];

/// Words that a shell reads as grammar when they stand first without quotes.
const RESERVED: [&str; 15] = [
    "if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in",
    "function", "select",
];

/// Why `words`, program first, may not be a simple command; `None` when it may.
pub(crate) fn problem<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<(RefusalCode, String)> {
    let program = words.next()?;
    if JOBS.contains(&program) {
        return Some((RefusalCode::Background, format!("`{program}` steers background jobs of the shell")));
    }
    if STATE.contains(&program) {
        return Some((RefusalCode::Environment, format!("`{program}` changes the state of the shell")));
    }
    if INDIRECT.contains(&program) {
        return Some((
            RefusalCode::Indirect,
            format!("`{program}` makes the shell itself run or change something"),
        ));
    }
    let substitutes = |word: &str| word.contains('[') && (word.contains('$') || word.contains('`'));
    if EVALUATE_SUBSCRIPTS.contains(&program) && words.any(substitutes) {
        return Some((
            RefusalCode::Indirect,
            format!("`{program}` may evaluate the subscript in an operand"),
        ));
    }
    None
}

/// What to do instead of `program`.
pub(crate) fn hint(program: &str) -> Option<&'static str> {
    Some(match program {
        "cd" | "pushd" | "popd" | "chdir" => {
            "use absolute paths, or the program's own option for a directory (`git -C`, `make -C`)"
        }
        "export" | "set" | "setenv" | "declare" | "typeset" => {
            "a job has no shell of its own: give the program options instead of variables"
        }
        "exec" | "command" | "builtin" | "eval" | "time" => "leave it out and name the program directly",
        "source" | "." => "run the script itself, by its path",
        "exit" | "return" => "leave it out: the exit status of the last command is the result",
        _ => return None,
    })
}

/// Whether a shell reads `word`, unquoted and first, as grammar.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}
