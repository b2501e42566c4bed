//! Configuration files: YAML, read strictly. Unknown keys are refused by the types (`deny_unknown_fields`), duplicate
//! keys and oversized files here.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy};

/// Largest configuration file, in bytes: an inventory of 10,000 hosts at 200 bytes each, doubled.
pub const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// A configuration file that is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// It is too large.
    #[error("{} is larger than {MAX_CONFIG_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It does not say what is expected.
    #[error("{}: {detail}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, column, what is wrong, and the lines around it.
        detail: String,
    },
}

/// Reads the YAML file `path`.
///
/// # Errors
/// When it cannot be read, is too large, has a duplicate key, or does not fit `T`; the text of the error shows the file,
/// the line and the lines around it.
pub fn load_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(read)?.len() > MAX_CONFIG_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    let text = fs::read_to_string(path).map_err(read)?;
    parse_yaml(&text).map_err(|detail| ConfigError::Invalid { path: path.to_owned(), detail })
}

/// Reads YAML from `text`.
///
/// # Errors
/// As [`load_yaml`]; the error says line, column, what is wrong, and shows the lines around it.
pub fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        // What a file says is in its lines: no merging of anchors into mappings.
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// `path` as it is meant in a file of the directory `base`: absolute as it is, relative to `base` otherwise.
pub fn resolve(base: &Path, path: &Path) -> PathBuf {
    base.join(path)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::human::{HumanBytes, HumanDuration};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        name: String,
        #[serde(default)]
        wait: Option<HumanDuration>,
        #[serde(default)]
        most: Option<HumanBytes>,
        #[serde(default)]
        on: bool,
    }

    fn load(text: &str) -> Result<Example, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("example.yaml");
        fs::write(&path, text).unwrap();
        load_yaml(&path)
    }

    #[test]
    fn a_file_is_read_with_human_units() {
        let read = load("name: no\nwait: 1h30m\nmost: 64KiB\non: true\n").unwrap();
        assert_eq!((read.name.as_str(), read.on), ("no", true));
        assert_eq!(read.wait.unwrap().get().as_secs(), 5400);
        assert_eq!(read.most.unwrap().get(), 65536);
        assert_eq!(load("name: a\nmost: 4096\n").unwrap().most.unwrap().get(), 4096);
    }

    #[test]
    fn an_error_names_the_file_and_shows_the_line() {
        for (text, line, word) in [
            ("name: a\nnaem: b\n", "2", "naem"),
            ("name: a\nname: b\n", "2", "name"),
            ("name: a\nwait: soon\n", "2", "soon"),
            ("name: a\non: yes\n", "2", "yes"),
            ("name: [a\n", "", "name"),
            ("name: a\n<<: {on: true}\n", "2", "<<"),
        ] {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains("example.yaml: "), "{error}");
            assert!(error.contains(line) && error.contains(word), "{text:?} gives {error}");
        }
        let missing = load_yaml::<Example>(Path::new("/nowhere/x.yaml")).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read /nowhere/x.yaml");
    }

    #[test]
    fn relative_paths_belong_to_the_file_that_names_them() {
        assert_eq!(resolve(Path::new("/etc/lictor"), Path::new("ca")), Path::new("/etc/lictor/ca"));
        assert_eq!(resolve(Path::new("/etc/lictor"), Path::new("/ca")), Path::new("/ca"));
    }
}
