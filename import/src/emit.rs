//! The new files as text.

use std::fmt::Write as _;

use crate::{
    credentials::{Login, Means},
    port::SSH_PORT,
    show::yaml_text,
    site::{Host, Site},
};

/// `hosts.yml` of the agent.
pub(crate) fn hosts(site: &Site) -> String {
    let mut out = String::from(
        "# The hosts of this site, from servers.yml of mcp-ssh-orchestrator. Controllers see alias, tags,\n\
         # description, address and user; never a credential.\n",
    );
    out += if site.hosts.is_empty() { "hosts: []\n" } else { "hosts:\n" };
    for host in &site.hosts {
        one_host(&mut out, host);
    }
    out
}

fn one_host(out: &mut String, host: &Host) {
    let server = &host.server;
    let _ = writeln!(out, "  - alias: {}", yaml_text(server.alias.as_str()));
    let _ = writeln!(out, "    address: {}", yaml_text(&server.address));
    if server.port != SSH_PORT {
        let _ = writeln!(out, "    port: {}", server.port);
    }
    let _ = writeln!(out, "    user: {}", yaml_text(&host.user));
    let _ = writeln!(out, "    credential: {}", yaml_text(&host.credential));
    if !server.tags.is_empty() {
        let tags: Vec<String> = server.tags.iter().map(|tag| yaml_text(tag.as_str())).collect();
        let _ = writeln!(out, "    tags: [{}]", tags.join(", "));
    }
    if !server.description.is_empty() {
        let _ = writeln!(out, "    description: {}", yaml_text(&server.description));
    }
}

/// `credentials.yml` of the agent: files, and never a secret.
pub(crate) fn credentials(site: &Site) -> String {
    let mut out = String::from(
        "# How to log in to the hosts of this site, from credentials.yml of mcp-ssh-orchestrator. This file and every\n\
         # file named here: chmod 600. import-report.md says what belongs into them.\n",
    );
    out += if site.logins.is_empty() { "credentials: []\n" } else { "credentials:\n" };
    for login in &site.logins {
        one_login(&mut out, login);
    }
    out
}

fn one_login(out: &mut String, login: &Login) {
    let _ = writeln!(out, "  - name: {}", yaml_text(&login.name));
    match &login.means {
        Means::Key { new, passphrase, .. } => {
            let _ = writeln!(out, "    key_file: {}", yaml_text(new));
            if let Some(file) = passphrase {
                let _ = writeln!(out, "    passphrase_file: {}", yaml_text(&file.path));
            }
        }
        Means::Password(file) => {
            let _ = writeln!(out, "    password_file: {}", yaml_text(&file.path));
        }
    }
}
