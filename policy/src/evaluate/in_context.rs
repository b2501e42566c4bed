//! A command that is allowed, but not with the variables, the directory or the login that is asked for.

use lictor_core::context::Context;

use super::{Permitted, denied, shorten, whom};
use crate::{
    decision::{Decision, DecisionCode},
    judging::Judging,
    rule::{Match, Rule},
};

// === impl Permitted ===

impl Permitted<'_, '_> {
    /// Whether some rule that permits the part permits the whole context too. Imported rules know of none.
    pub(super) fn permits(&self, context: &Context) -> bool {
        (context.is_empty() && self.imported.is_some())
            || self.rules.iter().any(|(rule, _)| rule.context.permits(context))
    }
}

/// The denial of a part that is allowed without its context. Of the rules that allow it, the one is named that lacks least.
pub(super) fn context_deny(judging: &Judging<'_>, part: &Permitted<'_, '_>) -> Decision {
    let context = judging.request.context;
    let lacking = |(rule, found): &(&Rule, Match<'_>)| {
        let items = rule.context.unpermitted(context);
        (items.len(), rule.id().clone(), items, rule.context.keys(), found.pattern.map(str::to_owned))
    };
    let nearest = part.rules.iter().map(lacking).min_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let text = part.simple.render();
    let command = format!("`{}` {}", shorten(&text), whom(judging.request));
    let (reason, hint, pattern) = match nearest {
        Some((_, rule, items, keys, pattern)) => {
            let reason = format!("rule `{rule}` allows {command}, but not with {}", listed(&items));
            let permitted: Vec<String> = keys
                .into_iter()
                .filter_map(|(key, entries)| Some(format!("{key}: {}", shorten(&entries?.join(", ")))))
                .collect();
            let hint = if permitted.is_empty() {
                "ask without it, or ask whoever keeps the policy for a rule that permits it".to_owned()
            } else {
                format!(
                    "rule `{rule}` permits {}; leave the rest out, or ask whoever keeps the policy",
                    permitted.join("; ")
                )
            };
            (reason, hint, pattern)
        }
        None => {
            let reason =
                format!("an imported rule allows {command}, but not with {}", listed(&context.items()));
            (reason, "ask without it; imported rules permit none".to_owned(), None)
        }
    };
    Decision { part: Some(text), pattern, ..denied(judging.set, DecisionCode::Context, reason, hint) }
}

/// Items of a context in a sentence.
fn listed(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("`{}`", shorten(item))).collect();
    shorten(&items.join(" and "))
}
