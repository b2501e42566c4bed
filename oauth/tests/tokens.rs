//! Keys and tokens: which keys verify what, and what follows when they change.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::path::Path;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::{HeaderMap, header::AUTHORIZATION};
use lictor_oauth::{
    config::{TokensConfig, TokensFile},
    keys::{InvalidKeySet, KeySet},
    scope::Scope,
    token::BearerToken,
    verify::{TokenError, Verifier},
};
use serde_json::{Value, json};

fn bearer(text: &str) -> BearerToken {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {text}").parse().unwrap());
    BearerToken::of(&headers).unwrap()
}

fn claims() -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    json!({"iss": "i", "aud": ["other", "a"], "sub": "s-1", "login": "alice", "scope": "run", "exp": now + 60})
}

fn token(header: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims().to_string()));
    format!("{signed}.{}", B64.encode(sign(signed.as_bytes())))
}

async fn verifier(dir: &Path, keys: &Value) -> std::sync::Arc<Verifier> {
    std::fs::write(dir.join("keys.json"), json!({ "keys": keys }).to_string()).unwrap();
    let file = TokensFile {
        issuer: "i".into(),
        audience: "a".into(),
        keys: "keys.json".into(),
        ca_file: None,
        user_claim: Some("login".into()),
    };
    TokensConfig::new(&file, dir).unwrap().verifier().await.unwrap().0
}

#[tokio::test]
async fn each_pinned_algorithm_is_proved_by_its_own_kind_of_key_alone() {
    let dir = tempfile::tempdir().unwrap();
    let random = SystemRandom::new();
    let ed = Ed25519KeyPair::generate().unwrap();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let point = ec.public_key().as_ref();
    let keys = json!([
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": B64.encode(ed.public_key().as_ref())},
        {"kty": "EC", "crv": "P-256", "kid": "ec", "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..65])},
        {"kty": "RSA", "kid": "rsa", "alg": "RS256",
         "n": B64.encode(rsa.public_key().modulus().big_endian_without_leading_zero()),
         "e": B64.encode(rsa.public_key().exponent().big_endian_without_leading_zero())},
        {"kty": "oct", "kid": "oct", "k": B64.encode(b"secret")},
        {"kty": "something new", "kid": "new"},
    ]);
    let verifier = verifier(dir.path(), &keys).await;
    let by_ed = |m: &[u8]| ed.sign(m).as_ref().to_vec();
    let by_ec = |m: &[u8]| ec.sign(&random, m).unwrap().as_ref().to_vec();
    let by_rsa = |m: &[u8]| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &random, m, &mut signature).unwrap();
        signature
    };
    for token in [
        token(&json!({"alg": "EdDSA", "kid": "ed"}), by_ed),
        token(&json!({"alg": "ES256", "kid": "ec"}), by_ec),
        token(&json!({"alg": "RS256", "kid": "rsa"}), by_rsa),
        // The only key of its algorithm needs no identifier.
        token(&json!({"alg": "RS256"}), by_rsa),
    ] {
        let verified = verifier.verify(&bearer(&token)).await.unwrap();
        assert_eq!(verified.user.as_str(), "alice");
        assert!(verified.scopes.has(Scope::Run) && !verified.scopes.has(Scope::Read));
        assert_eq!(verified.token_id.len(), 64, "a token without an identifier is known by its digest");
    }
    for (token, error) in [
        (token(&json!({"alg": "ES256", "kid": "ed"}), by_ed), TokenError::UnknownKey),
        (token(&json!({"alg": "RS256", "kid": "ec"}), by_rsa), TokenError::UnknownKey),
        (token(&json!({"alg": "RS512", "kid": "rsa"}), by_rsa), TokenError::Algorithm),
        (token(&json!({"alg": "PS256", "kid": "rsa"}), by_rsa), TokenError::Algorithm),
        (token(&json!({"alg": "HS256", "kid": "oct"}), by_ed), TokenError::Algorithm),
        (token(&json!({"alg": "none"}), by_ed), TokenError::Malformed),
        (token(&json!({"alg": "EdDSA", "kid": "ed"}), by_ec), TokenError::Signature),
    ] {
        assert_eq!(verifier.verify(&bearer(&token)).await.unwrap_err(), error);
    }
}

#[test]
fn a_set_without_a_usable_key_is_refused_as_is_one_that_is_too_large() {
    let weak = json!({"kty": "RSA", "kid": "w", "n": B64.encode([0xff; 128]), "e": "AQAB"});
    let encryption = json!({"kty": "OKP", "crv": "Ed25519", "use": "enc", "x": B64.encode([1; 32])});
    let other = json!({"kty": "EC", "crv": "P-384", "x": B64.encode([1; 48]), "y": B64.encode([1; 48])});
    for set in [json!({"keys": []}), json!({"keys": [weak, encryption, other]})] {
        assert!(matches!(KeySet::parse(set.to_string().as_bytes()), Err(InvalidKeySet::NoneUsable)), "{set}");
    }
    let many = json!({"keys": vec![json!({}); 65]}).to_string();
    assert!(matches!(KeySet::parse(many.as_bytes()), Err(InvalidKeySet::TooMany)));
    assert!(matches!(KeySet::parse(&vec![b' '; 300 * 1024]), Err(InvalidKeySet::TooLong)));
    assert!(matches!(KeySet::parse(b"{}"), Err(InvalidKeySet::Malformed(_))));
}
