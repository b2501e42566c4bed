//! Tables: aligned columns without lines, as wide as their content.

use unicode_width::UnicodeWidthStr as _;

use super::{
    bytes::one_line,
    style::{Style, Tone},
};

/// Blanks between columns.
const GAP: usize = 2;

/// A table with its head.
#[derive(Debug)]
pub(crate) struct Table {
    head: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

/// A cell: one line of text that cannot break the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

// === impl Table ===

impl Table {
    pub(crate) const fn new(head: &'static [&'static str]) -> Self {
        Self { head, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as text, each line after `indent` blanks; nothing at all without rows.
    pub(crate) fn render(&self, style: Style, indent: usize) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let right = |column: usize| self.rows.iter().all(|r| r.get(column).is_none_or(|cell| cell.right));
        let head = self.head.iter().enumerate().map(|(column, name)| {
            let cell = Cell::new(name).tone(Tone::Faint);
            if right(column) { cell.right() } else { cell }
        });
        let mut lines = vec![head.collect::<Vec<_>>()];
        lines.extend(self.rows.iter().cloned());
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                lines.iter().filter_map(|line| line.get(column)).map(Cell::width).max().unwrap_or(0)
            })
            .collect();
        lines
            .iter()
            .fold(String::new(), |text, line| text + &render_line(line, &widths, style, indent) + "\n")
    }
}

fn render_line(cells: &[Cell], widths: &[usize], style: Style, indent: usize) -> String {
    let mut line = " ".repeat(indent);
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if index > 0 {
            line.push_str(&" ".repeat(GAP));
        }
        let padding = " ".repeat(width.saturating_sub(cell.width()));
        let painted = style.paint(cell.tone, &cell.text);
        line += &if cell.right { padding + &painted } else { painted + &padding };
    }
    line.truncate(line.trim_end().len());
    line
}

// === impl Cell ===

impl Cell {
    pub(crate) fn new(text: impl std::fmt::Display) -> Self {
        Self { text: one_line(&text.to_string()), tone: Tone::Plain, right: false }
    }
    /// A dash for what is not known or does not apply.
    pub(crate) fn none() -> Self {
        Self::new("-").tone(Tone::Faint)
    }
    pub(crate) fn maybe(text: Option<impl std::fmt::Display>) -> Self {
        text.map_or_else(Self::none, Self::new)
    }
    /// A state, in its tone.
    pub(crate) fn state(state: &str) -> Self {
        Self::new(state).tone(Tone::of_state(state))
    }
    #[must_use]
    pub(crate) const fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
    #[must_use]
    pub(crate) const fn right(mut self) -> Self {
        self.right = true;
        self
    }
    fn width(&self) -> usize {
        self.text.width()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_is_seen_and_a_cell_cannot_break_its_line() {
        let mut table = Table::new(&["HOST", "SIZE", "NOTE"]);
        table.row([Cell::new("web-1"), Cell::new(7).right(), Cell::new("a\nb")]);
        table.row([Cell::new("größe"), Cell::new(1234).right(), Cell::none()]);
        assert_eq!(
            table.render(Style::PLAIN, 2),
            "  HOST   SIZE  NOTE\n  web-1     7  a\\x0ab\n  größe  1234  -\n"
        );
    }
}
