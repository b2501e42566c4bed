//! Files on their way: sent again, cut off, wrong, too many.

use lictor_core::{digest::Digest, output::StreamSummary};

use super::*;

const MOST: u64 = 100;

fn claims(bytes: &[u8]) -> [(StreamName, Claim); 2] {
    let total = bytes.len() as u64;
    let digest = Some(Digest::of(bytes));
    let summary = StreamSummary { bytes_total: total, digest, ..StreamSummary::default() };
    let stdout = Claim { summary, head_bytes: total, tail_bytes: 0 };
    [(StreamName::Stdout, stdout), (StreamName::Stderr, Claim::default())]
}

fn nth(n: usize) -> InvocationId {
    InvocationId::from_bytes([u8::try_from(n).unwrap(); 16])
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
    let behind_a_gap = Piece { offset: 5, data: b"fgh", most: MOST, at };
    let why = arrivals.take(from(), id, &behind_a_gap).unwrap_err().to_string();
    assert!(why.contains("3 bytes of the file are here"), "its agent has to know: {why}");
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
fn no_more_comes_than_may_be_kept() {
    let state = tempfile::tempdir().unwrap();
    let arrivals = Arrivals::open(state.path()).unwrap().within(30);
    arrivals.kept_of_live(20);
    take(&arrivals, nth(1), 0, b"12345678").unwrap();
    let why = take(&arrivals, nth(2), 0, b"123").unwrap_err().to_string();
    assert!(why.contains("retention.outputs.bytes"), "{why}");
    take(&arrivals, nth(2), 0, b"12").unwrap();
    assert_eq!(arrivals.bytes.load(Ordering::Relaxed), 10);
    arrivals.kept_of_live(0);
    assert!(take(&arrivals, nth(2), 2, b"345").unwrap(), "there is room again");
}

#[test]
fn a_file_without_room_gives_its_part_back_so_that_another_comes_to_its_end_and_begins_anew_itself() {
    let state = tempfile::tempdir().unwrap();
    let arrivals = Arrivals::open(state.path()).unwrap().within(10);
    let used = || arrivals.bytes.load(Ordering::Relaxed);
    take(&arrivals, nth(1), 0, b"abcdef").unwrap();
    take(&arrivals, nth(2), 0, b"1234").unwrap();
    assert!(take(&arrivals, nth(1), 6, b"g").is_err());
    assert_eq!(used(), 4);
    let on_disk = fs::read_dir(state.path().join("arriving")).unwrap();
    assert_eq!(on_disk.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>(), 4);
    assert!(take(&arrivals, nth(1), 7, b"h").is_err(), "what it gave back is missing");
    take(&arrivals, nth(2), 4, b"567890").unwrap();
    let (_, file, whole) = arrivals.finish(nth(2), &claims(b"1234567890"));
    assert_eq!((fs::read(file.unwrap().path()).unwrap(), whole), (b"1234567890".to_vec(), true));
    assert!(take(&arrivals, nth(1), 0, b"abcdef").is_err(), "it has no room yet");
    arrivals.forget(std::iter::once(nth(2)));
    take(&arrivals, nth(1), 0, b"abcdef").unwrap();
    take(&arrivals, nth(1), 6, b"g").unwrap();
    let (_, file, whole) = arrivals.finish(nth(1), &claims(b"abcdefg"));
    assert_eq!((fs::read(file.unwrap().path()).unwrap(), whole, used()), (b"abcdefg".to_vec(), true, 7));
}

#[test]
fn of_many_files_few_are_open_and_each_is_kept_when_its_result_comes_at_last() {
    let state = tempfile::tempdir().unwrap();
    let arrivals = Arrivals::open(state.path()).unwrap();
    let open = || lock(&arrivals.under_way).values().filter(|file| file.is_open()).count();
    let (many, bytes) = (1..=MAX_OPEN_EACH * 2, |n: usize| format!("file {n}").into_bytes());
    for n in many.clone() {
        assert!(take(&arrivals, nth(n), 0, &bytes(n)[..4]).unwrap());
    }
    assert_eq!(open(), MAX_OPEN_EACH);
    // Some rest, and go on.
    for n in many.clone() {
        assert!(take(&arrivals, nth(n), 4, &bytes(n)[4..]).unwrap());
        assert_eq!(open(), MAX_OPEN_EACH);
    }
    for n in many.clone() {
        let (_, file, whole) = arrivals.finish(nth(n), &claims(&bytes(n)));
        assert_eq!((fs::read(file.unwrap().path()).unwrap(), whole), (bytes(n), true));
    }
    assert_eq!(open(), 0);
    // What is whole stays so.
    for n in many {
        assert!(!take(&arrivals, nth(n), 0, b"other bytes").unwrap());
        assert_eq!(open(), 0);
    }
}

#[test]
fn a_file_that_is_sent_again_while_it_rests_is_passed_over_without_being_opened() {
    let state = tempfile::tempdir().unwrap();
    let arrivals = Arrivals::open(state.path()).unwrap();
    for n in 1..=MAX_OPEN_EACH + 1 {
        take(&arrivals, nth(n), 0, b"whole").unwrap();
    }
    let first = lock(&arrivals.under_way).get(&nth(1)).cloned().unwrap();
    assert!(!first.is_open());
    assert!(!take(&arrivals, nth(1), 0, b"whole").unwrap() && !first.is_open());
    assert!(first.seal(5, Some(Digest::of(b"whole"))));
}
