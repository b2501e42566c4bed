//! What the file says of HTTP, checked: nobody beyond this machine is served without TLS and without tokens.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use http::Uri;
use lictor_oauth::{
    config::{TokensConfig, TokensFile},
    fetch::is_loopback,
};
use serde::Deserialize;

/// Where MCP is served, below the public URL's host.
pub const ENDPOINT: &str = "/mcp";
/// Most entries of an allow list.
const MAX_ALLOWED: usize = 64;

/// How to serve HTTP.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Certificate and key; `None` on loopback alone.
    pub tls: Option<TlsFiles>,
    /// Whose tokens are accepted; `None`: everybody who can connect calls as the bridge, on loopback alone.
    pub tokens: Option<TokensConfig>,
    /// Hosts that requests may name.
    pub allowed_hosts: Vec<String>,
    /// Origins that browsers may name.
    pub allowed_origins: Vec<String>,
}

/// A certificate chain and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpFile {
    listen: SocketAddr,
    tls: Option<TlsFile>,
    tokens: Option<TokensFile>,
    #[serde(default)]
    allowed_hosts: Vec<String>,
    #[serde(default)]
    allowed_origins: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsFile {
    certificate: PathBuf,
    key: PathBuf,
}

/// What is wrong with the section.
#[derive(Debug, thiserror::Error)]
#[error("http: {0}")]
pub struct InvalidHttp(String);

// === impl HttpConfig ===

impl HttpConfig {
    /// Serving everybody who reaches `listen`, which has to be on loopback.
    ///
    /// # Errors
    /// [`InvalidHttp`] for an address that other machines can reach.
    pub fn loopback(listen: SocketAddr, base: &Path) -> Result<Self, InvalidHttp> {
        let (allowed_hosts, allowed_origins) = (Vec::new(), Vec::new());
        Self::new(HttpFile { listen, tls: None, tokens: None, allowed_hosts, allowed_origins }, base)
    }

    /// Checks the section; relative paths in it are relative to `base`.
    ///
    /// # Errors
    /// [`InvalidHttp`], with what to set.
    pub(crate) fn new(file: HttpFile, base: &Path) -> Result<Self, InvalidHttp> {
        let HttpFile { listen, tls, tokens, mut allowed_hosts, mut allowed_origins } = file;
        let reachable = !listen.ip().is_loopback();
        if reachable && tls.is_none() {
            return Err(InvalidHttp(format!(
                "{listen} can be reached from other machines: set `tls` (certificate, key), or listen on 127.0.0.1"
            )));
        }
        if reachable && tokens.is_none() {
            return Err(InvalidHttp(format!(
                "{listen} can be reached from other machines: set `tokens` (issuer, audience, keys), or listen on 127.0.0.1"
            )));
        }
        if allowed_hosts.len() > MAX_ALLOWED || allowed_origins.len() > MAX_ALLOWED {
            return Err(InvalidHttp(format!("an allow list has more than {MAX_ALLOWED} entries")));
        }
        for host in &allowed_hosts {
            let plain = host.parse::<http::uri::Authority>().is_ok_and(|a| !a.as_str().contains('@'));
            if !plain {
                return Err(InvalidHttp(format!("allowed_hosts: {host:?} is no host or host:port")));
            }
        }
        for origin in &allowed_origins {
            check_origin(origin)?;
        }
        if !reachable {
            allowed_hosts.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
            // What a page says that this listener itself has served; other ports of this machine are other sites.
            let scheme = if tls.is_some() { "https" } else { "http" };
            let own = ["localhost", "127.0.0.1", "[::1]"];
            allowed_origins.extend(own.map(|host| format!("{scheme}://{host}:{}", listen.port())));
        }
        let tokens = tokens.map(|file| tokens_of(&file, base, &mut allowed_hosts)).transpose()?;
        let tls =
            tls.map(|file| TlsFiles { certificate: base.join(file.certificate), key: base.join(file.key) });
        Ok(Self { listen, tls, tokens, allowed_hosts, allowed_origins })
    }
}

