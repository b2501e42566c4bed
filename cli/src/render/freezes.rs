//! What is frozen, and what came of freezing or lifting.

use lictor_client::operator::{FreezeDone, FreezeView};
use lictor_core::{clock::Timestamp, freeze::Freeze};

use super::{
    bytes::one_line,
    style::{Style, Tone},
    table::{Cell, Table},
    time,
};

/// The freezes in force.
pub(crate) fn table(freezes: &[FreezeView], now: Timestamp, style: Style) -> String {
    if freezes.is_empty() {
        return "nothing is frozen\n".to_owned();
    }
    let mut table = Table::new(&["FREEZE", "SCOPE", "SINCE", "BY", "REASON", "RECORDED"]);
    for FreezeView { freeze, recorded } in freezes {
        table.row([
            Cell::new(freeze.id),
            Cell::new(&freeze.scope).tone(Tone::Strong),
            Cell::new(time::ago(freeze.at, now)),
            Cell::new(&freeze.by),
            Cell::new(&freeze.reason),
            if *recorded { Cell::new("yes") } else { Cell::new("not yet").tone(Tone::Bad) },
        ]);
    }
    table.render(style, 0)
}

/// A freeze that is in force.
pub(crate) fn done(done: &FreezeDone, style: Style) -> String {
    let Freeze { id, scope, .. } = &done.freeze;
    let mut text = format!(
        "{} nothing new starts on {}; what runs goes on\n",
        style.paint(Tone::Good, "frozen:"),
        scope.words()
    );
    if !done.unconfirmed_agents.is_empty() {
        text += &format!(
            "{} these agents have not confirmed it, and may still start what they were offered before:\n",
            style.paint(Tone::Bad, "warning:")
        );
        for agent in &done.unconfirmed_agents {
            text += &format!("  {}\n", one_line(agent));
        }
    }
    text + &format!("lift it: {}\n", style.paint(Tone::Accent, &format!("lictor freeze lift {id}")))
}

/// A freeze that is lifted.
pub(crate) fn lifted(freeze: &Freeze, style: Style) -> String {
    let head = style.paint(Tone::Good, "lifted:");
    format!("{head} {}\n", one_line(&freeze.sentence()))
}
