//! What the scripts promise, in every shell that is here.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use lictor_core::id::InvocationId;
use tempfile::TempDir;

use super::script::{
    Ask, Begin, Keeping, Launch, Parcel, SHELL, STREAM_BLOCKS, Stand, State, mark, read_begin, read_keeping,
    read_stand, render, render_for,
};

mod given;

const NONCE: &str = "0123456789abcdef";

/// A host: one shell, and a home of its own.
struct Host {
    dir: TempDir,
    shell: PathBuf,
    blocks: u64,
    login_shell: &'static str,
}

impl Host {
    /// One for each shell of this machine.
    fn all() -> Vec<Self> {
        let shells = ["/bin/dash", "/bin/bash", "/bin/mksh", "/bin/ksh", "/bin/busybox"];
        let hosts: Vec<Self> = shells.iter().filter(|s| Path::new(s).exists()).map(|s| Self::of(s)).collect();
        assert!(!hosts.is_empty(), "a POSIX shell is needed");
        hosts
    }

    fn of(shell: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("var")).unwrap();
        let mut shell = PathBuf::from(shell);
        if shell.ends_with("busybox") {
            // It is what it is called.
            symlink(&shell, dir.path().join("ash")).unwrap();
            shell = dir.path().join("ash");
        }
        Self { dir, shell, blocks: STREAM_BLOCKS, login_shell: "/bin/sh" }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("home/.local/state/lictor")
    }

    fn spawn(&self, id: InvocationId, ask: Ask<'_>) -> Child {
        self.spawn_reading(id, ask, Stdio::null())
    }

    fn spawn_reading(&self, id: InvocationId, ask: Ask<'_>, input: Stdio) -> Child {
        let text = render_for(&self.shell.display().to_string(), self.blocks, id, NONCE, ask);
        // The place that all share is this host's own.
        let text = text.replace("/var/tmp/", &format!("{}/var/", self.dir.path().display()));
        Command::new(&self.shell)
            .args(["-c", &text])
            .env("HOME", self.dir.path().join("home"))
            .env_remove("XDG_STATE_HOME")
            .env("SHELL", self.login_shell)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn ask(&self, id: InvocationId, ask: Ask<'_>) -> Output {
        self.spawn(id, ask).wait_with_output().unwrap()
    }

    /// Hands over `sent` where so much of each is announced; the first line's word, and what follows it.
    fn give(
        &self,
        id: InvocationId,
        environment: u64,
        input: Option<u64>,
        sent: &[u8],
    ) -> (Keeping, Vec<u8>) {
        let mut child = self.spawn_reading(id, Ask::Keep { environment, input }, Stdio::piped());
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(sent).unwrap();
        drop(pipe);
        let (word, rest) = split(&child.wait_with_output().unwrap().stdout);
        (read_keeping(&word).unwrap(), rest)
    }

    /// What a host keeps beside its guards.
    fn parcels(&self) -> Vec<String> {
        let names = fs::read_dir(self.root()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with("inv_")).collect()
    }

    fn look(&self, id: InvocationId) -> Stand {
        let text = String::from_utf8(self.ask(id, Ask::Look).stdout).unwrap();
        read_stand(NONCE, &text).unwrap_or_else(|| panic!("{}: {text:?}", self.shell.display()))
    }
}

fn plain(command: &str) -> Launch<'_> {
    Launch { command, shaped: false, directory: None, parcel: None }
}

fn id() -> InvocationId {
    InvocationId::from_bytes(rand::random())
}

/// The first line's word, and what follows it.
fn split(stdout: &[u8]) -> (String, Vec<u8>) {
    let end = stdout.iter().position(|b| *b == b'\n').expect("a first line");
    let line = String::from_utf8(stdout[..end].to_vec()).unwrap();
    (line.strip_prefix(&mark(NONCE)).unwrap().trim().to_owned(), stdout[end + 1..].to_vec())
}

#[test]
fn a_command_may_hold_any_quote_and_the_scripts_hold_none() {
    let text = render(id(), NONCE, Ask::Start(plain("echo 'it'\\''s'")));
    assert!(!text.contains('\n') && text.contains(&format!(" esac; exec {SHELL} -c '")));
    for host in Host::all() {
        let command = "printf '%s|' 'it'\\''s' \"a  b\"; echo err >&2; exit 7";
        let (one, output) = (id(), host.ask_start(command));
        assert_eq!(
            split(&output.stdout),
            ("started".into(), b"it's|a  b|".to_vec()),
            "{}",
            host.shell.display()
        );
        assert_eq!(split(&output.stderr).1, b"err\n");
        assert_eq!(host.look(one).state, State::Absent);
    }
}

