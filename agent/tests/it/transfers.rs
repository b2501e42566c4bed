//! Standard input and files, on a real host: the bytes that were signed arrive whole, or nothing starts and no file changes.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use lictor_core::{
    content::Content, context::Context, digest::Digest, grant::Grant, limits::MAX_DOWNLOAD_BYTES,
};
use lictor_proto::pb::{self, OutcomeKind, StreamName};

use crate::{
    controller::Session,
    world::{World, kind, reason, text},
};

const SFTP: &str = "Subsystem sftp internal-sftp";

impl World {
    /// Runs `argv` on what is signed as `signed`, while the controller sends `sent`.
    async fn run_given(
        &self,
        session: &mut Session,
        argv: &[&str],
        signed: &[u8],
        sent: &[u8],
    ) -> pb::InvocationResult {
        *self.controller.shared.content.lock().unwrap() = sent.to_vec();
        let context = Context { stdin: Some(Content::of(signed).unwrap()), ..Context::default() };
        let id = self.offer(session, &Grant { context, ..self.grant(session, "web-1", argv) }).await;
        session.result(&id).await
    }

    async fn upload(&self, session: &mut Session, words: &[&str], bytes: &[u8]) -> pb::InvocationResult {
        let argv: Vec<&str> = ["lictor:upload"].iter().chain(words).copied().collect();
        self.run_given(session, &argv, bytes, bytes).await
    }

    /// Asks for a file of which `most` bytes may be kept.
    async fn download(&self, session: &mut Session, path: &str, most: u64) -> pb::InvocationResult {
        let mut grant = self.grant(session, "web-1", &["lictor:download", path]);
        grant.targets.iter_mut().for_each(|target| target.limits.output_bytes = most);
        let id = self.offer(session, &grant).await;
        session.result(&id).await
    }

    fn full_output(&self, result: &pb::InvocationResult) -> Vec<u8> {
        self.controller.output(&result.invocation_id, StreamName::Stdout).into_values().flatten().collect()
    }
}

fn denial(result: &pb::InvocationResult) -> (OutcomeKind, &str) {
    (kind(result), reason(result))
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n.wrapping_mul(31) ^ (n >> 8)) as u8).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What an agent keeps of content.
fn kept(world: &World) -> usize {
    fs::read_dir(world.config().state_dir.join("content")).unwrap().count()
}

#[tokio::test]
async fn what_a_command_reads_is_what_was_signed_to_the_last_byte() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let five = bytes(5 * 1024 * 1024);
    let result = world.run_given(&mut session, &["sha256sum"], &five, &five).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded, "{:?}", result.outcome);
    assert_eq!(text(&result).0, format!("{}  -\n", Digest::of(&five)));
    let few = [0, 255, b'\n', 0];
    let result = world.run_given(&mut session, &["od", "-An", "-tu1"], &few, &few).await;
    assert_eq!(text(&result).0.split_whitespace().collect::<Vec<_>>(), ["0", "255", "10", "0"]);
    let empty = world.run_given(&mut session, &["wc", "-c"], b"", b"").await;
    assert_eq!(text(&empty).0.trim(), "0");
    // Whoever reads nothing, or not to the end, ends all the same.
    for argv in [&["true"][..], &["head", "-c", "10"]] {
        let result = world.run_given(&mut session, argv, &five, &five).await;
        assert_eq!(kind(&result), OutcomeKind::Succeeded, "{argv:?}");
    }
    let plain = world.run(&mut session, &["wc", "-c"]).await;
    assert_eq!(text(&plain).0.trim(), "0", "who is given nothing reads nothing");
    assert_eq!(kept(&world), 0, "nothing of it stays");
    agent.stop().await;
}

