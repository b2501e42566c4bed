//! An agent holds a controller to what it has seen of its audit log: a valid controller with another history gets nothing
//! done, whatever it offers.

use lictor_certs::{
    checkpoint::{Origin, sign_checkpoint},
    cosignature::{WitnessKey, verify_cosignature, witness_name},
    signer::{PublicKey, SigningKey},
};
use lictor_core::{
    digest::Digest,
    merkle::{TreeHead, leaf_hash, node_hash},
};
use lictor_proto::pb::{
    self, OutcomeKind, agent_message::Message as FromAgent, controller_message::Message as ToAgent,
    cosignature::Answer,
};

use crate::{
    controller::{Session, domain},
    world::{World, alive, kind, reason},
};

fn origin() -> Origin {
    Origin::of_tenant(&domain(), &"acme".parse().unwrap()).unwrap()
}

fn leaf(name: &str) -> Digest {
    leaf_hash(name.as_bytes())
}

fn one() -> TreeHead {
    TreeHead { size: 1, root: leaf("a") }
}

fn two(second: &str) -> TreeHead {
    TreeHead { size: 2, root: node_hash(&leaf("a"), &leaf(second)) }
}

/// Shows a head, and waits for the answer.
async fn show(session: &mut Session, key: &SigningKey, head: TreeHead, proof: &[Digest]) -> Answer {
    let checkpoint = pb::Checkpoint {
        note: sign_checkpoint(&origin(), &head, key),
        proof: proof.iter().map(|hash| hash.as_bytes().to_vec()).collect(),
        public_key: key.public_key().as_bytes().to_vec(),
        key_rotations: Vec::new(),
    };
    session.say(ToAgent::Checkpoint(checkpoint)).await;
    loop {
        match session.next().await {
            FromAgent::Cosignature(answer) => {
                assert_eq!(answer.size, head.size);
                return answer.answer.unwrap();
            }
            FromAgent::Results(results) => session.keep(results),
            _ => {}
        }
    }
}

fn cosigned(session: &Session, answer: &Answer, head: TreeHead) {
    let Answer::Line(line) = answer else { panic!("{answer:?}") };
    let key = session.hello.witness.as_ref().unwrap().public_key.as_slice();
    let [tenant, site, agent] = ["acme", "eu", "a1"];
    let name =
        witness_name(&domain(), &tenant.parse().unwrap(), &site.parse().unwrap(), &agent.parse().unwrap());
    let witness = WitnessKey { name: name.unwrap(), key: PublicKey::from_bytes(key.try_into().unwrap()) };
    verify_cosignature(line, &origin(), &head, &witness).unwrap();
}

fn refused(answer: &Answer, why: &str) {
    let Answer::Refused(refusal) = answer else { panic!("{answer:?}") };
    assert!(refusal.reason.contains(why), "{}", refusal.reason);
}

#[tokio::test]
async fn a_controller_with_another_history_starts_nothing_and_what_runs_goes_on() {
    let mut world = World::new().await;
    let log = SigningKey::generate().unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    assert_eq!(session.hello.witness.as_ref().unwrap().size, 0);
    let answer = show(&mut session, &log, one(), &[]).await;
    cosigned(&session, &answer, one());
    let answer = show(&mut session, &log, two("b"), &[leaf("b")]).await;
    cosigned(&session, &answer, two("b"));
    assert_eq!(kind(&world.run(&mut session, &["echo", "trusted"]).await), OutcomeKind::Succeeded);

    let sleep = format!("60007.{}", std::process::id());
    let running = world.grant(&session, "web-1", &["sleep", &sleep]);
    let running = world.offer(&session, &running).await;
    session.started(&running).await;
    while !alive(&["sleep", &sleep]) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    refused(&show(&mut session, &log, two("c"), &[]).await, "another one before");
    let late = world.path("late");
    let touch = ["touch".to_owned(), late.display().to_string()];
    let touch: Vec<&str> = touch.iter().map(String::as_str).collect();
    let result = world.run(&mut session, &touch).await;
    assert_eq!(kind(&result), OutcomeKind::Denied);
    assert_eq!(reason(&result), "WITNESS_REFUSED");
    // What is right afterwards does not undo it.
    refused(&show(&mut session, &log, two("b"), &[]).await, "another one before");
    assert_eq!(kind(&world.run(&mut session, &touch).await), OutcomeKind::Denied);
    assert!(alive(&["sleep", &sleep]), "what runs goes on");
    session.stop(&running).await;
    assert_eq!(
        kind(&session.result(&running).await),
        OutcomeKind::Killed,
        "and is still obeyed when it is stopped"
    );
    agent.stop().await;
    drop(session);

    // It is remembered over a restart, and a controller that shows nothing gets nothing either.
    let agent = world.start();
    let mut session = world.controller.session().await;
    assert_eq!(session.hello.witness.as_ref().unwrap().root, two("b").root.as_bytes());
    let result = world.run(&mut session, &touch).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Denied, "WITNESS_UNPROVEN"));
    refused(&show(&mut session, &log, one(), &[]).await, "rolled back");
    assert_eq!(kind(&world.run(&mut session, &touch).await), OutcomeKind::Denied);
    agent.stop().await;
    drop(session);

    let agent = world.start();
    let mut session = world.controller.session().await;
    let stranger = SigningKey::generate().unwrap();
    refused(&show(&mut session, &stranger, two("b"), &[]).await, "another key");
    agent.stop().await;
    drop(session);
    assert!(!late.exists());

    let agent = world.start();
    let mut session = world.controller.session().await;
    let answer = show(&mut session, &log, two("b"), &[]).await;
    cosigned(&session, &answer, two("b"));
    assert_eq!(kind(&world.run(&mut session, &touch).await), OutcomeKind::Succeeded);
    assert!(late.exists());
    agent.stop().await;
}