impl Host {
    fn ask_start(&self, command: &str) -> Output {
        self.ask(id(), Ask::Start(plain(command)))
    }
}

#[test]
fn of_many_who_start_the_same_invocation_at_once_one_starts_it_and_all_see_what_it_printed() {
    for host in Host::all() {
        let (one, effect) = (id(), host.dir.path().join("effect"));
        let command = format!("echo x >> {}; sleep 0.3; echo done; exit 3", effect.display());
        let children: Vec<Child> = (0..6).map(|_| host.spawn(one, Ask::Start(plain(&command)))).collect();
        let mut words = Vec::new();
        for child in children {
            let (word, out) = split(&child.wait_with_output().unwrap().stdout);
            assert_eq!(out, b"done\n", "{}", host.shell.display());
            words.push(word);
        }
        assert_eq!(words.iter().filter(|w| *w == "started").count(), 1, "{words:?}");
        assert!(words.iter().all(|w| read_begin(w).is_some()));
        assert_eq!(fs::read_to_string(&effect).unwrap(), "x\n");
        assert_eq!(host.look(one).state, State::Ended(3));
    }
}

#[test]
fn streams_go_on_where_they_are_asked_to_to_the_byte() {
    for host in Host::all() {
        let one = id();
        let bytes = "head -c 300000 /dev/zero | tr '\\0' '\\377'; printf 'e\\000\\001' >&2";
        let all = split(&host.ask(one, Ask::Start(plain(bytes))).stdout).1;
        assert!(all.len() == 300_000 && all.iter().all(|b| *b == 255));
        let rest = host.ask(one, Ask::Follow { stdout: 299_990, stderr: 1 });
        assert_eq!(split(&rest.stdout), ("attached".into(), vec![255; 10]), "{}", host.shell.display());
        assert_eq!(split(&rest.stderr).1, [0, 1]);
        let stand = host.look(one);
        assert_eq!(
            (stand.state, stand.stdout.bytes, stand.stderr.bytes),
            (State::Ended(0), Some(300_000), Some(3))
        );
        assert_eq!((stand.stdout.lost, stand.stderr.lost), (0, 0));
    }
}

#[test]
fn what_is_printed_beyond_the_limit_is_let_go_and_counted_and_the_command_goes_on() {
    for mut host in Host::all() {
        host.blocks = 64;
        let (one, other_file) = (id(), host.dir.path().join("large"));
        let command = format!(
            "head -c 1000000 /dev/zero > {}; head -c 500000 /dev/zero; echo end >&2; exit 4",
            other_file.display()
        );
        let seen = split(&host.ask(one, Ask::Start(plain(&command))).stdout).1.len() as u64;
        let stand = host.look(one);
        assert_eq!((stand.state, stand.stdout.bytes, stand.stderr.lost), (State::Ended(4), Some(seen), 0));
        // Shells count blocks of 512 or of 1,024 bytes.
        assert!([32 * 1024, 64 * 1024].contains(&seen), "{}: {seen}", host.shell.display());
        assert!(stand.stdout.lost > 0 && seen + stand.stdout.lost <= 500_000);
        assert_eq!(fs::metadata(other_file).unwrap().len(), 1_000_000, "its own files are its own affair");
    }
}

#[test]
fn what_never_started_is_taken_so_that_it_never_does() {
    for host in Host::all() {
        let (one, effect) = (id(), host.dir.path().join("effect"));
        assert_eq!(split(&host.ask(one, Ask::Follow { stdout: 0, stderr: 0 }).stdout).0, "absent");
        let late = host.ask(one, Ask::Start(plain(&format!("echo x >> {}", effect.display()))));
        assert_eq!(split(&late.stdout).0, "attached");
        assert_eq!(host.look(one).state, State::Never);
        assert!(!effect.exists());
    }
}

#[test]
fn a_leader_that_is_gone_without_a_status_has_vanished_and_after_a_reboot_that_is_why() {
    for host in Host::all() {
        let one = id();
        let mut child = host.spawn(one, Ask::Start(plain("sleep 61.25")));
        let place = host.root().join(one.to_string());
        while !place.join("pid").exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(host.look(one).state, State::Running);
        let boot = fs::read(place.join("boot")).unwrap();
        fs::write(place.join("boot"), "another\n").unwrap();
        assert_eq!(host.look(one).state, State::Rebooted);
        fs::write(place.join("boot"), boot).unwrap();
        let pid = fs::read_to_string(place.join("pid")).unwrap();
        let pid = pid.split(' ').next().unwrap();
        // All of its session, of which it is the leader.
        assert!(Command::new("pkill").args(["-KILL", "-s", pid]).status().unwrap().success());
        child.wait().unwrap();
        assert_eq!(host.look(one).state, State::Vanished, "{}", host.shell.display());
    }
}

