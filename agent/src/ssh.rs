//! SSH to the hosts of the site. Only files below here know the SSH library.

pub mod address;
pub mod host_key;
pub mod known_hosts;

pub(crate) mod open_files;
pub(crate) mod pool;
pub(crate) mod session;
pub(crate) mod sftp;

mod auth;
mod quickack;
mod transport;
mod tunnel;
