//! The labels of a host: keys with values, as in `env=prod`.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    limits::MAX_LABELS_PER_HOST,
    name::{InvalidName, LabelKey, LabelValue},
};

/// The labels of a host, by key: at most [`MAX_LABELS_PER_HOST`]. A copy shares them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(Arc<BTreeMap<LabelKey, LabelValue>>);

/// What cannot be the labels of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidLabels {
    /// A key or a value is no name.
    Name(InvalidName),
    /// A key is there twice.
    Twice(LabelKey),
    /// There are more than [`MAX_LABELS_PER_HOST`].
    TooMany,
}

// === impl Labels ===

impl Labels {
    /// Checks keys and values and makes them labels.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn new<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, InvalidLabels> {
        let mut labels = BTreeMap::new();
        for (key, value) in pairs {
            let key = LabelKey::new(key.as_ref()).map_err(InvalidLabels::Name)?;
            let value = LabelValue::new(value.as_ref()).map_err(InvalidLabels::Name)?;
            if labels.len() == MAX_LABELS_PER_HOST {
                return Err(InvalidLabels::TooMany);
            }
            if labels.insert(key.clone(), value).is_some() {
                return Err(InvalidLabels::Twice(key));
            }
        }
        Ok(Self(Arc::new(labels)))
    }
    /// The value of `key`.
    pub fn get(&self, key: &LabelKey) -> Option<&LabelValue> {
        self.0.get(key)
    }
    /// Every label, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&LabelKey, &LabelValue)> {
        self.0.iter()
    }
    /// Every label as text, by key: as it is written to the wire, records and files.
    pub fn to_texts<M: FromIterator<(String, String)>>(&self) -> M {
        self.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `env=prod,role=db`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.iter().enumerate() {
            write!(f, "{}{key}={value}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for InvalidLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Twice(key) => write!(f, "the label {key} is there twice"),
            Self::TooMany => write!(f, "a host may have at most {MAX_LABELS_PER_HOST} labels"),
        }
    }
}
impl std::error::Error for InvalidLabels {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_names_each_key_once_and_not_too_many() {
        let labels = Labels::new([("role", "db"), ("env", "prod")]).unwrap();
        assert_eq!(labels.to_string(), "env=prod,role=db");
        assert_eq!(labels.get(&LabelKey::new("role").unwrap()).unwrap().as_str(), "db");
        assert!(matches!(Labels::new([("a", "b"), ("a", "b")]), Err(InvalidLabels::Twice(_))));
        for (key, value) in [("", "v"), ("k", ""), ("k=", "v"), ("k", "v*"), ("-k", "v"), ("k", "a b")] {
            assert!(matches!(Labels::new([(key, value)]), Err(InvalidLabels::Name(_))), "{key} {value}");
        }
        let many = |n: usize| Labels::new((0..n).map(|i| (format!("k{i}"), "v")));
        assert!(many(MAX_LABELS_PER_HOST).is_ok());
        assert_eq!(many(MAX_LABELS_PER_HOST + 1), Err(InvalidLabels::TooMany));
    }
}
