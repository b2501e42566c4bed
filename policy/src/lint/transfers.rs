//! Rules for uploads that no upload fits, because none comes without content.

use lictor_core::transfer::UPLOAD;

use super::{Finding, Found};
use crate::{
    decision::Effect,
    pattern::{Pattern, Test},
    rule::Rule,
};

/// The patterns of uploads in a rule that permits no content.
pub(super) fn without_content<'a>(rule: &Rule, patterns: &'a [Pattern]) -> impl Iterator<Item = Found> + 'a {
    let lacks = rule.effect() != Effect::Deny && rule.context.stdin.is_none();
    let uploads = patterns.iter().enumerate().filter(move |(_, pattern)| lacks && is_upload(pattern));
    uploads.map(|(index, _)| {
        let why = format!("an `{UPLOAD}` always has content, and the rule has no `stdin`");
        Found { finding: Finding::NeverMatches, pattern: Some(index), why }
    })
}

fn is_upload(pattern: &Pattern) -> bool {
    let program = pattern.elements().first().map(|element| &element.test);
    matches!(program, Some(Test::Literal(text)) if text == UPLOAD)
}