#[tokio::test]
async fn other_bytes_than_were_signed_start_nothing() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let ran = world.path("ran");
    let touch = ["touch", ran.to_str().unwrap()];
    for sent in [&b"hellO"[..], b"hell", b"hello!", b""] {
        let result = world.run_given(&mut session, &touch, b"hello", sent).await;
        assert_eq!(denial(&result), (OutcomeKind::Denied, "AGENT_CONTENT_MISMATCH"));
        assert_eq!((result.started_at, ran.exists(), kept(&world)), (0, false, 0));
    }
    let result = world.run_given(&mut session, &touch, b"hello", b"hello").await;
    assert_eq!((kind(&result), ran.exists()), (OutcomeKind::Succeeded, true));
    agent.stop().await;
}

#[tokio::test]
async fn a_file_is_put_whole_with_its_permissions_and_over_what_was_there() {
    let mut world = World::with_sshd(SFTP).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let folder = world.path("folder");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("a file");
    let path = file.to_str().unwrap();
    let five = bytes(5 * 1024 * 1024);
    let result = world.upload(&mut session, &[path], &five).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", text(&result).1);
    assert_eq!(text(&result).0, format!("{}  {path}\n", Digest::of(&five)));
    assert_eq!(fs::read(&file).unwrap(), five);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644);
    let result = world.upload(&mut session, &["--mode=0750", path], b"new").await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", text(&result).1);
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o750);
    assert_eq!(names(&folder), ["a file"], "nothing beside it stays");
    assert_eq!(kept(&world), 0);
    agent.stop().await;
}

#[tokio::test]
async fn what_cannot_be_put_is_told_in_the_hosts_words_and_leaves_everything_as_it_was() {
    let mut world = World::with_sshd(SFTP).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let folder = world.path("folder");
    fs::create_dir_all(folder.join("directory/inner")).unwrap();
    let taken = folder.join("directory");
    let missing = folder.join("missing/file");
    for (path, because) in [
        (missing.to_str().unwrap(), "No such file"),
        ("/proc/lictor-test", "no file can be made"),
        (taken.to_str().unwrap(), "cannot take its place"),
    ] {
        let result = world.upload(&mut session, &[path], b"new").await;
        assert_eq!(
            (kind(&result), result.outcome.as_ref().unwrap().exit_code),
            (OutcomeKind::Failed, Some(1))
        );
        let (out, err) = text(&result);
        assert!(out.is_empty() && err.contains(because) && err.starts_with(path), "{path}: {err}");
    }
    assert_eq!(names(&folder), ["directory"]);
    agent.stop().await;
}

#[tokio::test]
async fn a_file_is_read_whole_or_not_at_all() {
    let mut world = World::with_sshd(SFTP).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let file = world.path("file");
    let path = file.to_str().unwrap();
    let large = bytes(256 * 1024);
    fs::write(&file, &large).unwrap();
    let result = world.run(&mut session, &["lictor:download", path]).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", text(&result).1);
    assert_eq!(world.full_output(&result), large);
    let stdout = result.output.unwrap().stdout.unwrap();
    assert_eq!((stdout.bytes_total, stdout.digest), (256 * 1024, Digest::of(&large).as_bytes().to_vec()));
    fs::write(&file, bytes(256 * 1024 + 1)).unwrap();
    for (path, because) in [
        (path, "at most 256KiB"),
        ("/nonexistent/file", "No such file"),
        ("/etc", "not a regular file"),
        ("/dev/zero", "not a regular file"),
    ] {
        let result = world.run(&mut session, &["lictor:download", path]).await;
        assert_eq!(kind(&result), OutcomeKind::Failed, "{path}");
        let (out, err) = text(&result);
        assert!(out.is_empty() && err.contains(because), "{path}: {err}");
    }
    // One that says it is empty and is not.
    let result = world.run(&mut session, &["lictor:download", "/proc/version"]).await;
    assert_eq!(text(&result).0, fs::read_to_string("/proc/version").unwrap());
    agent.stop().await;
}

