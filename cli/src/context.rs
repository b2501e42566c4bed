//! What every verb works with: the directory, the form of the output, and the connection.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};

use lictor_client::{connect::Client, operator::Operator};
use lictor_core::{job::Origin, principal::Via};
use lictor_runtime::exit::Exit;
use serde::Serialize;

use crate::{
    arguments::{Global, Output},
    config::Settings,
    home::{AGENT_FILE, CLIENT_FILE, Home},
    render::{self, style::Style},
    trouble::Trouble,
};

/// What every verb works with.
#[derive(Debug)]
pub(crate) struct Context {
    asked_dir: Option<PathBuf>,
    output: Output,
    /// How standard output is painted.
    pub(crate) out: Style,
    /// How standard error is painted.
    pub(crate) err: Style,
}

/// A connection with the settings it was made from.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) home: Home,
    pub(crate) settings: Settings,
    pub(crate) operator: Operator,
}

// === impl Context ===

impl Context {
    /// The context of this process.
    pub(crate) fn new(global: Global) -> Self {
        let Global { dir, output } = global;
        Self {
            asked_dir: dir,
            output,
            out: Style::of(io::stdout().is_terminal()),
            err: Style::of(io::stderr().is_terminal()),
        }
    }

    /// Whether the result is one JSON document.
    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.output, Output::Json)
    }

    /// The directory to work with.
    pub(crate) fn home(&self) -> Result<Home, Trouble> {
        Home::find(self.asked_dir.as_deref(), CLIENT_FILE)
    }

    /// The directory with a site's files; the machine of an agent has no more than those.
    pub(crate) fn site(&self) -> Result<Home, Trouble> {
        Home::find(self.asked_dir.as_deref(), AGENT_FILE)
    }

    /// A connection to the controller; it is made when the first call needs it.
    pub(crate) fn connect(&self) -> Result<Connected, Trouble> {
        Connected::to(self.home()?)
    }

    /// Prints text to standard output.
    pub(crate) fn print(&self, text: &str) -> Result<(), Trouble> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Prints one JSON document to standard output.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> Result<(), Trouble> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Trouble::internal(e.to_string()))?;
        self.print(&(text + "\n"))
    }

    /// Prints what is right for the form asked for.
    pub(crate) fn show(
        &self,
        json: &impl Serialize,
        text: impl FnOnce(Style) -> String,
    ) -> Result<(), Trouble> {
        if self.is_json() { self.print_json(json) } else { self.print(&text(self.out)) }
    }

    /// Prints a note for people to standard error.
    pub(crate) fn note(&self, text: &str) {
        // A note that cannot be told is not worth ending for.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Tells why a verb failed, and gives how the program ends.
    pub(crate) fn tell(&self, trouble: &Trouble) -> Exit {
        if let Trouble::Failed { failure, .. } = trouble {
            if self.is_json() {
                // The document is the answer, so it goes where a script reads.
                let _ = self.print_json(&render::json::ErrorDocument::from(&**failure));
            } else {
                let _ = io::stderr().lock().write_all(render::failure::text(failure, self.err).as_bytes());
            }
        }
        trouble.exit()
    }
}

// === impl Connected ===

impl Connected {
    /// A connection with the settings of `home`.
    pub(crate) fn to(home: Home) -> Result<Self, Trouble> {
        let settings = Settings::load(&home)?;
        let operator = Operator::new(Client::connect(settings.client())?);
        Ok(Self { home, settings, operator })
    }

    /// The calls that everybody may make.
    pub(crate) const fn client(&self) -> &Client {
        self.operator.client()
    }
}

/// Where requests of this program say that they come from.
pub(crate) fn origin() -> Origin {
    Origin::new(Via::Cli, concat!("lictor/", env!("CARGO_PKG_VERSION")))
}
