//! Proving: the log of all of this verifies, and a copy with one byte changed does not.

use std::fs;

use super::{Broken, Screen, Stage};
use crate::{
    audit::{bundle, witnesses},
    commands::audit::{export::export_to, verify::verify_live},
    demo::broken::ensure,
    render::audit,
    trouble::Trouble,
};

/// The log verifies.
pub(super) async fn verify(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    screen.step("Everything above can be proved", "lictor audit verify");
    let connected = stage.connected();
    let verified = verify_live(connected).await?;
    let origin = connected.settings.origin()?;
    let cosigned = witnesses::of(&verified, &origin, None).map_err(Trouble::from)?;
    screen.show(&audit::verified(&verified, &cosigned, false, origin.as_str(), screen.style));
    ensure(verified.started >= 10, || format!("only {} commands are in the log", verified.started))?;
    Ok("every command that started has its intent in the log before it, under a signed Merkle root"
        .to_owned())
}

/// A copy with one byte changed does not.
pub(super) async fn tampered(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    let commands =
        "lictor audit export log.jsonl\nsed -i 's/rm -rf/ls -al/' log.jsonl\nlictor audit verify log.jsonl";
    screen.step("A history with a few bytes changed is found out, offline", commands);
    let connected = stage.connected();
    let file = stage.directory("export")?.join("log.jsonl");
    let (_, keys) = export_to(connected, &file).await?;
    let origin = connected.settings.origin()?;
    bundle::verify(&file, Some(&origin), &keys, None)?;
    let doing = |e: std::io::Error| Broken::doing("cannot change the export", &e);
    let text = fs::read_to_string(&file).map_err(doing)?;
    let changed = text.replacen("rm -rf", "ls -al", 1);
    ensure(changed != text, || "the denied command is not in the log".to_owned())?;
    fs::write(&file, changed).map_err(doing)?;
    match bundle::verify(&file, Some(&origin), &keys, None) {
        Ok(_) => Err(Broken("the changed copy verified".to_owned())),
        Err(trouble) => {
            if let Trouble::Failed { failure, .. } = &trouble {
                screen.show(&crate::render::failure::text(failure, screen.style));
            }
            Ok("the untouched copy verified with the public key alone; the changed one does not".to_owned())
        }
    }
}
