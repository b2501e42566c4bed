//! First words that a login shell does not run as a program but does itself. The text sent to a host passes through
//! such a shell, so these are refused in lines and in argument lists alike.

use super::operands;
use crate::refusal::RefusalCode;

/// Run text, or a command that is not the first word, or change what a name means (POSIX, dash, bash, ksh, mksh, zsh).
const INDIRECT: [&str; 63] = [
    ".",
    "@",
    "autoload",
    "bind",
    "bindkey",
    "builtin",
    "caller",
    "command",
    "comparguments",
    "compcall",
    "compctl",
    "compdescribe",
    "compfiles",
    "compgen",
    "compgroups",
    "complete",
    "compopt",
    "compound",
    "compquote",
    "comptags",
    "comptry",
    "compvalues",
    "disable",
    "echotc",
    "echoti",
    "emulate",
    "enable",
    "end",
    "enum",
    "eval",
    "exec",
    "extproc",
    "fc",
    "foreach",
    "function",
    "functions",
    "getln",
    "hist",
    "history",
    "let",
    "mapfile",
    "nameref",
    "nocorrect",
    "noglob",
    "print",
    "pushln",
    "r",
    "readarray",
    "repeat",
    "sched",
    "source",
    "time",
    "ttyctl",
    "vared",
    "whence",
    "zcompile",
    "zformat",
    "zle",
    "zmodload",
    "zparseopts",
    "zprof",
    "zregexparse",
    "zstyle",
];

/// Change the state of the shell, which ends with the command or steers the next one.
const STATE: [&str; 47] = [
    "alias",
    "break",
    "bye",
    "cd",
    "chdir",
    "continue",
    "declare",
    "dirs",
    "exit",
    "export",
    "float",
    "getopts",
    "global",
    "hash",
    "integer",
    "limit",
    "local",
    "login",
    "logout",
    "newgrp",
    "popd",
    "private",
    "pushd",
    "read",
    "readonly",
    "redirect",
    "rehash",
    "return",
    "set",
    "setenv",
    "setopt",
    "shift",
    "shopt",
    "suspend",
    "trap",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unfunction",
    "unhash",
    "unlimit",
    "unset",
    "unsetenv",
    "unsetopt",
    "vmap",
    "vpath",
];

/// Steer jobs of a shell that has none.
const JOBS: [&str; 7] = ["bg", "coproc", "disown", "fg", "jobs", "stop", "wait"];

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
    let operands: Vec<&str> = words.collect();
    operands::problem(program, &operands).map(|message| (RefusalCode::Indirect, message))
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
        "test" => "name the program instead of the builtin: `/usr/bin/test`",
        "[" => "name the program instead of the builtin: `/usr/bin/test`, without the brackets",
        "printf" => "name the program instead of the builtin: `/usr/bin/printf`",
        "kill" => "name the program instead of the builtin: `/usr/bin/kill` or `/bin/kill`",
        "exit" | "return" => "leave it out: the exit status of the last command is the result",
        _ => return None,
    })
}

/// Whether a shell reads `word`, unquoted and first, as grammar.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}
