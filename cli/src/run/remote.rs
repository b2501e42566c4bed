//! A file on hosts, as it is typed: `HOST[,HOST]:PATH`, or `:PATH` with a tag or an expression.

use std::str::FromStr;

use clap::Args;
use lictor_core::{
    context::Directory,
    job::Target,
    name::{HostAlias, Tag},
    target::TargetExpression,
};

use crate::trouble::Trouble;

/// Hosts by alias, and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemotePath {
    hosts: Vec<HostAlias>,
    path: Directory,
}

/// Hosts that are not named one by one.
#[derive(Debug, Args)]
pub(crate) struct ManyHosts {
    /// Every host with this tag; write the file as :PATH
    #[arg(long, value_name = "TAG", conflicts_with = "expression")]
    tag: Option<Tag>,
    /// Every host that this means, as for lictor run; write the file as :PATH
    #[arg(long = "match", value_name = "EXPRESSION")]
    expression: Option<TargetExpression>,
}

// === impl RemotePath ===

impl FromStr for RemotePath {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (hosts, path) = text.split_once(':').ok_or("write HOST:PATH, with an absolute path")?;
        let hosts = hosts.split(',').filter(|host| !host.is_empty()).map(HostAlias::new);
        let hosts = hosts.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        Ok(Self {
            hosts,
            path: path.parse().map_err(|e: lictor_core::context::InvalidContext| e.to_string())?,
        })
    }
}

impl RemotePath {
    /// Where, and which file.
    pub(crate) fn with(self, many: ManyHosts) -> Result<(Target, Directory), Trouble> {
        let Self { hosts, path } = self;
        let target = match (many.tag, many.expression) {
            (None, None) if hosts.is_empty() => {
                return Err(Trouble::usage("no host is named", "write HOST:PATH, or give --tag or --match"));
            }
            (None, None) => Target::Hosts(hosts),
            _ if !hosts.is_empty() => {
                return Err(Trouble::usage(
                    "hosts are named twice",
                    "write :PATH with --tag or --match, or HOST:PATH without",
                ));
            }
            (Some(tag), _) => Target::Tag(tag),
            (None, Some(expression)) => Target::Expression(expression),
        };
        Ok((target, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_path_are_told_apart_and_named_once() {
        let none = || ManyHosts { tag: None, expression: None };
        let tag = || ManyHosts { tag: Some(Tag::new("web").unwrap()), expression: None };
        let read = |text: &str| text.parse::<RemotePath>();
        let (target, path) = read("web-1,web-2:/etc/a:b").unwrap().with(none()).unwrap();
        let hosts = ["web-1", "web-2"].map(|host| HostAlias::new(host).unwrap());
        assert_eq!((target, path.as_str()), (Target::Hosts(hosts.to_vec()), "/etc/a:b"));
        assert_eq!(read(":/a").unwrap().with(tag()).unwrap().0, Target::Tag(Tag::new("web").unwrap()));
        assert!(read(":/a").unwrap().with(none()).is_err());
        assert!(read("web-1:/a").unwrap().with(tag()).is_err());
        for bad in ["/a", "web-1", "web-1:a", "web-1:/a/../b", "web 1:/a", "web-1:"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
