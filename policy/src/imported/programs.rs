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
