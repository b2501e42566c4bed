//! The tree over the audit log: RFC 9162 hashes, an append-only frontier, and the text of a checkpoint.
//!
//! Sources: RFC 9162 §2.1 (hashes), C2SP tlog-checkpoint and signed-note (text). Signing is in `lictor-certs`.

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

pub mod proof;

pub use self::proof::Node;

/// What must be kept to append: the roots of the perfect subtrees on the right edge, largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    edge: Vec<Digest>,
}

/// A head of the log: how many leaves, and the root over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: u64,
    /// Root hash.
    pub root: Digest,
}

/// A frontier that contradicts its own size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidFrontier;

/// Hash of a leaf with this content.
pub fn leaf_hash(content: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(content);
    Digest::from_bytes(hasher.finalize().into())
}

/// Hash of an inner node.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    Digest::from_bytes(hasher.finalize().into())
}

// === impl TreeHead ===

impl TreeHead {
    /// The head of a log without records.
    pub fn empty() -> Self {
        Self { size: 0, root: Digest::of(&[]) }
    }
}

// === impl Frontier ===

impl Frontier {
    /// A frontier as it was kept.
    ///
    /// # Errors
    /// [`InvalidFrontier`] if the number of hashes does not fit the size.
    pub fn from_parts(size: u64, edge: Vec<Digest>) -> Result<Self, InvalidFrontier> {
        if edge.len() == size.count_ones() as usize { Ok(Self { size, edge }) } else { Err(InvalidFrontier) }
    }
    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }
    /// The hashes on the edge, largest subtree first.
    pub fn edge(&self) -> &[Digest] {
        &self.edge
    }
    /// Appends a leaf by its hash and returns its index.
    pub fn push(&mut self, leaf: Digest) -> u64 {
        self.push_noting(leaf, |_, _| {})
    }
    /// As [`push`](Self::push); gives every inner node that the leaf completes to `note`, the lowest first.
    pub fn push_noting(&mut self, leaf: Digest, mut note: impl FnMut(Node, &Digest)) -> u64 {
        let index = self.size;
        let mut hash = leaf;
        let (mut size, mut level) = (self.size, 0);
        while size & 1 == 1 {
            if let Some(left) = self.edge.pop() {
                hash = node_hash(&left, &hash);
            }
            size >>= 1;
            level += 1;
            note(Node { level, index: size }, &hash);
        }
        self.edge.push(hash);
        self.size += 1;
        index
    }
    /// Size and root of the tree.
    pub fn head(&self) -> TreeHead {
        let root = match self.edge.split_last() {
            None => Digest::of(&[]),
            Some((last, rest)) => rest.iter().rev().fold(*last, |hash, left| node_hash(left, &hash)),
        };
        TreeHead { size: self.size, root }
    }
}

impl std::fmt::Display for InvalidFrontier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the edge of the audit tree does not fit its size")
    }
}
impl std::error::Error for InvalidFrontier {}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9162 §2.1.1, word for word.
    fn by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [one] => *one,
            many => {
                let mut k = 1;
                while k * 2 < many.len() {
                    k *= 2;
                }
                node_hash(&by_definition(&many[..k]), &by_definition(&many[k..]))
            }
        }
    }

    #[test]
    fn the_frontier_agrees_with_the_definition() {
        let mut frontier = Frontier::default();
        let mut leaves = Vec::new();
        assert_eq!(frontier.head().root, by_definition(&leaves));
        for i in 0..130u32 {
            let leaf = leaf_hash(&i.to_be_bytes());
            leaves.push(leaf);
            assert_eq!(frontier.push(leaf), u64::from(i));
            assert_eq!(frontier.head(), TreeHead { size: u64::from(i) + 1, root: by_definition(&leaves) });
            assert_eq!(Frontier::from_parts(frontier.size(), frontier.edge().to_vec()), Ok(frontier.clone()));
        }
        assert_eq!(Frontier::from_parts(3, vec![]), Err(InvalidFrontier));
    }
}
