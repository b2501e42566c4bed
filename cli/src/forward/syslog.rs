//! Sending to a syslog server: RFC 5424 messages over TCP or TLS (RFC 5425), framed by their length (RFC 6587 §3.4.1).
//!
//! Syslog has no acknowledgement, and bytes that were written may be lost with the receiver. So each batch has a connection:
//! it is ended behind the last message, and taken once the receiver, having read that, ends its side too. A reset,
//! silence, or an end of TLS that nobody vouches for mean that it is sent again.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{NotTaken, batch::Batch, destination::Line};

/// Most bytes that a server may say: none are expected.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A syslog server.
#[derive(Debug)]
pub(crate) struct Syslog {
    line: Line,
    untidy_close: bool,
}

// === impl Syslog ===

impl Syslog {
    /// The server at the end of `line`, which may end TLS without saying so if `untidy_close`.
    pub(crate) const fn new(line: Line, untidy_close: bool) -> Self {
        Self { line, untidy_close }
    }

    /// Sends the batch, and waits until it is taken.
    pub(super) async fn send(&self, batch: &Batch) -> Result<(), NotTaken> {
        let mut stream = self.line.connect().await?;
        let failed = |e: io::Error| {
            NotTaken::later(format!("{} did not take the batch: {e}", self.line.destination()))
        };
        stream.write_all(&framed(batch.lines())).await.map_err(failed)?;
        stream.shutdown().await.map_err(failed)?;
        let mut answer = [0; 1024];
        let mut bytes = 0;
        loop {
            match stream.read(&mut answer).await {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.untidy_close => {
                    return Ok(());
                }
                // Whoever is on the way could have ended it as well.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(NotTaken::later(format!(
                        "{} ended TLS without saying so, so that nobody knows whether it took the batch (a server that always \
                         does needs --untidy-close)",
                        self.line.destination()
                    )));
                }
                Err(error) => return Err(failed(error)),
                Ok(read) => bytes += read,
            }
            if bytes > MAX_ANSWER_BYTES {
                return Err(NotTaken::Never {
                    why: format!(
                        "{} answers at length, which no syslog server does",
                        self.line.destination()
                    ),
                    next_step: "check the port",
                });
            }
        }
    }
}

fn framed(lines: &[String]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.len() + 8).sum());
    for line in lines {
        bytes.extend_from_slice(format!("{} {line}", line.len()).as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed_by_their_length() {
        assert_eq!(framed(&["<110>1 a".into(), "b".into()]), b"8 <110>1 a1 b");
    }
}
