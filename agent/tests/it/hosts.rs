//! Which host is talked to, and as whom: decided before anything of a login is sent.

use std::{fs, process::Command, sync::Arc};

use lictor_agent::host_key;
use lictor_proto::pb::OutcomeKind;
use russh::server::{Auth, Handler, Msg, Server, Session as SshSession};

use crate::{
    sshd::keygen,
    world::{World, kind, reason, secret_file, text},
};

/// Nothing of a login may be in sshd's log.
fn assert_no_login(world: &World) {
    let log = world.sshd.log();
    assert!(!log.contains("userauth-request") && !log.contains("Accepted"), "{log}");
}

#[tokio::test]
async fn an_unknown_host_key_is_refused_without_a_login() {
    let mut world = World::new().await;
    fs::remove_file(world.path("known_hosts")).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run(&mut session, &["true"]).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "host_key_unknown"));
    assert!(result.outcome.unwrap().detail.contains("lictor host scan web-1"));
    assert_no_login(&world);
    agent.stop().await;
}

#[tokio::test]
async fn a_changed_host_key_is_refused_without_a_login() {
    let mut world = World::new().await;
    let other = world.path("other");
    keygen("ed25519", &other, "");
    let key = fs::read_to_string(world.path("other.pub")).unwrap();
    fs::write(world.path("known_hosts"), format!("[127.0.0.1]:{} {key}", world.sshd.port)).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run(&mut session, &["true"]).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "host_key_changed"));
    assert_no_login(&world);
    agent.stop().await;
}

#[tokio::test]
async fn a_host_of_which_only_the_second_key_is_pinned_shows_that_one() {
    let mut world = World::new().await;
    fs::write(world.path("known_hosts"), world.sshd.known_hosts_line("host_ecdsa")).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    assert_eq!(kind(&world.run(&mut session, &["true"]).await), OutcomeKind::Succeeded);
    agent.stop().await;
}

#[tokio::test]
async fn a_host_certificate_of_a_pinned_authority_is_accepted_and_of_another_refused() {
    let mut world = World::new().await;
    let dir = world.sshd.dir.clone();
    for ca in ["ca", "other_ca"] {
        keygen("ed25519", &dir.join(ca), "");
    }
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-s"]).arg(dir.join("ca")).args(["-I", "test", "-h", "-n", "127.0.0.1"]);
    assert!(sign.arg(dir.join("host_ed25519.pub")).status().unwrap().success());
    world.sshd = crate::sshd::Sshd::start(
        &dir,
        &format!("HostCertificate {}", dir.join("host_ed25519-cert.pub").display()),
    )
    .await;
    world.write_hosts("");
    let authority =
        |name: &str| format!("@cert-authority [127.0.0.1]:* {}", fs::read_to_string(dir.join(name)).unwrap());
    for (file, expected) in [("ca.pub", OutcomeKind::Succeeded), ("other_ca.pub", OutcomeKind::Unreachable)] {
        fs::write(world.path("known_hosts"), authority(file)).unwrap();
        let agent = world.start();
        let mut session = world.controller.session().await;
        let result = world.run(&mut session, &["true"]).await;
        assert_eq!(kind(&result), expected, "{:?}", result.outcome);
        session.commit(&[&result.invocation_id]).await;
        agent.stop().await;
    }
}

#[tokio::test]
async fn an_address_outside_the_networks_is_refused_before_ssh_begins() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    for (allowed, denied) in [
        (vec!["10.0.0.0/8"], vec![]),
        (vec![], vec!["127.0.0.0/8"]),
        (vec!["127.0.0.0/8"], vec!["127.0.0.1/32"]),
    ] {
        let mut grant = world.grant(&session, "web-1", &["true"]);
        grant.targets[0].networks_allowed = allowed.into_iter().map(str::to_owned).collect();
        grant.targets[0].networks_denied = denied.into_iter().map(str::to_owned).collect();
        let id = world.offer(&session, &grant).await;
        let result = session.result(&id).await;
        assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "address_denied"));
    }
    assert_no_login(&world);
    // A kept connection is judged by the same terms.
    assert_eq!(kind(&world.run(&mut session, &["true"]).await), OutcomeKind::Succeeded);
    let mut grant = world.grant(&session, "web-1", &["true"]);
    grant.targets[0].networks_denied = vec!["127.0.0.0/8".into()];
    let id = world.offer(&session, &grant).await;
    assert_eq!(reason(&session.result(&id).await), "address_denied");
    agent.stop().await;
}

