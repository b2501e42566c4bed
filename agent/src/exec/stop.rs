//! Stop means stopped: TERM, a grace, KILL, and then a look that nothing is left. Done by a script on the host itself.

use std::{sync::Arc, time::Duration};

use lictor_core::{
    id::InvocationId,
    limits::{KILL_CONFIRM, TERM_GRACE},
};

use crate::ssh::{
    address::Networks,
    pool::{Beside, Pool},
    session::Event,
};

/// Room for opening a channel and for slow hosts, beyond what the script itself waits.
const LADDER_SLACK: Duration = Duration::from_secs(30);
/// The report is one line; more than this is not the script speaking.
const MAX_REPORT_BYTES: usize = 64 * 1024;

/// What the script found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Nothing was there to stop: it had ended by itself. No signal was sent.
    NothingLeft,
    /// Everything that was there is gone.
    Gone,
    /// Something may be left.
    Unconfirmed(String),
}

/// Which processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quarry {
    pub(crate) invocation: InvocationId,
    /// The command's session, while its leader is known to live; a number that may belong to others by now is left out.
    pub(crate) session: Option<u32>,
}

/// Members are found by session or process group, and by the variable that every descendant inherits; the dead who are
/// not yet buried do not count. `/proc` is needed for that; without it only the process group can be asked for.
///
/// Arguments: session (0: unknown), invocation, tenths of a second for TERM, the same for KILL. No single quotes inside.
const SCRIPT: &str = r#"p=$1; c=LICTOR_INVOCATION=$2; g=$3; k=$4; t=0; m=;
nap() { if sleep 0.1 2>/dev/null; then t=$((t+1)); else sleep 1; t=$((t+10)); fi; };
one() { s=$1; [ "$s" = "$$" ] && return; { read -r l < /proc/$s/stat; } 2>/dev/null || return;
 set -- ${l##*) }; case $1 in Z|X|x) return;; esac;
 if [ "$w" = cookie ] || { [ "$p" -gt 1 ] && { [ "$3" = "$p" ] || [ "$4" = "$p" ]; }; }; then
 case " $m " in *" $s "*) ;; *) m="$m $s";; esac; fi; };
members() { m=;
 if [ -r /proc/self/stat ]; then
 w=session; for d in /proc/[0-9]*; do one "${d#/proc/}"; done;
 w=cookie; for f in $(grep -lsF "$c" /proc/[0-9]*/environ 2>/dev/null); do f=${f#/proc/}; one "${f%/environ}"; done;
 elif [ "$p" -gt 1 ]; then
 if e=$(LC_ALL=C kill -s 0 -- "-$p" 2>&1); then m="-$p"; else case $e in *"o such process"*) ;; *) m="-$p";; esac; fi;
 else m=unknown; fi; };
members; if [ -z "$m" ]; then echo "lictor-stop none"; exit 0; fi;
if [ "$m" = unknown ]; then echo "lictor-stop survivors unknown"; exit 0; fi;
kill -s TERM -- $m 2>/dev/null; members;
while [ -n "$m" ] && [ $t -lt $g ]; do nap; members; done;
t=0; while [ -n "$m" ] && [ $t -lt $k ]; do kill -s KILL -- $m 2>/dev/null; nap; members; done;
if [ -n "$m" ]; then echo "lictor-stop survivors$m"; else echo "lictor-stop gone"; fi"#;

/// The exec request that stops `quarry`.
fn render(quarry: Quarry) -> String {
    let tenths = |d: Duration| d.as_millis() / 100;
    let one_line = SCRIPT.replace('\n', " ");
    format!(
        "exec /bin/sh -c '{one_line}' lictor-stop {} {} {} {}",
        quarry.session.unwrap_or(0),
        quarry.invocation,
        tenths(TERM_GRACE),
        tenths(KILL_CONFIRM),
    )
}

/// Runs the script beside the command, on its connection or a fresh one.
pub(crate) async fn stop(pool: Arc<Pool>, beside: Beside, networks: Networks, quarry: Quarry) -> Stopped {
    let whole = TERM_GRACE + KILL_CONFIRM + LADDER_SLACK;
    match tokio::time::timeout(whole, ask(&pool, &beside, &networks, quarry)).await {
        Ok(stopped) => stopped,
        Err(_) => Stopped::Unconfirmed("the host did not say in time whether the command is gone".into()),
    }
}

async fn ask(pool: &Pool, beside: &Beside, networks: &Networks, quarry: Quarry) -> Stopped {
    let mut session = match pool.open_beside(beside, networks).await {
        Ok(session) => session,
        Err(refused) => return Stopped::Unconfirmed(refused.detail),
    };
    if session.exec(render(quarry)).await.is_err() {
        return Stopped::Unconfirmed("the connection ended before the command could be stopped".into());
    }
    let mut report = Vec::new();
    loop {
        match session.next().await {
            Event::Stdout(bytes) if report.len() < MAX_REPORT_BYTES => report.extend_from_slice(&bytes),
            Event::Closed | Event::Refused => break,
            _ => {}
        }
    }
    session.close().await;
    read_report(&String::from_utf8_lossy(&report))
}

/// Start-up files of a shell may print around the report; only its own line counts.
fn read_report(text: &str) -> Stopped {
    match text.lines().find_map(|line| line.strip_prefix("lictor-stop ")) {
        Some("none") => Stopped::NothingLeft,
        Some("gone") => Stopped::Gone,
        Some(other) => Stopped::Unconfirmed(format!("the host still has {other}")),
        None => Stopped::Unconfirmed("the host did not say whether the command is gone".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_survives_its_quotes_and_a_report_is_only_what_the_script_says() {
        let text = render(Quarry { invocation: InvocationId::from_bytes([1; 16]), session: Some(77) });
        assert_eq!(text.matches('\'').count(), 2);
        assert!(!text.contains('\n') && text.contains(" lictor-stop 77 inv_"));
        assert_eq!(read_report("hello\nlictor-stop gone\n"), Stopped::Gone);
        assert_eq!(read_report("lictor-stop none"), Stopped::NothingLeft);
        assert!(matches!(read_report("lictor-stop survivors 1 2"), Stopped::Unconfirmed(_)));
        assert!(matches!(read_report(""), Stopped::Unconfirmed(_)));
    }
}
