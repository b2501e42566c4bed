//! Agents, hosts and join tokens as they are stored.

use std::collections::BTreeMap;

use lictor_core::{
    clock::Timestamp,
    label::Labels,
    principal::{Principal, PrincipalKind},
    revocation::Revocation,
};
use serde::{Deserialize, Serialize};

use super::{corrupt, parse};
use crate::{KeptAgent, KeptHost, KeptToken, StoreError};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum AgentRecord {
    #[serde(rename = "1")]
    V1 {
        tenant: String,
        site: String,
        name: String,
        epoch: u64,
        enrolled_at: u64,
        serial: String,
        journal_id: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        witness_key: String,
        #[serde(default, skip_serializing_if = "is_zero")]
        generation: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revoked: Option<RevokedRecord>,
        version: u64,
    },
}

/// A revocation, as part of the record of its agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RevokedRecord {
    tenant: String,
    by_kind: String,
    by: String,
    at: u64,
    reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum HostRecord {
    #[serde(rename = "1")]
    V1 {
        alias: String,
        site: String,
        tags: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<String, String>,
        description: String,
        address: String,
        user: String,
        host_key_fingerprints: Vec<String>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum TokenRecord {
    #[serde(rename = "1")]
    V1 {
        id: String,
        secret_digest: String,
        tenant: String,
        site: String,
        agent: String,
        expires_at: u64,
        spent_at: Option<u64>,
        #[serde(default, skip_serializing_if = "is_zero")]
        generation: u32,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl From<&Revocation> for RevokedRecord {
    fn from(revocation: &Revocation) -> Self {
        let Revocation { by, at, reason } = revocation;
        Self {
            tenant: by.tenant.to_string(),
            by_kind: by.kind.as_str().to_owned(),
            by: by.name.to_string(),
            at: at.as_micros(),
            reason: reason.to_string(),
        }
    }
}

impl TryFrom<RevokedRecord> for Revocation {
    type Error = StoreError;
    fn try_from(record: RevokedRecord) -> Result<Self, StoreError> {
        let RevokedRecord { tenant, by_kind, by, at, reason } = record;
        let kind = [PrincipalKind::User, PrincipalKind::Service].into_iter().find(|k| k.as_str() == by_kind);
        let kind = kind.ok_or_else(|| corrupt(format!("{by_kind} is not a kind of principal")))?;
        Ok(Self {
            by: Principal { tenant: parse(&tenant)?, kind, name: parse(&by)? },
            at: Timestamp::from_micros(at),
            reason: parse(&reason)?,
        })
    }
}

impl From<&KeptAgent> for AgentRecord {
    fn from(agent: &KeptAgent) -> Self {
        Self::V1 {
            tenant: agent.tenant.to_string(),
            site: agent.site.to_string(),
            name: agent.name.to_string(),
            epoch: agent.epoch,
            enrolled_at: agent.enrolled_at.as_micros(),
            serial: agent.serial.clone(),
            journal_id: agent.journal_id.clone(),
            witness_key: agent.witness_key.clone(),
            generation: agent.generation,
            revoked: agent.revoked.as_ref().map(Into::into),
            version: agent.version,
        }
    }
}

impl TryFrom<AgentRecord> for KeptAgent {
    type Error = StoreError;
    fn try_from(record: AgentRecord) -> Result<Self, StoreError> {
        let AgentRecord::V1 {
            tenant,
            site,
            name,
            epoch,
            enrolled_at,
            serial,
            journal_id,
            witness_key,
            generation,
            revoked,
            version,
        } = record;
        Ok(Self {
            tenant: parse(&tenant)?,
            site: parse(&site)?,
            name: parse(&name)?,
            epoch,
            enrolled_at: Timestamp::from_micros(enrolled_at),
            serial,
            journal_id,
            witness_key,
            generation,
            revoked: revoked.map(TryInto::try_into).transpose()?,
            version,
        })
    }
}

impl From<&KeptHost> for HostRecord {
    fn from(host: &KeptHost) -> Self {
        Self::V1 {
            alias: host.alias.to_string(),
            site: host.site.to_string(),
            tags: host.tags.iter().map(ToString::to_string).collect(),
            labels: host.labels.to_texts(),
            description: host.description.clone(),
            address: host.address.clone(),
            user: host.user.clone(),
            host_key_fingerprints: host.host_key_fingerprints.clone(),
        }
    }
}

impl TryFrom<HostRecord> for KeptHost {
    type Error = StoreError;
    fn try_from(record: HostRecord) -> Result<Self, StoreError> {
        let HostRecord::V1 { alias, site, tags, labels, description, address, user, host_key_fingerprints } =
            record;
        Ok(Self {
            alias: parse(&alias)?,
            site: parse(&site)?,
            tags: tags.iter().map(|t| parse(t)).collect::<Result<_, _>>()?,
            labels: Labels::new(labels).map_err(|_| corrupt("labels that cannot be"))?,
            description,
            address,
            user,
            host_key_fingerprints,
        })
    }
}

impl From<&KeptToken> for TokenRecord {
    fn from(token: &KeptToken) -> Self {
        Self::V1 {
            id: token.id.to_string(),
            secret_digest: token.secret_digest.to_string(),
            tenant: token.tenant.to_string(),
            site: token.site.to_string(),
            agent: token.agent.to_string(),
            expires_at: token.expires_at.as_micros(),
            spent_at: token.spent_at.map(Timestamp::as_micros),
            generation: token.generation,
        }
    }
}

impl TryFrom<TokenRecord> for KeptToken {
    type Error = StoreError;
    fn try_from(record: TokenRecord) -> Result<Self, StoreError> {
        let TokenRecord::V1 { id, secret_digest, tenant, site, agent, expires_at, spent_at, generation } =
            record;
        Ok(Self {
            id: parse(&id)?,
            secret_digest: parse(&secret_digest)?,
            tenant: parse(&tenant)?,
            site: parse(&site)?,
            agent: parse(&agent)?,
            expires_at: Timestamp::from_micros(expires_at),
            spent_at: spent_at.map(Timestamp::from_micros),
            generation,
        })
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::{digest::Digest, id::TokenId};

    use super::*;

    #[test]
    fn an_agent_and_a_token_that_were_stored_before_there_were_revocations_are_of_the_first_generation() {
        let old = r#"{"v":"1","tenant":"default","site":"eu","name":"a","epoch":1,"enrolled_at":1,"serial":"01",
            "journal_id":"","version":3}"#;
        let agent = KeptAgent::try_from(serde_json::from_str::<AgentRecord>(old).unwrap()).unwrap();
        assert_eq!((agent.generation, agent.revoked), (0, None));
        let old = format!(
            r#"{{"v":"1","id":"{}","secret_digest":"{}","tenant":"default","site":"eu","agent":"a","expires_at":1,
            "spent_at":null}}"#,
            TokenId::from_bytes([9; 16]),
            Digest::of(b"s")
        );
        let token = KeptToken::try_from(serde_json::from_str::<TokenRecord>(&old).unwrap()).unwrap();
        assert_eq!(token.generation, 0);
    }

    #[test]
    fn a_host_that_was_stored_before_there_were_labels_has_none() {
        let old = r#"{"v":"1","alias":"web-1","site":"eu","tags":["web"],"description":"","address":"192.0.2.1:22",
            "user":"ops","host_key_fingerprints":[]}"#;
        let host = KeptHost::try_from(serde_json::from_str::<HostRecord>(old).unwrap()).unwrap();
        assert!(host.labels.is_empty());
        let labelled = KeptHost { labels: Labels::new([("env", "prod")]).unwrap(), ..host };
        assert_eq!(KeptHost::try_from(HostRecord::from(&labelled)).unwrap(), labelled);
    }
}
