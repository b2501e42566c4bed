//! `lictor doctor`: looks for what is wrong, and says what to do about it.

mod checks;
mod fleet;

use lictor_runtime::exit::Exit;
use serde::Serialize;

pub(crate) use self::checks::certificate;
use crate::{
    Done,
    context::{Connected, Context},
    render::style::{Style, Tone},
};

/// What one look found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    check: &'static str,
    state: State,
    detail: String,
    next_step: String,
    #[serde(skip)]
    exit: Exit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context) -> Done {
    let home = context.home()?;
    let (told, has_hosts) = match Connected::to(home.clone()) {
        Err(trouble) => {
            (vec![Finding::fail("client", trouble.to_string(), "correct lictor.yml", Exit::Usage)], false)
        }
        Ok(connected) => fleet::look(&connected).await,
    };
    let mut findings = checks::files(&home, has_hosts);
    findings.extend(told);
    findings.extend(fleet::reach_hosts(&home).await);
    report(&findings, context)
}

/// Shows what was found; the first failure says how the program ends.
pub(crate) fn report(findings: &[Finding], context: &Context) -> Done {
    context.show(&findings, |style| text(findings, style))?;
    let failed = findings.iter().find(|finding| finding.state == State::Fail);
    Ok(failed.map_or(Exit::Ok, |finding| finding.exit).into())
}

fn text(findings: &[Finding], style: Style) -> String {
    let mut text = String::new();
    for finding in findings {
        let (tone, word) = match finding.state {
            State::Ok => (Tone::Good, "ok  "),
            State::Warn => (Tone::Warn, "warn"),
            State::Fail => (Tone::Bad, "fail"),
        };
        let detail = finding.detail.trim_end().replace('\n', "\n                  ");
        text += &format!("{}  {:<10}  {detail}\n", style.paint(tone, word), finding.check);
        if !finding.next_step.is_empty() {
            text += &format!("{:18}{} {}\n", "", style.paint(Tone::Accent, "next:"), finding.next_step);
        }
    }
    let bad = findings.iter().filter(|finding| finding.state != State::Ok).count();
    text + &if bad == 0 { "\neverything looks well\n".to_owned() } else { format!("\n{bad} to look at\n") }
}

// === impl Finding ===

impl Finding {
    pub(crate) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, state: State::Ok, detail: detail.into(), next_step: String::new(), exit: Exit::Ok }
    }
    pub(crate) fn warn(check: &'static str, detail: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { check, state: State::Warn, detail: detail.into(), next_step: next_step.into(), exit: Exit::Ok }
    }
    pub(crate) fn fail(
        check: &'static str,
        detail: impl Into<String>,
        next_step: impl Into<String>,
        exit: Exit,
    ) -> Self {
        Self { check, state: State::Fail, detail: detail.into(), next_step: next_step.into(), exit }
    }
}
