//! How long what jobs leave is kept, and who wants less kept.

use lictor_core::{
    clock::Timestamp,
    retention::{RetentionLimits, RetentionStanding, Shortening},
};

use super::{
    bytes::one_line,
    style::{Style, Tone},
    table::{Cell, Table},
    time,
};

/// How whoever agrees says so.
const AGREE: &str = "lictor audit retention shorten";

/// The limits in force beside those of the file, and what waits.
pub(crate) fn standing(standing: &RetentionStanding, now: Timestamp, style: Style) -> String {
    let RetentionStanding { in_force, file, asked } = standing;
    let mut table = Table::new(&["LIMIT", "IN FORCE", "FILE"]);
    for ((name, in_force), (_, file)) in in_force.named().into_iter().zip(file.named()) {
        let tone = if in_force == file { Tone::Plain } else { Tone::Warn };
        table.row([Cell::new(name), Cell::new(in_force).tone(Tone::Strong), Cell::new(file).tone(tone)]);
    }
    let waits = match asked {
        _ if in_force == file => String::new(),
        Some(asked) => asked_for(asked, now, style),
        None => format!(
            "{} the file's limits are in force when two operators agree: {}\n",
            style.paint(Tone::Warn, "waits:"),
            style.paint(Tone::Accent, &format!("{AGREE} --reason TEXT"))
        ),
    };
    table.render(style, 0) + &waits
}

fn asked_for(asked: &Shortening, now: Timestamp, style: Style) -> String {
    let Shortening { by, reason, at, .. } = asked;
    format!(
        "{} {by} wants the file's limits in force ({}): {}\nanother operator consents until {}: {}\n",
        style.paint(Tone::Warn, "asked:"),
        time::ago(*at, now),
        one_line(reason.as_str()),
        time::moment(asked.expires_at()),
        style.paint(Tone::Accent, &consent(&asked.limits))
    )
}

/// What whoever consents to these limits types.
fn consent(limits: &RetentionLimits) -> String {
    format!("{AGREE} --limits '{limits}'")
}

/// What became of asking for less to be kept.
pub(crate) fn shorten(standing: &RetentionStanding, shortened: bool, style: Style) -> String {
    let RetentionStanding { in_force, file, .. } = standing;
    if shortened {
        return format!("{} {in_force}\n", style.paint(Tone::Good, "in force:"));
    }
    format!(
        "{} {file}\n{in_force} stays until another operator consents: {}\n",
        style.paint(Tone::Warn, "asked:"),
        style.paint(Tone::Accent, &consent(file))
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lictor_core::{
        name::{PrincipalName, TenantName},
        principal::{Principal, PrincipalKind},
    };

    use super::*;

    #[test]
    fn what_waits_says_who_asked_and_how_another_operator_consents() {
        let noon = Timestamp::from_micros(1_795_348_800_000_000);
        let in_force = RetentionLimits::default();
        let file = RetentionLimits { output_age: Duration::from_secs(10 * 86_400), ..in_force };
        let ada = Principal {
            tenant: TenantName::new("default").unwrap(),
            kind: PrincipalKind::User,
            name: PrincipalName::new("ada").unwrap(),
        };
        let asked =
            Shortening { limits: file, by: ada, reason: "the disk is full".parse().unwrap(), at: noon };
        let show = |file, asked: Option<&Shortening>| {
            let now = noon.plus(Duration::from_secs(20));
            let shown = RetentionStanding { in_force, file, asked: asked.cloned() };
            standing(&shown, now, Style::PLAIN)
        };
        let table = |age: &str| {
            format!(
                "LIMIT          IN FORCE  FILE\noutputs.age    30d       {age}\noutputs.bytes  20GiB     20GiB\n\
                 jobs.age       90d       90d\npayloads.age   for ever  for ever\n"
            )
        };
        assert_eq!(show(in_force, None), table("30d"));
        let waits = "waits: the file's limits are in force when two operators agree: \
            lictor audit retention shorten --reason TEXT\n";
        assert_eq!(show(file, None), table("10d") + waits);
        let waits = "asked: user:ada wants the file's limits in force (20 s ago): the disk is full\n\
            another operator consents until 2026-11-29 12:00:00: lictor audit retention shorten \
            --limits 'outputs.age=10d outputs.bytes=20GiB jobs.age=90d payloads.age=for ever'\n";
        assert_eq!(show(file, Some(&asked)), table("10d") + waits);
    }
}