/// Tokens are for the public URL, whose host clients name.
fn tokens_of(
    file: &TokensFile,
    base: &Path,
    allowed_hosts: &mut Vec<String>,
) -> Result<TokensConfig, InvalidHttp> {
    let tokens = TokensConfig::new(file, base).map_err(|e| InvalidHttp(format!("tokens: {e}")))?;
    let refused = || {
        InvalidHttp(format!(
            "tokens.audience: {:?} is not the public URL of the bridge: https://host{ENDPOINT} (http:// for loopback alone)",
            file.audience
        ))
    };
    let url: Uri = file.audience.parse().map_err(|_| refused())?;
    let authority = url.authority().ok_or_else(refused)?;
    let host = authority.host().trim_matches(['[', ']']);
    let secure = match url.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(host),
        _ => false,
    };
    if !secure || url.path() != ENDPOINT || url.query().is_some() || authority.as_str().contains('@') {
        return Err(refused());
    }
    allowed_hosts.push(authority.as_str().to_owned());
    Ok(tokens)
}

/// An origin with its port, because one without would mean every port.
fn check_origin(origin: &str) -> Result<(), InvalidHttp> {
    let uri = origin.parse::<Uri>().ok();
    let whole = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?, uri.path())));
    match whole {
        Some(("https" | "http", authority, "" | "/"))
            if authority.port_u16().is_some() && !origin.ends_with('/') =>
        {
            Ok(())
        }
        _ => Err(InvalidHttp(format!(
            "allowed_origins: {origin:?} is no origin with its port, such as https://console.example.com:443"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str) -> Result<HttpConfig, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("http.yml");
        std::fs::write(&path, yaml).unwrap();
        let file: HttpFile = lictor_runtime::config::load_yaml(&path).map_err(|e| e.to_string())?;
        HttpConfig::new(file, dir.path()).map_err(|e| e.to_string())
    }

    const TOKENS: &str =
        "tokens: {issuer: https://idp.example, audience: https://lictor.example/mcp, keys: keys.json}";
    const TLS: &str = "tls: {certificate: a.pem, key: a.key}";

    #[test]
    fn nobody_beyond_this_machine_is_served_without_tls_and_tokens() {
        assert!(check("listen: 127.0.0.1:7480").is_ok());
        assert!(check("listen: '[::1]:7480'").is_ok());
        for reachable in ["0.0.0.0:7480", "'[::]:7480'", "192.0.2.1:7480"] {
            for (rest, says) in [("", "`tls`"), (TLS, "`tokens`"), (TOKENS, "`tls`")] {
                let error = check(&format!("listen: {reachable}\n{rest}")).unwrap_err();
                assert!(error.contains(says), "{error}");
            }
            assert!(check(&format!("listen: {reachable}\n{TLS}\n{TOKENS}")).is_ok());
        }
    }

    #[test]
    fn hosts_are_those_of_the_public_url_and_of_the_list_and_loopback_only_on_loopback() {
        let reachable =
            check(&format!("listen: 0.0.0.0:7480\n{TLS}\n{TOKENS}\nallowed_hosts: ['other.example:8443']"))
                .unwrap();
        assert_eq!(reachable.allowed_hosts, ["other.example:8443", "lictor.example"]);
        let local = check("listen: 127.0.0.1:7480").unwrap();
        assert_eq!(local.allowed_hosts, ["localhost", "127.0.0.1", "::1"]);
    }

    #[test]
    fn what_would_open_more_than_it_says_is_refused() {
        for bad in [
            "allowed_origins: ['https://console.example']",
            "allowed_origins: ['null']",
            "allowed_origins: ['*']",
            "allowed_origins: ['https://*:443']x",
            "allowed_hosts: ['a b']",
            "anything: else",
            "tokens: {issuer: i, audience: 'http://lictor.example/mcp', keys: k}",
            "tokens: {issuer: i, audience: 'https://lictor.example/', keys: k}",
            "tokens: {issuer: i, audience: 'lictor', keys: k}",
        ] {
            assert!(check(&format!("listen: 127.0.0.1:7480\n{bad}")).is_err(), "{bad}");
        }
        assert!(check("listen: 127.0.0.1:7480\nallowed_origins: ['https://console.example:443']").is_ok());
    }
}
