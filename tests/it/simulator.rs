//! The simulated hosts are hosts: to the library that everything is measured against, and to Lictor.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lictor_core::{job::JobSpec, outcome::Outcome};
use lictor_tests::{
    bench::{
        bare::{Acknowledge, Login, exec},
        fleet::{self, Fleet},
    },
    hosts::new_key,
    simulator,
    world::{follow, spec},
};

#[tokio::test]
async fn every_loopback_address_is_a_host_that_lets_one_key_in() {
    let (key, other) = (Arc::new(new_key().unwrap()), Arc::new(new_key().unwrap()));
    let hosts = simulator::Hosts::new(new_key().unwrap(), key.public_key().clone());
    let listener = simulator::listen(0).unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(hosts.serve(listener));
    let login = Login::new(&key).unwrap();
    for address in [[127, 1, 0, 1], [127, 1, 39, 250]] {
        let host = SocketAddr::from((address, port));
        let connection = login.connect(host, Acknowledge::Later).await.unwrap();
        for _ in 0..2 {
            exec(&connection, "true").await.unwrap();
        }
        assert!(exec(&connection, "reboot").await.is_err());
        let stranger = Login::new(&other).unwrap().connect(host, Acknowledge::Later).await;
        assert!(stranger.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_on_simulated_hosts_and_what_sleeps_there_is_stopped_when_its_time_is_up() {
    let fleet = Fleet::start(3).await.unwrap();
    let client = fleet.world.client().unwrap();
    let went = fleet::run(&client, &fleet::by_tag().unwrap()).await.unwrap();
    assert_eq!(went.succeeded, 3, "{}", fleet.world.logs());
    let sleep =
        JobSpec { timeout: Some(Duration::from_secs(1)), ..spec(&["host-00002"], &["sleep", "60"]).unwrap() };
    let ended = follow(&client, &sleep).await.unwrap();
    assert_eq!(ended.invocations()[0].0.outcome, Some(Outcome::TimedOut));
}
