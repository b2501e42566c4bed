//! What masks secrets in streams: however a stream is cut, the same comes out, no literal secret is in it, and what holds no
//! secret passes unchanged.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::{Corpus, fuzz_target};
use lictor_agent::redact::{Kind, Literal, Masker, Patterns, Redactor};
use lictor_core::secret::Secret;

const SECRETS: [&str; 3] = ["hunter2", "s3cr3t/pass+word", "aaaaaaab"];

static REDACTOR: LazyLock<Arc<Redactor>> = LazyLock::new(|| {
    let literals = SECRETS.map(|text| Literal::Text(Kind::SECRET, Secret::new(text.as_bytes().to_vec())));
    let patterns = Patterns::new(&["acme-[0-9a-f]{8,16}\\b".to_owned()]).expect("these patterns are valid");
    Arc::new(Redactor::new(&literals, Arc::new(patterns)).expect("these are few"))
});

fn masked<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, u64) {
    let (mut masker, mut out) = (Masker::new(Arc::clone(&REDACTOR)), Vec::new());
    for piece in pieces {
        out.extend_from_slice(&masker.push(piece));
    }
    out.extend(masker.finish());
    (out, masker.masked())
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some((step, stream)) = data.split_first() else { return Corpus::Reject };
    let (whole, count) = masked(std::iter::once(stream));
    assert_eq!((&whole, count), (&masked(stream.chunks(usize::from(*step) + 1)).0, count), "cut otherwise");
    if count == 0 {
        assert_eq!(whole, stream, "changed without a secret");
    }
    for secret in SECRETS {
        let found = whole.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is seen");
    }
    Corpus::Keep
});
