//! Proofs that a leaf is in the tree, and that one tree begins with another.
//!
//! Source: RFC 9162 §2.1.3 (inclusion) and §2.1.4 (consistency). A proof is planned first: each of its hashes is the
//! root of a range of leaves, which is a fold over complete subtrees, [`Node`]s. Whoever keeps the hashes looks the
//! nodes up; nothing here reads anything.

use super::{TreeHead, node_hash};
use crate::digest::Digest;

/// Most hashes in a proof: a tree of 2^64 leaves has this many levels, and consistency names one node more.
pub const MAX_PROOF_HASHES: usize = 65;

/// A complete subtree: the leaves from `index << level` to before `(index + 1) << level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// 0 is a leaf.
    pub level: u32,
    /// Counted from the left within its level.
    pub index: u64,
}

/// Hashes to be looked up, and how they are folded into those of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The nodes of each hash of the proof, from left to right.
    parts: Vec<Vec<Node>>,
}

/// A proof that does not prove what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidProof;

/// The plan of the proof that the leaf `index` is in the tree of `size`. `None` if it cannot be.
pub fn plan_inclusion(index: u64, size: u64) -> Option<Plan> {
    if index >= size {
        return None;
    }
    let mut parts = Vec::new();
    let (mut from, mut to) = (0, size);
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            parts.push(nodes(middle, to));
            to = middle;
        } else {
            parts.push(nodes(from, middle));
            from = middle;
        }
    }
    // The way down was walked; a proof is told from the leaf up.
    parts.reverse();
    Some(Plan { parts })
}

/// The plan of the proof that the tree of `size` begins with the tree of `old`. `None` if it cannot.
///
/// It is empty when there is nothing to prove: from no leaf, or to the same size.
pub fn plan_consistency(old: u64, size: u64) -> Option<Plan> {
    if old > size {
        return None;
    }
    let mut parts = Vec::new();
    if old == 0 || old == size {
        return Some(Plan { parts });
    }
    let (mut from, mut to) = (0, size);
    // RFC 9162 SUBPROOF; what remains is the subtree at whose end the old tree ends.
    while old < to {
        let middle = from + split(to - from);
        if old <= middle {
            parts.push(nodes(middle, to));
            to = middle;
        } else {
            parts.push(nodes(from, middle));
            from = middle;
        }
    }
    // A verifier knows the old root already when that subtree is the whole old tree.
    if from > 0 {
        parts.push(nodes(from, to));
    }
    parts.reverse();
    Some(Plan { parts })
}

/// The plan of the root of the first `size` leaves.
pub fn plan_root(size: u64) -> Plan {
    Plan { parts: vec![nodes(0, size)] }
}

