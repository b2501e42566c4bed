//! Figures and ratios, measured in one run on whatever machine this is. It asserts nothing.
//!
//! Run it on a release build: `./scripts/test --bench`.

use lictor_tests::bench::{latency, store};

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        store::measure().await?;
        latency::measure().await
    })
}
