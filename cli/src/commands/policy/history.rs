//! `lictor policy history`: the versions that have been in force.

use lictor_runtime::exit::Exit;

use crate::{Done, context::Context, render::policy::history};

/// Versions shown when the arguments do not say: a screen.
pub(super) const DEFAULT_VERSIONS: usize = 20;
/// Most versions in one answer: the controller's largest page.
const MAX_PAGE: usize = 100;

/// Shows the newest `n` versions.
pub(super) async fn run(n: usize, context: &Context) -> Done {
    let connected = context.connect()?;
    let (mut versions, mut page) = (Vec::new(), None);
    while versions.len() < n {
        let wanted = u32::try_from((n - versions.len()).min(MAX_PAGE)).unwrap_or(u32::MAX);
        let answer = connected.operator.policy_history(wanted, page.as_deref()).await?;
        let none = answer.versions.is_empty();
        versions.extend(answer.versions);
        page = answer.next_page;
        if page.is_none() || none {
            break;
        }
    }
    versions.truncate(n);
    let documents: Vec<history::Document> = versions.iter().map(Into::into).collect();
    context.show(&documents, |style| history::text(&documents, style))?;
    Ok(Exit::Ok.into())
}
