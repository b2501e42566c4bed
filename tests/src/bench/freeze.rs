//! How long a freeze takes from the call to its answer: recorded, and confirmed by the agent of the host.

use std::time::Instant;

use lictor_core::freeze::{FreezeReason, FreezeScope};

use super::Times;
use crate::World;

/// Measures and prints; the figure that it is held against is one second.
///
/// # Errors
/// When a freeze is refused or cannot be lifted.
pub async fn measure(world: &World, rounds: usize) -> anyhow::Result<()> {
    let operator = world.operator()?;
    let (scope, reason) = ("host:bench".parse::<FreezeScope>()?, "a benchmark".parse::<FreezeReason>()?);
    let (mut freeze, mut lift, mut late) = (Times::default(), Times::default(), 0);
    for _ in 0..rounds {
        let begun = Instant::now();
        let done = operator.freeze(&scope, &reason).await?;
        freeze.add(begun.elapsed());
        late += usize::from(!done.unconfirmed_agents.is_empty());
        let begun = Instant::now();
        operator.lift_freeze(done.freeze.id).await?;
        lift.add(begun.elapsed());
    }
    println!("\nfreeze of one host, from the call to its answer");
    println!("  {}", freeze.line("recorded, and confirmed by the agent"));
    println!("  {}", lift.line("lifted"));
    println!("  answered without the agent, after a second: {late} of {rounds}");
    Ok(())
}
