//! Where keys come from, followed while the process runs: a file or a URL. A key that is gone there verifies nothing here.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    fetch::{FetchError, KeysUrl},
    keys::{InvalidKeySet, KeySet, MAX_SET_BYTES},
};

/// How often a file is read again.
const FILE_INTERVAL: Duration = Duration::from_secs(5);
/// How often a URL is fetched again: how long a withdrawn key may still verify.
const URL_INTERVAL: Duration = Duration::from_secs(300);
/// Least time between two refreshes that unknown keys ask for: strangers make up key identifiers at no cost.
const MISS_INTERVAL: Duration = Duration::from_secs(10);
/// For how long keys are used whose source cannot be read: an outage of the provider, not a withdrawal.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Where keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file with a JSON Web Key Set.
    File(PathBuf),
    /// A URL that answers with one.
    Url(KeysUrl),
}

/// Keys that follow their source.
pub struct LiveKeys {
    source: KeySource,
    held: ArcSwap<Held>,
    /// When an unknown key last asked for a refresh; held over it, so that only one runs.
    missed: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Held {
    keys: KeySet,
    read_at: Instant,
}

/// Why keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The URL.
    #[error("cannot fetch the keys")]
    Fetch(#[from] FetchError),
    /// What is there.
    #[error(transparent)]
    Invalid(#[from] InvalidKeySet),
}

// === impl LiveKeys ===

impl LiveKeys {
    /// Keys of `source`. A file has to be readable; a URL that cannot be reached yet is asked again by
    /// [`LiveKeys::follow`], and until then no token is accepted.
    ///
    /// # Errors
    /// [`SourceError`] for a file.
    pub async fn load(source: KeySource) -> Result<Arc<Self>, SourceError> {
        let keys = match (read(&source).await, &source) {
            (Ok(keys), _) => keys,
            (Err(error), KeySource::File(_)) => return Err(error),
            (Err(error), KeySource::Url(url)) => {
                tracing::warn!(?url, error = %chain(&error), "keys for tokens cannot be fetched yet; no token is accepted");
                KeySet::default()
            }
        };
        let held = ArcSwap::from_pointee(Held { keys, read_at: Instant::now() });
        Ok(Arc::new(Self { source, held, missed: Mutex::new(None) }))
    }

    /// Reads the source again and again; never returns.
    pub async fn follow(self: Arc<Self>) {
        let interval = match self.source {
            KeySource::File(_) => FILE_INTERVAL,
            KeySource::Url(_) => URL_INTERVAL,
        };
        loop {
            let pause = if self.held.load().keys.is_empty() { MISS_INTERVAL } else { interval };
            tokio::time::sleep(pause).await;
            self.refresh().await;
        }
    }

    /// The keys as they are.
    pub(crate) fn current(&self) -> KeySet {
        self.held.load().keys.clone()
    }

    /// The keys after a refresh, unless one was asked for a moment ago.
    pub(crate) async fn after_a_miss(&self) -> KeySet {
        let mut missed = self.missed.lock().await;
        if missed.is_none_or(|at| at.elapsed() >= MISS_INTERVAL) {
            self.refresh().await;
            *missed = Some(Instant::now());
        }
        self.current()
    }

    async fn refresh(&self) {
        match read(&self.source).await {
            Ok(keys) => {
                let before = self.held.swap(Arc::new(Held { keys: keys.clone(), read_at: Instant::now() }));
                if before.keys.ids() != keys.ids() {
                    tracing::info!(keys = ?keys, "the keys for tokens have changed");
                }
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the keys for tokens cannot be read");
                let held = self.held.load();
                if held.read_at.elapsed() >= MAX_AGE && !held.keys.is_empty() {
                    tracing::error!("the keys for tokens are too old; no token is accepted");
                    self.held.store(Arc::new(Held { keys: KeySet::default(), read_at: held.read_at }));
                }
            }
        }
    }
}

impl fmt::Debug for LiveKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveKeys")
            .field("source", &self.source)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

pub(crate) async fn read(source: &KeySource) -> Result<KeySet, SourceError> {
    match source {
        KeySource::Url(url) => Ok(KeySet::parse(&url.fetch().await?)?),
        KeySource::File(path) => {
            let failed = |source| SourceError::File { path: path.clone(), source };
            let length = tokio::fs::metadata(path).await.map_err(failed)?.len();
            if length > MAX_SET_BYTES as u64 {
                return Err(InvalidKeySet::TooLong.into());
            }
            Ok(KeySet::parse(&tokio::fs::read(path).await.map_err(failed)?)?)
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
