//! What is kept of content, and for whom.

use lictor_core::{
    name::{PrincipalName, TenantName},
    principal::PrincipalKind,
};

use super::*;

fn principal(name: &str) -> Principal {
    Principal {
        tenant: TenantName::new("acme").unwrap(),
        kind: PrincipalKind::User,
        name: PrincipalName::new(name).unwrap(),
    }
}

fn open() -> (tempfile::TempDir, Arc<Contents>) {
    let dir = tempfile::tempdir().unwrap();
    let contents = Arc::new(Contents::open(dir.path()).unwrap());
    (dir, contents)
}

fn put(contents: &Arc<Contents>, by: &str, announced: Content, bytes: &[u8]) -> Result<(), Failure> {
    match contents.begin(&principal(by), announced)? {
        Begun::Known => Ok(()),
        Begun::Awaited(mut receiving) => {
            receiving.push(bytes)?;
            receiving.finish()
        }
    }
}

fn left(dir: &Path) -> usize {
    files(&dir.join("content")).unwrap().len()
}

#[test]
fn only_what_was_announced_is_kept_and_only_its_owner_has_it() {
    let (dir, contents) = open();
    let content = Content::of(b"hello").unwrap();
    for other in [&b"hellO"[..], b"hell", b"hello!"] {
        assert_eq!(put(&contents, "alice", content, other).unwrap_err().code, ErrorCode::InvalidArgument);
        assert_eq!(left(dir.path()), 0, "nothing of it stays");
    }
    assert_eq!(contents.hold(&principal("alice"), content).unwrap_err().code, ErrorCode::NotFound);
    put(&contents, "alice", content, b"hello").unwrap();
    contents.hold(&principal("alice"), content).unwrap();
    assert!(contents.hold(&principal("bob"), content).is_err(), "a digest gives nobody the bytes");
    assert!(matches!(contents.begin(&principal("alice"), content), Ok(Begun::Known)));
    assert!(contents.receiving().is_empty(), "what was announced is no longer counted");
}

#[test]
fn what_is_announced_counts_before_it_is_there_and_no_longer_when_it_never_comes() {
    let (_dir, contents) = open();
    let large = |n: u8| Content::new(Digest::of(&[n]), lictor_core::content::MAX_CONTENT_BYTES).unwrap();
    let fit = MAX_BYTES_EACH / lictor_core::content::MAX_CONTENT_BYTES;
    let mut under_way: Vec<Begun> = (0..u8::try_from(fit).unwrap())
        .map(|n| contents.begin(&principal("alice"), large(n)).unwrap())
        .collect();
    let full = contents.begin(&principal("alice"), large(200)).unwrap_err();
    assert_eq!(full.code, ErrorCode::LimitExceeded);
    assert!(
        contents.begin(&principal("bob"), large(200)).is_ok(),
        "one caller does not fill it for the others"
    );
    under_way.pop();
    assert!(contents.begin(&principal("alice"), large(200)).is_ok());
}

#[test]
fn what_nobody_asked_for_in_a_day_is_removed_and_what_broke_off_at_the_next_start() {
    let (dir, contents) = open();
    let content = Content::of(b"old").unwrap();
    put(&contents, "alice", content, b"old").unwrap();
    let jobs = LiveJobs::default();
    let later = |hours: u64| SystemTime::now() + Duration::from_secs(hours * 3600);
    assert_eq!(contents.sweep(&jobs, later(23)).unwrap(), 0);
    contents.hold(&principal("alice"), content).unwrap();
    assert_eq!(contents.sweep(&jobs, later(23)).unwrap(), 0);
    assert_eq!(contents.sweep(&jobs, later(25)).unwrap(), 1);
    assert!(contents.hold(&principal("alice"), content).is_err());
    let Begun::Awaited(mut broken) = contents.begin(&principal("alice"), content).unwrap() else {
        panic!("it was removed")
    };
    broken.push(b"ol").unwrap();
    // As a crash leaves it.
    std::mem::forget(broken);
    assert_eq!(left(dir.path()), 1);
    Contents::open(dir.path()).unwrap();
    assert_eq!(left(dir.path()), 0);
}
