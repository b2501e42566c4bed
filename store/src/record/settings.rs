//! The settings of the last start as they are stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{KeptSettings, StoreError};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum SettingsRecord {
    #[serde(rename = "1")]
    V1 { values: BTreeMap<String, String> },
}

impl From<&KeptSettings> for SettingsRecord {
    fn from(settings: &KeptSettings) -> Self {
        Self::V1 { values: settings.values.clone() }
    }
}

impl TryFrom<SettingsRecord> for KeptSettings {
    type Error = StoreError;
    fn try_from(record: SettingsRecord) -> Result<Self, StoreError> {
        let SettingsRecord::V1 { values } = record;
        Ok(Self { values })
    }
}
