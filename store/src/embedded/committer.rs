//! The only writer: gathers changes that wait, checks and numbers them, syncs one journal frame, hands it to the table,
//! answers.

use std::{collections::HashMap, ops::Range, path::Path, sync::Arc, thread};

use lictor_core::{
    frame,
    merkle::{Frontier, TreeHead},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    batch::{self, Op},
    index,
    journal::{AppendError, Journal},
    keys, nodes,
    outputs::Claim,
    plan::{Expectation, Expected, Planned},
    room::Room,
    table::Table,
};
use crate::{Recorded, StoreError, record::corrupt};

/// Changes that may wait: beyond it callers wait for room, which bounds memory and pushes back.
const QUEUE: usize = 1024;
/// Most changes in one frame, so that the first of them does not wait long for the last.
const MAX_GROUP: usize = 512;
/// Most bytes in one frame of several changes: half a journal file, and far below the longest payload that can be read
/// back. A change that is larger goes alone.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Committer {
    queue: mpsc::Sender<Request>,
}

struct Request {
    planned: Planned,
    answer: oneshot::Sender<Result<Recorded, StoreError>>,
}

struct Writer {
    table: Arc<Table>,
    journal: Journal,
    room: Room,
    frontier: Frontier,
    head: Arc<watch::Sender<TreeHead>>,
}

/// A group of changes on its way into one frame.
#[derive(Default)]
struct Group {
    ops: Vec<Op>,
    /// Bytes of the changes.
    bytes: usize,
    /// It is one change, which erases payloads.
    erases: bool,
    /// Where in `ops` a key was last written, so that later changes of the group see it.
    written: HashMap<Vec<u8>, usize>,
    /// What of `ops` changes wrote that `written` does not have yet: most groups are one change, which asks nothing of it.
    unnoted: Vec<Range<usize>>,
    answers: Vec<(oneshot::Sender<Result<Recorded, StoreError>>, Recorded)>,
    /// Files that the changes name; given back once everybody can see that they do.
    claims: Vec<Claim>,
}

// === impl Committer ===

