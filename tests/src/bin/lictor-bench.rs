//! Figures and ratios, measured in one run on whatever machine this is. It asserts nothing.
//!
//! Run it on a release build: `./scripts/test --bench`. `lictor-bench policy` measures decisions alone.

use lictor_tests::bench::{latency, policy, store};

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => policy::measure()?,
        Some("policy") => return policy::measure(),
        Some(other) => anyhow::bail!("there is no part {other}; give none for everything, or `policy`"),
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        store::measure().await?;
        latency::measure().await
    })
}
