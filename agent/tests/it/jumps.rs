//! Hosts behind jump hosts, over real sshds: each hop is checked as itself, and what breaks is told truthfully.

use std::{fs, process::Command, time::Duration};

use lictor_agent::{host_key, site::Site};
use lictor_proto::pb::OutcomeKind;

use crate::{
    sshd::{Sshd, keygen},
    world::{World, kind, pid_of, reason, text},
};

/// The world's sshd is `web-1`, the jump host; `app` listens on an address of its own and takes the same user key.
async fn behind(world: &World, name: &str, address: &str, extra: &str) -> Sshd {
    let dir = world.path(name);
    fs::create_dir(&dir).unwrap();
    for file in ["user_key", "user_key.pub"] {
        fs::copy(world.sshd.dir.join(file), dir.join(file)).unwrap();
    }
    Sshd::start_at(&dir, address, extra).await
}

fn entry(alias: &str, sshd: &Sshd, more: &str) -> String {
    format!(
        "  - {{alias: {alias}, address: '{}', port: {}, user: root, credential: key{more}}}\n",
        sshd.address, sshd.port
    )
}

fn pin(world: &World, lines: &[String]) {
    fs::write(world.path("known_hosts"), lines.concat()).unwrap();
}

fn pinned(sshd: &Sshd) -> String {
    sshd.known_hosts_line("host_ed25519")
}

fn detail(result: &lictor_proto::pb::InvocationResult) -> String {
    result.outcome.as_ref().unwrap().detail.clone()
}

fn logins(sshd: &Sshd) -> usize {
    sshd.log().matches("Accepted publickey").count()
}

/// Takes connections from the jump host alone: its own log says that everything came over it.
fn assert_forwarded(jump: &Sshd, target: &Sshd) {
    let asked = format!("{} port {}", target.address, target.port);
    assert!(jump.log().contains(&asked), "{asked} is not in the jump host's log");
}

#[tokio::test]
async fn a_host_behind_one_and_behind_two_jump_hosts_runs_commands_over_one_connection_to_each() {
    let mut world = World::new().await;
    let inner = behind(&world, "inner", "127.0.0.2", "").await;
    let app = behind(&world, "app", "::1", "").await;
    pin(&world, &[pinned(&world.sshd), pinned(&inner), pinned(&app)]);
    world.write_hosts(&(entry("inner", &inner, ", via: web-1") + &entry("app", &app, ", via: inner")));
    let agent = world.start();
    let mut session = world.controller.session().await;
    for _ in 0..3 {
        let result = world.run_on(&mut session, "app", &["echo", "deep"]).await;
        assert_eq!(
            (kind(&result), text(&result).0.as_str()),
            (OutcomeKind::Succeeded, "deep\n"),
            "{}",
            detail(&result)
        );
        assert_eq!(
            result.address,
            format!(
                "[::1]:{} via inner (127.0.0.2:{} via web-1 (127.0.0.1:{}))",
                app.port, inner.port, world.sshd.port
            )
        );
    }
    // A jump host is a host like others, and its connection serves both.
    for host in ["inner", "web-1"] {
        assert_eq!(kind(&world.run_on(&mut session, host, &["true"]).await), OutcomeKind::Succeeded);
    }
    assert_eq!([logins(&world.sshd), logins(&inner), logins(&app)], [1, 1, 1]);
    assert_forwarded(&world.sshd, &inner);
    assert_forwarded(&inner, &app);
    agent.stop().await;
}

#[tokio::test]
async fn a_wrong_key_at_any_hop_is_refused_before_a_login_there() {
    let mut world = World::new().await;
    let app = behind(&world, "app", "127.0.0.2", "").await;
    world.write_hosts(&entry("app", &app, ", via: web-1"));
    keygen("ed25519", &world.path("other"), "");
    let other = fs::read_to_string(world.path("other.pub")).unwrap();
    // The target's own key is pinned, but for another port, and for its alias: neither counts.
    let bare = pinned(&app).split_once(' ').unwrap().1.to_owned();
    pin(&world, &[pinned(&world.sshd), format!("app {bare}127.0.0.2 {bare}[127.0.0.2]:1 {bare}")]);
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run_on(&mut session, "app", &["true"]).await;
    assert_eq!(reason(&result), "host_key_unknown");
    pin(&world, &[pinned(&world.sshd), format!("[127.0.0.2]:{} {other}", app.port)]);
    let result = world.run_on(&mut session, "app", &["true"]).await;
    assert_eq!(reason(&result), "host_key_changed");
    assert!(detail(&result).contains("lictor host scan app --replace"), "{}", detail(&result));
    assert!(!app.log().contains("userauth-request"), "{}", app.log());
    assert!(logins(&world.sshd) > 0);

    // At the first hop: nothing of a login there, and nothing at all behind it.
    pin(&world, &[format!("[127.0.0.1]:{} {other}", world.sshd.port), pinned(&app)]);
    let (before, asked) = (logins(&world.sshd), app.log().matches("Connection from").count());
    let result = world.run_on(&mut session, "app", &["true"]).await;
    assert_eq!(reason(&result), "host_key_changed");
    assert!(detail(&result).contains("behind the jump host web-1"), "{}", detail(&result));
    assert_eq!((logins(&world.sshd), app.log().matches("Connection from").count()), (before, asked));
    agent.stop().await;
}