impl Committer {
    pub(super) fn start(
        table: Arc<Table>,
        state_dir: &Path,
        journal: Journal,
        frontier: Frontier,
        head: Arc<watch::Sender<TreeHead>>,
    ) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        let room = Room::on_disk_of(state_dir);
        let writer = Writer { table, journal, room, frontier, head };
        thread::spawn(move || writer.run(requests));
        Self { queue }
    }

    pub(super) async fn commit(&self, planned: Planned) -> Result<Recorded, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Request { planned, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// Waits until the writer has ended: a write failed, or it panicked.
    pub(super) async fn ended(&self) {
        self.queue.closed().await;
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable(
        "writing failed earlier; see the log, mend the disk and restart the controller".into(),
    )
}

// === impl Writer ===

impl Writer {
    /// Runs until every sender is gone, or until a write fails: a failed sync must not be tried again.
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut waiting = None;
        while let Some(first) = waiting.take().or_else(|| requests.blocking_recv()) {
            let before = self.frontier.clone();
            let mut group = Group::default();
            self.take(first, &mut group);
            while group.answers.len() < MAX_GROUP {
                let Ok(next) = requests.try_recv() else { break };
                let is_full = group.bytes > 0 && group.bytes + next.planned.bytes() > MAX_GROUP_BYTES;
                if is_full || group.erases || next.planned.erases {
                    waiting = Some(next);
                    break;
                }
                self.take(next, &mut group);
            }
            if group.answers.is_empty() {
                continue;
            }
            match self.write(&mut group) {
                Ok(()) => group.answer(&Ok(())),
                Err(AppendError::TooLarge(bytes)) => {
                    self.frontier = before;
                    group.answer(&Err(too_large(bytes)));
                }
                Err(AppendError::NoRoom(error)) => {
                    self.frontier = before;
                    group.answer(&Err(error));
                }
                Err(AppendError::Failed(error)) => {
                    tracing::error!(%error, "the store cannot write; nothing more is accepted until a restart");
                    group.answer(&Err(error));
                    return;
                }
            }
        }
        if let Err(error) = self.table.save() {
            tracing::warn!(?error, "could not write the state back at the end; the journal has it");
        }
    }

    /// Adds a change to the group if what it expects is so, else answers it at once.
    fn take(&mut self, request: Request, group: &mut Group) {
        let Request { planned, answer } = request;
        group.note();
        for expectation in &planned.expectations {
            match self.holds(expectation, group) {
                Ok(true) => {}
                Ok(false) => {
                    let _ = answer.send(Err(StoreError::Conflict { what: expectation.what.to_string() }));
                    return;
                }
                Err(error) => {
                    let _ = answer.send(Err(error));
                    return;
                }
            }
        }
        group.bytes += planned.bytes();
        group.erases = planned.erases;
        let first = self.frontier.size();
        let events = planned.leaves.len() as u64;
        group.claims.extend(planned.claim);
        group.push(planned.ops);
        for (content, hash) in planned.leaves {
            let index = self.frontier.push_noting(hash, |node, hash| {
                group
                    .ops
                    .extend(nodes::kept(node).map(|key| Op { key, value: Some(hash.as_bytes().to_vec()) }));
            });
            group.ops.push(Op { key: keys::audit(index), value: Some(content) });
        }
        group.answers.push((answer, Recorded::new(first, events)));
    }

    fn holds(&self, expectation: &Expectation, group: &Group) -> Result<bool, StoreError> {
        let kept = match group.written.get(&expectation.key).and_then(|at| group.ops.get(*at)) {
            Some(op) => op.value.as_deref().map(batch::version_of).transpose()?,
            None => {
                let value = self.table.get(&expectation.key)?;
                value.as_deref().map(batch::version_of).transpose()?
            }
        };
        Ok(match (expectation.expected, kept) {
            (Expected::Absent | Expected::AbsentOrVersion(_) | Expected::Below(_), None) => true,
            (Expected::Absent, Some(_)) | (Expected::Version(_), None) => false,
            (Expected::Version(wanted) | Expected::AbsentOrVersion(wanted), Some(version)) => {
                version == wanted
            }
            (Expected::Below(bound), Some(version)) => version < bound,
        })
    }

    fn write(&mut self, group: &mut Group) -> Result<(), AppendError> {
        self.room.check()?;
        self.table.ready()?;
        if group.erases {
            // What is to be erased is in its files then, and nowhere else but in the journal.
            self.table.save()?;
        }
        let frontier = batch::encode_frontier(&self.frontier);
        group.ops.push(Op { key: keys::FRONTIER.to_vec(), value: Some(frontier) });
        let indexed = index::encode_size(self.frontier.size());
        group.ops.push(Op { key: keys::INDEXED.to_vec(), value: Some(indexed) });
        let payload = batch::encode(&group.ops);
        if self.journal.is_full_for(payload.len()) {
            self.table.save()?;
            // Nothing of this group has been written, and the file before is whole.
            self.journal.rotate().map_err(AppendError::NoRoom)?;
        }
        let position = self.journal.append(&payload)?;
        self.table.put(std::mem::take(&mut group.ops), position);
        self.head.send_replace(self.frontier.head());
        if group.erases {
            // From here on the change stands: if this fails, the next start ends what it began.
            self.table.save().map_err(AppendError::into_failed)?;
            self.journal.forget()?;
            self.table.tree().remove(keys::FORGET).map_err(corrupt)?;
        }
        Ok(())
    }
}

fn too_large(bytes: usize) -> StoreError {
    StoreError::Unavailable(format!(
        "the change takes {bytes} bytes, more than the {} that one may; nothing of it was written",
        frame::MAX_PAYLOAD_BYTES
    ))
}

// === impl Group ===

impl Group {
    /// Adds what a change writes.
    fn push(&mut self, ops: Vec<Op>) {
        let from = self.ops.len();
        self.ops.extend(ops);
        self.unnoted.push(from..self.ops.len());
    }

    /// Notes where the changes so far wrote what.
    fn note(&mut self) {
        for at in std::mem::take(&mut self.unnoted).into_iter().flatten() {
            if let Some(op) = self.ops.get(at) {
                self.written.insert(op.key.clone(), at);
            }
        }
    }

