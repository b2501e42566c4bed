//! For whom, where and when a question is asked, as it is typed.

use clap::Args;
use lictor_core::{
    clock::{Clock as _, Timestamp},
    label::Labels,
    name::{HostAlias, InvalidName, LabelKey, LabelValue, SiteName, Tag, TenantName},
    principal::{Principal, Via},
};
use lictor_policy::{HostFacts, time, verdict};
use lictor_runtime::clock::SystemClock;

use crate::{run::in_context::ContextArguments, trouble::Trouble};

/// The tenant of questions about files: no rule asks for it.
const TENANT: &str = "default";
/// Who asks when nobody is named, so that rules for everybody match.
const ANYBODY: &str = "user:anybody";
/// The host when none is named.
const ANY_HOST: &str = "any-host";
/// The site when none is named.
const ANY_SITE: &str = "default";

/// For whom, where and when.
#[derive(Debug, Args)]
pub(super) struct CircumstancesArguments {
    /// For whom: user:NAME or service:NAME
    #[arg(long = "as", value_name = "WHO", value_parser = parse_principal)]
    pub(super) principal: Option<Principal>,
    /// By which door: cli, mcp or api
    #[arg(long, value_name = "DOOR", default_value = Via::Cli.as_str(), value_parser = parse_via)]
    pub(super) via: Via,
    /// On which host
    #[arg(long, value_name = "ALIAS")]
    pub(super) host: Option<HostAlias>,
    /// At which site
    #[arg(long, value_name = "SITE")]
    pub(super) site: Option<SiteName>,
    /// With which tags
    #[arg(long = "tag", value_name = "TAG", value_delimiter = ',')]
    pub(super) tags: Vec<Tag>,
    /// With which labels
    #[arg(long = "label", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = parse_label)]
    pub(super) labels: Vec<(LabelKey, LabelValue)>,
    /// When, e.g. 2026-12-24T18:00:00Z; left out: now
    #[arg(long, value_name = "MOMENT", value_parser = time::rfc3339)]
    pub(super) at: Option<Timestamp>,
    #[command(flatten)]
    pub(super) context: ContextArguments,
}

/// Reads `user:NAME` or `service:NAME`.
pub(super) fn parse_principal(text: &str) -> Result<Principal, String> {
    let tenant = TenantName::new(TENANT).map_err(|e| e.to_string())?;
    verdict::principal(&tenant, text)
}

/// Reads a door.
pub(super) fn parse_via(text: &str) -> Result<Via, String> {
    Via::parse(text).ok_or_else(|| "there are cli, mcp and api".to_owned())
}

/// Reads `KEY=VALUE`.
fn parse_label(text: &str) -> Result<(LabelKey, LabelValue), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, e.g. env=prod")?;
    let wrong = |e: InvalidName| e.to_string();
    Ok((LabelKey::new(key).map_err(wrong)?, LabelValue::new(value).map_err(wrong)?))
}

/// Now.
pub(super) fn now() -> Timestamp {
    SystemClock.now()
}

// === impl CircumstancesArguments ===

impl CircumstancesArguments {
    fn labels(&self) -> Result<Labels, Trouble> {
        Labels::new(self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .map_err(|e| Trouble::usage(e.to_string(), "give each label once"))
    }

    /// The circumstances, where `host` is known already or as typed; what is left out is anybody and any host.
    pub(super) fn on(&self, host: Option<HostFacts>) -> Result<verdict::Circumstances, Trouble> {
        let broken = |e: &dyn std::fmt::Display| Trouble::internal(e.to_string());
        let host = match host {
            Some(host) => host,
            None => HostFacts {
                alias: match &self.host {
                    Some(alias) => alias.clone(),
                    None => HostAlias::new(ANY_HOST).map_err(|e| broken(&e))?,
                },
                site: match &self.site {
                    Some(site) => site.clone(),
                    None => SiteName::new(ANY_SITE).map_err(|e| broken(&e))?,
                },
                tags: self.tags.clone(),
                labels: self.labels()?,
            },
        };
        let principal = match &self.principal {
            Some(principal) => principal.clone(),
            None => parse_principal(ANYBODY).map_err(|e| broken(&e))?,
        };
        let (context, at) = (self.context.clone().into_context()?, self.at.unwrap_or_else(now));
        Ok(verdict::Circumstances { principal, via: self.via, host, context, at })
    }
}
