//! Panics in every way while it holds a secret, so that a test can read all that it says: `lictor-panics bare|none|text|json`.
//!
//! The secret comes on standard input. `text` and `json` log as the processes do, `none` as a command of `lictor` does, and
//! `bare` has not even the hook, so that the test sees that there is something to find.
#![allow(clippy::panic, clippy::unwrap_used, reason = "it is made to panic")]

use std::{io::Read as _, panic, process::ExitCode};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_agent::secrets::{Credential, CredentialSource};
use lictor_certs::token::JoinToken;
use lictor_core::{digest::Digest, id::TokenId, secret::Secret};
use lictor_runtime::{
    exit::{self, Exit},
    logging::{self, Format},
    panics::{self, Interrupted},
    shutdown::Shutdown,
    tasks::spawn_supervised,
    workers,
};
use tracing::Level;

/// Something that panics.
type Way = Box<dyn FnOnce() + Send>;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let mut secret = String::new();
    std::io::stdin().read_to_string(&mut secret).unwrap();
    match mode.as_str() {
        "bare" => {}
        "none" => panics::install(),
        form => logging::init(form.parse::<Format>().unwrap(), Level::INFO).unwrap(),
    }
    // As every program of Lictor ends.
    match workers::run(hold(secret)) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            exit::say(format_args!("error: {error:#}"));
            Exit::Internal.into()
        }
    }
}

async fn hold(secret: String) {
    for way in ways(&secret) {
        let ended = tokio::spawn(async move { way() }).await;
        println!("{:?}", ended.map_err(Interrupted::from));
    }
    let (thread, blocking, part) = (secret.clone(), secret.clone(), secret.clone());
    let ended = std::thread::spawn(way(move || panic!("in a thread: {thread}"))).join();
    println!("{}", ended.is_err());
    let ended = tokio::task::spawn_blocking(way(move || panic!("while it blocks: {blocking}"))).await;
    println!("{:?}", ended.map_err(|error| Interrupted::from(error).to_string()));
    let shutdown = Shutdown::new();
    spawn_supervised("part", async move { way(move || panic!("in a part: {part}"))() }, &shutdown);
    shutdown.stopping().await;
    println!("{}", shutdown.has_failed());
    panic!("at the end: {secret}");
}

/// Panics as code does that nobody meant to panic.
fn ways(secret: &str) -> Vec<Way> {
    let clear = || secret.to_owned();
    let (formatted, failed, cut, thrown) = (clear(), clear(), clear(), clear());
    let bytes = secret.as_bytes().to_vec();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = STANDARD.encode(secret);
    let held = held(secret);
    println!("{held}");
    vec![
        way(|| panic!("this stands in the source")),
        way(move || panic!("it was {formatted}")),
        way(move || panic!("it was {hex} and {bytes:x?}")),
        way(move || panic!("it was {base64}")),
        way(move || "no number".parse::<u8>().map(drop).map_err(|_| failed).unwrap()),
        // What this says has the text that was to be cut.
        way(move || assert!(format!("é{cut}").split_at(1).0.is_empty())),
        way(move || panic::panic_any(thrown)),
        way(move || panic!("it was held in {held}")),
    ]
}

fn way(panics: impl FnOnce() + Send + 'static) -> Way {
    Box::new(panics)
}

/// What the types in which secrets are held print of themselves.
fn held(secret: &str) -> String {
    let wrapped = || Secret::new(secret.as_bytes().to_vec());
    let token = JoinToken {
        id: TokenId::from_bytes([1; 16]),
        secret: wrapped(),
        root: Digest::of(b"root"),
        tenant: "default".parse().unwrap(),
        site: "local".parse().unwrap(),
        agent: "local".parse().unwrap(),
        address: "127.0.0.1:1".to_owned(),
    };
    let credentials = (Credential::Password(wrapped()), CredentialSource::Password(wrapped()));
    format!("{:?} {token:?} {credentials:?}", wrapped())
}
