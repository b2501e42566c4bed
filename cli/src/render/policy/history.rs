//! Versions of the policy as a table.

use lictor_client::operator::PolicyVersion;
use serde::Serialize;

use crate::render::{
    style::{Style, Tone},
    table::{Cell, Table},
    time,
};

/// Characters of a digest that are shown; the document has all.
const SHORT_DIGEST: usize = 12;

/// A version.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    version: u64,
    sha256: String,
    changed_by: String,
    changed_at: String,
    note: String,
    #[serde(skip)]
    when: String,
}

impl From<&PolicyVersion> for Document {
    fn from(version: &PolicyVersion) -> Self {
        Self {
            version: version.version,
            sha256: version.digest.to_string(),
            changed_by: version.changed_by.clone(),
            changed_at: version.changed_at.to_string(),
            note: version.note.clone(),
            when: time::moment(version.changed_at),
        }
    }
}

/// The versions.
pub(crate) fn text(versions: &[Document], style: Style) -> String {
    if versions.is_empty() {
        return "no versions\n".to_owned();
    }
    let mut table = Table::new(&["VERSION", "WHEN", "BY", "SHA256", "NOTE"]);
    for version in versions {
        table.row([
            Cell::new(version.version).tone(Tone::Strong).right(),
            Cell::new(&version.when),
            Cell::new(&version.changed_by),
            Cell::new(version.sha256.get(..SHORT_DIGEST).unwrap_or(&version.sha256)),
            Cell::maybe(Some(&version.note).filter(|note| !note.is_empty())),
        ]);
    }
    table.render(style, 0)
}
