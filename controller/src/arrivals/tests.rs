//! Files on their way: sent again, cut off, wrong, too many.

use lictor_core::output::StreamSummary;

use super::*;

const MOST: u64 = 100;

fn claims(bytes: &[u8]) -> [(StreamName, Claim); 2] {
    let total = bytes.len() as u64;
    let digest = Some(Digest::of(bytes));
    let summary = StreamSummary { bytes_total: total, digest, ..StreamSummary::default() };
    let stdout = Claim { summary, head_bytes: total, tail_bytes: 0 };
    [(StreamName::Stdout, stdout), (StreamName::Stderr, Claim::default())]
}

fn take(arrivals: &Arrivals, id: InvocationId, offset: u64, data: &[u8]) -> io::Result<bool> {
    let from = (SiteName::new("eu").unwrap(), AgentName::new("a").unwrap());
    // Each a moment after the one before it.
    let at = Moment::default().plus(Duration::from_millis(arrivals.begun.load(Ordering::Relaxed)));
    arrivals.take(from, id, &Piece { offset, data, most: MOST, at })
}

#[test]
fn a_file_comes_together_from_its_start_whatever_is_sent_again_and_is_kept_only_whole_and_the_same() {
    let state = tempfile::tempdir().unwrap();
    let arrivals = Arrivals::open(state.path()).unwrap();
    let (id, at) = (InvocationId::from_bytes([1; 16]), Moment::default());
    let from = || (SiteName::new("eu").unwrap(), AgentName::new("a").unwrap());
    let take = |offset, data: &[u8]| {
        arrivals.take(from(), id, &Piece { offset, data, most: MOST, at }).unwrap();
    };
    let (site, agent) = from();
    assert!(!arrivals.come_from(&site, &agent, at));
    take(0, b"abc");
    take(5, b"behind a gap");
    take(3, b"de");
    // The stream broke, and begins again.
    take(0, b"abcdef");
    take(6, &[b'x'; 100]);
    assert!(arrivals.come_from(&site, &agent, at));
    assert!(!arrivals.come_from(&site, &agent, at.plus(STILL_COMES * 2)));
    for other in [&b"abcde"[..], b"abcdeF", b"abcdefg"] {
        let (_, file, whole) = arrivals.finish(id, &claims(other));
        assert!(file.is_none() && !whole);
    }
    let (output, file, whole) = arrivals.finish(id, &claims(b"abcdef"));
    let path = file.as_ref().unwrap().path().to_owned();
    assert_eq!((output.stdout.bytes_total, whole, fs::read(&path).unwrap()), (6, true, b"abcdef".to_vec()));
    arrivals.forget(std::iter::once(id));
    assert!(path.exists(), "somebody has it");
    drop(file);
    assert!(!path.exists());
    assert_eq!(arrivals.bytes.load(Ordering::Relaxed), 0);
    take(0, b"abc");
    drop(Arrivals::open(state.path()).unwrap());
    assert_eq!(fs::read_dir(state.path().join("arriving")).unwrap().count(), 0);
}

#[test]
fn what_comes_after_a_file_was_whole_changes_nothing_of_what_a_store_kept() {
    let state = tempfile::tempdir().unwrap();
    let arrivals = Arrivals::open(state.path()).unwrap();
    let (id, kept) = (InvocationId::from_bytes([1; 16]), state.path().join("kept"));
    take(&arrivals, id, 0, b"abcdef").unwrap();
    let (_, file, _) = arrivals.finish(id, &claims(b"abcdef"));
    let file = file.unwrap();
    fs::hard_link(file.path(), &kept).unwrap();
    assert!(!take(&arrivals, id, 6, b"more").unwrap(), "while it is recorded");
    assert_eq!(fs::read(&kept).unwrap(), b"abcdef");
    let (_, again, whole) = arrivals.finish(id, &claims(b"abcdef"));
    assert!(whole && again.is_some(), "what could not be recorded is tried again");
    arrivals.forget(std::iter::once(id));
    assert!(take(&arrivals, id, 0, b"xyz").unwrap(), "it begins anew");
    assert_eq!(fs::read(&kept).unwrap(), b"abcdef");
    assert_eq!(fs::read(file.path()).unwrap(), b"abcdef");
}

#[test]
fn no_more_comes_than_may_be_kept_and_an_agent_that_begins_too_many_loses_the_one_that_rests() {
    let state = tempfile::tempdir().unwrap();
    let arrivals = Arrivals::open(state.path()).unwrap().within(30);
    let id = |n: usize| InvocationId::from_bytes([u8::try_from(n).unwrap(); 16]);
    let used = || arrivals.bytes.load(Ordering::Relaxed);
    arrivals.kept_of_live(20);
    take(&arrivals, id(1), 0, b"12345678").unwrap();
    let why = take(&arrivals, id(2), 0, b"123").unwrap_err().to_string();
    assert!(why.contains("retention.outputs.bytes"), "{why}");
    take(&arrivals, id(2), 0, b"12").unwrap();
    assert_eq!(used(), 10);
    arrivals.kept_of_live(0);
    for n in 3..=MAX_OPEN_EACH {
        take(&arrivals, id(n), 0, b"1").unwrap();
    }
    let begun = || fs::read_dir(state.path().join("arriving")).unwrap().count();
    assert_eq!(begun(), MAX_OPEN_EACH);
    // The first is whole and waits only to be recorded: the second goes.
    let (_, file, _) = arrivals.finish(id(1), &claims(b"12345678"));
    assert!(file.is_some());
    take(&arrivals, id(MAX_OPEN_EACH + 1), 0, b"1").unwrap();
    assert_eq!(begun(), MAX_OPEN_EACH + 1);
    let before = used();
    take(&arrivals, id(MAX_OPEN_EACH + 2), 0, b"1").unwrap();
    assert_eq!((begun(), used()), (MAX_OPEN_EACH + 1, before - 2 + 1));
    assert!(arrivals.finish(id(2), &claims(b"12")).1.is_none());
    assert!(arrivals.finish(id(3), &claims(b"1")).1.is_some());
}
