//! Stop means stopped: TERM, a grace, KILL, and then a look that nothing is left. Done by a script on the host itself.

use std::{sync::Arc, time::Duration};

use lictor_core::{
    context::LoginName,
    id::InvocationId,
    limits::{KILL_CONFIRM, TERM_GRACE},
};

use super::context::as_login;
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
    /// As [`Stopped::Unconfirmed`]: there was no connection to the host, or it ended before the host said anything.
    OutOfReach(String),
}

/// Which processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quarry {
    pub(crate) invocation: InvocationId,
    /// The command's session, while its leader is known to live; a number that may belong to others by now is left out.
    pub(crate) session: Option<u32>,
}

/// Members are: who carries the variable that descendants inherit, who is in the session, and all their descendants.
/// What was a member once stays one (by number and start time), and so does whoever is in its session: `su -` and
/// `env -i setsid` lose the variable and the session, and with the parent's end their descent. The dead who are not yet
/// buried do not count, unless threads of theirs live on. "None left" is said after two looks, and only where every
/// process can be seen: not without `/proc`, and not when it hides others' processes (`hidepid`).
///
/// Looking takes time, on a busy host more than the naps between: where `/proc/uptime` tells, it counts.
///
/// Arguments: session (0: unknown), invocation, tenths of a second for TERM, the same for KILL. No single quotes inside,
/// and every line end is a space. `/proc/PID/stat` after the name: 1 state, 2 parent, 3 group, 4 session, 20 start.
const SCRIPT: &str = r#"p=$1; c=LICTOR_INVOCATION=$2; g=$3; k=$4; t=0; m=; K=; o=; b=; n=$(printf "\nx"); n=${n%x};
[ "$p" -gt 1 ] && K=" s$p ";
[ -r /proc/1/stat ] && command -v grep >/dev/null && command -v cat >/dev/null || b=1;
up() { read -r u x 2>/dev/null </proc/uptime || return 1; u=${u%?}; u=${u%.*}${u#*.}; };
nap() { if sleep 0.1 2>/dev/null; then t=$((t+1)); else sleep 1; t=$((t+10)); fi; up && [ $((u-z)) -gt $t ] && t=$((u-z)); };
scan() { a=; C=" "; for f in $(grep -lsF "$c" /proc/[0-9]*/environ 2>/dev/null); do f=${f#/proc/}; C="${C}c${f%/environ} "; done;
 C="$K$C"; set -f; IFS=$n; for l in $(set +f; cat /proc/[0-9]*/stat 2>/dev/null); do unset IFS;
 s=${l%% *}; set -- ${l##*) }; i=$1 q=$2 r=$3 w=$4 y=${20};
 [ "$s" = "$$" ] && { o=$w; continue; }; [ "$s" -gt 1 ] || continue;
 case $i in X|x) continue;; Z) set +f; set -- /proc/$s/task/[0-9]*; set -f; [ $# -gt 1 ] || continue;; esac;
 a="$a $s"; eval "P$s=$q W$s=$w Y$s=$y";
 case $C in *" c$s "*|*" r$s:$y "*|*" s$w "*|*" s$r "*) m="$m $s";; esac; done; unset IFS; set +f; };
kin() { e=; while [ "$e" != "$m" ]; do e=$m; for s in $a; do eval "q=\$P$s"; case " $m " in *" $s "*) ;; *" $q "*) m="$m $s";; esac; done; done; };
note() { for s in $m; do eval "w=\$W$s y=\$Y$s"; case $K in *" r$s:$y "*) ;; *) K="$K r$s:$y ";; esac;
 [ "$w" -gt 1 ] && [ "$w" != "$o" ] && case $K in *" s$w "*) ;; *) K="$K s$w ";; esac; done; };
group() { [ "$p" -gt 1 ] || return; if e=$(LC_ALL=C kill -s 0 -- "-$p" 2>&1); then m="-$p"; else case $e in *"o such process"*) ;; *) m="-$p";; esac; fi; };
members() { m=; if [ -r /proc/self/stat ]; then scan; kin; note; else group; fi; };
look() { members; [ -n "$m" ] || members; };
up || u=0; z=$u; look; v=none;
if [ -n "$m" ]; then v=gone; kill -s TERM -- $m 2>/dev/null; look;
while [ -n "$m" ] && [ $t -lt $g ]; do nap; look; done;
t=0; up; z=$u; while [ -n "$m" ] && [ $t -lt $k ]; do kill -s KILL -- $m 2>/dev/null; nap; look; done; fi;
if [ -n "$m" ]; then echo "lictor-stop survivors$m"; elif [ -n "$b" ]; then echo "lictor-stop survivors unknown"; else echo "lictor-stop $v"; fi"#;

