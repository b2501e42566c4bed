//! Promises of the CA: what it issues, to whom, and how its keys lie on disk.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, time::Duration};

use crate::support::{HOUR, World, domain, mode, now, passphrase, who};
use lictor_certs::{
    ca::{Authority, CaError},
    csr::{self, InvalidRequest},
    files::{FilesError, IdentityFiles},
    peer::{Peer, PeerError},
    sealed::SealError,
};
use lictor_core::{principal::Role, secret::Secret};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

fn leaf(chain_pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(chain_pem.as_bytes()).unwrap()
}

#[test]
fn a_request_for_a_ca_and_foreign_names_gets_a_leaf_with_our_name_only() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.subject_alt_names.push(SanType::URI("spiffe://fleet.example/controller/evil".try_into().unwrap()));
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let agent = who("tenant/acme/agent/berlin/a1");
    let issued = world.ca.issue(&csr, &agent, HOUR, now()).unwrap();

    let der = leaf(&issued.chain_pem);
    let peer = Peer::from_certificate(&der, &domain()).unwrap();
    assert_eq!((peer.identity.role(), &peer.identity), (Role::Agent, &agent));
    assert_eq!((&peer.serial, peer.not_after), (&issued.serial, issued.not_after));
    let (_, x509) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert!(!x509.is_ca());
    assert!(!x509.key_usage().unwrap().unwrap().value.key_cert_sign());
    assert_eq!(x509.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 1);
    let usage = x509.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
}

#[test]
fn a_certificate_carries_the_generation_in_which_it_was_issued() {
    let world = World::new();
    let agent = who("tenant/acme/agent/berlin/a1");
    let csr = csr::new_key_request().unwrap().csr_pem;
    for generation in [0, 1, 256, u32::MAX] {
        let issued = world.ca.issue_in_generation(&csr, &agent, generation, HOUR, now()).unwrap();
        let peer = Peer::from_certificate(&leaf(&issued.chain_pem), &domain()).unwrap();
        assert_eq!((peer.generation(), &peer.serial), (generation, &issued.serial));
    }
    let issued = world.ca.issue(&csr, &agent, HOUR, now()).unwrap();
    let peer = Peer::from_certificate(&leaf(&issued.chain_pem), &domain()).unwrap();
    assert_eq!(peer.generation(), 0);
}

#[test]
fn a_request_without_proof_of_possession_is_refused() {
    let world = World::new();
    let (mine, theirs) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let csr = CertificateParams::default().serialize_request(&mine).unwrap();
    // The public key is swapped for another of the same length; the signature stays.
    let (from, to) = (mine.public_key_raw(), theirs.public_key_raw());
    let mut der = csr.der().to_vec();
    let at = der.windows(from.len()).position(|window| window == from).unwrap();
    der[at..at + to.len()].copy_from_slice(to);
    let pem = pkcs8::Document::try_from(der.as_slice()).unwrap();
    let pem = pem.to_pem("CERTIFICATE REQUEST", pkcs8::LineEnding::LF).unwrap();
    let issue = |text: &str| world.ca.issue(text, &who("controller/c1"), HOUR, now());
    assert!(matches!(issue(&pem), Err(CaError::Request(InvalidRequest::NoProofOfPossession))));
    assert!(matches!(issue("rubbish"), Err(CaError::Request(InvalidRequest::Malformed))));
    let long = "x".repeat(csr::MAX_CSR_BYTES + 1);
    assert!(matches!(issue(&long), Err(CaError::Request(InvalidRequest::TooLong))));
}

#[test]
fn no_certificate_outlives_its_issuer() {
    let world = World::new();
    let request = csr::new_key_request().unwrap();
    let user = who("tenant/acme/user/alice");
    let ends = world.ca.issuing_not_after();
    let issued = world.ca.issue(&request.csr_pem, &user, Duration::from_secs(1 << 40), now()).unwrap();
    assert_eq!(issued.not_after, ends);
    assert!(matches!(world.ca.issue(&request.csr_pem, &user, HOUR, ends), Err(CaError::Ended(_))));
}

