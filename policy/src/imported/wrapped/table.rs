//! Programs that run other programs, and where in their words those stand.

/// How a program names the command that it runs.
pub(super) struct Wrapper {
    pub(super) names: &'static [&'static str],
    /// Options whose value is the next word.
    pub(super) valued: &'static [&'static str],
    /// Words between the options and the command.
    pub(super) operands: usize,
    /// Its words may be `NAME=value`.
    pub(super) assigns: bool,
    /// The option whose value is a command line.
    pub(super) text: &'static [&'static str],
}

const NONE: Wrapper = Wrapper { names: &[], valued: &[], operands: 0, assigns: false, text: &[] };

/// From the manuals of sudo 1.9, OpenDoas, GNU coreutils 9, util-linux 2.40, findutils 4.9, strace 6, procps 4, busybox.
pub(super) const WRAPPERS: [Wrapper; 21] = [
    Wrapper {
        names: &["sudo"],
        valued: &[
            "-u",
            "-g",
            "-h",
            "-p",
            "-C",
            "-T",
            "-r",
            "-t",
            "-D",
            "-R",
            "-U",
            "-a",
            "-c",
            "--user",
            "--group",
            "--host",
            "--prompt",
            "--close-from",
            "--command-timeout",
            "--role",
            "--type",
            "--chdir",
            "--chroot",
            "--other-user",
        ],
        assigns: true,
        ..NONE
    },
    Wrapper { names: &["doas"], valued: &["-u", "-C", "-a"], assigns: true, ..NONE },
    Wrapper { names: &["pkexec"], valued: &["--user"], ..NONE },
    Wrapper {
        names: &["env"],
        valued: &["-u", "-C", "--unset", "--chdir"],
        assigns: true,
        text: &["-S", "--split-string"],
        ..NONE
    },
    Wrapper {
        names: &[
            "nohup",
            "setsid",
            "busybox",
            "toybox",
            "unbuffer",
            "eatmydata",
            "fakeroot",
            "command",
            "builtin",
            "exec",
        ],
        ..NONE
    },
    Wrapper {
        names: &[
            "unshare",
            "nsenter",
            "setpriv",
            "parallel",
            "prlimit",
            "choom",
            "setarch",
            "linux32",
            "linux64",
            "firejail",
            "proot",
            "rlwrap",
            "torsocks",
            "proxychains",
            "proxychains4",
            "dbus-run-session",
            "ssh-agent",
            "tini",
            "dumb-init",
            "hyperfine",
            "valgrind",
            "numactl",
            "systemd-inhibit",
        ],
        ..NONE
    },
    Wrapper { names: &["gosu", "su-exec", "chpst", "cgexec", "sg"], operands: 1, ..NONE },
    Wrapper { names: &["nice"], valued: &["-n", "--adjustment"], ..NONE },
    Wrapper { names: &["ionice"], valued: &["-c", "-n", "-p", "-P", "-u", "--class", "--classdata"], ..NONE },
    Wrapper { names: &["timeout"], valued: &["-k", "-s", "--kill-after", "--signal"], operands: 1, ..NONE },
    Wrapper { names: &["stdbuf"], valued: &["-i", "-o", "-e", "--input", "--output", "--error"], ..NONE },
    Wrapper { names: &["time"], valued: &["-f", "-o", "--format", "--output"], ..NONE },
    Wrapper { names: &["chrt", "taskset", "chroot"], valued: &["-T", "-P", "-D"], operands: 1, ..NONE },
    Wrapper {
        names: &["strace", "ltrace"],
        valued: &[
            "-e", "-o", "-p", "-s", "-u", "-E", "-a", "-b", "-I", "-O", "-P", "-S", "-U", "-X", "-n", "-l",
            "-x",
        ],
        ..NONE
    },
    Wrapper {
        names: &["xargs"],
        valued: &[
            "-I",
            "-L",
            "-n",
            "-P",
            "-s",
            "-d",
            "-E",
            "-a",
            "--max-args",
            "--max-procs",
            "--max-chars",
            "--delimiter",
            "--arg-file",
            "--process-slot-var",
        ],
        ..NONE
    },
    Wrapper {
        names: &["systemd-run"],
        valued: &[
            "-p",
            "-u",
            "-E",
            "-M",
            "-H",
            "--property",
            "--unit",
            "--setenv",
            "--slice",
            "--uid",
            "--gid",
            "--nice",
        ],
        ..NONE
    },
    Wrapper { names: &["runuser"], valued: &["-u", "-g", "-G", "-s"], text: &["-c", "--command"], ..NONE },
    Wrapper { names: &["flock"], valued: &["-w", "-E"], operands: 1, text: &["-c", "--command"], ..NONE },
    Wrapper {
        names: &["su"],
        valued: &["-g", "-G", "-s", "-w"],
        operands: 1,
        text: &["-c", "--command"],
        ..NONE
    },
    Wrapper { names: &["script"], valued: &[], operands: 1, text: &["-c", "--command"], ..NONE },
    Wrapper { names: &["watch"], valued: &["-n", "-q", "--interval", "--equexit"], ..NONE },
];

/// Shells, which run the text behind `-c`.
pub(super) const SHELLS: [&str; 9] = ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash", "fish"];

/// Options of `find` behind which a command stands.
pub(super) const FIND_RUNS: [&str; 4] = ["-exec", "-execdir", "-ok", "-okdir"];
