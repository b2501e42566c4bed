//! A part of a log: what is left out stands there by the roots over it, so that the rest still leads to the signed root.

use lictor_core::{
    digest::Digest,
    merkle::{Frontier, node_hash},
};

/// Which records a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The first index.
    pub(crate) from: u64,
    /// The index behind the last.
    pub(crate) to: u64,
    /// What selected among those; `None`: all of them are there.
    pub(crate) filter: Option<String>,
    /// How many records there are.
    pub(crate) held: u64,
}

/// Records one after another that are left out, as few roots as cover them.
#[derive(Debug, Default)]
pub(crate) struct LeftOut(Vec<Subtree>);

/// The root over `count` records from `start` on: a power of two, and a multiple of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subtree {
    pub(crate) start: u64,
    pub(crate) count: u64,
    pub(crate) root: Digest,
}

// === impl LeftOut ===

impl LeftOut {
    /// Leaves out the record with this index, which follows the one before.
    pub(crate) fn push(&mut self, index: u64, leaf: Digest) {
        let mut last = Subtree { start: index, count: 1, root: leaf };
        // Two of a size are one of the next, where that one begins.
        while let Some(left) =
            self.0.pop_if(|left| left.count == last.count && left.start % (2 * left.count) == 0)
        {
            last = Subtree { count: 2 * left.count, root: node_hash(&left.root, &last.root), ..left };
        }
        self.0.push(last);
    }

    /// What was left out since the last time, in order.
    pub(crate) fn take(&mut self) -> Vec<Subtree> {
        std::mem::take(&mut self.0)
    }
}

/// `frontier` with the root over the next `count` records; `None` when there is no such root from there on.
pub(crate) fn with_subtree(frontier: &Frontier, count: u64, root: Digest) -> Option<Frontier> {
    let size = frontier.size();
    if !count.is_power_of_two() || !size.is_multiple_of(count) {
        return None;
    }
    let mut edge = frontier.edge().to_vec();
    let mut hash = root;
    let mut larger = size / count;
    while larger & 1 == 1 {
        hash = node_hash(&edge.pop()?, &hash);
        larger >>= 1;
    }
    edge.push(hash);
    Frontier::from_parts(size.checked_add(count)?, edge).ok()
}

#[cfg(test)]
mod tests {
    use lictor_core::merkle::leaf_hash;

    use super::*;

    #[test]
    fn whatever_is_left_out_the_root_is_the_same_and_few_roots_do() {
        const SIZE: u64 = 70;
        let leaf = |n: u64| leaf_hash(&n.to_be_bytes());
        let mut whole = Frontier::default();
        (0..SIZE).for_each(|n| {
            whole.push(leaf(n));
        });
        for from in 0..SIZE {
            for to in from..=SIZE {
                let mut frontier = Frontier::default();
                let mut left_out = LeftOut::default();
                let mut roots = 0;
                let mut put = |frontier: &mut Frontier, left_out: &mut LeftOut| {
                    for subtree in left_out.take() {
                        assert_eq!(subtree.start, frontier.size());
                        *frontier = with_subtree(frontier, subtree.count, subtree.root).unwrap();
                        roots += 1;
                    }
                };
                for n in 0..SIZE {
                    if (from..to).contains(&n) {
                        put(&mut frontier, &mut left_out);
                        frontier.push(leaf(n));
                    } else {
                        left_out.push(n, leaf(n));
                    }
                }
                put(&mut frontier, &mut left_out);
                assert_eq!(frontier, whole, "{from}..{to}");
                assert!(roots <= 14, "{roots}");
            }
        }
    }

    #[test]
    fn a_root_stands_only_where_the_tree_has_one() {
        let three = Frontier::from_parts(3, vec![Digest::of(b"a"), Digest::of(b"b")]).unwrap();
        for count in [0, 2, 3, 4] {
            assert_eq!(with_subtree(&three, count, Digest::of(b"c")), None, "{count}");
        }
        assert_eq!(with_subtree(&three, 1, Digest::of(b"c")).unwrap().size(), 4);
    }
}