#[tokio::test]
async fn a_jump_host_that_goes_away_leaves_the_commands_behind_it_unknown_and_comes_back() {
    let mut world = World::new().await;
    let app = behind(&world, "app", "127.0.0.2", "").await;
    pin(&world, &[pinned(&world.sshd), pinned(&app)]);
    world.write_hosts(&entry("app", &app, ", via: web-1"));
    let agent = world.start();
    let mut session = world.controller.session().await;
    let long = ["sleep", &format!("60{}", std::process::id())];
    let grant = world.grant(&session, "app", &long);
    let id = world.offer(&session, &grant).await;
    while pid_of(&long).is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.sshd.end_sessions();
    let result = session.result(&id).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unknown, "connection_lost"));
    assert!(result.address.contains("via web-1"));
    let again = world.run_on(&mut session, "app", &["echo", "again"]).await;
    assert_eq!(text(&again).0, "again\n", "{}", detail(&again));
    // What cannot be reached behind it, or may not be, does not end what goes on there.
    let before = logins(&world.sshd);
    let free = std::net::TcpListener::bind("127.0.0.3:0").unwrap().local_addr().unwrap();
    world.write_hosts(
        &(entry("app", &app, ", via: web-1")
            + &format!(
                "  - {{alias: gone, address: 127.0.0.3, port: {}, user: root, credential: key, via: web-1}}\n",
                free.port()
            )),
    );
    let gone = world.run_on(&mut session, "gone", &["true"]).await;
    assert_eq!(reason(&gone), "connect_failed");
    assert!(detail(&gone).contains("jump host web-1 could not connect"), "{}", detail(&gone));
    assert_eq!(kind(&world.run_on(&mut session, "app", &["true"]).await), OutcomeKind::Succeeded);
    assert_eq!(logins(&world.sshd), before + 1, "one login for the files that changed, none for the failure");
    if let Some(pid) = pid_of(&long) {
        let _ = Command::new("kill").arg(pid).status();
    }
    agent.stop().await;
}

#[tokio::test]
async fn a_jump_host_that_does_not_forward_says_so() {
    let mut world = World::with_sshd("AllowTcpForwarding no").await;
    let app = behind(&world, "app", "127.0.0.2", "").await;
    pin(&world, &[pinned(&world.sshd), pinned(&app)]);
    world.write_hosts(&entry("app", &app, ", via: web-1"));
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run_on(&mut session, "app", &["true"]).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "connect_failed"));
    assert!(detail(&result).contains("AllowTcpForwarding"), "{}", detail(&result));
    agent.stop().await;
}

#[tokio::test]
async fn networks_judge_the_address_behind_a_jump_host_and_never_one_that_cannot_be_seen() {
    let mut world = World::new().await;
    let app = behind(&world, "app", "127.0.0.2", "").await;
    pin(&world, &[pinned(&world.sshd), pinned(&app), pinned(&app).replacen("127.0.0.2", "localhost.app", 1)]);
    let named = entry("named", &app, ", via: web-1").replace("127.0.0.2", "localhost.app");
    world.write_hosts(&(entry("app", &app, ", via: web-1") + &named));
    let agent = world.start();
    let mut session = world.controller.session().await;
    // Warm connections are judged as cold ones are.
    for _ in 0..2 {
        for (host, allowed, denied, expected) in [
            ("app", vec!["127.0.0.2/32"], vec![], "ok"),
            ("app", vec!["127.0.0.1/32"], vec![], "address_denied"),
            ("app", vec![], vec!["127.0.0.2/32"], "address_denied"),
            // The way there may lie outside of what is allowed, but not inside of what is denied.
            ("app", vec!["127.0.0.0/8"], vec!["127.0.0.1/32"], "address_denied"),
            ("named", vec!["127.0.0.0/8"], vec![], "address_denied"),
            ("named", vec![], vec!["10.0.0.0/8"], "address_denied"),
        ] {
            let mut grant = world.grant(&session, host, &["true"]);
            grant.targets[0].networks_allowed = allowed.into_iter().map(str::to_owned).collect();
            grant.targets[0].networks_denied = denied.into_iter().map(str::to_owned).collect();
            let id = world.offer(&session, &grant).await;
            let result = session.result(&id).await;
            if expected == "ok" {
                assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", detail(&result));
            } else {
                assert_eq!(reason(&result), expected, "{host}: {}", detail(&result));
            }
            if host == "named" {
                assert!(detail(&result).contains("write its IP address"), "{}", detail(&result));
            }
        }
    }
    agent.stop().await;
}

