//! A bridge over stdio that calls for a user: the token is in a file of its owner's, read for every request, so that whoever
//! signs the user in can replace it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use lictor_tests::{World, binaries, issuer::Issuer, mcp::McpClient, mcp_http::let_bridge_act};
use serde_json::json;

/// As whoever renews it should: whole, and never readable by others.
fn put(path: &Path, token: &str) {
    let next = path.with_extension("next");
    fs::write(&next, format!("{token}\n")).unwrap();
    fs::set_permissions(&next, Permissions::from_mode(0o600)).unwrap();
    fs::rename(&next, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_over_stdio_calls_for_the_user_whose_token_is_in_the_file_at_the_time() {
    let issuer = Issuer::new("key-1").unwrap();
    let world = World::prepare(&["web1"]).unwrap();
    let_bridge_act(&world, &issuer).unwrap();
    let world = world.set_up().await.unwrap();
    let home = world.home();
    let (config, file) = (home.join("for-user.yml"), home.join("user.token"));
    let text = fs::read_to_string(home.join("bridge.yml")).unwrap();
    let with_file = text.replace("identity:\n", "identity:\n  token_file: user.token\n");
    assert_ne!(with_file, text);
    fs::write(&config, with_file).unwrap();
    let program = binaries::path("lictor-mcp-bridge").unwrap();
    let arguments = ["--config".to_owned(), config.display().to_string()];
    let refused_to_start = || {
        let ended = Command::new(&program).args(&arguments).output().unwrap();
        assert!(!ended.status.success());
        String::from_utf8_lossy(&ended.stderr).into_owned()
    };
    assert!(refused_to_start().contains("user.token"), "there is no such file");
    put(&file, &issuer.token("ada", "read run"));
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let words = format!("it can be read by others; run: chmod 600 {}", file.display());
    assert!(refused_to_start().contains(&words), "{}", refused_to_start());

    put(&file, &issuer.token("ada", "read run"));
    let mut mcp = McpClient::start(&program, &arguments.each_ref().map(String::as_str)).await.unwrap();
    let mut run = async || {
        let arguments = json!({"alias": "web1", "argv": ["echo", "hi"]});
        mcp.call("ssh_run", arguments).await.unwrap()["structuredContent"].clone()
    };
    let operator = world.client().unwrap();
    for user in ["ada", "bob"] {
        put(&file, &issuer.token(user, "read run"));
        let ran = run().await;
        let job = ran["job_id"].as_str().unwrap_or_else(|| panic!("{ran}")).parse().unwrap();
        let job = operator.get_job(job, 1, None).await.unwrap().job;
        assert_eq!(job.principal.to_string(), format!("user:{user}"));
    }

    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let open = run().await;
    assert_eq!(open["code"], "UNAUTHENTICATED", "{open}");
    assert!(open["message"].as_str().unwrap().ends_with(&words), "{open}");
    for nothing in ["", "two tokens", "café"] {
        put(&file, nothing);
        let none = run().await;
        assert_eq!(none["code"], "UNAUTHENTICATED", "{nothing}: {none}");
        assert!(!none.to_string().contains("two tokens"), "what is in the file is not told: {none}");
    }
    let stranger = Issuer::new("key-1").unwrap().token("ada", "read run");
    put(&file, &stranger);
    let forged = run().await;
    assert_eq!(forged["code"], "UNAUTHENTICATED", "{forged}");
    fs::remove_file(&file).unwrap();
    assert_eq!(run().await["code"], "UNAUTHENTICATED");
    put(&file, &issuer.token("ada", "read run"));
    assert_eq!(run().await["state"], "SUCCEEDED", "it was never restarted");
}
