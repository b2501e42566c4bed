//! Two indexes that follow from the records: which jobs have ended, with how much is kept of them, and whose output is in
//! which file.
//!
//! Every commit keeps them and says up to which size of the audit log they are whole. Where an older version has written
//! meanwhile they are not, and are made anew when the store is opened.

use lictor_core::{clock::Timestamp, digest::Digest, id::JobId, invocation::Invocation};

use super::{batch, keys, table::Table};
use crate::{
    EndedJob, KeptJob, StoreError,
    record::{InvocationRecord, JobRecord, OutputPlace, corrupt, decode},
};

/// Version of an entry that is made anew.
const FIRST: u64 = 1;

/// The value of a job that has ended: version, time, bytes.
pub(super) fn encode(ended: &EndedJob) -> Vec<u8> {
    let record = [ended.ended_at.as_micros().to_be_bytes(), ended.output_bytes.to_be_bytes()].concat();
    batch::value(ended.version, &record)
}

/// The job that has ended under this key.
pub(super) fn decode_entry(key: &[u8], value: &[u8]) -> Result<EndedJob, StoreError> {
    let job = JobId::from_bytes(keys::id_of(key.get(keys::ENDED.len()..).unwrap_or_default())?);
    let (numbers, rest) = batch::record_of(value)?.as_chunks::<8>();
    let ([ended_at, output_bytes], []) = (numbers, rest) else {
        return Err(corrupt("the end of a job of the wrong length"));
    };
    Ok(EndedJob {
        job,
        ended_at: Timestamp::from_micros(u64::from_be_bytes(*ended_at)),
        output_bytes: u64::from_be_bytes(*output_bytes),
        version: batch::version_of(value)?,
    })
}

/// Up to which size of the audit log the indexes are whole.
pub(super) fn encode_size(size: u64) -> Vec<u8> {
    size.to_be_bytes().to_vec()
}

/// Makes the indexes whole in a store whose audit log has `size` records; where a record could not be read the last time, looks
/// again whether it can be now.
pub(super) fn complete(table: &Table, size: u64) -> Result<(), StoreError> {
    let indexed = table.get(keys::INDEXED)?;
    let was_whole = indexed.is_some_and(|indexed| indexed.as_ref() == encode_size(size));
    if size == 0 || (was_whole && table.get(keys::UNREADABLE)?.is_none()) {
        return Ok(());
    }
    tracing::info!("finding out what is kept of each job: not all of it is known");
    let mut whole = true;
    for entry in table.range(keys::first_job().to_vec(), keys::after_all_jobs().to_vec()) {
        let (_, value) = entry?;
        match decode::<JobRecord>(batch::record_of(&value)?).and_then(KeptJob::try_from) {
            Ok(kept) => whole &= index_job(table, &kept, was_whole)?,
            Err(error) => {
                tracing::error!(%error, "a job cannot be read; it is kept until it is restored, and so are all files of outputs");
                whole = false;
            }
        }
    }
    // After the uses that were noted: who sees that all are known, finds them.
    if whole {
        table.tree().remove(keys::UNREADABLE).map_err(corrupt)?;
    } else {
        table.tree().insert(keys::UNREADABLE, b"").map_err(corrupt)?;
    }
    // Last: what a crash interrupts is done again.
    table.tree().insert(keys::INDEXED, encode_size(size)).map_err(corrupt)?;
    Ok(())
}

/// Answers whether every invocation could be read. Where the index was whole already, what it says of the job's end stays, and
/// only what can be read again is added to it.
fn index_job(table: &Table, kept: &KeptJob, was_whole: bool) -> Result<bool, StoreError> {
    let mut whole = true;
    let job = kept.job.id;
    let mut ended = EndedJob { job, ended_at: kept.job.created_at, output_bytes: 0, version: FIRST };
    for id in table.range(keys::of_job(job), keys::after_job(job)).values() {
        let id = keys::id_of(&id?)?;
        let Some(value) = table.get(&keys::invocation(lictor_core::id::InvocationId::from_bytes(id)))? else {
            continue;
        };
        let read = decode::<InvocationRecord<'static>>(batch::record_of(&value)?);
        let read = read.and_then(|record| Ok((record.place()?, record.kept(), record.to_invocation()?)));
        let (place, bytes, invocation) = match read {
            Ok((place, kept, invocation)) => (place, kept.bytes(), invocation),
            Err(error) => {
                tracing::error!(%error, "an invocation cannot be read; it is kept until it is restored, and so are all files of outputs");
                whole = false;
                continue;
            }
        };
        if let OutputPlace::SharedFile(file) = place {
            note_use(table, file, &invocation)?;
        }
        ended.output_bytes += bytes;
        ended.ended_at = ended.ended_at.max(invocation.ended_at.unwrap_or_default());
    }
    if kept.counts.is_some() {
        let key = keys::ended(job);
        // One that cannot be read is made anew.
        let known = table.get(&key)?.filter(|_| was_whole).and_then(|value| decode_entry(&key, &value).ok());
        let ended = match known {
            Some(known) => EndedJob {
                ended_at: known.ended_at.max(ended.ended_at),
                output_bytes: known.output_bytes.max(ended.output_bytes),
                ..known
            },
            None => ended,
        };
        table.tree().insert(key, encode(&ended)).map_err(corrupt)?;
    }
    Ok(whole)
}

fn note_use(table: &Table, file: Digest, invocation: &Invocation) -> Result<(), StoreError> {
    table.tree().insert(keys::file_use(file, invocation.id), b"").map_err(corrupt)?;
    Ok(())
}
