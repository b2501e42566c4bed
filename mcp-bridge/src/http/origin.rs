//! Which host a request names and which page it comes from. Pages of others reach this listener through their visitors' browsers,
//! also under names that they have pointed here: what they send is refused before anything else of it is looked at.

use http::{
    HeaderMap, Request, StatusCode, Uri,
    header::{self, HeaderName},
    uri::Authority,
};

/// The hosts and origins that requests may name.
#[derive(Debug)]
pub(super) struct Allowed {
    hosts: Vec<Host>,
    origins: Vec<Origin>,
}

/// A host, with its port where that matters.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    name: String,
    port: Option<u16>,
}

/// An origin (RFC 6454).
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    name: String,
    port: u16,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Foreign {
    /// It names no host, or several.
    #[error("the request does not name one host")]
    NoHost,
    /// It is for another host.
    #[error("the request is for another host; `allowed_hosts` has those of this one")]
    Host,
    /// It comes from a page of somebody else.
    #[error("the request comes from another origin; `allowed_origins` has those that may ask")]
    Origin,
}

// === impl Allowed ===

impl Allowed {
    /// As the configuration has them, checked.
    pub(super) fn new(hosts: &[String], origins: &[String]) -> Self {
        Self {
            hosts: hosts.iter().filter_map(|host| Host::parse(host)).collect(),
            origins: origins.iter().filter_map(|origin| Origin::parse(origin)).collect(),
        }
    }

    /// Refuses what names another host, or comes from another origin.
    ///
    /// # Errors
    /// [`Foreign`].
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), Foreign> {
        let written = only(request.headers(), &header::HOST).map_err(|()| Foreign::NoHost)?;
        // HTTP/2 has it in the address, and whoever asks a proxy, too; where it stands twice, both have to be good.
        let addressed = request.uri().authority().map(Authority::as_str);
        if written.is_none() && addressed.is_none() {
            return Err(Foreign::NoHost);
        }
        if !written.into_iter().chain(addressed).all(|host| self.allows_host(host)) {
            return Err(Foreign::Host);
        }
        match only(request.headers(), &header::ORIGIN) {
            Ok(None) => Ok(()),
            Ok(Some(origin)) if Origin::parse(origin).is_some_and(|o| self.origins.contains(&o)) => Ok(()),
            Ok(Some(_)) | Err(()) => Err(Foreign::Origin),
        }
    }

    fn allows_host(&self, text: &str) -> bool {
        let allows = |host: &Host| {
            let same = |allowed: &&Host| allowed.name == host.name;
            self.hosts.iter().filter(same).any(|allowed| allowed.port.is_none() || allowed.port == host.port)
        };
        Host::parse(text).is_some_and(|host| allows(&host))
    }
}

/// The only value of a header, as text; `None` if there is none.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(drop),
        (Some(_), Some(_)) => Err(()),
    }
}

/// A name however it is written: in any case, an address of IPv6 with or without brackets.
fn name_of(authority: &Authority) -> String {
    authority.host().trim_matches(['[', ']']).to_ascii_lowercase()
}

// === impl Foreign ===

impl Foreign {
    /// The status that says so.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::NoHost => StatusCode::BAD_REQUEST,
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
        }
    }
}

// === impl Host ===

impl Host {
    fn parse(text: &str) -> Option<Self> {
        let Ok(authority) = text.parse::<Authority>() else {
            // An address of IPv6 without brackets, as the list has loopback's.
            return text
                .parse::<std::net::Ipv6Addr>()
                .ok()
                .map(|ip| Self { name: ip.to_string(), port: None });
        };
        let is_plain = !authority.as_str().contains('@');
        is_plain.then(|| Self { name: name_of(&authority), port: authority.port_u16() })
    }
}

// === impl Origin ===

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let is_origin = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/") && !text.ends_with('/');
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let port = match (authority.port_u16(), scheme.as_str()) {
            (Some(port), _) => port,
            // A browser leaves out the port that the scheme has.
            (None, "https") => 443,
            (None, "http") => 80,
            (None, _) => return None,
        };
        is_origin.then(|| Self { scheme, name: name_of(authority), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, headers: &[(&str, &str)]) -> Result<(), Foreign> {
        let hosts = ["lictor.example", "other.example:8443", "127.0.0.1", "::1"].map(str::to_owned);
        let origins = ["https://console.example:443", "http://[::1]:7480"].map(str::to_owned);
        let request = headers.iter().fold(Request::get(uri), |r, (name, value)| r.header(*name, *value));
        Allowed::new(&hosts, &origins).check(&request.body(()).unwrap())
    }

    #[test]
    fn a_request_names_one_host_of_ours_wherever_it_names_it() {
        for host in
            ["lictor.example", "LICTOR.example:1", "other.example:8443", "127.0.0.1:7480", "[::1]:7480"]
        {
            assert_eq!(check("/", &[("host", host)]), Ok(()), "{host}");
            assert_eq!(check(&format!("https://{host}/"), &[]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "lictor.example.evil.example",
            "x.lictor.example",
            "other.example",
            "other.example:443",
            "127.0.0.1.evil.example",
            "a@lictor.example",
            "lictor.example@evil.example",
            "[::2]",
            "",
            "a b",
        ] {
            assert_eq!(check("/", &[("host", host)]), Err(Foreign::Host), "{host}");
        }
        assert_eq!(check("/", &[]), Err(Foreign::NoHost));
        assert_eq!(check("/", &[("host", "lictor.example"), ("host", "evil.example")]), Err(Foreign::NoHost));
        assert_eq!(check("http://evil.example/", &[("host", "lictor.example")]), Err(Foreign::Host));
        assert_eq!(check("http://lictor.example/", &[("host", "evil.example")]), Err(Foreign::Host));
    }

    #[test]
    fn a_page_may_ask_only_from_a_listed_origin_with_its_scheme_and_port() {
        let from = |origins: &[&str]| {
            let headers: Vec<(&str, &str)> = std::iter::once(("host", "lictor.example"))
                .chain(origins.iter().map(|o| ("origin", *o)))
                .collect();
            check("/", &headers)
        };
        for good in
            [&[][..], &["https://console.example"], &["https://CONSOLE.example:443"], &["http://[::1]:7480"]]
        {
            assert_eq!(from(good), Ok(()), "{good:?}");
        }
        for bad in [
            &["null"][..],
            &[""],
            &["nonsense"],
            &["http://console.example"],
            &["https://console.example:8443"],
            &["https://console.example.evil.example"],
            &["https://x@console.example"],
            &["https://console.example/"],
            &["https://console.example/path"],
            &["http://[::1]"],
            &["https://console.example", "https://evil.example"],
        ] {
            assert_eq!(from(bad), Err(Foreign::Origin), "{bad:?}");
        }
    }
}
