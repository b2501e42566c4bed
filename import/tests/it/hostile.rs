//! Whatever stands in the files: no panic, and no secret in anything that comes out.

use lictor_import::{Files, Options, Refused, import};
use proptest::prelude::*;

/// Pieces that files of this kind are made of, and what is easily got wrong.
fn piece() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "hosts:",
        "entries:",
        "servers:",
        "- ",
        "  - ",
        "    ",
        "\n",
        "\n",
        "\n  ",
        "alias: a",
        "alias: ",
        "host: h",
        "port: ",
        "22",
        "0x16",
        "~",
        "tags: ",
        "[web, db]",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "credentials: c",
        "name: c",
        "username: u",
        "key_path: ",
        "id",
        "../id",
        "/app/keys/id",
        "password_secret: p",
        "password: ",
        "key_passphrase_secret: ",
        "description: ",
        "|",
        ">",
        "\"",
        "'",
        "\\",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "? ",
        "---\n",
        "yes",
        "no",
        "null",
        "1:30",
        "2025-11-19",
        "# x",
        "\t",
        "\u{202e}",
        "\u{feff}",
        "ü",
        "\0",
        "\r",
        "%YAML 1.1\n",
        "rules:",
        "action: allow",
        "commands: ",
        "limits:",
        "network:",
        "allow_cidrs: ",
        "overrides:",
    ]);
    prop_oneof![
        9 => word.prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..60).prop_map(|pieces| pieces.concat())
}

/// Everything that an import says.
fn said(files: &Files<'_>, options: &Options) -> String {
    match import(files, options) {
        Ok(imported) => {
            // What is told, and what is written, must both be free of control characters.
            for file in &imported.files {
                assert!(!file.text.chars().any(|c| c.is_control() && c != '\n'), "{}", file.text);
            }
            format!("{imported:?}")
        }
        Err(refused) => {
            for finding in &refused.findings {
                assert!(!finding.to_string().chars().any(|c| c.is_control() && c != '\n'), "{finding}");
            }
            format!("{refused:?}")
        }
    }
}

/// Accepts every error that can be, so that everything is written that can be.
fn accept_all(files: &Files<'_>) -> Options {
    let accept = |Refused { findings, .. }: Refused| {
        let errors = findings.into_iter().filter(|f| f.acceptable && f.severity.as_str() == "error");
        errors.map(|f| f.code.into_owned()).collect()
    };
    let codes = import(files, &Options::default()).err().map(accept).unwrap_or_default();
    Options { accept: codes, ..Options::default() }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_steers_a_terminal(
        servers in text(),
        credentials in prop::option::of(text()),
        policy in prop::option::of(text()),
    ) {
        let files =
            Files { servers: &servers, credentials: credentials.as_deref(), policy: policy.as_deref() };
        said(&files, &Options::default());
        said(&files, &accept_all(&files));
    }

    #[test]
    fn what_is_written_is_read_again_as_it_was_meant(
        alias in "[A-Za-z0-9][A-Za-z0-9._-]{0,20}",
        user in "[!-,.-~][!-~]{0,12}",
        description in "[ -~]{0,40}",
    ) {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let servers = format!(
            "hosts: [{{alias: {}, host: h, credentials: c, description: {}}}]",
            quoted(&alias), quoted(&description),
        );
        let credentials = format!("entries: [{{name: c, username: {}, key_path: id}}]", quoted(&user));
        let files = Files { servers: &servers, credentials: Some(&credentials), policy: None };
        let imported = import(&files, &Options::default()).unwrap();
        let hosts = &imported.files.first().unwrap().text;
        // Reading it as the other system would, with our own reader: the text has to survive a second import.
        let again = hosts.replace("    address:", "    host:").replace("    credential:", "    credentials:");
        let again = Files { servers: &again, ..files };
        let again = import(&again, &Options::default()).unwrap();
        prop_assert_eq!(hosts, &again.files.first().unwrap().text);
    }

    #[test]
    fn no_password_of_a_file_is_ever_said(
        secret in "S[a-z0-9!@#$%^&*()]{11}T",
        style in 0_usize..4,
        key in prop::sample::select(vec!["password", "password ", "pass word", "Password", "secret"]),
        broken in prop::sample::select(vec!["", "]", "\n  bad", "\n- : :", "\n  - {name: [", "\n\"", "\n  - *x"]),
        more in prop::sample::select(vec!["", "key_path: ../id", "key_path: id", "password_secret: p", "username: ''"]),
        place in 0_usize..3,
    ) {
        let value = match style {
            0 => format!("'{secret}'"),
            1 => format!("\"{secret}\""),
            2 => secret.clone(),
            _ => format!("|\n      {secret}\n"),
        };
        let entry = format!("  - name: c\n    username: u\n    {more}\n    {key}: {value}{broken}\n");
        let host = "hosts:\n  - alias: a\n    host: h\n    credentials: c\n";
        let (servers, credentials) = match place {
            0 => (host.to_owned(), format!("entries:\n{entry}")),
            1 => (format!("{host}    {key}: {value}{broken}\n"), format!("entries:\n{entry}")),
            _ => (format!("hosts:\n  - alias: a\n    host: root:{secret}@h\n    credentials: c\n"), format!("entries:\n{entry}")),
        };
        let files = Files { servers: &servers, credentials: Some(&credentials), policy: None };
        for options in [Options::default(), accept_all(&files)] {
            let said = said(&files, &options);
            prop_assert!(!said.contains(&secret), "{}", said);
        }
        let shown = format!("{files:?}");
        prop_assert!(!shown.contains(&secret));
    }
}
