//! The identifiers of resources: parsed in full, never taken as a path.

use lictor_core::{id::JobId, name::HostAlias};

use crate::inline;

/// Longest identifier that is looked at, and most of one that is shown: an alias and its scheme.
const MAX_URI: usize = 256;

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ResourceUri {
    /// Every host.
    Hosts,
    /// Every tag.
    Tags,
    /// What this server does.
    Capabilities,
    /// One host.
    Host(HostAlias),
    /// How a job stands.
    Job(JobId),
    /// What a job printed.
    Output(JobId),
}

impl ResourceUri {
    /// The resource of this identifier. Nothing is decoded: aliases and identifiers of jobs need no escapes.
    pub(crate) fn parse(uri: &str) -> Option<Self> {
        if uri.len() > MAX_URI {
            return None;
        }
        if let Some(rest) = uri.strip_prefix("job://") {
            return match rest.strip_suffix("/output") {
                Some(id) => id.parse().ok().map(Self::Output),
                None => rest.parse().ok().map(Self::Job),
            };
        }
        match uri.strip_prefix("ssh://")? {
            "hosts" => Some(Self::Hosts),
            "tags" => Some(Self::Tags),
            "capabilities" => Some(Self::Capabilities),
            rest => rest.strip_prefix("host/")?.parse().ok().map(Self::Host),
        }
    }
}

/// An identifier that somebody wrote, as it may be shown.
pub(crate) fn shown(uri: &str) -> String {
    inline::line(uri, MAX_URI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_identifiers_are_resources() {
        let job = "job_00000000000000000000000000";
        assert_eq!(ResourceUri::parse("ssh://hosts"), Some(ResourceUri::Hosts));
        assert!(matches!(ResourceUri::parse("ssh://host/web-1"), Some(ResourceUri::Host(_))));
        assert!(matches!(ResourceUri::parse(&format!("job://{job}")), Some(ResourceUri::Job(_))));
        assert!(matches!(ResourceUri::parse(&format!("job://{job}/output")), Some(ResourceUri::Output(_))));
        for bad in [
            "",
            "ssh://",
            "ssh://host/",
            "ssh://host/../hosts",
            "ssh://host/a/b",
            "ssh://host/%77eb-1",
            "ssh://host/web-1\n",
            "ssh://host/web-1?x",
            "SSH://hosts",
            "file:///etc/passwd",
            "job://",
            "job://../output",
            "job://1/output",
            &format!("job://{job}/output/output"),
            &format!("job://{job}/"),
            &format!("ssh://host/{}", "a".repeat(MAX_URI)),
        ] {
            assert_eq!(ResourceUri::parse(bad), None, "{bad}");
        }
    }
}
