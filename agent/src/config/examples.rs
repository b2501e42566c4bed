//! Commented examples of every file that an agent reads; `lictor init` writes them as they are here.

/// `agent.yml`
pub const EXAMPLE_AGENT: &str = "\
# An agent of one site. Relative paths start at this file's directory.
controller: controller.example.com:7443
# The journal: what was started here. Must survive restarts; one agent at a time.
state_dir: state
# The agent's certificate and the controller's public keys, written by `lictor-agent join`.
identity_dir: identity
hosts: hosts.yml
credentials: credentials.yml
# Pinned host keys; `lictor-agent host-scan ALIAS --accept` adds to it.
known_hosts: known_hosts
# What no controller may ever have run here. Leave it out to trust the controller's policy alone.
floor: floor.yml
# Secrets are masked in what hosts say, before it leaves this site: every credential of the file above, and tokens of
# well-known formats, always. Name what else is secret here:
# redact:
#   secrets_file: redact.txt           # one secret a line, at least 6 bytes each; chmod 600
#   patterns: ['acme-[0-9a-f]{32}']    # regular expressions that begin with fixed letters
# Commands that run at once.
max_concurrency: 256
# SSH connections are kept for the next command. What is written here is what holds without it.
# max_connections: 10000             # of this agent; lowered where the limit of open files is lower
# max_connections_per_host: 4        # sshd drops logins at 10 under way (MaxStartups)
# max_channels_per_connection: 8     # commands on one connection; sshd refuses the eleventh (MaxSessions)
# max_connecting: 64                 # handshakes and logins at once
# idle_close: 5m                     # a connection without a command is closed after this
";

/// `hosts.yml`
pub const EXAMPLE_HOSTS: &str = "\
# The hosts of this site. Controllers see alias, tags, labels, description, address and user; never a credential.
hosts:
  - alias: web-1
    address: 192.0.2.10        # name or address
    port: 22                   # 22 if left out
    user: deploy
    credential: deploy-key     # a name in credentials.yml
    tags: [web, production]
    labels: { env: prod, role: web }
    description: first web server
  - alias: db-1
    address: db-1.example.com
    user: operator
    credential: site-agent
    tags: [db]
    labels: { env: prod, role: db }
  # Behind a jump host, which is a host of this file itself, and may be behind another.
  # - alias: app-1
  #   address: 10.0.0.5              # seen from the jump host; must be an IP address where policy restricts networks
  #   via: web-1
  #   user: deploy
  #   credential: deploy-key
  #   host_key_alias: app-1          # the name in known_hosts, where another host has the same address
  #   max_connections_per_host: 1    # as in agent.yml, for this host
  #   max_channels_per_connection: 2
";

/// `credentials.yml`
pub const EXAMPLE_CREDENTIALS: &str = "\
# Secrets of this site; they never leave it. This file and every file named here: chmod 600.
credentials:
  # A private key (Ed25519 or ECDSA), with an optional file that holds its passphrase.
  - name: deploy-key
    key_file: keys/deploy_ed25519
    # passphrase_file: keys/deploy_ed25519.passphrase
  # Keys in an ssh-agent: `true` for the one in SSH_AUTH_SOCK, or the path of its socket. RSA keys work only this way.
  - name: site-agent
    ssh_agent: true
  # A password, in a file of its own or here.
  # - name: old-switch
  #   password_file: keys/old-switch.password
";

/// `floor.yml`
pub const EXAMPLE_FLOOR: &str = "\
# The floor of this site: every grant is judged against it again, whatever the controller decided.
version: 1
rules:
  - id: read-only
    description: looking is fine everywhere
    effect: allow
    where: all
    commands:
      - uptime
      - df -h
      - systemctl status <unit>
  - id: never-wipe
    effect: deny
    where: all
    commands:
      - mkfs
      - shred
";
