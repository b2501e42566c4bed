//! Sending to a webhook: one signed POST a batch, without redirects, over verified TLS. A 2xx answer takes the batch.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use lictor_core::clock::Clock as _;
use lictor_runtime::clock::SystemClock;

use super::{NotTaken, batch::Batch, destination::Line, signature::WebhookKey};
use crate::render::{bytes::one_line, jobs::short};

/// Most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Characters of a refusal that people are shown.
const SHOWN_CHARS: usize = 200;
/// What receivers see as the sender.
const AGENT: &str = concat!("lictor/", env!("CARGO_PKG_VERSION"));
/// Lines of JSON, one a record.
const CONTENT_TYPE: &str = "application/x-ndjson";

/// A webhook.
#[derive(Debug)]
pub(crate) struct Webhook {
    line: Line,
    key: WebhookKey,
}

// === impl Webhook ===

impl Webhook {
    /// The webhook at the end of `line`; what goes there is signed with `key`.
    pub(crate) const fn new(line: Line, key: WebhookKey) -> Self {
        Self { line, key }
    }

    /// Sends the batch, and waits for the answer.
    pub(super) async fn send(&self, batch: &Batch) -> Result<(), NotTaken> {
        let request = self.request(batch)?;
        let to = self.line.destination();
        let failed = |e: hyper::Error| NotTaken::later(format!("{to} did not answer: {e}"));
        let stream = self.line.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let connection = tokio::spawn(connection);
        let answered = match sender.send_request(request).await.map_err(failed) {
            Ok(answer) => Ok(judge(answer, &to.to_string()).await),
            Err(error) => Err(error),
        };
        connection.abort();
        answered?
    }

    fn request(&self, batch: &Batch) -> Result<Request<Full<Bytes>>, NotTaken> {
        let to = self.line.destination();
        let mut body = batch.lines().join("\n");
        body.push('\n');
        let (id, timestamp) = (batch.id(), SystemClock.now().as_micros() / 1_000_000);
        Request::post(&to.path)
            .header(header::HOST, to.authority())
            .header(header::USER_AGENT, AGENT)
            .header(header::CONTENT_TYPE, CONTENT_TYPE)
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.key.sign(&id, timestamp, body.as_bytes()))
            .body(Full::new(body.into()))
            .map_err(|e| NotTaken::Never {
                why: format!("{to} cannot be asked for: {e}"),
                next_step: "check the URL",
            })
    }
}

/// Whether the answer takes the batch, and what it means if it does not.
async fn judge(answer: Response<Incoming>, to: &str) -> Result<(), NotTaken> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let after = answer.headers().get(header::RETRY_AFTER);
    let after = after.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    let said = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    let said = said.map(|said| said.to_bytes()).unwrap_or_default();
    let said = short(&one_line(String::from_utf8_lossy(&said).trim()), SHOWN_CHARS);
    let colon = if said.is_empty() { "" } else { ": " };
    let why = format!("{to} answers {status}{colon}{said}");
    if is_final(status) {
        let next_step =
            "check the URL, the secret and what the receiver takes; then run the same command again";
        return Err(NotTaken::Never { why, next_step });
    }
    Err(NotTaken::Later { why, after })
}

/// Whether the same request would be refused again: a mistake on our side, or a redirect, which is not followed because what
/// is forwarded is for the one receiver that was named.
fn is_final(status: StatusCode) -> bool {
    let may_pass = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::CONFLICT,
        StatusCode::LOCKED,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    !status.is_server_error() && !may_pass.contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_is_refused_is_not() {
        for (status, last) in [
            (500, false),
            (503, false),
            (429, false),
            (408, false),
            (301, true),
            (400, true),
            (401, true),
            (404, true),
            (413, true),
        ] {
            assert_eq!(is_final(StatusCode::from_u16(status).unwrap()), last, "{status}");
        }
    }
}
