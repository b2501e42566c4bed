//! Failures for people: what went wrong, and what to do next.

use lictor_core::error::Failure;

use super::{
    bytes::{lines, one_line},
    style::{Style, Tone},
};

/// Details that the message says already or that only scripts need.
const SILENT_DETAILS: [&str; 2] = ["policy_version", "span"];

/// `error:`, details and `next:`.
pub(crate) fn text(failure: &Failure, style: Style) -> String {
    let mut text = format!("{} {}\n", style.paint(Tone::Bad, "error:"), indented(&lines(&failure.message)));
    for (name, value) in failure.details.iter().filter(|(name, _)| !SILENT_DETAILS.contains(&name.as_str())) {
        text += &format!("       {} {}\n", style.faint(&format!("{}:", one_line(name))), one_line(value));
    }
    if !failure.next_step.is_empty() {
        text +=
            &format!("{}  {}\n", style.paint(Tone::Accent, "next:"), indented(&lines(&failure.next_step)));
    }
    text
}

/// Further lines stand below the first.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n       ")
}
