//! Bounds of the wire: what a message may weigh, how much is in flight.

/// Largest message of the API: an output chunk or a page, with room for its headers.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// Largest message from controller to agent: a grant for 1,000 hosts with networks.
pub const MAX_LINK_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of output in one chunk: large enough to be cheap, small enough that others get their turn.
pub const MAX_CHUNK_BYTES: usize = 64 * 1024;
/// Uploads of kept output that an agent has under way at once: enough to fill a connection, few enough that results of small
/// commands are not held up.
pub const MAX_UPLOADS: u32 = 4;
/// Files of downloads that an agent sends at once, beside those: one fills the connection as well as several would, and is
/// done sooner.
pub const MAX_FILE_UPLOADS: u32 = 1;
/// Files of downloads no larger than what is kept of other output that it sends at once, beside those: they do not wait for a
/// large one, and what commands printed does not wait for them.
pub const MAX_SMALL_FILE_UPLOADS: u32 = MAX_UPLOADS;
/// Streams of one connection that carry output to the controller: the uploads, and everything live over one.
pub const MAX_OUTPUT_STREAMS: u32 = MAX_UPLOADS + MAX_FILE_UPLOADS + MAX_SMALL_FILE_UPLOADS + 1;
/// Output up to this size travels with the result itself and saves a round on the output stream.
pub const INLINE_OUTPUT_BYTES: u64 = 32 * 1024;
/// Longest policy text; the policy language has the same bound, which the controller's build checks.
pub const MAX_POLICY_BYTES: usize = 1024 * 1024;
/// Largest message about policies: a policy of the longest kind, or a page of decisions with the longest command as words
/// and as text.
pub const MAX_POLICY_MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// Entries of a page weigh no more than this, so that a page always fits its message beside what comes with it once.
pub const MAX_PAGE_BYTES: usize = 768 * 1024;
/// Longest PEM of a certificate request; one is about 500 bytes.
pub const MAX_CSR_BYTES: usize = 8 * 1024;
/// Largest page.
pub const MAX_PAGE: u32 = 1000;
/// Identifiers in one message of the link: bounds its size; more go in further messages. The largest job and some more,
/// for an agent knows no more than one hello can name, and must be able to take a whole job.
pub const MAX_IDS_PER_MESSAGE: usize = 12_000;
/// Results in one message of the link: a thousand hosts end within a few, and the message is one piece of a few hundred KiB.
pub const MAX_RESULTS_PER_MESSAGE: usize = 500;
/// Bytes of results after which a message takes no further one: with the longest inline output behind it, it is still under
/// the message bound.
pub const RESULT_BYTES_PER_MESSAGE: usize = 768 * 1024;