#[tokio::test]
async fn a_refused_key_a_missing_one_and_an_unknown_host_say_so() {
    let mut world = World::new().await;
    keygen("ed25519", &world.path("stranger"), "");
    let user_key = world.sshd.dir.join("user_key").display().to_string();
    world.write_credentials(&format!(
        "  - {{name: key, key_file: {user_key}}}\n  - {{name: stranger, key_file: stranger}}\n"
    ));
    let port = world.sshd.port;
    world.write_hosts(&format!(
        "  - {{alias: web-2, address: 127.0.0.1, port: {port}, user: root, credential: stranger}}\n"
    ));
    let agent = world.start();
    let mut session = world.controller.session().await;
    for (host, expected) in [("web-2", "authentication_failed"), ("nowhere", "no_such_host")] {
        let result = world.run_on(&mut session, host, &["true"]).await;
        assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, expected));
    }
    fs::remove_file(world.path("stranger")).unwrap();
    assert_eq!(reason(&world.run_on(&mut session, "web-2", &["true"]).await), "credential_missing");
    agent.stop().await;
}

#[tokio::test]
async fn an_encrypted_key_and_an_ssh_agent_log_in() {
    let mut world = World::new().await;
    keygen("ecdsa", &world.path("locked"), "open sesame");
    secret_file(&world.path("phrase"), "open sesame\n");
    let authorized = world.sshd.dir.join("authorized_keys");
    let keys =
        fs::read_to_string(&authorized).unwrap() + &fs::read_to_string(world.path("locked.pub")).unwrap();
    fs::write(&authorized, keys).unwrap();
    let socket = world.path("agent.sock");
    let mut ssh_agent = Command::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !socket.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // An RSA key works this way: the agent signs, nothing here computes with it.
    keygen("rsa", &world.path("rsa"), "");
    let keys = fs::read_to_string(&authorized).unwrap() + &fs::read_to_string(world.path("rsa.pub")).unwrap();
    fs::write(&authorized, keys).unwrap();
    let added = Command::new("ssh-add")
        .arg("-q")
        .arg(world.path("rsa"))
        .env("SSH_AUTH_SOCK", &socket)
        .status()
        .unwrap();
    assert!(added.success());
    world.write_credentials("  - {name: key, key_file: locked, passphrase_file: phrase}\n  - {name: by-agent, ssh_agent: agent.sock}\n  - {name: rsa, key_file: rsa}\n");
    let port = world.sshd.port;
    let host = |alias: &str, credential: &str| {
        format!(
            "  - {{alias: {alias}, address: 127.0.0.1, port: {port}, user: root, credential: {credential}}}\n"
        )
    };
    world.write_hosts(&(host("web-2", "by-agent") + &host("web-3", "rsa")));
    let agent = world.start();
    let mut session = world.controller.session().await;
    for alias in ["web-1", "web-2"] {
        let result = world.run_on(&mut session, alias, &["true"]).await;
        assert_eq!(kind(&result), OutcomeKind::Succeeded, "{alias}: {:?}", result.outcome);
    }
    let result = world.run_on(&mut session, "web-3", &["true"]).await;
    assert_eq!(reason(&result), "credential_missing");
    assert!(result.outcome.unwrap().detail.contains("ed25519"));
    agent.stop().await;
    ssh_agent.kill().unwrap();
    ssh_agent.wait().unwrap();
}

