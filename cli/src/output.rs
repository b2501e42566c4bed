//! Reading what was kept: whole or in pages, searched, compared, and of many hosts grouped.

pub(crate) mod diff;
pub(crate) mod groups;
pub(crate) mod reading;
pub(crate) mod show;
