//! `lictor sites`: every site, with its hosts and agents counted.

use lictor_runtime::exit::Exit;

use crate::{
    Done,
    context::Context,
    render::{fleet, json::SiteDocument},
};

/// Runs the verb.
pub(crate) async fn run(context: &Context) -> Done {
    let sites = context.connect()?.client().sites().await?;
    let documents: Vec<SiteDocument> = sites.iter().map(Into::into).collect();
    context.show(&documents, |style| fleet::sites(&sites, style))?;
    Ok(Exit::Ok.into())
}
