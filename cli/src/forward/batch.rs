//! Records on their way, together: bounded in number and in bytes.

use lictor_core::digest::Digest;

/// Most records of a batch: enough to be quick, few enough to be sent again.
const MAX_RECORDS: usize = 500;
/// A batch with so many bytes is full: what receivers take in one request, as a rule.
const FULL_BYTES: usize = 512 * 1024;

/// Lines of records that follow each other; some may have been left out by a filter.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The name of the log.
    log: String,
    first: u64,
    next: u64,
    last_leaf: Option<Digest>,
    lines: Vec<String>,
    bytes: usize,
    looked_at: usize,
}

// === impl Batch ===

impl Batch {
    /// Nothing yet, from the record `first` on.
    pub(super) fn new(log: &str, first: u64) -> Self {
        Self {
            log: log.to_owned(),
            first,
            next: first,
            last_leaf: None,
            lines: Vec::new(),
            bytes: 0,
            looked_at: 0,
        }
    }
    /// Adds the record with this index; without a line if it was left out.
    pub(super) fn push(&mut self, index: u64, leaf: Digest, line: Option<String>) {
        self.next = index.saturating_add(1);
        self.last_leaf = Some(leaf);
        self.looked_at += 1;
        if let Some(line) = line {
            self.bytes += line.len() + 1;
            self.lines.push(line);
        }
    }
    /// Whether it should go now.
    pub(super) const fn is_full(&self) -> bool {
        self.looked_at >= MAX_RECORDS || self.bytes >= FULL_BYTES
    }
    /// Whether there is nothing to send.
    pub(super) const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
    /// How many lines there are.
    pub(super) const fn records(&self) -> u64 {
        self.lines.len() as u64
    }
    /// The lines, without their ends.
    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }
    /// The index that it begins at.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }
    /// The index behind its last record.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }
    /// The leaf hash of its last record.
    pub(super) const fn last_leaf(&self) -> Option<Digest> {
        self.last_leaf
    }
    /// The same for the same lines of the same log; without a full stop, as Standard Webhooks wants it.
    pub(super) fn id(&self) -> String {
        let text = [self.log.as_str()].into_iter().chain(self.lines.iter().map(String::as_str));
        let all = text.collect::<Vec<_>>().join("\n");
        let digest: String = Digest::of(all.as_bytes()).to_string().chars().take(16).collect();
        format!("lictor_{digest}_{}_{}", self.first, self.next.saturating_sub(1))
    }
}
