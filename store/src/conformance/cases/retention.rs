//! What is removed is gone, what it shared with others is not, and what expected otherwise does nothing.

use std::{fs, os::unix::fs::MetadataExt as _, time::Duration};

use lictor_core::{
    digest::Digest,
    invocation::{Invocation, InvocationState},
    job::{Counts, IdempotencyKey, Job},
    outcome::Outcome,
    output::{Output, StreamName, StreamSummary},
    retention::{OutputRemoved, RetentionLimit},
};

use super::{
    AT, Fixture,
    fixtures::{change, invocation, is_conflict, job, principal},
};
use crate::{EndedJob, Store, Write};

/// Larger than what any backend keeps in a record.
const LARGE: usize = 10_000;

fn printed(byte: u8, size: usize) -> Output {
    let bytes = vec![byte; size];
    let digest = Some(Digest::of(&bytes));
    let stdout = StreamSummary { bytes_total: size as u64, digest, head: bytes, tail: vec![] };
    Output { stdout, ..Output::default() }
}

/// A job that has ended on these hosts with this output.
async fn ended_job(store: &dyn Store, n: u8, hosts: &[(&str, Output)]) -> (Job, EndedJob, Vec<Invocation>) {
    let job = job(n);
    let ended = |(host, output): &(&str, Output)| Invocation {
        state: InvocationState::Ended(Outcome::Succeeded),
        output: output.clone(),
        ..invocation(&job, host)
    };
    let invocations: Vec<Invocation> = hosts.iter().map(ended).collect();
    let output_bytes = invocations.iter().map(|i| i.output.stdout.bytes_kept()).sum();
    let end = EndedJob { job: job.id, ended_at: AT, output_bytes, version: 1 };
    let mut all = change().write(Write::CreateJob(job.clone()));
    for invocation in &invocations {
        all = all.write(Write::CreateInvocation(invocation.clone()));
    }
    let _ = store.commit(all).await.unwrap();
    let counts = Some(Counts::default());
    let all = change().write(Write::UpdateJob { job: job.clone(), counts, version: 2 });
    let _ = store.commit(all.write(Write::PutEnded(end))).await.unwrap();
    (job, end, invocations)
}

fn without_output(invocation: &Invocation) -> Invocation {
    let mut removed = invocation.clone();
    removed.version += 1;
    removed.output.stdout.head.clear();
    let limit = RetentionLimit::Age(Duration::from_secs(60));
    removed.output_removed = Some(OutputRemoved { at: AT, limit });
    removed
}

fn removal(invocation: &Invocation) -> Write {
    let Invocation { id, job, host, attempt, version, .. } = invocation.clone();
    Write::RemoveInvocation { id, job, host, attempt, version }
}

pub async fn removed_output_leaves_counts_and_digests_and_what_others_share(mut fixture: impl Fixture) {
    let store = fixture.open();
    let same = [("a", printed(b'x', LARGE)), ("b", printed(b'x', LARGE)), ("c", printed(b'y', 10))];
    let (_, end, invocations) = ended_job(&*store, 1, &same).await;
    let (_, _, others) = ended_job(&*store, 2, &[("a", printed(b'x', LARGE))]).await;
    let removed: Vec<Invocation> = invocations.iter().map(without_output).collect();
    let mut all = change().write(Write::PutEnded(EndedJob { output_bytes: 0, version: 2, ..end }));
    for invocation in &removed {
        all = all.write(Write::UpdateInvocation(invocation.clone().into()));
    }
    let _ = store.commit(all.clone()).await.unwrap();
    assert!(is_conflict(&store.commit(all).await), "once");
    for (was, is) in invocations.iter().zip(&removed) {
        assert_eq!(store.invocation(is.id).await.unwrap().as_ref(), Some(is));
        let outline = store.outline(is.id).await.unwrap().unwrap();
        assert_eq!((outline.kept.bytes(), &outline.invocation), (0, is));
        assert_eq!(is.output.stdout.digest, was.output.stdout.digest);
        assert_eq!(store.output(is.id, StreamName::Stdout, 0, 10).await.unwrap(), None, "never fewer bytes");
    }
    assert_eq!(store.invocation(others[0].id).await.unwrap().as_ref(), Some(&others[0]), "it is shared");
    assert_eq!(store.ended_job(end.job).await.unwrap().unwrap().output_bytes, 0);
    // Printed again, it is kept again.
    let (_, _, again) =
        ended_job(&*store, 3, &[("a", printed(b'y', LARGE)), ("b", printed(b'x', LARGE))]).await;
    for invocation in again.iter().chain(&others) {
        assert_eq!(store.invocation(invocation.id).await.unwrap().as_ref(), Some(invocation));
    }
}

