//! Programs that lists of forbidden text name. Such a text is about what is run, and a name that a glob may find is not
//! run; a text that is none of these (`shadow`, `id_rsa`) may be about any file.

/// Names by which deny lists in use speak of programs. `passwd` is also a file, and so it is not here.
const PROGRAMS: [&str; 95] = [
    "apt",
    "apt-get",
    "aws",
    "az",
    "bash",
    "chattr",
    "chmod",
    "chown",
    "chpasswd",
    "chroot",
    "cp",
    "crontab",
    "curl",
    "dash",
    "dd",
    "delgroup",
    "deluser",
    "dnf",
    "docker",
    "doas",
    "eval",
    "exec",
    "fdisk",
    "ftp",
    "gcloud",
    "groupadd",
    "groupdel",
    "halt",
    "helm",
    "init",
    "insmod",
    "install",
    "ip6tables",
    "iptables",
    "kill",
    "killall",
    "kubectl",
    "ln",
    "lvremove",
    "mkfs",
    "mount",
    "mv",
    "nc",
    "ncat",
    "netcat",
    "nft",
    "nmap",
    "node",
    "nohup",
    "openssl",
    "parted",
    "perl",
    "php",
    "pip",
    "pkill",
    "podman",
    "poweroff",
    "python",
    "python3",
    "reboot",
    "rm",
    "rmdir",
    "rmmod",
    "rsync",
    "ruby",
    "scp",
    "sed",
    "service",
    "sftp",
    "sgdisk",
    "sh",
    "shred",
    "shutdown",
    "socat",
    "ssh",
    "strace",
    "su",
    "sudo",
    "swapoff",
    "systemctl",
    "tcpdump",
    "tee",
    "telnet",
    "terraform",
    "tftp",
    "truncate",
    "umount",
    "useradd",
    "userdel",
    "usermod",
    "vi",
    "vim",
    "visudo",
    "wget",
    "wipefs",
];

/// Whether the forbidden text is about a program alone, not about any path.
pub(crate) fn names_program(text: &str) -> bool {
    if text.contains('/') {
        return false;
    }
    let with_operands = text.trim_start().contains(' ');
    let first = text.split_whitespace().next().unwrap_or_default();
    let stem = first.split('.').next().unwrap_or_default();
    PROGRAMS.contains(&stem) || (with_operands && stem == "passwd")
}

/// Programs that run the script which is their first operand.
const INTERPRETERS: [&str; 14] = [
    "sh", "bash", "dash", "ash", "ksh", "zsh", "python", "python3", "perl", "ruby", "node", "php", "lua",
    "java",
];

/// Options of curl and wget that neither send nor keep anything elsewhere.
const URL_FLAGS: [&str; 22] = [
    "-s",
    "-S",
    "-sS",
    "-Ss",
    "-f",
    "-fs",
    "-fsS",
    "-sf",
    "-i",
    "-I",
    "-sI",
    "-k",
    "-sk",
    "-v",
    "-q",
    "-qO-",
    "--silent",
    "--show-error",
    "--fail",
    "--head",
    "--include",
    "--compressed",
];

/// Those that have a value, which is only looked at or sent as a header.
const URL_VALUED: [&str; 9] =
    ["-m", "-w", "-H", "-X", "--max-time", "--connect-timeout", "--write-out", "--header", "--timeout"];

/// Whether the program runs the script that it is given.
pub(crate) fn is_interpreter(name: &str) -> bool {
    INTERPRETERS.contains(&name)
}

/// Whether a word behind a URL is an option that sends and keeps nothing elsewhere, or the value of one.
pub(crate) fn is_harmless_for_url(word: &str, after_option: bool) -> bool {
    if word.starts_with('-') {
        return URL_FLAGS.contains(&word) || URL_VALUED.contains(&word);
    }
    // Of options without a value only those above can stand before; a word behind them would be another URL.
    after_option
        && (word == "/dev/null"
            || word.contains(['%', ':', ' ']) && !word.contains('@')
            || is_plain_value(word))
}

/// A number or a method.
fn is_plain_value(word: &str) -> bool {
    let number = word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let method = matches!(word, "GET" | "HEAD" | "OPTIONS");
    !word.is_empty() && (number || method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_text_is_told_apart() {
        for text in ["reboot", "ssh ", "passwd ", "rsync -e ssh", "mkfs.ext4", "rm -rf"] {
            assert!(names_program(text), "{text}");
        }
        for text in ["shadow", "passwd", "/etc/shadow", "rm -rf /", "id_rsa", "", " "] {
            assert!(!names_program(text), "{text}");
        }
    }
}
