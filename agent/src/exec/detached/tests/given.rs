//! What a command is given before it starts: whole, read by it alone, and gone afterwards.

use super::*;

/// Variables as they are sent, and standard input with every byte in it.
fn gifts() -> (&'static str, Vec<u8>) {
    (r" A='it'\''s $HOME; `id`' B='' LANG=C", (0..=255).cycle().take(200_000).collect())
}

#[test]
fn what_a_command_is_given_reaches_it_to_the_byte_and_nothing_of_it_is_left() {
    let (variables, input) = gifts();
    for host in Host::all() {
        let (one, directory) = (id(), host.dir.path().join("it's"));
        fs::create_dir(&directory).unwrap();
        let sent = [variables.as_bytes(), &input].concat();
        let sizes = (variables.len() as u64, Some(input.len() as u64));
        assert_eq!(host.give(one, sizes.0, sizes.1, &sent), (Keeping::Kept, Vec::new()));
        let name = format!("new_{one}.{NONCE}");
        assert_eq!(host.parcels(), [name.as_str()], "{}", host.shell.display());
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let at = host.root().join(&name);
        assert_eq!([mode(at.clone()), mode(at.join("env")), mode(at.join("in"))], [0o700, 0o600, 0o600]);
        let place = host.root().join(one.to_string());
        let command = format!(
            "ls {} >&2; pwd; printenv A; printenv B; printenv LANG; printenv LICTOR_INVOCATION; cat; exit 4",
            place.display()
        );
        let parcel = Parcel { nonce: NONCE.into(), environment: true, input: true };
        let launch =
            Launch { command: &command, shaped: true, directory: directory.to_str(), parcel: Some(&parcel) };
        let output = host.ask(one, Ask::Start(launch));
        let (word, printed) = split(&output.stdout);
        let head = format!("{}\nit's $HOME; `id`\n\nC\n{one}\n", directory.display());
        assert_eq!(word, "started", "{}", host.shell.display());
        assert!(printed == [head.as_bytes(), &input].concat(), "{}", host.shell.display());
        let seen = String::from_utf8(split(&output.stderr).1).unwrap();
        assert!(!seen.lines().any(|file| ["env", "in"].contains(&file)), "gone before it began: {seen}");
        assert_eq!((host.look(one).state, host.parcels()), (State::Ended(4), Vec::new()));
        // Whoever comes again is attached to it, and gives it nothing.
        assert_eq!(split(&host.ask(one, Ask::Start(launch)).stdout).0, "attached");
    }
}

#[test]
fn variables_change_nothing_of_what_runs_whatever_they_are_called() {
    // The scripts' own names, and what stands for a call of something else.
    let variables = r" s='/bin/false' T='echo other' E='x' d='/' k='777' c='0' w='-' l='a' y='b' export='f' set='g' exec='$(echo h)'";
    for host in Host::all() {
        let one = id();
        assert_eq!(host.give(one, variables.len() as u64, None, variables.as_bytes()).0, Keeping::Kept);
        let parcel = Parcel { nonce: NONCE.into(), environment: true, input: false };
        let command = "for v in s T E d k c w l y export set exec; do printenv $v; done; echo $# $0; exit 3";
        let launch = Launch { command, shaped: true, directory: None, parcel: Some(&parcel) };
        let (word, printed) = split(&host.ask(one, Ask::Start(launch)).stdout);
        assert_eq!(word, "started", "{}", host.shell.display());
        let printed = String::from_utf8(printed).unwrap();
        let expected = "/bin/false|echo other|x|/|777|0|-|a|b|f|g|$(echo h)|0 /bin/sh";
        let lines: Vec<_> = printed.lines().collect();
        assert_eq!(lines.join("|"), expected, "{}", host.shell.display());
        assert_eq!(host.look(one).state, State::Ended(3));
    }
}

#[test]
fn what_came_in_part_is_not_kept_and_starts_nothing() {
    let (variables, input) = gifts();
    let sizes = (variables.len() as u64, Some(input.len() as u64));
    for host in Host::all() {
        let (one, effect) = (id(), host.dir.path().join("effect"));
        let whole = [variables.as_bytes(), &input].concat();
        let more = [&whole[..], &b"x"[..]].concat();
        for sent in
            [&whole[..0], &whole[..5], &whole[..variables.len()], &whole[..whole.len() - 1], &more[..]]
        {
            assert_eq!(host.give(one, sizes.0, sizes.1, sent).0, Keeping::Unkept, "{}", host.shell.display());
            assert_eq!(host.parcels(), Vec::<String>::new());
        }
        let parcel = Parcel { nonce: NONCE.into(), environment: true, input: true };
        let command = format!("echo x >> {}", effect.display());
        let launch = Launch { command: &command, shaped: true, directory: None, parcel: Some(&parcel) };
        let word = split(&host.ask(one, Ask::Start(launch)).stdout).0;
        assert_eq!(read_begin(&word), Some(Begin::NotGiven), "{}", host.shell.display());
        assert_eq!((host.look(one).state, effect.exists()), (State::Absent, false));
    }
}

#[test]
fn a_directory_that_cannot_be_entered_takes_no_guard_starts_nothing_and_leaves_nothing() {
    let (variables, _) = gifts();
    for host in Host::all() {
        let (one, effect) = (id(), host.dir.path().join("effect"));
        let kept = host.give(one, variables.len() as u64, None, variables.as_bytes());
        assert_eq!(kept.0, Keeping::Kept);
        let parcel = Parcel { nonce: NONCE.into(), environment: true, input: false };
        let command = format!("echo x >> {}", effect.display());
        let directory = Some("/nonexistent/it's");
        let launch = Launch { command: &command, shaped: true, directory, parcel: Some(&parcel) };
        let (word, words) = split(&host.ask(one, Ask::Start(launch)).stdout);
        assert_eq!(read_begin(&word), Some(Begin::NoDirectory), "{}", host.shell.display());
        assert!(String::from_utf8(words).unwrap().contains("/nonexistent/it's"));
        assert_eq!((host.look(one).state, effect.exists()), (State::Absent, false));
        assert_eq!(host.parcels(), Vec::<String>::new());
    }
}

#[test]
fn what_was_given_for_a_start_that_never_came_is_cleaned_away() {
    for host in Host::all() {
        let one = id();
        assert_eq!(host.give(one, 0, Some(5), b"given").0, Keeping::Kept);
        let (old, fresh) = (host.root().join("new_inv_old.x"), host.root().join("new_inv_fresh.x"));
        for place in [&old, &fresh] {
            fs::create_dir(place).unwrap();
            fs::write(place.join("in"), "given").unwrap();
        }
        assert!(Command::new("touch").args(["-d", "10 days ago"]).arg(&old).status().unwrap().success());
        host.ask(one, Ask::Clean);
        assert_eq!(host.parcels(), ["new_inv_fresh.x"], "{}", host.shell.display());
        // Taken so that it never starts: a start that comes late gives it nothing.
        host.ask(one, Ask::Follow { stdout: 0, stderr: 0 });
        assert_eq!(host.give(one, 0, Some(5), b"given").0, Keeping::Kept);
        let parcel = Parcel { nonce: NONCE.into(), environment: false, input: true };
        let launch = Launch { command: "cat", shaped: false, directory: None, parcel: Some(&parcel) };
        assert_eq!(split(&host.ask(one, Ask::Start(launch)).stdout), ("attached".into(), Vec::new()));
        assert_eq!(host.look(one).state, State::Never);
    }
}
