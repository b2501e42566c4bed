//! Conditions: an expression in CEL (Common Expression Language) about the request, true or false.
//!
//! | variable | type |
//! |---|---|
//! | `principal` | `{name, kind ("user" or "service"), groups: [string]}` |
//! | `via` | `"cli"`, `"mcp"` or `"api"` |
//! | `host` | `{alias, site, tags: [string], labels: {string: string}}` |
//! | `command` | `{line, programs: [string], parts: [[string]]}` |
//! | `requested` | `{timeout_seconds, output_bytes}`, 0 where the caller left it open |

use std::{collections::HashMap, fmt, sync::Arc};

use cel::{Context, ExecutionError, Program, Value};
use lictor_core::name::GroupName;

use crate::request::Request;

/// Longest expression: more is a rule of its own.
pub(crate) const MAX_CONDITION_BYTES: usize = 1024;
/// Deepest brackets, far below what a small stack can parse.
const MAX_CONDITION_DEPTH: usize = 16;
/// Most loops (`all`, `exists`, …) in one expression: each may go over 128 words, so that two nested ones stay at
/// some ten thousand steps.
const MAX_CONDITION_LOOPS: usize = 2;
/// What makes a loop.
const LOOPS: [&str; 6] = [".all(", ".exists(", ".exists_one(", ".map(", ".filter(", ".existsOne("];
/// The variables there are.
const VARIABLES: [&str; 5] = ["principal", "via", "host", "command", "requested"];

/// A checked condition.
pub(crate) struct Condition {
    source: String,
    program: Program,
}

/// The variables of one request, made once however many conditions ask for them.
pub(crate) struct Facts(Context<'static, 'static>);

// === impl Condition ===

impl Condition {
    /// Reads an expression and tries it on an example, so that an unknown name or a wrong type is found here.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        bounded(source)?;
        let program = Program::compile(source).map_err(|errors| {
            let first = errors.errors.first().map_or_else(|| errors.to_string(), |e| e.msg.clone());
            format!("`condition` is not a CEL expression: {}", first.lines().next().unwrap_or_default())
        })?;
        if let Some(unknown) =
            program.references().variables().into_iter().find(|name| !VARIABLES.contains(name))
        {
            return Err(format!("`condition` uses `{unknown}`; there are {}", VARIABLES.join(", ")));
        }
        let condition = Self { source: source.to_owned(), program };
        match condition.program.execute(&Facts::example().0) {
            // The example has fewer words than a command may have.
            Ok(Value::Bool(_)) | Err(ExecutionError::IndexOutOfBounds(_)) => Ok(condition),
            Ok(other) => Err(format!("`condition` gives {}, not true or false", other.type_of())),
            Err(error @ ExecutionError::NoSuchKey(_)) if source.contains("labels") => Err(format!(
                "`condition` cannot be evaluated: {error}; a host may have no such label: ask first, as in `\"env\" in \
                 host.labels && host.labels[\"env\"] == \"prod\"`"
            )),
            Err(error) => Err(format!("`condition` cannot be evaluated: {error}")),
        }
    }

    /// Whether it is true of a request.
    ///
    /// # Errors
    /// When it has no truth value there, e.g. an index behind the end of a list.
    pub(crate) fn holds(&self, facts: &Facts) -> Result<bool, String> {
        match self.program.execute(&facts.0) {
            Ok(Value::Bool(value)) => Ok(value),
            Ok(other) => Err(format!("it gives {}, not true or false", other.type_of())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The expression as it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.source).finish()
    }
}

fn bounded(source: &str) -> Result<(), String> {
    if source.len() > MAX_CONDITION_BYTES {
        return Err(format!("`condition` is longer than {MAX_CONDITION_BYTES} bytes"));
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    // Signs and conditionals nest without brackets.
    let signs = source.matches(['!', '-', '?']).count();
    if deepest > MAX_CONDITION_DEPTH || signs > MAX_CONDITION_DEPTH {
        return Err(format!("`condition` is nested deeper than {MAX_CONDITION_DEPTH}; split the rule"));
    }
    let dense: String = source.chars().filter(|c| !c.is_whitespace()).collect();
    if LOOPS.iter().map(|name| dense.matches(name).count()).sum::<usize>() > MAX_CONDITION_LOOPS {
        return Err(format!("`condition` has more than {MAX_CONDITION_LOOPS} loops; split the rule"));
    }
    Ok(())
}

// === impl Facts ===

impl Facts {
    /// The variables of a request by a member of `groups`.
    pub(crate) fn of(request: &Request<'_>, groups: &[&GroupName]) -> Self {
        let parts: Vec<Value> = request
            .command
            .simples()
            .map(|simple| list(simple.words().iter().map(lictor_core::command::Word::as_str)))
            .collect();
        let programs = request.command.simples().filter_map(|simple| Some(simple.words().first()?.as_str()));
        let tags = request.host.tags.iter().map(lictor_core::name::Tag::as_str);
        let labels = request.host.labels.iter().map(|(key, value)| (key.as_str(), text(value.as_str())));
        let seconds = request.requested.timeout.map_or(0, |t| t.as_secs());
        Self::new([
            (
                "principal",
                map([
                    ("name", text(request.principal.name.as_str())),
                    ("kind", text(request.principal.kind.as_str())),
                    ("groups", list(groups.iter().map(|group| group.as_str()))),
                ]),
            ),
            ("via", text(request.via.as_str())),
            (
                "host",
                map([
                    ("alias", text(request.host.alias.as_str())),
                    ("site", text(request.host.site.as_str())),
                    ("tags", list(tags)),
                    ("labels", map(labels)),
                ]),
            ),
            (
                "command",
                map([
                    ("line", text(&request.command.render())),
                    ("programs", list(programs)),
                    ("parts", Value::List(Arc::new(parts))),
                ]),
            ),
            (
                "requested",
                map([
                    ("timeout_seconds", number(seconds)),
                    ("output_bytes", number(request.requested.output_bytes.unwrap_or(0))),
                ]),
            ),
        ])
    }

    fn example() -> Self {
        Self::new([
            ("principal", map([("name", text("a")), ("kind", text("user")), ("groups", list(["a"]))])),
            ("via", text("cli")),
            (
                "host",
                map([
                    ("alias", text("a")),
                    ("site", text("a")),
                    ("tags", list(["a"])),
                    ("labels", map([("a", text("a"))])),
                ]),
            ),
            (
                "command",
                map([
                    ("line", text("a a a a")),
                    ("programs", list(["a"])),
                    ("parts", Value::List(Arc::new(vec![list(["a", "a", "a", "a"])]))),
                ]),
            ),
            ("requested", map([("timeout_seconds", number(1)), ("output_bytes", number(1))])),
        ])
    }

    fn new(variables: [(&'static str, Value); VARIABLES.len()]) -> Self {
        let mut context = Context::default();
        for (name, value) in variables {
            context.add_variable_from_value(name, value);
        }
        Self(context)
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Facts")
    }
}

fn text(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn number(value: u64) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::List(Arc::new(texts.into_iter().map(text).collect()))
}

fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let entries: HashMap<String, Value> =
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Value::Map(entries.into())
}
