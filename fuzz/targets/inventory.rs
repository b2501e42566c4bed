//! An agent's list of hosts: whatever it says, it is refused with its problems or every host in it is plain.
#![no_main]

use std::{collections::BTreeSet, sync::LazyLock};

use libfuzzer_sys::{Corpus, fuzz_target};

static CREDENTIALS: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| ["deploy-key", "site-agent"].map(str::to_owned).into());

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    match lictor_agent::config::parse_hosts_text(text, &CREDENTIALS) {
        Err(problems) => assert!(!problems.0.is_empty(), "refused without a problem"),
        Ok(hosts) => {
            for (alias, host) in &hosts {
                assert_eq!(alias, &host.alias);
                assert!(CREDENTIALS.contains(&host.credential), "{alias}");
                assert!(host.port != 0, "{alias}");
                for word in [&host.address, &host.user] {
                    let plain = word.chars().all(|c| c.is_ascii_graphic());
                    assert!(plain && !word.is_empty() && !word.starts_with('-'), "{alias}");
                }
                assert!(!host.description.chars().any(char::is_control), "{alias}");
            }
        }
    }
    Corpus::Keep
});
