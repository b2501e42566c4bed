//! What was printed is played again as it came, and becomes a recording.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use lictor_tests::{World, binaries, process::eventually, world::expect};
use serde_json::Value;

/// The job whose command has this text.
async fn job_with(world: &World, text: &str) -> String {
    let records = world.audit().await.unwrap();
    let is_it = |record: &&Value| {
        record["kind"] == "job_submitted" && record["command"].as_str().unwrap().contains(text)
    };
    records.iter().find(is_it).unwrap()["job"].as_str().unwrap().to_owned()
}

/// The lines of a recording.
fn recording(world: &World, job: &str, name: &str) -> Vec<Value> {
    let file = world.file(name).display().to_string();
    expect(&world.lictor(&["replay", job, "--out", &file]).unwrap()).unwrap();
    fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_printed_is_played_in_the_order_and_with_the_times_in_which_it_came() {
    let world = World::start(&["web-1", "web-2"]).await.unwrap();
    // Each piece is printed once the one before has been seen, so that they certainly came one after the other.
    let [first, second] = ["first", "second"].map(|gate| world.file(gate));
    let [seen, said] = ["seen", "said"].map(|file| world.file(file));
    let wait = |gate: &Path| format!("until [ -e {} ]; do sleep 0.05; done", gate.display());
    let script =
        format!("echo one; {}; echo two >&2; {}; printf '\\033[31mthree\\n'", wait(&first), wait(&second));
    let mut run = Command::new(binaries::path("lictor").unwrap())
        .env_remove("LICTOR_DIR")
        .arg("--dir")
        .arg(world.home())
        .args(["run", "web-1", "--", "sh", "-c", &script])
        .stdout(File::create(&seen).unwrap())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    for (file, piece, gate) in [(&seen, "one", &first), (&said, "two", &second)] {
        let sees = async || fs::read_to_string(file).unwrap().contains(piece);
        eventually("a piece is seen live", sees).await.unwrap();
        fs::write(gate, "").unwrap();
    }
    assert!(tokio::task::spawn_blocking(move || run.wait()).await.unwrap().unwrap().success());

    let job = job_with(&world, "until").await;
    let lines = recording(&world, &job, "one.cast");
    let (header, events) = lines.split_first().unwrap();
    assert_eq!((header["version"].as_u64(), header["height"].as_u64()), (Some(2), Some(24)));
    assert!(
        header["timestamp"].as_u64() > Some(1_700_000_000)
            && header["title"].as_str().unwrap().contains("web-1")
    );
    let texts: Vec<&str> = events.iter().map(|event| event[2].as_str().unwrap()).collect();
    assert_eq!(texts, ["one\r\n", "two\r\n", "\u{1b}[31mthree\r\n"]);
    let times: Vec<f64> = events.iter().map(|event| event[0].as_f64().unwrap()).collect();
    assert!(
        times[0] < times[1] && times[1] < times[2] && events.iter().all(|event| event[1] == "o"),
        "{times:?}"
    );
    // What is there is not written over.
    let again = world.file("one.cast").display().to_string();
    assert_eq!(world.lictor(&["replay", &job, "--out", &again]).unwrap().status.code(), Some(2));

    let played = world.lictor(&["replay", &job, "--speed", "1000"]).unwrap();
    expect(&played).unwrap();
    assert_eq!(String::from_utf8(played.stdout).unwrap(), "one\n\u{1b}[31mthree\n");
    assert_eq!(String::from_utf8(played.stderr).unwrap(), "two\n");

    // What travelled apart from its result has its times too; what was not kept is marked where it was.
    let _ = world.run("web-2", &["head", "-c", "200000", "/dev/zero"]).await.unwrap();
    let all = recording(&world, &job_with(&world, "200000").await, "large.cast");
    let bytes: usize = all[1..].iter().map(|event| event[2].as_str().unwrap().len()).sum();
    assert_eq!(bytes, 200_000);
    let _ = world.run("web-2", &["head", "-c", "5000000", "/dev/zero"]).await.unwrap();
    let cut = recording(&world, &job_with(&world, "5000000").await, "cut.cast");
    assert_eq!(cut[1..].iter().filter(|event| event[1] == "m").count(), 1);

    // Where nothing was printed there is nothing to play; and which host is meant is not guessed.
    let _ = world.run("web-1", &["true"]).await.unwrap();
    let nothing = job_with(&world, "true").await;
    assert_eq!(world.lictor(&["replay", &nothing]).unwrap().status.code(), Some(2));
    expect(&world.lictor(&["run", "web-1,web-2", "--", "echo", "both"]).unwrap()).unwrap();
    let both = job_with(&world, "both").await;
    assert_eq!(world.lictor(&["replay", &both]).unwrap().status.code(), Some(2));
    expect(&world.lictor(&["replay", &both, "--host", "web-2"]).unwrap()).unwrap();
}