#[tokio::test]
async fn a_file_that_no_memory_holds_is_read_whole_up_to_its_bound() {
    const MOST: usize = 12 * 1024 * 1024;
    let mut world = World::with_sshd(SFTP).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let file = world.path("file");
    let path = file.to_str().unwrap();
    let large = bytes(MOST);
    fs::write(&file, &large).unwrap();
    let result = world.download(&mut session, path, MOST as u64).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", text(&result).1);
    assert!(world.full_output(&result) == large);
    let stdout = result.output.unwrap().stdout.unwrap();
    assert_eq!((stdout.bytes_total, stdout.head_bytes, stdout.tail_bytes), (MOST as u64, MOST as u64, 0));
    assert_eq!(stdout.digest, Digest::of(&large).as_bytes());
    fs::write(&file, bytes(MOST + 1)).unwrap();
    let result = world.download(&mut session, path, MOST as u64).await;
    assert_eq!(kind(&result), OutcomeKind::Failed);
    let said = text(&result).1;
    assert!(said.contains("at most 12MiB may be kept") && said.contains("has 12582913 bytes:"), "{said}");
    assert!(said.contains("limits.output of the rule") && said.contains("up to 256MiB"), "{said}");
    // Above the largest of all, policy is no advice.
    fs::File::create(&file).unwrap().set_len(MAX_DOWNLOAD_BYTES + 1).unwrap();
    let result = world.download(&mut session, path, MAX_DOWNLOAD_BYTES).await;
    assert_eq!(kind(&result), OutcomeKind::Failed);
    let said = text(&result).1;
    assert!(said.contains("at most 256MiB may be kept") && said.contains("split it on the host"), "{said}");
    agent.stop().await;
}