#[test]
fn the_keys_on_disk_are_sealed_and_a_wrong_passphrase_says_so() {
    let world = World::new();
    let dir = world.ca_dir();
    assert_eq!(mode(&dir), 0o700);
    for key in ["root.key", "issuing.key"] {
        assert_eq!(mode(&dir.join(key)), 0o600);
        let text = fs::read_to_string(dir.join(key)).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{text}");
        assert!(KeyPair::from_pem(&text).is_err());
    }
    let wrong = Secret::new(b"wrong horse battery".to_vec());
    let error = Authority::load(&dir, &wrong).unwrap_err();
    assert!(matches!(error, CaError::Key { file: "issuing.key", source: SealError::WrongPassphrase }));
    assert!(!format!("{:?} {:?}", world.ca, error).contains("PRIVATE"));
}

#[test]
fn a_ca_is_never_overwritten() {
    let world = World::new();
    let before = fs::read(world.ca_dir().join("root.pem")).unwrap();
    let again = Authority::create(&world.ca_dir(), &domain(), &passphrase(), now());
    assert!(matches!(again, Err(CaError::Exists(_))), "{again:?}");
    assert_eq!(fs::read(world.ca_dir().join("root.pem")).unwrap(), before);
    let short =
        Authority::create(&world.dir.path().join("other"), &domain(), &Secret::new(b"x".to_vec()), now());
    assert!(matches!(short, Err(CaError::Key { source: SealError::ShortPassphrase, .. })));
    assert!(!world.dir.path().join("other").exists(), "a half-made CA stayed behind");
}

#[test]
fn a_renewed_issuing_ca_keeps_the_root() {
    let world = World::new();
    let issuing = fs::read(world.ca_dir().join("issuing.pem")).unwrap();
    Authority::renew_issuing(&world.ca_dir(), &passphrase(), now()).unwrap();
    let renewed = Authority::load(&world.ca_dir(), &passphrase()).unwrap();
    assert_ne!(fs::read(world.ca_dir().join("issuing.pem")).unwrap(), issuing);
    assert_eq!(renewed.root_fingerprint(), world.ca.root_fingerprint());
    let request = csr::new_key_request().unwrap();
    assert!(renewed.issue(&request.csr_pem, &who("controller/c1"), HOUR, now()).is_ok());
}

#[test]
fn a_certificate_with_two_uris_or_none_or_of_another_domain_is_nobody() {
    let key = KeyPair::generate().unwrap();
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let one = uri("spiffe://fleet.example/controller/c1");
    let two = uri("spiffe://fleet.example/tenant/acme/user/alice");
    let made = |names: &[SanType]| {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        Peer::from_certificate(params.self_signed(&key).unwrap().der(), &domain())
    };
    assert!(made(std::slice::from_ref(&one)).is_ok());
    assert_eq!(made(&[]), Err(PeerError::NotOneUri(0)));
    assert_eq!(made(&[SanType::DnsName("a.example".try_into().unwrap())]), Err(PeerError::NotOneUri(0)));
    assert_eq!(made(&[one.clone(), two]), Err(PeerError::NotOneUri(2)));
    assert_eq!(made(&[one.clone(), one]), Err(PeerError::NotOneUri(2)));
    assert!(matches!(made(&[uri("spiffe://other.example/controller/c1")]), Err(PeerError::Identity(_))));
    assert_eq!(Peer::from_certificate(b"rubbish", &domain()), Err(PeerError::Malformed));
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let (files, _) = world.issue("c1", &who("controller/c1"));
    assert_eq!(mode(&files.key), 0o600);
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = files.load().unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn an_interrupted_replacement_leaves_a_chain_with_its_key() {
    let world = World::new();
    let identity = who("tenant/acme/agent/berlin/a1");
    let (files, _) = world.issue("a1", &identity);
    let old_key = fs::read(&files.key).unwrap();
    let (_, second) = world.issue("a1", &identity);
    // As if power failed after the chain was replaced and before the key got its name.
    fs::rename(&files.key, files.key.with_extension("key.next")).unwrap();
    fs::write(&files.key, old_key).unwrap();
    assert!(fs::set_permissions(&files.key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).is_ok());
    assert_eq!(files.load().unwrap().peer().serial, second.serial);
    // The next replacement starts from there and may itself be interrupted before the chain is in place.
    let third = csr::new_key_request().unwrap();
    let nowhere = IdentityFiles { roots: world.dir.path().join("no/root.pem"), ..files.clone() };
    assert!(matches!(nowhere.write("chain", &third.key_pem, "root"), Err(FilesError::Io { .. })));
    assert_eq!(files.load().unwrap().peer().serial, second.serial);
}
