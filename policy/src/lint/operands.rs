//! What free operands reach: programs, files, pagers.

use super::{
    programs::Program,
    reach::{self, By, Reached},
    subject::{Openness, Subject},
};
use crate::pattern::long;

/// Why a place leaves to the caller what is started, loaded, written or sent; `None` when none does.
pub(crate) fn free_operand(subject: &Subject<'_>) -> Option<String> {
    subject.known().find_map(|(name, program)| {
        let runs = [(&program.starts, "starts programs"), (&program.loads, "loads code")];
        let runs = runs.into_iter().find_map(|(ways, does)| {
            let found = reach::reached(program, ways, subject.args);
            found
                .iter()
                .find(|reached| lets_run(reached, subject))
                .map(|reached| because(name, does, reached))
        });
        let changes = [(&program.writes, "writes files"), (&program.network, "sends data")];
        runs.or_else(|| {
            changes.into_iter().find_map(|(ways, does)| {
                let found = reach::reached(program, ways, subject.args);
                let free = found.iter().find(|reached| reached.openness == Openness::Free);
                free.map(|reached| because(name, does, reached))
            })
        })
    })
}

/// Why any file of the host may be written; a free operand is found by [`free_operand`].
pub(crate) fn writes_files(subject: &Subject<'_>) -> Option<String> {
    subject.known().find_map(|(name, program)| {
        let found = reach::reached(program, &program.writes, subject.args);
        let any = found.iter().find(|reached| reached.openness == Openness::AnyPath);
        any.map(|reached| because(name, "writes files", reached))
    })
}

/// Why any file of the host may be read.
pub(crate) fn reads_any_file(subject: &Subject<'_>) -> Option<String> {
    subject.known().find_map(|(name, program)| {
        let found = reach::reached(program, &program.reads, subject.args);
        let any = found.iter().find(|reached| reached.openness >= Openness::AnyPath && reached.by_itself());
        any.map(|reached| because(name, "reads files", reached))
    })
}

/// Why a pager may open.
pub(crate) fn opens_pager(subject: &Subject<'_>) -> Option<String> {
    subject.known().find_map(|(name, program)| {
        let opens = reach::is_used(program, &program.pager, subject.args)
            && !reach::has_option(program, &program.no_pager, subject.args);
        opens.then(|| {
            format!(
                "`{name}` opens a pager or an editor on a terminal, from which a shell can be started{}",
                instead(program)
            )
        })
    })
}

fn instead(program: &Program) -> String {
    match program.no_pager.first() {
        Some(option) => format!("; `{option}` keeps it away"),
        None => String::new(),
    }
}

/// Whether the caller chooses code: by whatever is not a closed list as the value of an option, by a free word that
/// ends the command behind a subcommand. Operands are the matter of `starts-programs`.
fn lets_run(reached: &Reached<'_>, subject: &Subject<'_>) -> bool {
    match reached.by {
        By::Value(_) => reached.openness > Openness::Closed,
        By::Command(_) => {
            reached.openness >= Openness::AnyPath && !reach::is_followed_by_fixed(subject.args, reached.place)
        }
        By::Operand => reached.openness >= Openness::AnyPath,
        By::Beside(_) => false,
    }
}

fn because(name: &str, does: &str, reached: &Reached<'_>) -> String {
    let slot = long::describe(reached.element);
    match reached.by {
        By::Operand => {
            format!("`{name}` {does} that its operands name, and `{slot}` leaves one to the caller")
        }
        By::Value(option) => {
            format!("`{name}` {does} by `{option}`, and `{slot}` leaves its value to the caller")
        }
        By::Command(command) => {
            format!("`{name} {command}` {does}, and `{slot}` leaves a word of it to the caller")
        }
        By::Beside(option) => {
            format!("`{name}` {does} with `{option}`, and `{slot}` leaves which to the caller")
        }
    }
}

// === impl Reached ===

impl Reached<'_> {
    /// Whether it does so wherever an option stands.
    fn by_itself(&self) -> bool {
        !matches!(self.by, By::Beside(_))
    }
}
