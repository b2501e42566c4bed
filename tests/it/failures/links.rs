//! The agent's link to its controller breaks while a command runs.

use std::time::Instant;

use lictor_tests::{binaries, links::Links, netns::Netns, proxy::Flow};

use super::*;

/// A connection to a host lives through a silence of this long: its keep-alive gives it up later, and what TCP sends again
/// arrives in between.
const SSH_HOLDS: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_disconnected_mid_command_goes_on_and_its_result_arrives_once() {
    let (world, links) = World::start_with_links(&["web-1"]).await.unwrap();
    let (job, id, go) = running(&world, "web-1").await;
    links.controller.down();
    eventually("the agent is gone", async || agent_state(&world).await == AgentState::Disconnected)
        .await
        .unwrap();
    let view = look(&world, job).await;
    assert_eq!((view.phase, view.outcome), (Phase::Running, None), "that alone ends nothing");
    finish(&world, &id, &go).await;
    journalled(&world, &id, Line::Done).await;
    assert_eq!(look(&world, job).await.phase, Phase::Running, "nobody has told");
    links.controller.set(Flow::Both);
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), tally(&Outcome::Succeeded));
    works(&world, "web-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_network_is_cut_is_shown_as_such_and_its_result_arrives_once_the_network_is_back() {
    let mut world = World::prepare(&["web-1"]).unwrap();
    let network = Netns::new().unwrap();
    let _links = Links::lay_on(&world, network.near()).await.unwrap();
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    let config = world.home().join("agent.yml").display().to_string();
    let agent = binaries::path("lictor-agent").unwrap();
    world.agent =
        Some(network.start(&agent, &["run", "--config", &config], &world.file("agent.log")).unwrap());
    world.agent_connected().await.unwrap();
    let (job, id, go) = running(&world, "web-1").await;
    let cut = Instant::now();
    network.cut().unwrap();
    // Everything goes over this cable; what runs on the host does not need it.
    finish(&world, &id, &go).await;
    let silent = async || agent_state(&world).await != AgentState::Connected;
    within(LONG, "the silence is noticed", silent).await.unwrap();
    let view = look(&world, job).await;
    assert_eq!((view.phase, view.outcome), (Phase::Running, None));
    network.heal().unwrap();
    let late = cut.elapsed() > SSH_HOLDS;
    let ended = world.settle(&[job], LONG).await.unwrap();
    // The login to the host went over the same cable: on a machine that stood still it is given up before it is whole.
    let lost = tally(&Outcome::Unknown(Unknown::ConnectionLost));
    assert!(ended == tally(&Outcome::Succeeded) || (late && ended == lost), "{ended:?}\n{}", world.logs());
    works(&world, "web-1").await;
}
