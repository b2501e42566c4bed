//! Contexts, both ways: nothing asked for is an absent message.

use lictor_core::{
    content::Content,
    context::{Context, Environment, InvalidContext},
};

use super::{Invalid, digest};
use crate::pb;

/// A context as it travels; `None` for an empty one.
pub fn context_to_wire(context: &Context) -> Option<pb::Context> {
    if context.is_empty() {
        return None;
    }
    let Context { environment, working_directory, run_as, stdin } = context;
    let text = |text: Option<String>| text.unwrap_or_default();
    Some(pb::Context {
        environment: environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        working_directory: text(working_directory.as_ref().map(ToString::to_string)),
        run_as: text(run_as.as_ref().map(ToString::to_string)),
        stdin: stdin.map(content_to_wire),
    })
}

/// A context that came.
///
/// # Errors
/// [`Invalid`] for the first thing in it that nobody may ask for.
pub fn context_from_wire(wire: Option<pb::Context>) -> Result<Context, Invalid> {
    let Some(pb::Context { environment, working_directory, run_as, stdin }) = wire else {
        return Ok(Context::default());
    };
    // In order, so that the same request is always refused for the same reason.
    let mut pairs: Vec<(String, String)> = environment.into_iter().collect();
    pairs.sort_unstable();
    Ok(Context {
        environment: Environment::from_pairs(pairs).map_err(|e| Invalid::new("context.environment", e))?,
        working_directory: optional("context.working_directory", &working_directory)?,
        run_as: optional("context.run_as", &run_as)?,
        stdin: stdin.map(|content| content_from_wire("context.stdin", &content)).transpose()?,
    })
}

/// A content as it travels.
pub fn content_to_wire(content: Content) -> pb::Content {
    pb::Content { sha256: content.digest().as_bytes().to_vec(), bytes: content.bytes() }
}

/// A content that came in `field`.
///
/// # Errors
/// [`Invalid`] when its digest is none, or when it is too large.
pub fn content_from_wire(field: &'static str, wire: &pb::Content) -> Result<Content, Invalid> {
    Content::new(digest(field, &wire.sha256)?, wire.bytes).map_err(|e| Invalid::new(field, e))
}

fn optional<T>(field: &'static str, text: &str) -> Result<Option<T>, Invalid>
where
    T: std::str::FromStr<Err = InvalidContext>,
{
    (!text.is_empty()).then(|| text.parse().map_err(|e| Invalid::new(field, e))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_survives_the_wire_and_nothing_is_nothing() {
        let context = Context {
            environment: Environment::from_pairs([("LANG", "C"), ("APP_ENV", "it's")]).unwrap(),
            working_directory: Some("/srv/app".parse().unwrap()),
            run_as: Some("deploy".parse().unwrap()),
            stdin: Some(Content::of(b"a\0b").unwrap()),
        };
        assert_eq!(context_from_wire(context_to_wire(&context)), Ok(context));
        assert_eq!(context_to_wire(Context::none()), None);
        assert_eq!(context_from_wire(Some(pb::Context::default())), Ok(Context::default()));
    }

    #[test]
    fn what_nobody_may_ask_for_is_refused_by_field() {
        let variable = |name: &str, value: &str| pb::Context {
            environment: [(name.to_owned(), value.to_owned())].into(),
            ..pb::Context::default()
        };
        let directory = |text: &str| pb::Context { working_directory: text.into(), ..pb::Context::default() };
        let login = |text: &str| pb::Context { run_as: text.into(), ..pb::Context::default() };
        let stdin = |sha256: &[u8], bytes: u64| pb::Context {
            stdin: Some(pb::Content { sha256: sha256.to_vec(), bytes }),
            ..pb::Context::default()
        };
        for (wire, field) in [
            (stdin(&[1; 31], 1), "context.stdin"),
            (stdin(&[1; 32], 1 << 40), "context.stdin"),
            (variable("PATH", "/tmp"), "context.environment"),
            (variable("LD_PRELOAD", "/tmp/x.so"), "context.environment"),
            (variable("A B", "x"), "context.environment"),
            (variable("A", "x\ny"), "context.environment"),
            (directory("srv"), "context.working_directory"),
            (directory("/srv/../etc"), "context.working_directory"),
            (login("-u"), "context.run_as"),
            (login("#0"), "context.run_as"),
        ] {
            assert_eq!(context_from_wire(Some(wire)).map_err(|e| e.field()), Err(field));
        }
    }
}
