//! Standard input: the content that an invocation is given, then its end.

use tokio::{io::AsyncWriteExt as _, task::AbortHandle};

use crate::{content::Given, ssh::session::Input};

/// Content on its way into a command; dropped, nothing more of it is sent.
#[derive(Debug)]
pub(crate) struct Feeding(AbortHandle);

impl Feeding {
    /// Sends `given`, then that nothing follows. A command that reads none of it, or not to its end, ends all the same.
    pub(crate) fn start(input: Input, given: Given) -> Self {
        Self::start_with(input, String::new(), Some(given))
    }

    /// Sends `before`, then `given`, then that nothing follows.
    pub(crate) fn start_with(mut input: Input, before: String, given: Option<Given>) -> Self {
        let task = tokio::spawn(async move {
            if let Err(error) = input.write_all(before.as_bytes()).await {
                tracing::debug!(%error, "what comes before standard input was not taken to its end");
                return;
            }
            if let Some(given) = given
                && !feed(&mut input, &given).await
            {
                return;
            }
            // The channel may be closed by now.
            let _ = input.shutdown().await;
        });
        Self(task.abort_handle())
    }
}

/// Whether all of `given` was taken. Otherwise its end is not told: what reads it must not take a part for the whole.
async fn feed(input: &mut Input, given: &Given) -> bool {
    match given.open().await {
        Ok(mut file) => match tokio::io::copy(&mut file, input).await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(%error, content = %given.content(), "standard input was not taken to its end");
                false
            }
        },
        Err(error) => {
            tracing::error!(%error, content = %given.content(), "standard input cannot be read");
            false
        }
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.0.abort();
    }
}
