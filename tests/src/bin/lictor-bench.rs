//! Figures and ratios, measured in one run on whatever machine this is. It asserts nothing.
//!
//! Run it on a release build: `./scripts/test --bench`. `lictor-bench fanout --hosts 100,1000` measures a part alone,
//! `lictor-bench audit --records 1000000` a large log, and `--quick` shows in a minute that everything works.

use lictor_tests::{
    bench::{
        audit, fanout, latency,
        options::{Options, Part},
        policy, store,
    },
    process::raise_file_limit,
};

fn main() -> anyhow::Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    // What is started from here gets the same: ten thousand hosts need as many connections.
    raise_file_limit()?;
    if options.wants(Part::Policy) {
        policy::measure()?;
    }
    if options.wants(Part::Audit) {
        // Producers need both cores, as in a controller.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(audit::measure(options.records()))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if options.wants(Part::Store) {
            store::measure().await?;
        }
        if options.wants(Part::Latency) {
            latency::measure(&options).await?;
        }
        if options.wants(Part::Fanout) {
            fanout::measure(&options).await?;
        }
        Ok(())
    })
}
