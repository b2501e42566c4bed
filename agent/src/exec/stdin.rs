//! Standard input: the content that an invocation is given, then its end.

use tokio::{io::AsyncWriteExt as _, task::AbortHandle};

use crate::{content::Given, ssh::session::Input};

/// Content on its way into a command; dropped, nothing more of it is sent.
#[derive(Debug)]
pub(crate) struct Feeding(AbortHandle);

impl Feeding {
    /// Sends `given`, then that nothing follows. A command that reads none of it, or not to its end, ends all the same.
    pub(crate) fn start(mut input: Input, given: Given) -> Self {
        let task = tokio::spawn(async move {
            match given.open().await {
                Ok(mut file) => {
                    if let Err(error) = tokio::io::copy(&mut file, &mut input).await {
                        // Its end is not told: what reads it must not take a part for the whole. Its timeout ends it.
                        tracing::debug!(%error, content = %given.content(), "standard input was not taken to its end");
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, content = %given.content(), "standard input cannot be read");
                    return;
                }
            }
            // The channel may be closed by now.
            let _ = input.shutdown().await;
        });
        Self(task.abort_handle())
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.0.abort();
    }
}