/// Checks that the leaf with this hash is the one with `index` in the tree `head`.
///
/// # Errors
/// [`InvalidProof`] when `proof` does not say so.
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    head: &TreeHead,
    proof: &[Digest],
) -> Result<(), InvalidProof> {
    if index >= head.size {
        return Err(InvalidProof);
    }
    let (mut at, mut last, mut hash) = (index, head.size - 1, *leaf);
    for part in proof {
        if last == 0 {
            return Err(InvalidProof);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(part, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, part);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last == 0 && hash == head.root { Ok(()) } else { Err(InvalidProof) }
}

/// Checks that the tree `new` begins with the tree `old`.
///
/// # Errors
/// [`InvalidProof`] when `proof` does not say so.
pub fn verify_consistency(old: &TreeHead, new: &TreeHead, proof: &[Digest]) -> Result<(), InvalidProof> {
    if old.size == new.size {
        return if old.root == new.root && proof.is_empty() { Ok(()) } else { Err(InvalidProof) };
    }
    if old.size > new.size || proof.len() > MAX_PROOF_HASHES {
        return Err(InvalidProof);
    }
    if old.size == 0 {
        let empty = old.root == Digest::of(&[]) && proof.is_empty();
        return if empty { Ok(()) } else { Err(InvalidProof) };
    }
    // RFC 9162 §2.1.4.2.
    let whole = old.size.is_power_of_two().then_some(old.root);
    let mut parts = whole.iter().chain(proof);
    let first = *parts.next().ok_or(InvalidProof)?;
    let (mut at, mut last) = (old.size - 1, new.size - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut of_old, mut of_new) = (first, first);
    for part in parts {
        if last == 0 {
            return Err(InvalidProof);
        }
        if at & 1 == 1 || at == last {
            of_old = node_hash(part, &of_old);
            of_new = node_hash(part, &of_new);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            of_new = node_hash(&of_new, part);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last == 0 && of_old == old.root && of_new == new.root { Ok(()) } else { Err(InvalidProof) }
}

/// The largest power of two below `count`, which is more than 1.
const fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The complete subtrees of the leaves from `from` to before `to`, of which `from` begins a subtree as large as the range
/// needs: from left to right, each smaller than the one before.
fn nodes(from: u64, to: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut at = from;
    while at < to {
        let level = u64::BITS - 1 - (to - at).leading_zeros();
        nodes.push(Node { level, index: at >> level });
        at += 1 << level;
    }
    nodes
}

// === impl Plan ===

impl Plan {
    /// Every node that is needed, in the order in which [`fold`](Self::fold) wants their hashes.
    pub fn nodes(&self) -> Vec<Node> {
        self.parts.iter().flatten().copied().collect()
    }

    /// The hashes of the proof, from those of its nodes. `None` if they are not as many as were asked for.
    pub fn fold(&self, hashes: &[Digest]) -> Option<Vec<Digest>> {
        let mut rest = hashes;
        let mut proof = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let (these, others) = rest.split_at_checked(part.len())?;
            rest = others;
            let folded = match these.split_last() {
                None => Digest::of(&[]),
                Some((last, before)) => before.iter().rev().fold(*last, |hash, left| node_hash(left, &hash)),
            };
            proof.push(folded);
        }
        rest.is_empty().then_some(proof)
    }
}

// === impl Node ===

impl Node {
    /// The two halves; `None` for a leaf.
    pub fn halves(self) -> Option<[Self; 2]> {
        let level = self.level.checked_sub(1)?;
        let left = self.index << 1;
        Some([Self { level, index: left }, Self { level, index: left | 1 }])
    }
}

// === impl InvalidProof ===

impl std::fmt::Display for InvalidProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the proof does not lead to the signed root")
    }
}
impl std::error::Error for InvalidProof {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merkle::leaf_hash;

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    fn middle(len: usize) -> usize {
        usize::try_from(split(len as u64)).unwrap()
    }

    /// RFC 9162 §2.1.1, word for word.
    fn root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [one] => *one,
            many => {
                let (left, right) = many.split_at(middle(many.len()));
                node_hash(&root(left), &root(right))
            }
        }
    }

    /// RFC 9162 §2.1.3.1, word for word.
    fn path(m: usize, leaves: &[Digest]) -> Vec<Digest> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = middle(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut path, other) =
            if m < k { (path(m, left), root(right)) } else { (path(m - k, right), root(left)) };
        path.push(other);
        path
    }

    /// RFC 9162 §2.1.4.1, word for word.
    fn subproof(m: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
        if m == leaves.len() {
            return if whole { Vec::new() } else { vec![root(leaves)] };
        }
        let k = middle(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut proof, other) = if m <= k {
            (subproof(m, left, whole), root(right))
        } else {
            (subproof(m - k, right, false), root(left))
        };
        proof.push(other);
        proof
    }

    fn made(plan: &Plan, leaves: &[Digest]) -> Vec<Digest> {
        let hash = |node: Node| {
            let from = usize::try_from(node.index << node.level).unwrap();
            root(&leaves[from..from + (1 << node.level)])
        };
        plan.fold(&plan.nodes().into_iter().map(hash).collect::<Vec<_>>()).unwrap()
    }

    fn head(leaves: &[Digest]) -> TreeHead {
        TreeHead { size: leaves.len() as u64, root: root(leaves) }
    }

    #[test]
    fn every_small_proof_is_the_one_of_the_definition_and_verifies() {
        let all = leaves(40);
        for size in 1..=all.len() {
            let new = &all[..size];
            assert_eq!(made(&plan_root(size as u64), new), [root(new)]);
            for (index, leaf) in new.iter().enumerate() {
                let proof = made(&plan_inclusion(index as u64, size as u64).unwrap(), new);
                assert_eq!(proof, path(index, new), "{index} in {size}");
                assert_eq!(verify_inclusion(leaf, index as u64, &head(new), &proof), Ok(()));
            }
            for old in 1..=size {
                let proof = made(&plan_consistency(old as u64, size as u64).unwrap(), new);
                assert_eq!(proof, subproof(old, new, true), "{old} to {size}");
                assert_eq!(verify_consistency(&head(&all[..old]), &head(new), &proof), Ok(()));
            }
        }
        assert_eq!(plan_inclusion(3, 3), None);
        assert_eq!(plan_consistency(4, 3), None);
        assert_eq!(verify_consistency(&head(&[]), &head(&all), &[]), Ok(()));
    }

    proptest! {
        #[test]
        fn no_proof_holds_for_anything_else(
            size in 2u64..700,
            old in any::<proptest::sample::Index>(),
            changed in any::<proptest::sample::Index>(),
            flip in 1u8..,
        ) {
            let all = leaves(size);
            let size = all.len();
            let old = 1 + old.index(size - 1);
            let (first, new) = (head(&all[..old]), head(&all));
            let proof = made(&plan_consistency(old as u64, size as u64).unwrap(), &all);
            prop_assert!(proof.len() <= MAX_PROOF_HASHES);
            prop_assert_eq!(verify_consistency(&first, &new, &proof), Ok(()));

            // Another leaf among the old ones is another history.
            let mut rewritten = all.clone();
            rewritten[changed.index(old)] = leaf_hash(b"rewritten");
            prop_assert!(verify_consistency(&head(&rewritten[..old]), &new, &proof).is_err());
            let theirs = made(&plan_consistency(old as u64, size as u64).unwrap(), &rewritten);
            prop_assert!(verify_consistency(&first, &head(&rewritten), &theirs).is_err());

            // Nor does a proof that was changed, cut or made longer hold.
            let at = changed.index(proof.len());
            let mut bytes = *proof[at].as_bytes();
            bytes[0] ^= flip;
            let mut other = proof.clone();
            other[at] = Digest::from_bytes(bytes);
            prop_assert!(verify_consistency(&first, &new, &other).is_err());
            prop_assert!(verify_consistency(&first, &new, &proof[1..]).is_err());
            prop_assert!(verify_consistency(&first, &new, &[proof.clone(), vec![proof[0]]].concat()).is_err());

            let index = changed.index(size);
            let path = made(&plan_inclusion(index as u64, size as u64).unwrap(), &all);
            prop_assert_eq!(verify_inclusion(&all[index], index as u64, &new, &path), Ok(()));
            prop_assert!(verify_inclusion(&leaf_hash(b"another"), index as u64, &new, &path).is_err());
            prop_assert!(verify_inclusion(&all[index], index as u64 ^ 1, &new, &path).is_err());
            prop_assert!(verify_inclusion(&all[index], index as u64, &new, &path[1..]).is_err());
        }

        #[test]
        fn whatever_is_claimed_verifying_ends(index: u64, old: u64, size: u64, count in 0usize..70) {
            let any = TreeHead { size, root: Digest::of(b"root") };
            let proof = vec![Digest::of(b"part"); count];
            prop_assert!(verify_inclusion(&Digest::of(b"leaf"), index, &any, &proof).is_err());
            let before = TreeHead { size: old, root: Digest::of(b"old") };
            prop_assert!(verify_consistency(&before, &any, &proof).is_err());
            let _ = (plan_inclusion(index, size), plan_consistency(old, size), plan_root(size));
        }
    }
}