#[test]
fn cleaning_keeps_the_guard_and_removes_the_rest_and_what_is_old_and_settled() {
    for host in Host::all() {
        let one = id();
        host.ask(one, Ask::Start(plain("echo x; exit 5")));
        let old = [("inv_cleaned", "done"), ("inv_taken", "never"), ("inv_unsettled", "out")];
        for (name, file) in old {
            let old = host.root().join(name);
            fs::create_dir(&old).unwrap();
            fs::write(old.join(file), "").unwrap();
            assert!(Command::new("touch").args(["-d", "10 days ago"]).arg(&old).status().unwrap().success());
        }
        host.ask(one, Ask::Clean);
        let place = host.root().join(one.to_string());
        assert!(place.join("done").exists() && !place.join("out").exists());
        let left = old.map(|(name, _)| host.root().join(name).exists());
        assert_eq!(left, [false, false, true], "{}", host.shell.display());
        assert_eq!(
            split(&host.ask(one, Ask::Start(plain("echo again"))).stdout),
            ("attached".into(), vec![])
        );
        let stand = host.look(one);
        assert_eq!((stand.state, stand.stdout.bytes), (State::Ended(5), None));
        assert!(stand.stdout.lost > 0, "what is not here any more is not said to be all");
    }
}

#[test]
fn a_place_that_is_not_ours_alone_is_not_used() {
    let spoil: [fn(&Path); 4] = [
        |root| symlink("/tmp", root).unwrap(),
        |root| fs::write(root, "").unwrap(),
        |root| {
            fs::create_dir(root).unwrap();
            fs::set_permissions(root, fs::Permissions::from_mode(0o777)).unwrap();
        },
        |root| {
            fs::create_dir(root).unwrap();
            fs::set_permissions(root, fs::Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(root, Some(12_345), None).unwrap();
        },
    ];
    for host in Host::all() {
        let uid = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap();
        let spoilt = |n: usize| if uid.trim() == "0" { true } else { n < 3 };
        for (n, spoil) in spoil.iter().enumerate().filter(|(n, _)| spoilt(*n)) {
            let (one, effect) = (id(), host.dir.path().join("effect"));
            let other = host.dir.path().join(format!("var/lictor-{}", uid.trim()));
            for place in [host.root(), other.clone()] {
                let _ = fs::remove_dir_all(&place);
                let _ = fs::remove_file(&place);
            }
            fs::create_dir_all(host.root().parent().unwrap()).unwrap();
            spoil(&host.root());
            let output = host.ask(one, Ask::Start(plain("echo second")));
            assert_eq!(split(&output.stdout), ("started".into(), b"second\n".to_vec()), "{n}");
            assert!(other.join(one.to_string()).is_dir(), "the second place was taken");
            fs::remove_dir_all(&other).unwrap();
            spoil(&other);
            let (third, command) = (id(), format!("echo x > {}", effect.display()));
            let output = host.ask(third, Ask::Start(plain(&command)));
            assert_eq!(split(&output.stdout).0, "nowhere", "{n} {}", host.shell.display());
            assert!(!effect.exists(), "nothing was started");
        }
    }
}

#[test]
fn a_login_shell_that_is_not_a_posix_shell_does_not_read_the_command() {
    for mut host in Host::all() {
        for (shell, ran) in
            [("/bin/sh", "sh"), ("/nonexistent/fish", "sh"), ("/bin/bash", "bash"), ("", "sh")]
        {
            host.login_shell = shell;
            let command = "echo ${BASH_VERSION:+bash}";
            let expected = if ran == "bash" && Path::new(shell).exists() { "bash\n" } else { "\n" };
            let sh_is_bash =
                Command::new("/bin/sh").args(["-c", command]).output().unwrap().stdout == b"bash\n";
            let out = split(&host.ask_start(command).stdout).1;
            assert!(out == expected.as_bytes() || (sh_is_bash && out == b"bash\n"), "{shell}: {out:?}");
        }
    }
}

#[test]
fn shells_with_a_syntax_of_their_own_refuse_the_whole_request() {
    let text = render(id(), NONCE, Ask::Look);
    for shell in ["/usr/bin/fish", "/bin/tcsh", "/bin/csh"].into_iter().filter(|s| Path::new(s).exists()) {
        let output = Command::new(shell).args(["-c", &text]).stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{shell}: {output:?}");
    }
}
