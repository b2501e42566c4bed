//! What an allow pattern must not do by accident: let a caller choose a program, or an option.

use super::{Element, Kind, Pattern, Test, deny};

/// Run what their operands, options or input say.
const RUNS_OTHERS: [&str; 87] = [
    "Rscript",
    "ash",
    "at",
    "bash",
    "batch",
    "bun",
    "busybox",
    "bwrap",
    "capsh",
    "cgexec",
    "chroot",
    "chrt",
    "csh",
    "dash",
    "dbus-run-session",
    "deno",
    "doas",
    "entr",
    "env",
    "expect",
    "fakeroot",
    "firejail",
    "fish",
    "flock",
    "gdb",
    "guile",
    "ionice",
    "irb",
    "java",
    "julia",
    "ksh",
    "ld.so",
    "ltrace",
    "lua",
    "mksh",
    "newgrp",
    "nice",
    "node",
    "nodejs",
    "nohup",
    "npm",
    "npx",
    "nsenter",
    "numactl",
    "parallel",
    "perf",
    "perl",
    "php",
    "pkexec",
    "pnpm",
    "powershell",
    "prlimit",
    "pwsh",
    "pypy",
    "python",
    "rlwrap",
    "rsh",
    "ruby",
    "run-parts",
    "runuser",
    "screen",
    "script",
    "setarch",
    "setpriv",
    "setsid",
    "sg",
    "sh",
    "ssh",
    "start-stop-daemon",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "taskset",
    "tclsh",
    "tcsh",
    "time",
    "timeout",
    "tmux",
    "unshare",
    "valgrind",
    "watch",
    "wish",
    "xargs",
    "yarn",
    "zsh",
];

/// Do something else, but can be talked into running programs: by an option, a subcommand, a pager or an editor.
const CAN_ESCAPE: [&str; 43] = [
    "apt",
    "apt-get",
    "awk",
    "cpio",
    "crontab",
    "curl",
    "docker",
    "ed",
    "emacs",
    "ex",
    "find",
    "ftp",
    "gawk",
    "git",
    "helm",
    "info",
    "ip",
    "kubectl",
    "less",
    "logrotate",
    "make",
    "man",
    "mawk",
    "more",
    "mysql",
    "nano",
    "nmap",
    "pip",
    "podman",
    "psql",
    "rsync",
    "scp",
    "sed",
    "sftp",
    "socat",
    "sqlite3",
    "systemctl",
    "tar",
    "tcpdump",
    "vi",
    "view",
    "vim",
    "zip",
];

/// Wrappers whose first operand is the program; the rest of the pattern is judged as that program's.
const TRANSPARENT: [&str; 8] = ["sudo", "doas", "env", "nohup", "setsid", "nice", "ionice", "time"];

/// Take operands from their input, so that no pattern can spell everything out.
const READS_OPERANDS: [&str; 2] = ["xargs", "parallel"];

/// Of those that can escape, what does nothing but print when it is given no operand.
const HARMLESS_ALONE: [&str; 2] = ["systemctl", "ip"];

/// The dynamic loader, which runs the program that it is given: `ld-linux-x86-64.so.2`, `ld-musl-aarch64.so.1`.
const LOADERS: [&str; 2] = ["ld-linux", "ld-musl"];

/// Why the pattern lets its caller start a program that the rule does not name; `None` when it does not.
pub(crate) fn starts_programs(pattern: &Pattern) -> Option<String> {
    let mut elements = pattern.elements();
    while let Some((program, args)) = elements.split_first() {
        let names: Vec<&str> =
            deny::spelled_out(Some(program)).iter().map(|name| deny::base_name(name)).collect();
        let of = |list: &[&str]| names.iter().find(|name| is_one_of(name, list)).copied();
        if let Some(name) = of(&READS_OPERANDS) {
            return Some(format!("`{name}` takes operands from its input, which no pattern covers"));
        }
        if !names.is_empty()
            && names.iter().all(|name| is_one_of(name, &TRANSPARENT))
            && args.first().is_some_and(is_plain_operand)
        {
            elements = args;
            continue;
        }
        if let Some(name) = of(&RUNS_OTHERS) {
            return runs_others(name, args);
        }
        return of(&CAN_ESCAPE).and_then(|name| can_escape(name, args));
    }
    None
}

/// Why a word may start with a dash although the rule does not spell the option out.
pub(crate) fn leading_dash(pattern: &Pattern) -> Option<String> {
    pattern.elements().iter().find_map(|element| match &element.test {
        Test::Slot { prefix, kind, .. } if prefix.is_empty() => {
            kind.admits_leading_dash().then(|| describe(kind))
        }
        Test::Slot { prefix, .. } if prefix.bytes().all(|b| b == b'-') => {
            Some(format!("`{prefix}` before a slot makes any option"))
        }
        _ => None,
    })
}

/// The programs that the pattern spells out, as it spells them; an allow rule must have one.
pub(crate) fn programs(pattern: &Pattern) -> &[String] {
    deny::programs(pattern)
}

/// Whether `name` is in `list`, as it is or by a name with a version or a variant behind it: `python3.11`, `gawk-5.1`,
/// `vim.basic`.
fn is_one_of(name: &str, list: &[&str]) -> bool {
    let variant = name.split('.').next().unwrap_or(name);
    let is_version = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    let spellings = [name, variant, name.trim_end_matches(is_version), variant.trim_end_matches(is_version)];
    let is_loader = LOADERS.iter().any(|loader| name.starts_with(loader));
    spellings.iter().any(|spelling| list.contains(spelling)) || (is_loader && list.contains(&"ld.so"))
}

fn runs_others(name: &str, args: &[Element]) -> Option<String> {
    if !args.iter().any(|arg| is_plain_operand(arg) || is_closed_slot(arg)) {
        return Some(format!("`{name}` without an operand runs what it reads from its input"));
    }
    let open =
        args.iter().any(|arg| !matches!(arg.test, Test::Literal(_)) && (arg.repeat || !is_closed_slot(arg)));
    open.then(|| {
        format!("`{name}` runs what its operands say, and the pattern leaves one of them to the caller")
    })
}

fn can_escape(name: &str, args: &[Element]) -> Option<String> {
    if args.is_empty() && !HARMLESS_ALONE.contains(&name) {
        return Some(format!("`{name}` by its bare name can be talked into starting programs"));
    }
    let open = args.iter().enumerate().any(|(index, arg)| match &arg.test {
        Test::Literal(_) => false,
        Test::Slot { kind, .. } => {
            matches!(kind, Kind::Any | Kind::Regex { .. })
                || (arg.repeat && !is_closed_slot(arg))
                || (index == 0 && matches!(kind, Kind::Word))
        }
    });
    open.then(|| format!("`{name}` can start programs, and the pattern leaves free words to the caller"))
}

/// A literal that is neither an option nor an assignment.
fn is_plain_operand(element: &Element) -> bool {
    element.skip_to.is_none()
        && matches!(&element.test, Test::Literal(t) if !t.is_empty() && !t.starts_with('-') && !t.contains('='))
}

/// A slot whose values the rule lists or bounds.
const fn is_closed_slot(element: &Element) -> bool {
    matches!(&element.test, Test::Slot { kind: Kind::OneOf(_) | Kind::Int { .. } | Kind::Host, .. })
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Regex { source, .. } => format!("`<re:{source}>` admits a word that starts with a dash"),
        Kind::Int { min, .. } => format!("a number from {min} starts with a dash"),
        _ => "a slot admits a word that starts with a dash".into(),
    }
}