pub async fn a_removed_job_is_gone_with_its_invocations_and_no_other_is(mut fixture: impl Fixture) {
    let store = fixture.open();
    let hosts = [("a", printed(b'x', LARGE)), ("b", printed(b'z', 1))];
    let (old, end, invocations) = ended_job(&*store, 1, &hosts).await;
    let (new, _, kept) = ended_job(&*store, 2, &hosts).await;
    let remove = |version| {
        let all = change().write(Write::RemoveJob { ended: end, version });
        invocations.iter().map(removal).fold(all, crate::Change::write)
    };
    let head = store.audit_head().await.unwrap();
    assert!(is_conflict(&store.commit(remove(1)).await), "it has changed since");
    let stale = Write::RemoveJob { ended: EndedJob { version: 2, ..end }, version: 2 };
    assert!(is_conflict(&store.commit(change().write(stale)).await));
    assert_eq!(store.audit_head().await.unwrap(), head);
    assert!(store.invocation(invocations[0].id).await.unwrap().is_some(), "nothing of it was done");

    let _ = store.commit(remove(2)).await.unwrap();
    assert_eq!(store.job(old.id).await.unwrap(), None);
    assert_eq!(store.ended_job(old.id).await.unwrap(), None);
    assert!(store.invocation_ids(old.id, None, 9).await.unwrap().is_empty());
    for gone in &invocations {
        assert_eq!(store.invocation(gone.id).await.unwrap(), None);
    }
    let jobs = store.jobs(None, 9).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.job.id).collect::<Vec<_>>(), [new.id]);
    assert_eq!(store.invocation_ids(new.id, None, 9).await.unwrap().len(), 2);
    for invocation in &kept {
        assert_eq!(store.invocation(invocation.id).await.unwrap().as_ref(), Some(invocation));
    }
}

pub async fn jobs_that_have_ended_are_listed_oldest_first_in_pages(mut fixture: impl Fixture) {
    let store = fixture.open();
    let mut ends = Vec::new();
    for n in [3, 1, 2] {
        ends.push(ended_job(&*store, n, &[("a", printed(n, n.into()))]).await.1);
    }
    let open = change().write(Write::CreateJob(job(4)));
    let _ = store.commit(open).await.unwrap();
    let first = store.ended_jobs(None, 2).await.unwrap();
    assert_eq!(first, [ends[1], ends[2]]);
    assert_eq!(store.ended_jobs(Some(ends[2].job), 9).await.unwrap(), [ends[0]]);
    let same_again = change().write(Write::PutEnded(ends[0]));
    assert!(is_conflict(&store.commit(same_again).await));
    assert_eq!(store.ended_job(job(4).id).await.unwrap(), None);
}

pub async fn a_key_is_removed_only_as_it_was_read(mut fixture: impl Fixture) {
    let store = fixture.open();
    let names = ["a", "b", "c"];
    for (n, name) in (1..).zip(names) {
        let bind = Write::BindKey {
            principal: principal(),
            key: IdempotencyKey::new(name).unwrap(),
            job: job(n).id,
            request_digest: Digest::of(name.as_bytes()),
            expires_at: AT.plus(Duration::from_secs(n.into())),
        };
        let _ = store.commit(change().write(bind)).await.unwrap();
    }
    let own = Write::BindKey {
        principal: principal(),
        key: IdempotencyKey::of_controller("own"),
        job: job(4).id,
        request_digest: Digest::of(b"own"),
        expires_at: AT,
    };
    let _ = store.commit(change().write(own)).await.unwrap();
    let all = store.bound_keys(None, 9).await.unwrap();
    assert_eq!(all.len(), 4);
    let mut paged = store.bound_keys(None, 3).await.unwrap();
    paged.extend(store.bound_keys(paged.last(), 3).await.unwrap());
    assert_eq!(paged, all);

    let stale = crate::BoundKey { expires_at: AT.plus(Duration::from_secs(9)), ..all[0].clone() };
    assert!(is_conflict(&store.commit(change().write(Write::RemoveKey(stale))).await));
    for key in all.iter().filter(|key| key.expires_at <= AT.plus(Duration::from_secs(1))) {
        let _ = store.commit(change().write(Write::RemoveKey(key.clone()))).await.unwrap();
    }
    assert_eq!(store.bound_keys(None, 9).await.unwrap().len(), 2);
    let known = async |name| store.idempotency_key(&principal(), &IdempotencyKey::new(name).unwrap()).await;
    assert!(known("a").await.unwrap().is_none() && known("b").await.unwrap().is_some());
}

