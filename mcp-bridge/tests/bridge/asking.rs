//! Asking the person at the client: help with a slip, a pause before many hosts, and never consent.

use rmcp::model::{CallToolResponse, ElicitResult, ElicitationAction, InputRequiredResult};
use serde_json::{Value, json};

use crate::{
    ERAS,
    world::{Era, Person, World, request},
};

fn says(choice: Value) -> ElicitResult {
    ElicitResult::new(ElicitationAction::Accept).with_content(json!({ "choice": choice }))
}

fn slip() -> Value {
    json!({"alias": "hots-0001", "argv": ["ok"]})
}

fn many() -> Value {
    json!({"tag": "n17", "argv": ["ok"]})
}

/// The hosts for which the fake recorded a job.
fn hosts(world: &World) -> Vec<String> {
    let jobs = world.fake.asked();
    let targets = jobs.iter().filter_map(|asked| asked.target.clone()?.kind);
    targets
        .filter_map(|kind| match kind {
            lictor_proto::pb::target::Kind::Hosts(list) => Some(list.aliases.join(",")),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn who_slips_is_asked_which_host_is_meant_and_their_choice_is_judged_like_any_request() {
    for era in ERAS {
        let world = World::with_person(era, |message| {
            assert!(message.contains("no host hots-0001") && message.contains("Policy decides"), "{message}");
            says(json!("host-0001"))
        })
        .await;
        let ran = world.call("ssh_run", slip()).await;
        assert_eq!((ran.is_error, &ran.body["host"]), (false, &json!("host-0001")), "{era:?} {ran:?}");
        assert_eq!(hosts(&world), ["hots-0001", "host-0001"]);
        let put = json!({"alias": "hots-0001", "path": "/etc/x", "text": ""});
        assert_eq!(world.call("ssh_upload", put).await.body["host"], "host-0001");
        let denied = world.call("ssh_run", json!({"alias": "hots-0001", "argv": ["deny"]})).await;
        assert_eq!(denied.body["code"], "POLICY_DENIED", "{denied:?}");
    }
}

#[tokio::test]
async fn nothing_but_one_of_the_hosts_offered_is_taken_for_an_answer() {
    let people: [Person; 7] = [
        |_| ElicitResult::new(ElicitationAction::Decline),
        |_| ElicitResult::new(ElicitationAction::Cancel),
        |_| ElicitResult::new(ElicitationAction::Accept),
        |_| says(json!("host-0299")),
        |_| says(json!(true)),
        |_| says(json!(["host-0001"])),
        |_| ElicitResult::new(ElicitationAction::Decline).with_content(json!({"choice": "host-0001"})),
    ];
    for era in ERAS {
        for (n, person) in people.into_iter().enumerate() {
            let world = World::with_person(era, person).await;
            let answer = world.call("ssh_run", slip()).await;
            assert_eq!((answer.is_error, &answer.body["code"]), (true, &json!("NOT_FOUND")), "{era:?} {n}");
            assert_eq!(hosts(&world), ["hots-0001"], "{era:?} {n}");
        }
    }
}

#[tokio::test]
async fn before_many_hosts_a_person_says_whether_to_go_on_and_nothing_runs_on_anything_but_yes() {
    let people: [(Person, bool); 5] = [
        (|_| says(json!(true)), true),
        (|_| says(json!(false)), false),
        (|_| says(json!("true")), false),
        (|_| ElicitResult::new(ElicitationAction::Accept), false),
        (|_| ElicitResult::new(ElicitationAction::Decline), false),
    ];
    for era in ERAS {
        for (person, goes_on) in people {
            for tool in ["ssh_run_on_tag", "ssh_run_async"] {
                let world = World::with_person(era, person).await;
                let answer = world.call(tool, many()).await;
                assert_eq!(answer.is_error, !goes_on, "{era:?} {tool}: {answer:?}");
                assert_eq!(world.fake.asked().len(), usize::from(goes_on));
                if !goes_on {
                    assert_eq!(answer.body["code"], "CONFLICT");
                }
            }
        }
        let few = World::with_person(era, |message| panic!("asked for nothing: {message}")).await;
        assert!(!few.call("ssh_run_on_tag", json!({"tag": "n16", "argv": ["ok"]})).await.is_error);
    }
}

#[tokio::test]
async fn a_yes_is_no_consent_and_who_knows_no_questions_is_asked_none() {
    for era in ERAS {
        let world = World::with_person(era, |_| says(json!(true))).await;
        let denied = world.call("ssh_run_on_tag", json!({"tag": "n17", "argv": ["deny"]})).await;
        assert_eq!(denied.body["code"], "POLICY_DENIED");

        let alone = World::new(era).await;
        assert_eq!(alone.call("ssh_run", slip()).await.body["code"], "NOT_FOUND");
        assert!(!alone.call("ssh_run_on_tag", many()).await.is_error);
    }
}

async fn asked(world: &World, tool: &str, arguments: Value) -> InputRequiredResult {
    match world.mcp.call_tool_once(request(tool, arguments)).await.unwrap() {
        CallToolResponse::InputRequired(question) => question,
        other => panic!("{other:?}"),
    }
}

/// Answers with this state; the result, or the error of the protocol.
async fn again(world: &World, tool: &str, arguments: Value, state: &str) -> Result<Value, String> {
    let answer = serde_json::to_value(says(json!("host-0001"))).unwrap();
    let retry = request(tool, arguments)
        .with_request_state(state)
        .with_input_responses([("choice".to_owned(), answer)].into());
    match world.mcp.call_tool_once(retry).await.map_err(|error| error.to_string())? {
        CallToolResponse::Complete(result) => Ok(result.structured_content.unwrap()),
        other => Err(format!("{other:?}")),
    }
}

#[tokio::test]
async fn a_state_is_good_for_its_own_request_once() {
    let world = World::with_person(Era::Modern, |_| panic!("the client itself answers")).await;
    let question = asked(&world, "ssh_run", slip()).await;
    let state = question.request_state.unwrap();
    assert!(!state.contains("host-0001") && question.input_requests.unwrap().len() == 1);

    // Another command, another tool, a changed state: errors of the protocol, and none of them uses it up.
    let other = json!({"alias": "hots-0001", "argv": ["ok", "more"]});
    let file = json!({"alias": "hots-0001", "path": "/etc/x"});
    let mut forged = state.clone();
    forged.replace_range(..1, if state.starts_with('A') { "B" } else { "A" });
    for refused in [
        again(&world, "ssh_run", other, &state).await,
        again(&world, "ssh_download", file, &state).await,
        again(&world, "ssh_run", slip(), &forged).await,
        again(&world, "ssh_run", slip(), "").await,
    ] {
        let error = refused.unwrap_err();
        assert!(error.contains("was not made for this request"), "{error}");
    }
    assert_eq!(again(&world, "ssh_run", slip(), &state).await.unwrap()["host"], "host-0001");
    let replayed = again(&world, "ssh_run", slip(), &state).await.unwrap();
    assert_eq!((&replayed["code"], replayed["next_step"].is_string()), (&json!("CONFLICT"), true));
    assert_eq!(hosts(&world), ["hots-0001", "host-0001"], "it ran once");

    // An answer without the state it belongs to is no answer.
    let answer = serde_json::to_value(says(json!("host-0001"))).unwrap();
    let bare = request("ssh_run", slip()).with_input_responses([("choice".to_owned(), answer)].into());
    let bare = world.mcp.call_tool_once(bare).await.unwrap();
    assert!(matches!(bare, CallToolResponse::InputRequired(_)), "{bare:?}");
}
