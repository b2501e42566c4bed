//! Tokens: what proves nobody is refused before anything is asked of the controller, and by the controller itself.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use lictor_core::error::ErrorCode;
use lictor_tests::{
    issuer::{Issuer, RESOURCE, now, unsigned},
    mcp_http::{Era, HttpBridge, Sent},
    process::eventually,
    world::{follow, spec},
};
use serde_json::{Value, json};

const CHALLENGE_END: &str =
    "resource_metadata=\"https://lictor.example/.well-known/oauth-protected-resource/mcp\"";

/// A token that is good but for one thing.
fn tokens(issuer: &Issuer) -> Vec<(&'static str, String)> {
    let stranger = Issuer::new("key-1").unwrap();
    let with = |key: &str, value: Value| {
        let mut claims = Issuer::claims("alice", "read run");
        claims[key] = value;
        issuer.sign(&issuer.header(), &claims)
    };
    let headed = |key: &str, value: Value| {
        let mut header = issuer.header();
        header[key] = value;
        issuer.sign(&header, &Issuer::claims("alice", "read run"))
    };
    let without = |key: &str| {
        let mut claims = Issuer::claims("alice", "read run");
        claims.as_object_mut().unwrap().remove(key);
        issuer.sign(&issuer.header(), &claims)
    };
    let good = Issuer::claims("alice", "read run");
    let none = unsigned(&json!({"alg": "none", "typ": "JWT"}), &good);
    let hmac = {
        let signed = unsigned(&json!({"alg": "HS256", "typ": "JWT", "kid": "key-1"}), &good);
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, issuer.public_key());
        let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let good = issuer.token("alice", "read run");
    let (head, signature) = good.rsplit_once('.').unwrap();
    let bobs = issuer.token("bob", "read run");
    let swapped = format!("{}.{signature}", bobs.rsplit_once('.').unwrap().0);
    vec![
        ("a stranger's key under the same identifier", stranger.token("alice", "read run")),
        ("an unknown key", Issuer::new("key-9").unwrap().token("alice", "read run")),
        ("expired", with("exp", json!(now() - 60))),
        ("not valid yet", with("nbf", json!(now() + 600))),
        ("for another resource", with("aud", json!("https://other.example/mcp"))),
        ("for the host and not for the resource", with("aud", json!("https://lictor.example"))),
        ("of another issuer", with("iss", json!("https://evil.example/"))),
        ("of a list of issuers", with("iss", json!(["https://login.example/"]))),
        ("without an expiry", without("exp")),
        ("without an audience", without("aud")),
        ("without an issuer", without("iss")),
        ("without a user", without("sub")),
        ("a user that is no name", with("sub", json!("al ice/../operator"))),
        ("a user that is no text", with("sub", json!(1))),
        ("alg none", format!("{none}.")),
        ("alg none with a signature", format!("{none}.{signature}")),
        ("HMAC with the public key", hmac),
        ("another algorithm in the header", headed("alg", json!("RS256"))),
        ("another kind of token", headed("typ", json!("dpop+jwt"))),
        ("a critical header", headed("crit", json!(["exp"]))),
        ("another one's signature", swapped),
        ("no signature", format!("{head}.")),
        ("no token at all", "abc".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_proves_nobody_is_refused_in_both_eras_and_by_the_controller() {
    let (world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let good = bridge.token("alice");
    let asked = json!({"alias": "web1", "argv": ["true"]});
    for era in Era::BOTH {
        let session = bridge.session(era, Some(&good)).await.unwrap();
        let sent = |token: Option<&str>, query: &str| Sent {
            token: token.map(str::to_owned),
            session: session.clone(),
            query: query.to_owned(),
            ..Sent::default()
        };
        for (what, token) in tokens(&bridge.issuer) {
            let answer =
                bridge.try_call(era, &sent(Some(&token), ""), "ssh_run", asked.clone()).await.unwrap();
            let challenge = answer.header("www-authenticate");
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{era:?} {what}: {answer:?}");
            assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{era:?} {what}: {challenge}");
            assert!(challenge.ends_with(CHALLENGE_END), "{era:?} {what}: {challenge}");
        }
        // Without a token there is no error code (RFC 6750 §3.1); a query is no place for one.
        for query in ["", &format!("?access_token={good}")] {
            let answer = bridge.try_call(era, &sent(None, query), "ssh_run", asked.clone()).await.unwrap();
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
            assert_eq!(answer.header("www-authenticate"), format!("Bearer scope=\"read\", {CHALLENGE_END}"));
        }
        let query = format!("?access_token={good}");
        let twice = bridge.try_call(era, &sent(Some(&good), &query), "ssh_run", asked.clone()).await.unwrap();
        assert_eq!(twice.status, StatusCode::BAD_REQUEST);
        assert!(twice.header("www-authenticate").contains("error=\"invalid_request\""));

        for (scope, tool, arguments, needed) in [
            ("read", "ssh_run", asked.clone(), "run"),
            ("read", "ssh_cancel", json!({"job_id": "job_x"}), "run"),
            ("run", "ssh_list_hosts", json!({}), "read"),
            ("openid run:all *", "ssh_run", asked.clone(), "run"),
        ] {
            let token = bridge.issuer.token("alice", scope);
            let answer = bridge.try_call(era, &sent(Some(&token), ""), tool, arguments).await.unwrap();
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{scope} {tool}: {answer:?}");
            let expected =
                format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\", {CHALLENGE_END}");
            assert_eq!(answer.header("www-authenticate"), expected);
        }
    }
    assert_eq!(world.host("web1").exec_log(), "", "nothing of this may have reached the host");

    // The controller proves tokens by itself: a bridge that is taken over cannot invent a user.
    let bridge_client = world.client_as("bridge").unwrap();
    let request = spec(&["web1"], &["true"]).unwrap();
    let refused =
        async |client: &lictor_client::connect::Client| client.submit(&request).await.unwrap_err().code;
    assert_eq!(refused(&bridge_client).await, ErrorCode::Unauthenticated, "it has no authority of its own");
    for (what, token) in tokens(&bridge.issuer) {
        let client = bridge_client.on_behalf(&token).unwrap();
        assert_eq!(refused(&client).await, ErrorCode::Unauthenticated, "{what}");
    }
    let reads = bridge_client.on_behalf(&bridge.issuer.token("alice", "read")).unwrap();
    assert_eq!(refused(&reads).await, ErrorCode::Forbidden);
    let operator = world.client().unwrap().on_behalf(&good).unwrap();
    assert_eq!(
        refused(&operator).await,
        ErrorCode::Forbidden,
        "only a service that may act for users brings tokens"
    );
    assert_eq!(world.host("web1").exec_log(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_of_the_token_is_who_policy_and_audit_see_and_keys_rotate() {
    let (world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let description = bridge.get("/.well-known/oauth-protected-resource/mcp").await.unwrap();
    assert_eq!(description.status, StatusCode::OK);
    let description = description.message().unwrap();
    assert_eq!(description["resource"], RESOURCE);
    assert_eq!(description["authorization_servers"], json!(["https://login.example/"]));
    assert_eq!(description["scopes_supported"], json!(["read", "run"]));
    for absent in
        ["/authorize", "/register", "/token", "/", "/mcp/", "/.well-known/oauth-authorization-server"]
    {
        assert_eq!(bridge.get(absent).await.unwrap().status, StatusCode::NOT_FOUND, "{absent}");
    }

    for era in Era::BOTH {
        let token = bridge.token("alice");
        let sent = Sent { session: bridge.session(era, Some(&token)).await.unwrap(), ..Sent::by(&token) };
        let asked = json!({"alias": "web1", "argv": ["echo", "hello"]});
        let result = bridge.call(era, &sent, "ssh_run", asked).await.unwrap();
        assert_eq!((&result["stdout"], &result["ran"]), (&json!("hello\n"), &json!("ran")), "{result}");
    }
    // Whatever a request says of its door, what is brought for a user came through the bridge.
    let client = world.client_as("bridge").unwrap().on_behalf(&bridge.token("alice")).unwrap();
    let said_cli = follow(&client, &spec(&["web1"], &["true"]).unwrap()).await.unwrap();
    assert!(said_cli.submitted().is_some());
    let audit = world.audit().await.unwrap();
    let submitted: Vec<&Value> =
        audit.iter().filter(|record| record.to_string().contains("\"job_submitted\"")).collect();
    assert_eq!(submitted.len(), 3, "{audit:?}");
    for record in submitted {
        let text = record.to_string();
        for part in ["user:alice", "\"mcp\"", "service:mcp", "token-of-alice"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert!(!world.logs().contains("eyJ") && !bridge.process.log().contains("eyJ"), "no token in a log");

    // A new key is taken up when a token names it; the old one is gone with it.
    let next = Issuer::new("key-2").unwrap();
    std::fs::write(world.home().join("keys.json"), next.key_set()).unwrap();
    let (new, old) = (Sent::by(&next.token("alice", "read")), Sent::by(&bridge.token("alice")));
    let status =
        async |sent: &Sent| bridge.try_call(Era::Stateless, sent, "ssh_list_hosts", json!({})).await.unwrap();
    eventually("the new key is accepted and the old one is not", async || {
        let hosts = status(&new).await;
        let listed = hosts.status == StatusCode::OK && hosts.text.contains("web1");
        listed && status(&old).await.status == StatusCode::UNAUTHORIZED
    })
    .await
    .unwrap();
}