impl Quarry {
    /// Over a fresh connection only the variable counts: the host may have been started anew, and the number be another's.
    fn over(self, fresh: bool) -> Self {
        Self { session: self.session.filter(|_| !fresh), ..self }
    }
}

/// The exec request that stops `quarry`. What runs as another login only that login can see and signal.
fn render(quarry: Quarry, login: Option<&LoginName>) -> String {
    let tenths = |d: Duration| d.as_millis() / 100;
    let one_line = SCRIPT.replace('\n', " ");
    format!(
        "exec {}/bin/sh -c '{one_line}' lictor-stop {} {} {} {}",
        as_login(login),
        quarry.session.unwrap_or(0),
        quarry.invocation,
        tenths(TERM_GRACE),
        tenths(KILL_CONFIRM),
    )
}

/// Runs the script beside the command, on its connection or a fresh one.
pub(crate) async fn stop(
    pool: Arc<Pool>,
    beside: Beside,
    networks: Networks,
    quarry: Quarry,
    login: Option<LoginName>,
) -> Stopped {
    let whole = TERM_GRACE + KILL_CONFIRM + LADDER_SLACK;
    match tokio::time::timeout(whole, ask(&pool, &beside, &networks, quarry, login.as_ref())).await {
        Ok(stopped) => stopped,
        Err(_) => Stopped::Unconfirmed("the host did not say in time whether the command is gone".into()),
    }
}

async fn ask(
    pool: &Pool,
    beside: &Beside,
    networks: &Networks,
    quarry: Quarry,
    login: Option<&LoginName>,
) -> Stopped {
    let (mut session, fresh) = match pool.open_beside(beside, networks).await {
        Ok(opened) => opened,
        Err(refused) => return Stopped::OutOfReach(refused.detail),
    };
    if session.exec(render(quarry.over(fresh), login)).await.is_err() {
        return Stopped::OutOfReach("the connection ended before the command could be stopped".into());
    }
    let mut report = Vec::new();
    let by_host = loop {
        match session.next().await {
            Event::Stdout(bytes) if report.len() < MAX_REPORT_BYTES => report.extend_from_slice(&bytes),
            Event::Closed { by_host } => break by_host,
            Event::Refused => break true,
            _ => {}
        }
    };
    session.close().await;
    match read_report(&String::from_utf8_lossy(&report)) {
        None if by_host => Stopped::Unconfirmed("the host did not say whether the command is gone".into()),
        None => Stopped::OutOfReach("the connection ended before the host said anything".into()),
        Some(stopped) => stopped,
    }
}

/// Start-up files of a shell may print around the report; only its own line counts.
fn read_report(text: &str) -> Option<Stopped> {
    Some(match text.lines().find_map(|line| line.strip_prefix("lictor-stop "))? {
        "none" => Stopped::NothingLeft,
        "gone" => Stopped::Gone,
        other => Stopped::Unconfirmed(format!("the host still has {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_survives_its_quotes_and_a_report_is_only_what_the_script_says() {
        let text = render(Quarry { invocation: InvocationId::from_bytes([1; 16]), session: Some(77) }, None);
        assert_eq!(text.matches('\'').count(), 2);
        assert!(!text.contains('\n') && text.contains(" lictor-stop 77 inv_"));
        let quarry = Quarry { invocation: InvocationId::from_bytes([1; 16]), session: Some(77) };
        assert_eq!((quarry.over(true).session, quarry.over(false).session), (None, Some(77)));
        assert_eq!(read_report("hello\nlictor-stop gone\n"), Some(Stopped::Gone));
        assert_eq!(read_report("lictor-stop none"), Some(Stopped::NothingLeft));
        assert!(matches!(read_report("lictor-stop survivors 1 2"), Some(Stopped::Unconfirmed(_))));
        assert_eq!(read_report(""), None);
    }
}
