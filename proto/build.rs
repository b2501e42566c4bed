//! Compiles the `.proto` files without protoc and keeps their descriptor set for reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 10] = [
    "lictor/v1/common.proto",
    "lictor/v1/approvals.proto",
    "lictor/v1/jobs.proto",
    "lictor/v1/policy.proto",
    "lictor/v1/fleet.proto",
    "lictor/v1/audit.proto",
    "lictor/v1/erasures.proto",
    "lictor/v1/freeze.proto",
    "lictor/v1/enroll.proto",
    "lictor/v1/agent_link.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=protos");
    let descriptors = protox::compile(FILES, ["protos"])?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".lictor.v1.OutputChunk.data")
        .bytes(".lictor.v1.Offer.grant")
        .bytes(".lictor.v1.PutContentRequest.data")
        .bytes(".lictor.v1.FetchContentResponse.data")
        .bytes(".lictor.v1.AuditRecord.content")
        .bytes(".lictor.v1.AuditRecord.payload")
        .compile_fds(descriptors)?;
    Ok(())
}
