//! What the verbs of `lictor policy` show: for each its document, and the document as text for people.

pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod shadow;
pub(crate) mod simulate;
pub(crate) mod test;

#[cfg(test)]
mod snapshots;
