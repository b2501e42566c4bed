//! The section `redact` of `agent.yml`: what is masked in what hosts say, beside the site's credentials.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::redact::{MAX_PATTERNS, Patterns, Redaction};

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RedactKeys {
    secrets_file: Option<PathBuf>,
    #[serde(default)]
    patterns: Vec<Spanned<String>>,
}

/// What is masked; what is wrong is left out of it, and said.
pub(super) fn check(
    keys: Option<RedactKeys>,
    at: impl Fn(&Path) -> PathBuf,
    wrong: &mut impl FnMut(u64, String),
) -> Option<Redaction> {
    let RedactKeys { secrets_file, patterns } = keys.unwrap_or_default();
    let mut good = Vec::new();
    for pattern in &patterns {
        match Patterns::check(&pattern.value) {
            Ok(()) => good.push(pattern.value.clone()),
            Err(error) => wrong(pattern.referenced.line(), format!("redact: {error}")),
        }
    }
    let line = patterns.first().map_or(0, |first| first.referenced.line());
    if patterns.len() > MAX_PATTERNS {
        wrong(line, format!("redact: there are {} patterns, at most {MAX_PATTERNS} can be", patterns.len()));
        return None;
    }
    match Patterns::new(&good) {
        Ok(patterns) => {
            Some(Redaction { secrets: secrets_file.as_deref().map(at), patterns: Arc::new(patterns) })
        }
        Err(error) => {
            wrong(line, format!("redact: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::config::AgentConfig;

    fn load(redact: &str) -> Result<AgentConfig, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.yml");
        let text = format!(
            "controller: c:7443\nstate_dir: s\nidentity_dir: i\nhosts: h\ncredentials: c\nknown_hosts: k\n{redact}"
        );
        fs::write(&path, text).unwrap();
        AgentConfig::load(&path).map_err(|problems| problems.to_string())
    }

    #[test]
    fn every_wrong_pattern_is_refused_with_its_line_and_without_its_text() {
        for (pattern, why) in [
            ("acme-[0-9", "cannot be read"),
            ("acme", "fewer than 6 bytes"),
            ("acme-?[0-9]*", "fewer than 6 bytes"),
            ("[a-z]{40}", "fixed characters"),
            (".*acme-[0-9]{20}", "fixed characters"),
            ("acme-(?=x)abcdef", "cannot be read"),
            (r"acme-\p{Greek}{20}", "cannot be read"),
            ("acme-[a-z]{1,10}.{1,400}[b-y].{200}", "too much memory"),
            ("acme-[a-z]{252}", "shortest match more than 256"),
        ] {
            let error = load(&format!("redact:\n  patterns:\n    - '{pattern}'\n")).unwrap_err();
            assert!(error.contains("agent.yml:9: ") && error.contains(why), "{pattern}: {error}");
            assert!(!error.contains(pattern) || pattern == "acme", "{error}");
        }
        let long = load(&format!("redact: {{patterns: ['acme-{}']}}\n", "x".repeat(1100))).unwrap_err();
        assert!(long.contains("more than 1024 bytes"), "{long}");
        let many = format!("redact: {{patterns: [{}]}}\n", "'acme-[0-9]{20}', ".repeat(65));
        assert!(load(&many).unwrap_err().contains("at most 64"));
        assert!(load("redact: {off: true}\n").unwrap_err().contains("there is no key off"));
        assert!(load("redact: false\n").is_err());
    }

    #[test]
    fn a_good_section_is_taken_and_none_is_needed() {
        let config = load("redact: {secrets_file: r.txt, patterns: ['(?i)acme-[0-9a-f]{32}\\b']}\n").unwrap();
        assert!(config.site.redaction.secrets.unwrap().ends_with("r.txt"));
        let longest = "redact: {patterns: ['acme-[a-z]{251}']}\n";
        assert!(load(longest).is_ok(), "256 bytes themselves are allowed: {:?}", load(longest).err());
        assert!(load("").unwrap().site.redaction.secrets.is_none());
    }
}
