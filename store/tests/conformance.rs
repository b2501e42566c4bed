//! Each backend, held against the one suite.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

mod memory {
    use std::sync::Arc;

    use lictor_store::{Store, conformance::cases::Fixture, memory::MemoryStore};

    #[derive(Default)]
    struct Memory;

    impl Fixture for Memory {
        const DURABLE: bool = false;
        fn open(&mut self) -> Arc<dyn Store> {
            Arc::new(MemoryStore::new())
        }
    }

    lictor_store::conformance!(Memory);
}

mod embedded {
    use std::{sync::Arc, thread, time::Duration};

    use lictor_store::{
        Store,
        conformance::cases::Fixture,
        embedded::{EmbeddedStore, OpenError},
    };

    struct Embedded(tempfile::TempDir);

    impl Default for Embedded {
        fn default() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
    }

    impl Fixture for Embedded {
        const DURABLE: bool = true;
        fn open(&mut self) -> Arc<dyn Store> {
            // sled's threads let go of its own lock a moment after the store is dropped.
            for _ in 0..500 {
                match EmbeddedStore::open(self.0.path()) {
                    Ok(store) => return Arc::new(store),
                    Err(OpenError::Sled { .. } | OpenError::InUse(_)) => {
                        thread::sleep(Duration::from_millis(10))
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
            panic!("the store stays locked");
        }
    }

    lictor_store::conformance!(Embedded);

    #[test]
    fn a_second_process_is_told_that_the_store_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let _first = EmbeddedStore::open(dir.path()).unwrap();
        let second = EmbeddedStore::open(dir.path()).unwrap_err();
        assert!(matches!(second, OpenError::InUse(_)), "{second:?}");
        assert!(second.to_string().contains("stop that one first"));
    }
}
