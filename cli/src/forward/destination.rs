//! Where the log is forwarded to, as people write it: `syslog://`, `syslog+tls://`, `https://`, and `http://` for this
//! machine alone.

use std::{fmt, io, path::Path, str::FromStr, sync::Arc};

use http::Uri;
use lictor_core::digest::Digest;
use lictor_oauth::fetch::{InvalidUrl, is_loopback, web_tls};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::NotTaken;

/// RFC 5425 §4.1.
const SYSLOG_TLS_PORT: u16 = 6514;

/// A receiver's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(super) scheme: Scheme,
    pub(super) host: String,
    port: u16,
    /// Path and query of a webhook.
    pub(super) path: String,
}

/// How it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Syslog,
    SyslogTls,
    Http,
    Https,
}

/// A destination that can be connected to.
#[derive(Clone)]
pub(crate) struct Line {
    destination: Destination,
    tls: Option<Arc<ClientConfig>>,
}

/// What bytes go through.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

// === impl Destination ===

impl Destination {
    /// Whether it is a syslog server.
    pub(crate) const fn is_syslog(&self) -> bool {
        matches!(self.scheme, Scheme::Syslog | Scheme::SyslogTls)
    }
    /// Whether what goes there is encrypted on its way.
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self.scheme, Scheme::SyslogTls | Scheme::Https)
    }
    /// Whether it is on this machine.
    pub(crate) fn is_here(&self) -> bool {
        is_loopback(&self.host)
    }
    /// A line to it; `ca_file` has the authorities that may vouch for it, instead of the system's.
    pub(crate) fn line(self, ca_file: Option<&Path>) -> Result<Line, InvalidUrl> {
        let tls = self.is_tls().then(|| web_tls(ca_file)).transpose()?;
        Ok(Line { destination: self, tls })
    }
    /// Host and port, the port only where it is not the one that everybody assumes.
    pub(super) fn authority(&self) -> String {
        let host = self.bracketed();
        if Some(self.port) == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }
    /// The same for the same receiver, without what its path may hold as a secret.
    pub(super) fn identity(&self) -> String {
        if self.path == "/" {
            return self.to_string();
        }
        let digest: String = Digest::of(self.path.as_bytes()).to_string().chars().take(16).collect();
        format!("{self}#{digest}")
    }
    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl FromStr for Destination {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|e| format!("it is not a URL: {e}"))?;
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err(
                "a name and password in a URL are not sent; webhooks are signed with --secret-file".into()
            );
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let scheme = match uri.scheme_str() {
            Some("syslog") => Scheme::Syslog,
            Some("syslog+tls") => Scheme::SyslogTls,
            Some("https") => Scheme::Https,
            Some("http") if is_loopback(&host) => Scheme::Http,
            Some("http") => return Err("http:// is for this machine alone; use https://".into()),
            _ => return Err("it has to begin with syslog://, syslog+tls:// or https://".into()),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let destination = Self {
            port: authority
                .port_u16()
                .or(scheme.default_port())
                .ok_or("it names no port: syslog servers listen on 601, or what yours says")?,
            scheme,
            host,
            path,
        };
        if destination.is_syslog() && destination.path != "/" {
            return Err("a syslog server has no path".into());
        }
        Ok(destination)
    }
}

impl fmt::Display for Destination {
    /// Without path and query: some receivers want a key there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, port, path, .. } = self;
        write!(f, "{}://{}:{port}", scheme.as_str(), self.bracketed())?;
        match path.as_str() {
            _ if self.is_syslog() => Ok(()),
            "/" => f.write_str("/"),
            _ => f.write_str("/…"),
        }
    }
}

// === impl Scheme ===

impl Scheme {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::SyslogTls => "syslog+tls",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
    /// Plain syslog over TCP has none that is in general use.
    const fn default_port(self) -> Option<u16> {
        match self {
            Self::Syslog => None,
            Self::SyslogTls => Some(SYSLOG_TLS_PORT),
            Self::Http => Some(80),
            Self::Https => Some(443),
        }
    }
}

// === impl Line ===

impl Line {
    pub(super) const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Box<dyn Io>, NotTaken> {
        let Destination { host, port, .. } = &self.destination;
        let failed = |e: io::Error| NotTaken::later(format!("cannot connect to {}: {e}", self.destination));
        let tcp = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(host.clone()).map_err(|_| NotTaken::Never {
            why: format!("{host} is no name that a certificate could have"),
            next_step: "name the receiver as its certificate does",
        })?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await.map_err(failed)?;
        Ok(Box::new(stream))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("destination", &self.destination).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_one_form_and_what_would_leak_or_lose_is_refused() {
        for (text, form) in [
            ("syslog://logs.example:601", "syslog://logs.example:601"),
            ("syslog+tls://logs.example", "syslog+tls://logs.example:6514"),
            ("https://siem.example/in?key=hunter2", "https://siem.example:443/…"),
            ("http://127.0.0.1:8080/in", "http://127.0.0.1:8080/…"),
            ("http://[::1]:8080", "http://[::1]:8080/"),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), form);
        }
        let with = |query: &str| format!("https://siem.example/in?{query}").parse::<Destination>().unwrap();
        assert_eq!(with("a").identity(), with("a").identity());
        assert_ne!(with("a").identity(), with("b").identity());
        assert!(!with("hunter2").identity().contains("hunter2"));
        for wrong in [
            "",
            "siem.example",
            "ftp://siem.example/",
            "http://siem.example/in",
            "https://user:secret@siem.example/",
            "syslog://logs.example",
            "syslog://logs.example:601/path",
            "udp://logs.example:514",
        ] {
            assert!(wrong.parse::<Destination>().is_err(), "{wrong}");
        }
    }
}
