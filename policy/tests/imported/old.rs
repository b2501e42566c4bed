//! mcp-ssh-orchestrator 1.0 in a few lines: what it decided about one command that is not split, as its text stood.

/// A rule: does it allow, and for which commands.
#[derive(Debug, Clone)]
pub(crate) struct OldRule {
    pub(crate) allow: bool,
    pub(crate) commands: Vec<String>,
}

/// Whether the command was allowed: no forbidden text, and the last rule that matches allows.
pub(crate) fn allows(rules: &[OldRule], forbidden: &[String], command: &str) -> bool {
    if forbidden.iter().any(|text| is_in(text, command)) {
        return false;
    }
    let matching = rules.iter().rev().find(|rule| rule.commands.iter().any(|glob| fnmatch(glob, command)));
    matching.is_some_and(|rule| rule.allow)
}

fn is_in(text: &str, command: &str) -> bool {
    if text.is_empty() {
        return false;
    }
    let unquoted: String = command.chars().filter(|c| !matches!(c, '\'' | '"')).collect();
    let mut unescaped = String::new();
    let mut chars = unquoted.chars();
    while let Some(c) = chars.next() {
        unescaped.extend(if c == '\\' { chars.next().or(Some(c)) } else { Some(c) });
    }
    let normal = unescaped.split_whitespace().collect::<Vec<_>>().join(" ");
    command.contains(text) || normal.contains(text) || normal.split(' ').any(|token| token == text.trim())
}

/// Python's `fnmatch`, by recursion over the text: slow and plain.
pub(crate) fn fnmatch(glob: &str, text: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    let text: Vec<char> = text.chars().collect();
    rest(&glob, &text)
}

fn rest(glob: &[char], text: &[char]) -> bool {
    match glob {
        [] => text.is_empty(),
        ['*', after @ ..] => (0..=text.len()).any(|skipped| rest(after, &text[skipped..])),
        ['?', after @ ..] => !text.is_empty() && rest(after, &text[1..]),
        ['[', after @ ..] => {
            let negated = usize::from(after.first() == Some(&'!'));
            let Some(end) = after.iter().skip(negated + 1).position(|c| *c == ']').map(|at| at + negated + 1)
            else {
                return text.first() == Some(&'[') && rest(after, &text[1..]);
            };
            let Some(c) = text.first() else { return false };
            let members = &after[negated..end];
            let mut found = false;
            let mut at = 0;
            while at < members.len() {
                if at + 2 < members.len() && members[at + 1] == '-' {
                    found |= (members[at]..=members[at + 2]).contains(c);
                    at += 3;
                } else {
                    found |= members[at] == *c;
                    at += 1;
                }
            }
            found != (negated == 1) && rest(&after[end + 1..], &text[1..])
        }
        [c, after @ ..] => text.first() == Some(c) && rest(after, &text[1..]),
    }
}
