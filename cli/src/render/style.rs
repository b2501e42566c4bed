//! Colours: on a terminal only, and never with `NO_COLOR` (<https://no-color.org>).

/// How one output is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    terminal: bool,
    color: bool,
}

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Warn,
    Bad,
    Accent,
}

// === impl Style ===

impl Style {
    /// Never painted.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { terminal: false, color: false };

    /// For an output that is a terminal or is not.
    pub(crate) fn of(terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { terminal, color: terminal && !refused && !dumb }
    }

    /// Whether it is a terminal.
    pub(crate) const fn is_terminal(self) -> bool {
        self.terminal
    }

    /// `text`, painted.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        match tone.code() {
            Some(code) if self.color && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
    pub(crate) fn strong(self, text: &str) -> String {
        self.paint(Tone::Strong, text)
    }
    pub(crate) fn faint(self, text: &str) -> String {
        self.paint(Tone::Faint, text)
    }
}

// === impl Tone ===

impl Tone {
    /// The SGR parameters (ECMA-48 §8.3.117).
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31"),
            Self::Accent => Some("36"),
        }
    }

    /// The tone of a state of a job or invocation.
    pub(crate) fn of_state(state: &str) -> Self {
        match state {
            "SUCCEEDED" | "CONNECTED" | "ALLOW" | "USED" => Self::Good,
            "QUEUED" | "OFFERED" | "ACCEPTED" | "RUNNING" | "PAUSED" | "HALTING" | "CANCELLING"
            | "AWAITING_APPROVAL" | "PENDING" => Self::Accent,
            "PARTIAL" | "CANCELLED" | "KILLED" | "SKIPPED" | "EXPIRED" | "SUSPECT" => Self::Warn,
            _ => Self::Bad,
        }
    }
}
