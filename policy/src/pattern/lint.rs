//! What an allow pattern must not do by accident: let a caller choose a program, or an option.

use super::{Element, Kind, Pattern, Test, deny};

/// Run what their operands, options or input say.
const RUNS_OTHERS: [&str; 52] = [
    "ash",
    "bash",
    "busybox",
    "chroot",
    "csh",
    "dash",
    "doas",
    "entr",
    "env",
    "fish",
    "flock",
    "gdb",
    "ionice",
    "ksh",
    "lua",
    "mksh",
    "node",
    "nohup",
    "nice",
    "nsenter",
    "parallel",
    "perl",
    "php",
    "pkexec",
    "powershell",
    "pwsh",
    "python",
    "python2",
    "python3",
    "rsh",
    "ruby",
    "runuser",
    "screen",
    "script",
    "setpriv",
    "setsid",
    "sh",
    "ssh",
    "start-stop-daemon",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "tclsh",
    "tcsh",
    "timeout",
    "tmux",
    "unshare",
    "watch",
    "xargs",
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
    "pip3",
    "podman",
    "psql",
    "rsync",
    "scp",
    "sed",
    "sftp",
    "socat",
    "sqlite3",
    "tar",
    "tcpdump",
    "vi",
    "view",
    "vim",
    "zip",
];

/// Wrappers whose first operand is the program; the rest of the pattern is judged as that program's.
const TRANSPARENT: [&str; 7] = ["sudo", "doas", "env", "nohup", "setsid", "nice", "ionice"];

/// Take operands from their input, so that no pattern can spell everything out.
const READS_OPERANDS: [&str; 2] = ["xargs", "parallel"];

/// Why the pattern lets its caller start a program that the rule does not name; `None` when it does not.
pub(crate) fn starts_programs(pattern: &Pattern) -> Option<String> {
    let mut elements = pattern.elements();
    while let Some((program, args)) = elements.split_first() {
        let names: Vec<&str> =
            deny::spelled_out(Some(program)).iter().map(|name| deny::base_name(name)).collect();
        let of = |list: &[&str]| names.iter().find(|name| list.contains(name)).copied();
        if let Some(name) = of(&READS_OPERANDS) {
            return Some(format!("`{name}` takes operands from its input, which no pattern covers"));
        }
        if !names.is_empty()
            && names.iter().all(|name| TRANSPARENT.contains(name))
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
    if args.is_empty() {
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
