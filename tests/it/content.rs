//! Standard input and files through the whole system: what a person gives is what a host gets, where policy says so, and the
//! audit names it by its digest.

use std::{fs, process::Output};

use lictor_core::digest::Digest;
use lictor_tests::World;

async fn world(rules: &str) -> World {
    let mut world = World::prepare_unlogged(&["h1", "h2"]).unwrap();
    fs::write(world.home().join("policy.yml"), format!("version: 1\nrules:\n{rules}")).unwrap();
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    world.start_agent().await.unwrap();
    world
}

fn rules(folder: &str) -> String {
    format!(
        "  - {{id: sum, effect: allow, where: all, commands: [sha256sum], stdin: {{max_bytes: 6000000}}}}\n\
         \u{20} - {{id: plain, effect: allow, where: all, commands: [cat]}}\n\
         \u{20} - {{id: up, effect: allow, where: all, commands: ['lictor:upload [--mode=0600] <path:{folder}>'], stdin: true}}\n\
         \u{20} - {{id: down, effect: allow, where: all, commands: ['lictor:download <path:{folder}>'], limits: {{output: 24MiB}}}}\n"
    )
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| u8::try_from((n.wrapping_mul(31) ^ (n >> 8)) % 256).unwrap()).collect()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_gives_is_what_a_host_gets_where_policy_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let world = world(&rules(&folder.path().display().to_string())).await;
    let five = bytes(5 * 1024 * 1024);
    let local = world.file("local");
    fs::write(&local, &five).unwrap();
    let local = local.to_str().unwrap();
    let digest = Digest::of(&five).to_string();

    let (code, out, err) = said(&world.lictor(&["run", "--stdin", local, "h1", "--", "sha256sum"]).unwrap());
    assert_eq!((code, out), (Some(0), format!("{digest}  -\n")), "{err}");
    let (code, _, err) = said(&world.lictor(&["run", "--stdin", local, "h1", "--", "cat"]).unwrap());
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("but not with `stdin=sha256:"), "{err}");

    let remote = format!("h1:{}", at("file"));
    let (code, out, err) = said(&world.lictor(&["upload", "--mode", "600", local, &remote]).unwrap());
    assert_eq!((code, out), (Some(0), format!("{digest}  {}\n", at("file"))), "{err}");
    assert_eq!(fs::read(at("file")).unwrap(), five);
    let (code, _, err) = said(&world.lictor(&["upload", local, "h1:/etc/lictor-test"]).unwrap());
    assert_eq!(code, Some(3), "{err}");
    let (code, _, err) = said(&world.lictor(&["upload", local, &format!("h1:{}", at("no/file"))]).unwrap());
    assert!(code == Some(1) && err.contains("No such file"), "{err}");

    // Above what the rule gives: nothing of it comes.
    let here = world.file("here");
    let download = |from: &str, to: &str| said(&world.lictor(&["download", from, to]).unwrap());
    let most = 24 * 1024 * 1024;
    fs::write(at("file"), bytes(most + 1)).unwrap();
    let (code, _, err) = download(&remote, here.to_str().unwrap());
    assert!(code == Some(1) && err.contains("at most 24MiB") && !here.exists(), "{err}");
    // Far above what goes through memory, and whole.
    let large = bytes(most);
    fs::write(at("file"), &large).unwrap();
    let (code, out, err) = download(&remote, here.to_str().unwrap());
    assert_eq!(code, Some(0), "{err}");
    let large_digest = Digest::of(&large).to_string();
    assert!(out.starts_with(&large_digest) && fs::read(&here).unwrap() == large, "{out}");
    let three = bytes(3 * 1024 * 1024);
    fs::write(at("file"), &three).unwrap();
    let (code, out, err) = download(&remote, here.to_str().unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with(&Digest::of(&three).to_string()), "{out}");
    assert_eq!(fs::read(&here).unwrap(), three);
    let many = world.file("many");
    let (code, _, err) = download(&format!("h1,h2:{}", at("file")), many.to_str().unwrap());
    assert_eq!(code, Some(0), "{err}");
    for host in ["h1", "h2"] {
        assert_eq!(fs::read(many.join(host).join("file")).unwrap(), three);
    }
    let (code, _, err) = download("h1:/etc/hostname", here.to_str().unwrap());
    assert_eq!(code, Some(3), "{err}");
    assert_eq!(fs::read(&here).unwrap(), three, "what was here stays");
    // What cannot take its place leaves no part of itself beside it.
    let taken = tempfile::tempdir().unwrap();
    fs::create_dir_all(taken.path().join("file/inner")).unwrap();
    let (code, _, err) = download(&remote, taken.path().to_str().unwrap());
    assert!(code == Some(2) && err.contains("is not a regular file"), "{err}");
    // Which hosts an expression means is known too late to ask for nothing.
    let (all, place) = (format!(":{}", at("file")), taken.path().to_str().unwrap());
    let (code, _, err) =
        said(&world.lictor(&["download", "--match", "host:h1", all.as_str(), place]).unwrap());
    assert!(code == Some(1) && err.contains("is not a regular file"), "{err}");
    assert!(err.contains("lictor output job_"), "{err}");
    assert_eq!(fs::read_dir(taken.path()).unwrap().count(), 1);

    let audit = world.audit().await.unwrap();
    let named = audit.iter().filter(|record| record["stdin_sha256"] == digest.as_str()).count();
    let ended = audit.iter().filter(|record| record["stdout_digest"] == large_digest.as_str());
    assert_eq!(ended.filter(|record| record["stdout_bytes"] == most).count(), 1);
    assert!(named >= 3, "each request that gives something names it, also one that was denied: {audit:?}");
}
