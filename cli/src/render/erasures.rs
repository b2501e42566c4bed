//! Erasures that wait, what was erased, and holds.

use lictor_core::{
    clock::Timestamp,
    erasure::{Erasure, Hold},
};

use super::{
    bytes::one_line,
    style::{Style, Tone},
    table::{Cell, Table},
    time,
};

/// The erasures that wait for consent.
pub(crate) fn table(erasures: &[Erasure], now: Timestamp, style: Style) -> String {
    if erasures.is_empty() {
        return "no erasure waits for consent\n".to_owned();
    }
    let mut table = Table::new(&["ERASURE", "SCOPE", "SINCE", "BY", "REASON"]);
    for Erasure { id, scope, reason, by, at } in erasures {
        table.row([
            Cell::new(id),
            Cell::new(scope).tone(Tone::Strong),
            Cell::new(time::ago(*at, now)),
            Cell::new(by),
            Cell::new(reason),
        ]);
    }
    table.render(style, 0)
}

/// An erasure that waits for another person.
pub(crate) fn requested(erasure: &Erasure, records: u64, style: Style) -> String {
    let Erasure { id, scope, .. } = erasure;
    format!(
        "{} {scope}: {records} records would lose their payload\nanother operator consents: {}\n",
        style.paint(Tone::Warn, "asked:"),
        style.paint(Tone::Accent, &format!("lictor audit erase --consent {id}"))
    )
}

/// What was erased.
pub(crate) fn done(erasure: &Erasure, records: u64, style: Style) -> String {
    let Erasure { scope, by, reason, .. } = erasure;
    format!(
        "{} {scope}: {records} records have lost their payload, as {by} asked: {}\n",
        style.paint(Tone::Good, "erased:"),
        one_line(reason.as_str())
    )
}

/// An erasure that does not wait any more.
pub(crate) fn ended(erasure: &Erasure, style: Style) -> String {
    format!("{} {}: nothing is erased\n", style.paint(Tone::Good, "ended:"), erasure.scope)
}

/// The holds in force.
pub(crate) fn holds(holds: &[Hold], now: Timestamp, style: Style) -> String {
    if holds.is_empty() {
        return "nothing is held\n".to_owned();
    }
    let mut table = Table::new(&["HOLD", "SCOPE", "SINCE", "BY", "REASON", "LIFT"]);
    for hold in holds {
        let lift = hold.lift_at(now).map(|lift| format!("asked by {}", lift.by)).unwrap_or_default();
        table.row([
            Cell::new(hold.id),
            Cell::new(&hold.scope).tone(Tone::Strong),
            Cell::new(time::ago(hold.at, now)),
            Cell::new(&hold.by),
            Cell::new(&hold.reason),
            Cell::new(lift).tone(Tone::Warn),
        ]);
    }
    table.render(style, 0)
}

/// A hold that is in force.
pub(crate) fn held(hold: &Hold, style: Style) -> String {
    let Hold { id, scope, .. } = hold;
    format!(
        "{} {scope}: nothing of it is erased\nlift it (two people): {}\n",
        style.paint(Tone::Good, "held:"),
        style.paint(Tone::Accent, &format!("lictor audit hold lift {id} --reason TEXT"))
    )
}

/// What became of asking for a hold to be lifted.
pub(crate) fn lift(hold: &Hold, lifted: bool, style: Style) -> String {
    let Hold { id, scope, .. } = hold;
    if lifted {
        return format!(
            "{} {scope} may be erased, as far as this hold goes\n",
            style.paint(Tone::Good, "lifted:")
        );
    }
    format!(
        "{} the hold on {scope} stays until another operator consents: {}\n",
        style.paint(Tone::Warn, "asked:"),
        style.paint(Tone::Accent, &format!("lictor audit hold lift {id}"))
    )
}
