//! Output on its way to the controller: live while a command runs, whole and confirmed before its result.

pub(crate) mod budget;
pub(crate) mod feed;
pub(crate) mod live;
pub(crate) mod streams;
pub(crate) mod uplink;
pub(crate) mod upload;
