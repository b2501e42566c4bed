//! Programs that the caller could start although the rule does not name them.

use super::{
    programs::{Program, Way},
    subject::{Subject, is_closed, is_option, is_plain_operand, is_wide, operands},
};
use crate::pattern::{Element, Kind, Test};

/// Why the pattern lets its caller start a program that the rule does not name; `None` when it does not.
pub(crate) fn starts_programs(subject: &Subject<'_>) -> Option<String> {
    subject.known().find_map(|(name, program)| {
        if program.starts.contains(&Way::Input) {
            return Some(format!("`{name}` takes operands from its input, which no pattern covers"));
        }
        if program.starts.contains(&Way::Operand(1)) {
            return runs_others(name, program, subject.args);
        }
        can_escape(name, program, subject.args)
    })
}

fn runs_others(name: &str, program: &Program, args: &[Element]) -> Option<String> {
    let only_prints =
        |arg: &Element| matches!(&arg.test, Test::Literal(option) if program.only_prints.contains(option));
    let stays = |arg: &Element| arg.skip_to.is_none();
    if args.iter().all(only_prints) && args.iter().any(stays) {
        return None;
    }
    if !args.iter().any(|arg| is_plain_operand(arg) || is_closed(arg)) {
        return Some(format!("`{name}` without an operand runs what it reads from its input"));
    }
    let open =
        args.iter().any(|arg| !matches!(arg.test, Test::Literal(_)) && (arg.repeat || !is_closed(arg)));
    open.then(|| {
        format!("`{name}` runs what its operands say, and the pattern leaves one of them to the caller")
    })
}

fn can_escape(name: &str, program: &Program, args: &[Element]) -> Option<String> {
    if args.is_empty() && program.starts.contains(&Way::Alone) {
        return Some(format!("`{name}` by its bare name can be talked into starting programs"));
    }
    let by_word = program.starts.contains(&Way::Word);
    let commands: Vec<&str> = program.starts.iter().filter_map(Way::subcommand).collect();
    if !by_word && commands.is_empty() {
        return None;
    }
    let first = operands(args, program).next();
    // Behind a subcommand that starts nothing, many operands are no more than one.
    let is_harmless = !by_word
        && first.is_some_and(|(_, arg)| {
            matches!(arg.test, Test::Literal(_)) && !commands.iter().any(|command| arg.test.accepts(command))
        });
    let first = first.map(|(index, _)| index);
    let open = args.iter().enumerate().any(|(index, arg)| match &arg.test {
        Test::Literal(_) => false,
        Test::Slot { kind, .. } => {
            matches!(kind, Kind::Any)
                || (matches!(kind, Kind::Regex { .. }) && (is_wide(kind) || kind.admits_leading_dash()))
                || (arg.repeat && !is_closed(arg) && !is_harmless)
                || (first == Some(index) && is_any_command(arg, by_word, &commands))
        }
    });
    open.then(|| format!("`{name}` can start programs, and the pattern leaves free words to the caller"))
}

/// Whether the place, that of a subcommand, is for one that starts programs.
fn is_any_command(element: &Element, by_word: bool, commands: &[&str]) -> bool {
    match &element.test {
        Test::Slot { kind: Kind::Word | Kind::Regex { .. }, .. } if by_word && !is_option(element) => true,
        Test::Slot { kind: Kind::Word | Kind::Regex { .. }, .. } => {
            commands.iter().any(|command| element.test.accepts(command))
        }
        _ => false,
    }
}
