//! What an agent states, and the one way to write it as bytes.

use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    id::InvocationId,
    name::{AgentName, SiteName, TenantName},
};

use super::EvidenceError;

/// Longest statement, in bytes: the names, a code, and a reason of 512 characters of up to 4 bytes.
pub const MAX_STATEMENT_BYTES: usize = 4 * 1024;

/// What every statement begins with: the version, and what keeps it apart from all else that is signed with the key.
/// A TLS 1.3 handshake signs 64 spaces first (RFC 8446 §4.4.3), a certificate request begins with the byte 0x30.
const MAGIC: &[u8] = b"lictor refusal v1\0";

/// That a site did not start what a controller had signed.
///
/// As bytes: `lictor refusal v1` and a NUL; then, each as a length of four bytes (big-endian) and its content, the
/// fields in the order below. Names, code and reason are UTF-8, digests are 32 bytes, an absent digest is empty, the
/// time is eight bytes (microseconds since 1970, big-endian).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The agent's tenant.
    pub tenant: TenantName,
    /// The agent's site.
    pub site: SiteName,
    /// The agent.
    pub agent: AgentName,
    /// What was not started.
    pub invocation: InvocationId,
    /// SHA-256 of the exact bytes that the controller signed.
    pub grant: Digest,
    /// SHA-256 of the floor's file as it was in force; `None`: the site had no floor.
    pub floor: Option<Digest>,
    /// The code, such as `FLOOR_DENIED`.
    pub code: String,
    /// The reason, for people.
    pub reason: String,
    /// When, by the agent's clock.
    pub at: Timestamp,
}

// === impl Statement ===

impl Statement {
    /// The bytes to sign.
    ///
    /// # Errors
    /// [`EvidenceError::Statement`] when they would be longer than [`MAX_STATEMENT_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, EvidenceError> {
        let invocation = self.invocation.to_string();
        let time = self.at.as_micros().to_be_bytes();
        let fields: [&[u8]; 9] = [
            self.tenant.as_str().as_bytes(),
            self.site.as_str().as_bytes(),
            self.agent.as_str().as_bytes(),
            invocation.as_bytes(),
            self.grant.as_bytes(),
            self.floor.as_ref().map_or(&[], |digest| digest.as_bytes().as_slice()),
            self.code.as_bytes(),
            self.reason.as_bytes(),
            &time,
        ];
        let mut bytes = MAGIC.to_vec();
        for field in fields {
            let length =
                u32::try_from(field.len()).map_err(|_| EvidenceError::Statement("it is too long"))?;
            bytes.extend(length.to_be_bytes());
            bytes.extend(field);
        }
        if bytes.len() > MAX_STATEMENT_BYTES {
            return Err(EvidenceError::Statement("it is too long"));
        }
        Ok(bytes)
    }

    /// Reads a statement. Every statement has one form only: what was read would be written as the same bytes.
    ///
    /// # Errors
    /// [`EvidenceError::Statement`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let bad = EvidenceError::Statement;
        if bytes.len() > MAX_STATEMENT_BYTES {
            return Err(bad("it is too long"));
        }
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(bad("it is of another kind or version"))?;
        let mut field = || -> Result<&[u8], EvidenceError> {
            let (length, after) = rest.split_first_chunk().ok_or(bad("it ends too early"))?;
            let length =
                usize::try_from(u32::from_be_bytes(*length)).map_err(|_| bad("it ends too early"))?;
            let (content, after) = after.split_at_checked(length).ok_or(bad("it ends too early"))?;
            rest = after;
            Ok(content)
        };
        let said = Self {
            tenant: name(field()?)?,
            site: name(field()?)?,
            agent: name(field()?)?,
            invocation: name(field()?)?,
            grant: digest(field()?)?,
            floor: Some(field()?).filter(|bytes| !bytes.is_empty()).map(digest).transpose()?,
            code: text(field()?)?.to_owned(),
            reason: text(field()?)?.to_owned(),
            at: time(field()?)?,
        };
        if !rest.is_empty() {
            return Err(bad("something follows it"));
        }
        if said.encode()? != bytes {
            return Err(bad("it is not in its one form"));
        }
        Ok(said)
    }
}

fn text(bytes: &[u8]) -> Result<&str, EvidenceError> {
    std::str::from_utf8(bytes).map_err(|_| EvidenceError::Statement("a text is not UTF-8"))
}

fn name<T: std::str::FromStr>(bytes: &[u8]) -> Result<T, EvidenceError> {
    text(bytes)?.parse().map_err(|_| EvidenceError::Statement("a name is not one"))
}

fn digest(bytes: &[u8]) -> Result<Digest, EvidenceError> {
    let digest = bytes.try_into().map(Digest::from_bytes);
    digest.map_err(|_| EvidenceError::Statement("a digest has not 32 bytes"))
}

fn time(bytes: &[u8]) -> Result<Timestamp, EvidenceError> {
    let micros = bytes.try_into().map(u64::from_be_bytes);
    micros.map(Timestamp::from_micros).map_err(|_| EvidenceError::Statement("the time has not 8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            tenant: "acme".parse().unwrap(),
            site: "berlin".parse().unwrap(),
            agent: "a-1".parse().unwrap(),
            invocation: InvocationId::from_bytes([7; 16]),
            grant: Digest::of(b"grant"),
            floor: Some(Digest::of(b"floor")),
            code: "FLOOR_DENIED".into(),
            reason: "no rule allows it – „hier“".into(),
            at: Timestamp::from_micros(1_700_000_000_000_001),
        }
    }

    #[test]
    fn a_statement_reads_back_as_it_was_written() {
        let without = Statement { floor: None, reason: String::new(), ..statement() };
        for said in [statement(), without] {
            assert_eq!(Statement::decode(&said.encode().unwrap()), Ok(said));
        }
    }

    #[test]
    fn whatever_is_cut_added_or_of_another_length_is_not_a_statement() {
        let bytes = statement().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(Statement::decode(&bytes[..length]).is_err(), "{length}");
        }
        assert!(Statement::decode(&[bytes.as_slice(), b"\0"].concat()).is_err());
        let mut other_version = bytes.clone();
        other_version[MAGIC.len() - 2] = b'2';
        assert!(Statement::decode(&other_version).is_err());
        let mut longer = bytes.clone();
        longer[MAGIC.len() + 3] += 1;
        assert!(Statement::decode(&longer).is_err());
        assert!(Statement { reason: "x".repeat(MAX_STATEMENT_BYTES), ..statement() }.encode().is_err());
    }

    #[test]
    fn no_two_statements_have_the_same_bytes_whatever_moves_between_fields() {
        let one = Statement { code: "AB".into(), reason: "C".into(), ..statement() };
        let two = Statement { code: "A".into(), reason: "BC".into(), ..statement() };
        assert_ne!(one.encode(), two.encode());
    }
}
