//! Durable audit records a second: one writer after another, and many at once; beside sled flushed and synced by itself.

use std::{fs::File, sync::Arc, time::Instant};

use lictor_core::{audit::AuditEvent, clock::Timestamp, id::InvocationId, name::AgentName};
use lictor_store::{Change, Store, embedded::EmbeddedStore};

use super::Times;

/// Records written one after another.
const SINGLE: usize = 3000;
/// Writers at once, and records of each.
const WRITERS: usize = 128;
/// Records of each writer.
const EACH: usize = 400;

fn change() -> anyhow::Result<Change> {
    let event = AuditEvent::InvocationOffered {
        invocation: InvocationId::from_bytes([7; 16]),
        agent: AgentName::new("bench")?,
        epoch: 1,
    };
    Ok(Change::new(Timestamp::from_micros(1), event))
}

/// Measures and prints.
///
/// # Errors
/// When the disk does not work.
pub async fn measure() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    println!("durable audit records (each synced to the device before it is acknowledged)");
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&dir.path().join("store"))?);
    let mut times = Times::default();
    for _ in 0..SINGLE {
        let begun = Instant::now();
        let _recorded = store.commit(change()?).await?;
        times.add(begun.elapsed());
    }
    println!("  {}", times.line("embedded store, one after another"));

    let begun = Instant::now();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.push(tokio::spawn(async move {
            for _ in 0..EACH {
                let _recorded = store.commit(change()?).await?;
            }
            anyhow::Ok(())
        }));
    }
    for writer in writers {
        writer.await??;
    }
    let rate = (WRITERS * EACH) as f64 / begun.elapsed().as_secs_f64();
    println!("  embedded store, {WRITERS} writers at once                      {rate:>8.0} records/s");

    let path = dir.path().join("sled");
    let db = sled::Config::new().path(&path).flush_every_ms(None).open()?;
    let file = File::open(path.join("db"))?;
    let mut times = Times::default();
    for n in 0..SINGLE {
        let begun = Instant::now();
        let mut batch = sled::Batch::default();
        batch.insert(&n.to_be_bytes(), vec![7u8; 300]);
        batch.insert(b"head", &n.to_be_bytes());
        db.apply_batch(batch)?;
        db.flush()?;
        file.sync_data()?;
        times.add(begun.elapsed());
    }
    println!("  {}", times.line("sled alone, flushed and synced"));
    Ok(())
}
