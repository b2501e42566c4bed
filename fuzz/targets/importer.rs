//! A policy of mcp-ssh-orchestrator: whatever it says, it is refused with its problems or a policy comes of it.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    drop(lictor_policy::import::policy(text, None));
    Corpus::Keep
});