#[tokio::test]
async fn keys_of_a_host_behind_a_jump_host_are_scanned_through_it() {
    let world = World::new().await;
    let app = behind(&world, "app", "127.0.0.2", "").await;
    world.write_hosts(&entry("app", &app, ", via: web-1, host_key_alias: App-Keys"));
    let config = world.config();
    fs::remove_file(world.path("known_hosts")).unwrap();
    let error = host_key::scan(&config, "app").await.unwrap_err().to_string();
    assert!(error.contains("lictor host scan web-1"), "{error}");
    pin(&world, &[pinned(&world.sshd)]);
    let keys = host_key::scan(&config, "app").await.unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys[0].line.starts_with("app-keys ssh-ed25519 "), "{}", keys[0].line);
    assert!(!app.log().contains("userauth-request"));
    assert_forwarded(&world.sshd, &app);
    host_key::pin(&config, "app", &keys, false).unwrap();
    assert!(host_key::scan(&config, "app").await.unwrap().iter().all(|key| key.known));
}

#[tokio::test]
async fn a_host_certificate_is_checked_on_other_ports_and_behind_jump_hosts() {
    let mut world = World::new().await;
    let dir = world.path("app");
    fs::create_dir(&dir).unwrap();
    for name in ["ca", "host_ed25519"] {
        keygen("ed25519", &dir.join(name), "");
    }
    for file in ["user_key", "user_key.pub"] {
        fs::copy(world.sshd.dir.join(file), dir.join(file)).unwrap();
    }
    let sign = |name: &str| {
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-s"]).arg(dir.join("ca")).args(["-I", "test", "-h", "-n", name]);
        assert!(sign.arg(dir.join("host_ed25519.pub")).status().unwrap().success());
    };
    sign("127.0.0.2");
    let certificate = format!("HostCertificate {}", dir.join("host_ed25519-cert.pub").display());
    let app = Sshd::start_at(&dir, "127.0.0.2", &certificate).await;
    let authority = fs::read_to_string(dir.join("ca.pub")).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    for (names, more, expected) in [
        // As OpenSSH has it: an authority for the host counts on all its ports …
        ("127.0.0.2", ", via: web-1", "ok"),
        ("127.0.0.*", "", "ok"),
        (&*format!("[127.0.0.2]:{}", app.port), ", via: web-1", "ok"),
        // … and one for another port or host does not.
        ("[127.0.0.2]:1", ", via: web-1", "host_key_unknown"),
        ("127.0.0.1", ", via: web-1", "host_key_unknown"),
        // The certificate names the address, not this.
        ("other-name", ", via: web-1, host_key_alias: other-name", "host_key_unknown"),
    ] {
        pin(&world, &[pinned(&world.sshd), format!("@cert-authority {names} {authority}")]);
        world.write_hosts(&entry("app", &app, more));
        let result = world.run_on(&mut session, "app", &["true"]).await;
        let got = if kind(&result) == OutcomeKind::Succeeded { "ok" } else { reason(&result) };
        assert_eq!(got, expected, "{names}{more}: {}", detail(&result));
    }
    agent.stop().await;
}

#[tokio::test]
async fn an_ipv6_host_on_another_port_is_known_by_its_bracketed_name() {
    let mut world = World::new().await;
    let app = behind(&world, "app", "::1", "").await;
    let line = pinned(&app);
    assert!(line.starts_with(&format!("[::1]:{} ", app.port)));
    world.write_hosts(&(entry("app", &app, "") + &entry("long", &app, "").replace("'::1'", "'0:0:0::1'")));
    let agent = world.start();
    let mut session = world.controller.session().await;
    pin(&world, &[line.replace(&app.port.to_string(), "1")]);
    assert_eq!(reason(&world.run_on(&mut session, "app", &["true"]).await), "host_key_unknown");
    pin(&world, &[line]);
    for host in ["app", "long"] {
        let result = world.run_on(&mut session, host, &["true"]).await;
        assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", detail(&result));
        assert_eq!(result.address, format!("[::1]:{}", app.port));
    }
    agent.stop().await;
}

#[test]
fn a_circle_of_jump_hosts_is_refused_when_the_files_are_read() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    world.write_hosts(
        "  - {alias: a, address: a, user: root, credential: key, via: b}\n  - {alias: b, address: b, user: root, credential: key, via: a}\n",
    );
    let problems = Site::load(&world.config().site, 0).unwrap_err().to_string();
    assert!(problems.contains("hosts.yml:3") && problems.contains("a → b → a"), "{problems}");
}
