//! A directory as people have it: twelve hosts, six credentials, and one of most mistakes.

use std::fmt::Write as _;

use lictor_import::{Files, Options, import};

const FILES: Files<'_> = Files {
    servers: include_str!("../fixture/servers.yml"),
    credentials: Some(include_str!("../fixture/credentials.yml")),
    policy: Some(include_str!("../fixture/policy.yml")),
};

/// What its owner would accept after a look.
const ACCEPTED: [&str; 5] =
    ["duplicate-alias", "inline-password", "no-credential", "unusable-alias", "unusable-key-path"];

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let refused = import(&FILES, &Options::default()).unwrap_err();
    let mut text = String::new();
    for finding in &refused.findings {
        writeln!(text, "{finding}\n").unwrap();
    }
    insta::assert_snapshot!("refused", text);
}

#[test]
fn what_is_written_after_a_look_is_this() {
    let options = Options {
        accept: ACCEPTED.map(str::to_owned).into(),
        site: Some("vienna".parse().unwrap()),
        ..Options::default()
    };
    let imported = import(&FILES, &options).unwrap_or_else(|refused| panic!("{refused:#?}"));
    for file in &imported.files {
        insta::assert_snapshot!(file.name, file.text);
    }
    let private: Vec<&str> = imported.files.iter().filter(|f| f.private).map(|f| f.name).collect();
    assert_eq!(private, ["credentials.yml", "import-report.md"]);
    assert_eq!(imported.folders, ["keys", "secrets"]);
}
