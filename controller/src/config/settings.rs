//! The settings in effect, by name and as text, for the audit log: what a start changed is seen there. None is a secret.

use std::collections::BTreeMap;

use lictor_core::{name::PrincipalName, retention::FOR_EVER};
use lictor_oauth::config::TokensFile;
use lictor_runtime::human::{HumanBytes, HumanDuration};

use super::ControllerConfig;

impl ControllerConfig {
    /// Every setting in effect: what the file says, or what holds where it says nothing; and the version of the program.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let Self {
            name,
            tenant,
            listen,
            enroll_listen,
            advertise,
            enroll_advertise,
            pki,
            passphrase_file,
            identity,
            state,
            policy,
            acting,
            retention,
            contents,
        } = self;
        let path = |path: &std::path::Path| path.display().to_string();
        let age = |age| HumanDuration::new(age).to_string();
        let bytes = |bytes| HumanBytes::new(bytes).to_string();
        let mut settings = vec![
            ("advertise", advertise.clone()),
            ("enroll_advertise", enroll_advertise.clone()),
            ("enroll_listen", enroll_listen.to_string()),
            ("identity", path(&identity.chain)),
            ("listen", listen.to_string()),
            ("name", name.to_string()),
            ("passphrase_file", path(passphrase_file)),
            ("pki", path(pki)),
            ("policy", path(policy)),
            ("retention.contents.age", age(contents.age)),
            ("retention.contents.bytes", bytes(contents.bytes)),
            ("retention.jobs.age", age(retention.job_age)),
            ("retention.outputs.age", age(retention.output_age)),
            ("retention.outputs.bytes", bytes(retention.output_bytes)),
            ("retention.payloads.age", retention.payload_age.map_or_else(|| FOR_EVER.to_owned(), age)),
            ("state", path(state)),
            ("tenant", tenant.to_string()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        if let Some(acting) = acting {
            let services: Vec<&str> = acting.services.iter().map(PrincipalName::as_str).collect();
            settings.push(("acting.services", services.join(",")));
            settings.extend(acting.told.iter().cloned());
        }
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// What is said of tokens. What follows a `?` may be for the issuer's eyes only.
pub(super) fn of_tokens(file: &TokensFile) -> Vec<(&'static str, String)> {
    let TokensFile { issuer, audience, keys, ca_file, user_claim } = file;
    let keys = keys.split('?').next().unwrap_or_default();
    vec![
        ("acting.tokens.audience", audience.clone()),
        ("acting.tokens.ca_file", ca_file.clone().unwrap_or_default()),
        ("acting.tokens.issuer", issuer.clone()),
        ("acting.tokens.keys", keys.to_owned()),
        ("acting.tokens.user_claim", user_claim.clone().unwrap_or_default()),
    ]
}
