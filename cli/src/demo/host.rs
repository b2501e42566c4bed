//! One SSH host of the demo: OpenSSH's sshd where there is one that lets us in, the built-in server elsewhere.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
};

use russh::{
    client,
    keys::{Algorithm, PrivateKey, PublicKeyOrCertificate, key::PrivateKeyWithHashAlg},
};

use super::{
    Broken,
    ssh_server::BuiltIn,
    sshd::{Options, Sshd},
};

/// A host, running.
#[derive(Debug)]
pub(super) struct Host {
    /// Its alias.
    pub(super) alias: &'static str,
    directory: PathBuf,
    login: Arc<PrivateKey>,
    mark: String,
    key: PrivateKey,
    program: Option<PathBuf>,
    server: Option<Server>,
}

#[derive(Debug)]
enum Server {
    OpenSsh(Sshd),
    BuiltIn(BuiltIn),
}

/// A fresh Ed25519 key.
pub(super) fn new_key() -> Result<PrivateKey, Broken> {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)
        .map_err(|e| Broken::doing("cannot make a key", &e))
}

// === impl Host ===

impl Host {
    /// Starts a host that `login` may log in to. Its commands find `mark` (`NAME=value`) in their environment.
    pub(super) async fn start(
        alias: &'static str,
        directory: &Path,
        login: Arc<PrivateKey>,
        mark: &str,
        program: Option<PathBuf>,
    ) -> Result<Self, Broken> {
        fs::create_dir_all(directory).map_err(|e| Broken::doing("cannot make a directory", &e))?;
        let (directory, mark) = (directory.to_owned(), mark.to_owned());
        let mut this = Self { alias, directory, login, mark, key: new_key()?, program, server: None };
        let key = this.key.clone();
        this.serve(key, None).await?;
        Ok(this)
    }

    async fn serve(&mut self, key: PrivateKey, port: Option<u16>) -> Result<(), Broken> {
        let (name, value) = self.mark.split_once('=').unwrap_or((&self.mark, ""));
        let environment = [(name, value), ("DEMO_HOST", self.alias)];
        let authorized = self.login.public_key();
        let server = match &self.program {
            Some(program) => {
                let options = Options {
                    directory: &self.directory,
                    host_key: &key,
                    authorized,
                    port,
                    environment: &environment,
                    lines: &[],
                };
                Sshd::start(program, &options).map(Server::OpenSsh)
            }
            None => BuiltIn::start(key, authorized.clone(), port, &environment).await.map(Server::BuiltIn),
        };
        self.server = Some(server.map_err(|e| Broken::doing(&format!("cannot start {}", self.alias), &e))?);
        Ok(())
    }

    /// The port on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        match &self.server {
            Some(Server::OpenSsh(sshd)) => sshd.port(),
            Some(Server::BuiltIn(server)) => server.port(),
            None => 0,
        }
    }

    /// The line with which the host's key is pinned.
    pub(super) fn known_hosts_line(&self) -> Result<String, Broken> {
        let key = self.key.public_key().to_openssh().map_err(|e| Broken::doing("cannot write a key", &e))?;
        Ok(format!("[127.0.0.1]:{} {}", self.port(), key.trim()))
    }

    /// Puts another machine in the host's place: same address, other key. Gives back what the host had.
    pub(super) async fn impersonate(&mut self) -> Result<(), Broken> {
        let port = self.port();
        self.stop();
        self.serve(new_key()?, Some(port)).await
    }

    /// Puts the host back in its place.
    pub(super) async fn restore(&mut self) -> Result<(), Broken> {
        let port = self.port();
        self.stop();
        self.serve(self.key.clone(), Some(port)).await
    }

    /// Whether anybody tried to log in since it was started.
    pub(super) fn saw_a_login(&self) -> bool {
        match &self.server {
            // sshd says "Accepted" or "Failed", and names the user of every attempt that was cut short.
            Some(Server::OpenSsh(sshd)) => {
                let log = sshd.log();
                ["Accepted ", "Failed ", "authenticating user", "Invalid user"]
                    .iter()
                    .any(|mark| log.contains(mark))
            }
            Some(Server::BuiltIn(server)) => server.logins_tried() > 0,
            None => false,
        }
    }

    /// Ends it with its connections and their commands.
    pub(super) fn stop(&mut self) {
        match &mut self.server {
            Some(Server::OpenSsh(sshd)) => sshd.stop(),
            Some(Server::BuiltIn(server)) => server.stop(),
            None => {}
        }
    }

    /// Whether the host lets us in: an sshd may refuse a locked account or root.
    pub(super) async fn lets_us_in(&self, user: &str) -> bool {
        let config = Arc::new(client::Config::default());
        let address = (Ipv4Addr::LOCALHOST, self.port());
        let Ok(mut connection) = client::connect(config, address, AnyHost).await else { return false };
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&self.login), None);
        connection.authenticate_publickey(user, key).await.is_ok_and(|result| result.success())
    }
}

/// Takes any key: it is our own host, and nothing but a login is tried.
struct AnyHost;

impl client::Handler for AnyHost {
    type Error = russh::Error;
    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}