pub async fn a_file_is_kept_as_what_was_printed(mut fixture: impl Fixture) {
    let store = fixture.open();
    let job = job(1);
    let name = format!("lictor-conformance-{}-{:?}", std::process::id(), std::thread::current().id());
    let file = std::env::temp_dir().join(name);
    let queued = [invocation(&job, "a"), invocation(&job, "b")];
    let mut all = change().write(Write::CreateJob(job.clone()));
    for invocation in &queued {
        all = all.write(Write::CreateInvocation(invocation.clone()));
    }
    let _ = store.commit(all).await.unwrap();
    let bytes: Vec<u8> = (0..LARGE).map(|n| u8::try_from(n % 251).unwrap()).collect();
    fs::write(&file, &bytes).unwrap();
    // Another name of the same file, by which its names can be counted.
    let beside = file.with_extension("beside");
    let _ = fs::remove_file(&beside);
    fs::hard_link(&file, &beside).unwrap();
    let stdout = StreamSummary {
        bytes_total: LARGE as u64,
        digest: Some(Digest::of(&bytes)),
        head: Vec::new(),
        tail: Vec::new(),
    };
    let whole = StreamSummary { head: bytes.clone(), ..stdout.clone() };
    let end = |invocation: &Invocation, stdout: &StreamSummary| Invocation {
        state: InvocationState::Ended(Outcome::Succeeded),
        version: 2,
        output: Output { stdout: stdout.clone(), ..Output::default() },
        ..invocation.clone()
    };
    // One came as a file, and one that is the same was printed.
    let write = Write::UpdateInvocationWithFile { invocation: end(&queued[0], &stdout), file: file.clone() };
    let again = change().write(write.clone());
    let _ = store.commit(change().write(write)).await.unwrap();
    assert!(is_conflict(&store.commit(again).await));
    let _ =
        store.commit(change().write(Write::UpdateInvocation(end(&queued[1], &whole).into()))).await.unwrap();
    fs::remove_file(file).unwrap();
    for queued in &queued {
        let ended = end(queued, &whole);
        assert_eq!(store.invocation(ended.id).await.unwrap(), Some(ended.clone()));
        let kept = store.outline(ended.id).await.unwrap().unwrap().kept;
        assert_eq!((kept.stdout.head, kept.stdout.tail, kept.bytes()), (LARGE as u64, 0, LARGE as u64));
        let part = store.output(ended.id, StreamName::Stdout, 9_000, 10_000).await.unwrap().unwrap();
        assert_eq!(part, bytes[9_000..]);
    }
    assert!(store.open_invocations().await.unwrap().is_empty());
    let (one, other) = (end(&queued[0], &whole), end(&queued[1], &whole));
    let _ = store.commit(change().write(Write::UpdateInvocation(without_output(&one).into()))).await.unwrap();
    assert_eq!(store.output(one.id, StreamName::Stdout, 0, 10).await.unwrap(), None);
    assert_eq!(store.invocation(other.id).await.unwrap(), Some(other.clone()));
    let _ =
        store.commit(change().write(Write::UpdateInvocation(without_output(&other).into()))).await.unwrap();
    assert_eq!(store.output(other.id, StreamName::Stdout, 0, 10).await.unwrap(), None);
    let names = fs::metadata(&beside).unwrap().nlink();
    fs::remove_file(beside).unwrap();
    assert_eq!(names, 1, "no store has a name for what no record names");
}
