//! Promises of enrolment: an agent with a fingerprint alone finds its controller, and nobody else.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use crate::support::{World, domain, who};
use lictor_certs::{
    enrolment::{EnrolmentServer, accept_enrolment, connect_pinned},
    files::IdentityFiles,
    live::Live,
};
use lictor_core::digest::Digest;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

async fn listen(
    files: IdentityFiles,
) -> (String, impl Stream<Item = std::io::Result<lictor_certs::enrolment::EnrolmentConnection>> + Unpin) {
    let live: Live<EnrolmentServer> = Live::load(files).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, accept_enrolment(listener, Arc::new(live), CancellationToken::new()))
}

#[tokio::test]
async fn an_agent_with_the_fingerprint_learns_root_and_domain() {
    let world = World::new();
    let (files, issued) = world.issue("controller", &who("controller/c1"));
    let (address, mut connections) = listen(files).await;
    let mut agent = connect_pinned(&address, world.ca.root_fingerprint()).await.unwrap();
    assert_eq!(agent.domain, domain());
    assert_eq!(agent.controller.serial, issued.serial);
    assert_eq!(agent.root_pem.trim(), world.ca.root_pem().trim());
    let mut connection = connections.next().await.unwrap().unwrap();
    agent.write_u8(7).await.unwrap();
    agent.flush().await.unwrap();
    assert_eq!(connection.read_u8().await.unwrap(), 7);
}

#[tokio::test]
async fn a_controller_under_another_root_is_refused() {
    let (world, other) = (World::new(), World::new());
    let (files, _) = world.issue("controller", &who("controller/c1"));
    let (address, _connections) = listen(files).await;
    let error = connect_pinned(&address, other.ca.root_fingerprint()).await.unwrap_err();
    assert!(error.to_string().contains("pinned root"), "{error}");
    assert!(connect_pinned(&address, Digest::of(b"")).await.is_err());
}

#[tokio::test]
async fn the_pinned_root_beside_a_foreign_chain_proves_nothing() {
    let (world, mallory) = (World::new(), World::new());
    // Mallory shows a chain of an own CA and adds the genuine root, which anyone can have.
    let (files, _) = mallory.issue("controller", &who("controller/c1"));
    std::fs::write(&files.roots, world.ca.root_pem()).unwrap();
    let (address, _connections) = listen(files).await;
    assert!(connect_pinned(&address, world.ca.root_fingerprint()).await.is_err());
}

#[tokio::test]
async fn an_agent_cannot_pose_as_the_enrolment_listener() {
    let world = World::new();
    let (files, _) = world.issue("a1", &who("tenant/acme/agent/berlin/a1"));
    let (address, _connections) = listen(files).await;
    assert!(connect_pinned(&address, world.ca.root_fingerprint()).await.is_err());
}