#[tokio::test]
async fn a_password_logs_in_and_a_wrong_one_does_not() {
    let mut world = World::new().await;
    let (port, line) = password_server().await;
    fs::write(world.path("known_hosts"), line).unwrap();
    secret_file(&world.path("password"), "correct horse\n");
    world.write_credentials("  - {name: key, password_file: password}\n  - {name: wrong, password: nope}\n");
    let host = |alias: &str, credential: &str| {
        format!(
            "  - {{alias: {alias}, address: 127.0.0.1, port: {port}, user: ops, credential: {credential}}}\n"
        )
    };
    world.write_hosts(&(host("good", "key") + &host("bad", "wrong")));
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run_on(&mut session, "good", &["true"]).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded, "{:?}", result.outcome);
    assert_eq!(text(&result).0, "hello");
    assert_eq!(reason(&world.run_on(&mut session, "bad", &["true"]).await), "authentication_failed");
    agent.stop().await;
}

/// A server that takes one password and answers every command with `hello`.
async fn password_server() -> (u16, String) {
    let key = russh::keys::PrivateKey::random(&mut rand::rng(), russh::keys::Algorithm::Ed25519).unwrap();
    let public = key.public_key().to_openssh().unwrap();
    let config = Arc::new(russh::server::Config {
        keys: vec![key],
        auth_rejection_time: std::time::Duration::ZERO,
        ..Default::default()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { Passwords.run_on_socket(config, &listener).await });
    (port, format!("[127.0.0.1]:{port} {public}\n"))
}

struct Passwords;

impl Server for Passwords {
    type Handler = Self;
    fn new_client(&mut self, _: Option<std::net::SocketAddr>) -> Self {
        Self
    }
}

impl Handler for Passwords {
    type Error = russh::Error;
    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if (user, password) == ("ops", "correct horse") { Auth::Accept } else { Auth::reject() })
    }
    async fn channel_open_session(
        &mut self,
        _: russh::Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _: &mut SshSession,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }
    async fn exec_request(
        &mut self,
        channel: russh::ChannelId,
        _: &[u8],
        session: &mut SshSession,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        session.data(channel, &b"hello"[..])?;
        session.exit_status_request(channel, 0)?;
        session.eof(channel)?;
        session.close(channel)
    }
}

#[tokio::test]
async fn keys_are_scanned_without_a_login_and_a_changed_one_is_only_replaced_when_told() {
    let world = World::new().await;
    fs::remove_file(world.path("known_hosts")).unwrap();
    let config = world.config();
    let keys = host_key::scan(&config, "web-1").await.unwrap();
    assert_eq!(
        keys.iter().map(|k| k.algorithm.as_str()).collect::<Vec<_>>(),
        ["ssh-ed25519", "ecdsa-sha2-nistp256"]
    );
    assert!(keys.iter().all(|k| !k.known && !k.changed));
    assert_no_login(&world);
    host_key::pin(&config, "web-1", &keys, false).unwrap();
    let again = host_key::scan(&config, "web-1").await.unwrap();
    assert!(again.iter().all(|k| k.known));
    let pinned = fs::read_to_string(world.path("known_hosts")).unwrap();
    host_key::pin(&config, "web-1", &again, false).unwrap();
    assert_eq!(
        fs::read_to_string(world.path("known_hosts")).unwrap(),
        pinned,
        "pinning twice changes nothing"
    );

    keygen("ed25519", &world.path("other"), "");
    let other = fs::read_to_string(world.path("other.pub")).unwrap();
    let stale = format!("kept.example {other}[127.0.0.1]:{} {other}", world.sshd.port);
    fs::write(world.path("known_hosts"), stale).unwrap();
    let keys = host_key::scan(&config, "web-1").await.unwrap();
    assert!(keys[0].changed);
    host_key::pin(&config, "web-1", &keys, false).unwrap_err();
    host_key::pin(&config, "web-1", &keys, true).unwrap();
    let text = fs::read_to_string(world.path("known_hosts")).unwrap();
    assert!(text.contains("kept.example") && text.lines().count() == 3, "{text}");
    assert!(host_key::scan(&config, "web-1").await.unwrap().iter().all(|k| k.known && !k.changed));
}