    fn answer(self, written: &Result<(), StoreError>) {
        for (answer, recorded) in self.answers {
            // A caller that has gone away does not need the answer; its change stands.
            let _ = answer.send(written.clone().map(|()| recorded));
        }
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::{audit::AuditEvent, clock::Timestamp};

    use super::{
        super::{
            payloads::{End, PayloadFiles},
            plan::What,
        },
        *,
    };
    use crate::Change;

    fn request(n: u8, bytes: usize) -> Request {
        let event = AuditEvent::ControllerStarted { name: n.to_string() };
        let mut planned = Planned::new(Change::new(Timestamp::from_micros(0), event)).unwrap();
        planned.ops.push(Op { key: vec![b'z', n], value: Some(vec![0; bytes]) });
        Request { planned, answer: oneshot::channel().0 }
    }

    fn writer(dir: &Path) -> Writer {
        let (state_dir, journal_dir) = (dir.join("state"), dir.join("journal"));
        let db = sled::open(&state_dir).unwrap();
        let end = Journal::replay(&journal_dir, None, |_, _| Ok(())).unwrap();
        Writer {
            table: Arc::new(Table::new(
                db.clone(),
                db.open_tree("lictor").unwrap(),
                state_dir.clone(),
                PayloadFiles::open(dir.join("payloads"), End::default()).unwrap(),
            )),
            room: Room::on_disk_of(&state_dir),
            journal: Journal::start(&journal_dir, end).unwrap(),
            frontier: Frontier::default(),
            head: Arc::new(watch::Sender::new(Frontier::default().head())),
        }
    }

    #[test]
    fn a_change_sees_what_others_of_its_group_wrote_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let (queue, requests) = mpsc::channel(QUEUE);
        let ask = |key: u8, expected: Expected, version: u64| {
            let event = AuditEvent::ControllerStarted { name: "c".into() };
            let mut planned = Planned::new(Change::new(Timestamp::from_micros(0), event)).unwrap();
            let (key, what) = (vec![b'z', key], What::Other(format!("key {key}")));
            planned.expectations.push(Expectation { key: key.clone(), expected, what });
            planned.ops.push(Op { key, value: Some(batch::value(version, b"{}")) });
            let (answer, answered) = oneshot::channel();
            queue.try_send(Request { planned, answer }).unwrap();
            answered
        };
        let answers = [
            ask(1, Expected::Absent, 1),
            ask(1, Expected::Absent, 1),
            ask(2, Expected::Absent, 1),
            ask(1, Expected::Version(1), 2),
            ask(1, Expected::Version(1), 2),
            ask(2, Expected::Version(1), 2),
        ];
        drop(queue);
        writer(dir.path()).run(requests);
        let conflict = |key: u8| Some(format!("key {key}"));
        let refused = answers.map(|mut answer| match answer.try_recv().unwrap() {
            Ok(_recorded) => None,
            Err(StoreError::Conflict { what }) => Some(what),
            Err(other) => panic!("{other}"),
        });
        assert_eq!(refused, [None, conflict(1), None, None, conflict(1), None]);
    }

    #[test]
    fn changes_share_a_frame_up_to_the_bound_and_larger_ones_go_alone() {
        let dir = tempfile::tempdir().unwrap();
        let journal_dir = dir.path().join("journal");
        let writer = writer(dir.path());
        let third = MAX_GROUP_BYTES / 3;
        let (queue, requests) = mpsc::channel(QUEUE);
        for (n, bytes) in [(0, third), (1, third), (2, third), (3, 1), (4, MAX_GROUP_BYTES + 1), (5, 1)] {
            queue.try_send(request(n, bytes)).unwrap();
        }
        drop(queue);
        writer.run(requests);

        let mut frames = Vec::new();
        Journal::replay(&journal_dir, None, |frame, _| {
            let changes = batch::decode(frame)?.into_iter().filter(|op| op.key.starts_with(b"z"));
            frames.push(changes.map(|op| op.key[1]).collect::<Vec<_>>());
            Ok(())
        })
        .unwrap();
        assert_eq!(frames, [vec![0, 1], vec![2, 3], vec![4], vec![5]]);
    }
}
