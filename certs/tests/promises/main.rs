//! What this crate promises, over real files and real connections.

mod authority;
mod enrolment;
mod evidence;
mod mutual_tls;
mod support;