#[tokio::test]
async fn a_download_that_breaks_off_leaves_nothing_at_the_agent() {
    // Hands on two megabytes of the file, and ends.
    let script = tempfile::NamedTempFile::new().unwrap();
    let cut = "#!/bin/sh\n/usr/lib/openssh/sftp-server | python3 -c '\nimport os\nleft = 2000000\nwhile left > 0:\n  part = os.read(0, left)\n  if not part: break\n  os.write(1, part)\n  left -= len(part)'\n";
    fs::write(script.path(), cut).unwrap();
    fs::set_permissions(script.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = script.into_temp_path();
    let mut world = World::with_sshd(&format!("Subsystem sftp {}", script.display())).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let file = world.path("file");
    fs::write(&file, bytes(8 * 1024 * 1024)).unwrap();
    let result = world.download(&mut session, file.to_str().unwrap(), 16 * 1024 * 1024).await;
    assert_eq!(kind(&result), OutcomeKind::Failed, "{}", text(&result).1);
    let (out, err) = text(&result);
    assert!(out.is_empty() && err.contains("the connection to the host ended"), "{err}");
    assert_eq!(names(&world.config().state_dir.join("spool")), [] as [String; 0]);
    agent.stop().await;
}

#[tokio::test]
async fn a_link_that_ends_and_a_cancel_leave_the_old_file() {
    // Hands on the first 200 kB and then nothing, or nothing and no end.
    for (rest, expected, why) in [
        ("", OutcomeKind::Failed, "the connection to the host ended"),
        ("sleep 600;", OutcomeKind::Killed, "it was cancelled"),
    ] {
        let script = tempfile::NamedTempFile::new().unwrap();
        // `head` would hold the first packets back until its buffer is full.
        let text_of = format!(
            "#!/bin/sh\n{{ python3 -c '\nimport os\nleft = 200000\nwhile left > 0:\n  part = os.read(0, left)\n  if not part: break\n  os.write(1, part)\n  left -= len(part)'; {rest} }} | /usr/lib/openssh/sftp-server\n"
        );
        fs::write(script.path(), text_of).unwrap();
        fs::set_permissions(script.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let script = script.into_temp_path();
        let mut world = World::with_sshd(&format!("Subsystem sftp {}", script.display())).await;
        let agent = world.start();
        let mut session = world.controller.session().await;
        let folder = world.path("folder");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("file");
        fs::write(&file, "old").unwrap();
        let content = bytes(1024 * 1024);
        *world.controller.shared.content.lock().unwrap() = content.clone();
        let context = Context { stdin: Some(Content::of(&content).unwrap()), ..Context::default() };
        let grant = world.grant(&session, "web-1", &["lictor:upload", file.to_str().unwrap()]);
        let id = world.offer(&session, &Grant { context, ..grant }).await;
        if !rest.is_empty() {
            while names(&folder).len() < 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            session.stop(&id).await;
        }
        let result = session.result(&id).await;
        assert_eq!(kind(&result), expected, "{}", text(&result).1);
        assert!(text(&result).1.contains(why), "{}", text(&result).1);
        assert_eq!(fs::read(&file).unwrap(), b"old");
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_host_without_file_transfer_is_unreachable_for_it() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.upload(&mut session, &["/tmp/never"], b"x").await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "session_refused"));
    agent.stop().await;
}

#[tokio::test]
async fn a_grant_that_mixes_transfers_and_commands_is_refused() {
    let mut world = World::with_sshd(SFTP).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let file = world.path("never");
    let path = file.to_str().unwrap();
    for (argv, code) in [
        (&["lictor:exec", path][..], "GRANT_COMMAND"),
        (&["lictor:upload", path, path], "GRANT_COMMAND"),
        (&["lictor:upload", path], "GRANT_TRANSFER"),
    ] {
        let result = world.run(&mut session, argv).await;
        assert_eq!(denial(&result), (OutcomeKind::Denied, code), "{argv:?}");
    }
    let result = world.run_given(&mut session, &["lictor:download", path], b"x", b"x").await;
    assert_eq!(denial(&result), (OutcomeKind::Denied, "GRANT_TRANSFER"));
    assert!(!file.exists());
    agent.stop().await;
}

#[tokio::test]
async fn the_floor_judges_standard_input_and_transfers() {
    let mut world = World::with_sshd(SFTP).await;
    let folder = world.path("folder");
    fs::create_dir(&folder).unwrap();
    let floor = format!(
        "version: 1\nrules:\n  - {{id: cat, effect: allow, where: all, commands: [cat], stdin: {{max_bytes: 3}}, not_match: [dog]}}\n  - {{id: up, effect: allow, where: all, commands: ['lictor:upload <path:{0}>'], stdin: true, not_match: ['lictor:upload /etc/x']}}\n",
        folder.display()
    );
    fs::write(world.path("floor.yml"), floor).unwrap();
    let text_of = fs::read_to_string(world.path("agent.yml")).unwrap() + "floor: floor.yml\n";
    fs::write(world.path("agent.yml"), text_of).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run_given(&mut session, &["cat"], b"abc", b"abc").await;
    assert_eq!((kind(&result), text(&result).0.as_str()), (OutcomeKind::Succeeded, "abc"));
    let inside = folder.join("file");
    let result = world.upload(&mut session, &[inside.to_str().unwrap()], b"abcd").await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded, "{:?}", result.outcome);
    let fetched = world.controller.shared.fetched.lock().unwrap().len();
    let outside = world.path("outside");
    let refused = [
        world.run_given(&mut session, &["cat"], b"abcd", b"abcd").await,
        world.upload(&mut session, &[outside.to_str().unwrap()], b"x").await,
        world.upload(&mut session, &["--mode=0777", inside.to_str().unwrap()], b"x").await,
        world.run(&mut session, &["lictor:download", inside.to_str().unwrap()]).await,
    ];
    for result in refused {
        assert_eq!(denial(&result), (OutcomeKind::Denied, "FLOOR_DENIED"));
    }
    assert!(!outside.exists());
    assert_eq!(world.controller.shared.fetched.lock().unwrap().len(), fetched, "nothing was even asked for");
    agent.stop().await;
}
