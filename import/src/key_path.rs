//! `key_path`: which file it meant, lexically. What mcp-ssh-orchestrator took for no key is an error here.

/// Longest path that it took, in characters.
const MAX_CHARS: usize = 500;

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyPath {
    /// The whole path that it had.
    pub(crate) old: String,
    /// From the folder of keys on.
    pub(crate) relative: String,
}

/// The file that `written` means; else why it means none.
pub(crate) fn resolve(written: &str, keys_dir: &str) -> Result<KeyPath, &'static str> {
    if written.chars().count() > MAX_CHARS {
        return Err("its path is longer than 500 characters");
    }
    if written.contains("..") {
        return Err("its path has .. in it");
    }
    if written.chars().any(char::is_control) {
        return Err("its path has control characters in it");
    }
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
    };
    let inside = match written.starts_with('/') {
        false => parts(written),
        true => {
            let (path, base) = (parts(written), parts(keys_dir));
            match path.strip_prefix(base.as_slice()) {
                Some(rest) => rest.to_owned(),
                None => return Err("it is outside of the folder of keys"),
            }
        }
    };
    if inside.is_empty() {
        return Err("it is the folder of keys itself");
    }
    let relative = inside.join("/");
    Ok(KeyPath { old: format!("{}/{relative}", keys_dir.trim_end_matches('/')), relative })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_inside_of_the_folder_of_keys_or_none() {
        for (written, relative) in [
            ("id_ed25519", "id_ed25519"),
            ("prod/./id", "prod/id"),
            ("/app/keys/id", "id"),
            ("/app//keys/id", "id"),
            ("~/.ssh/id", "~/.ssh/id"),
        ] {
            let key = resolve(written, "/app/keys/").unwrap();
            assert_eq!((key.relative.as_str(), key.old), (relative, format!("/app/keys/{relative}")));
        }
        let long = "x".repeat(501);
        for none in ["../id", "a..b", "/app/keysx/id", "/etc/id", "/app/keys", ".", "a\nb", long.as_str()] {
            assert!(resolve(none, "/app/keys").is_err(), "{none}");
        }
        assert!(resolve(&"ü".repeat(500), "/app/keys").is_ok());
    }
}
