//! People see what commands print for as long as they print, and where something is missing they see that.

use std::{path::Path, process::Stdio};

use lictor_tests::{World, binaries, process::eventually};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
};

/// What `print` prints, then "late."; it ends when `go` is there.
fn script(print: &str, go: &Path) -> String {
    format!("{print}; echo late.; until test -e '{}'; do sleep 0.1; done; echo end.", go.display())
}

fn lictor(world: &World, arguments: &[&str]) -> Child {
    let mut command = Command::new(binaries::path("lictor").unwrap());
    command.env_remove("LICTOR_DIR").env("NO_COLOR", "1").arg("--dir").arg(world.home()).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_several_hosts_come_while_they_run_and_none_is_made_of_two() {
    let world = World::start(&["web-1", "web-2"]).await.unwrap();
    let go = world.file("go");
    // Several times what is kept.
    let print = format!("yes {} | head -c 6000000", "a".repeat(99));
    let mut run = lictor(&world, &["run", "web-1,web-2", "--", "sh", "-c", &script(&print, &go)]);
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let mut errors = run.stderr.take().unwrap();
    let errors = tokio::spawn(async move {
        let mut text = String::new();
        errors.read_to_string(&mut text).await.unwrap();
        text
    });
    let (mut late, mut end) = (0, 0);
    while let Some(line) = lines.next_line().await.unwrap() {
        let (host, text) = line.split_once(" | ").unwrap();
        assert!(host == "web-1" || host == "web-2", "{line}");
        match text {
            "late." => late += 1,
            "end." => end += 1,
            // Beside a gap it may be a part of one.
            _ => assert!(text.len() <= 99 && text.bytes().all(|byte| byte == b'a'), "{line}"),
        }
        // Both still run.
        if late == 2 && end == 0 {
            std::fs::write(&go, "").unwrap();
        }
    }
    let errors = errors.await.unwrap();
    assert_eq!((late, end), (2, 2), "{errors}");
    assert!(run.wait().await.unwrap().success(), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_into_a_pipe_is_in_order_and_has_all_that_was_kept_of_the_end() {
    let world = World::start(&["web-1"]).await.unwrap();
    let go = world.file("go");
    // More than is sent in a second, and than may wait.
    let printed = 30_000_000;
    let print = format!("head -c {printed} /dev/zero");
    let run = lictor(&world, &["run", "web-1", "--", "sh", "-c", &script(&print, &go)]);
    let shown = tokio::spawn(run.wait_with_output());
    // It prints all of it before it ends.
    let jobs = async || {
        let listed = world.lictor(&["jobs"]).unwrap();
        String::from_utf8_lossy(&listed.stdout).contains("RUNNING")
    };
    eventually("it runs", jobs).await.unwrap();
    std::fs::write(&go, "").unwrap();
    let shown = shown.await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&shown.stderr);
    assert!(shown.status.success(), "{errors}");
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.ends_with("\0late.\nend.\n"), "{errors}");
    let whole = printed + "late.\nend.\n".len() as u64;
    let said = errors.contains("output stops here") || errors.contains("of output not kept");
    assert_eq!(said, text.len() as u64 != whole, "{errors}");
    // Of the end at least what is kept: half of what standard output may have of the limit.
    let zeros = text.trim_end_matches("late.\nend.\n");
    assert!(zeros.len() > 3 * 128 * 1024 && zeros.bytes().all(|byte| byte == 0));
}
