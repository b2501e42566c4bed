//! What a rule says of variables, working directories, logins and standard input.
//!
//! An allow rule permits none of them unless it lists them. Whatever else matches a command binds it all the same, with
//! its limits and the consent that it asks for: asking for a context only ever takes away. A deny rule that lists some is
//! about requests with one of them only.

use lictor_core::{
    content::{Content, MAX_CONTENT_BYTES},
    context::{Context, Directory, LoginName, VariableName, VariableValue, refused, refused_like},
};

use crate::pattern::{Kind, Test, deny, short};

/// The login that may do everything.
const ROOT: &str = "root";

/// What a rule lists; `None`: it says nothing of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct InContext {
    pub(crate) environment: Option<Vec<VariablePattern>>,
    pub(crate) working_directory: Option<Vec<DirectoryPattern>>,
    pub(crate) run_as: Option<Vec<LoginName>>,
    pub(crate) stdin: Option<StdinBound>,
}

/// How much standard input is permitted; in a deny rule, that there is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StdinBound {
    max_bytes: u64,
}

/// Variables, and which values.
#[derive(Debug, Clone)]
pub(crate) struct VariablePattern {
    name: Name,
    /// `None`: any.
    value: Option<Test>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Whole(String),
    Beginning(String),
}

/// Directories.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryPattern {
    test: Test,
    text: String,
}

// === impl InContext ===

impl InContext {
    /// Whether an allow rule permits all that is asked for.
    pub(crate) fn permits(&self, context: &Context) -> bool {
        context.is_empty() || self.unpermitted(context).is_empty()
    }

    /// What is asked for and not permitted, as people read it.
    pub(crate) fn unpermitted(&self, context: &Context) -> Vec<String> {
        let Context { environment, working_directory, run_as, stdin } = context;
        let variables = environment.iter().filter(|(name, value)| {
            !self.environment.iter().flatten().any(|pattern| pattern.permits(name, value))
        });
        let mut items: Vec<String> = variables.map(|(name, value)| format!("{name}={value}")).collect();
        let directory = working_directory.as_ref().filter(|directory| {
            !self.working_directory.iter().flatten().any(|pattern| pattern.permits(directory))
        });
        items.extend(directory.map(|directory| format!("working_directory={directory}")));
        let login =
            run_as.as_ref().filter(|login| !self.run_as.iter().flatten().any(|other| other == *login));
        items.extend(login.map(|login| format!("run_as={login}")));
        let stdin = stdin.filter(|content| !self.stdin.is_some_and(|bound| bound.permits(*content)));
        items.extend(stdin.map(|content| format!("stdin={content}")));
        items
    }

    /// Whether a deny rule is about a request with this context: of each key that it has, some entry is asked for.
    pub(crate) fn concerns(&self, context: &Context) -> bool {
        let Context { environment, working_directory, run_as, stdin } = context;
        let variables = self.environment.as_ref().is_none_or(|patterns| {
            environment.iter().any(|(name, value)| patterns.iter().any(|pattern| pattern.denies(name, value)))
        });
        let directory = self.working_directory.as_ref().is_none_or(|patterns| {
            working_directory.iter().any(|directory| patterns.iter().any(|pattern| pattern.denies(directory)))
        });
        let login =
            self.run_as.as_ref().is_none_or(|logins| run_as.iter().any(|login| logins.contains(login)));
        variables && directory && login && (self.stdin.is_none() || stdin.is_some())
    }

    /// Whether it says nothing of any.
    pub(crate) const fn is_silent(&self) -> bool {
        let Self { environment, working_directory, run_as, stdin } = self;
        environment.is_none() && working_directory.is_none() && run_as.is_none() && stdin.is_none()
    }

    /// Whether it names the login that may do everything.
    pub(crate) fn names_root(&self) -> bool {
        self.run_as.iter().flatten().any(|login| login.as_str() == ROOT)
    }

    /// Each key with its entries as the file has them.
    pub(crate) fn keys(&self) -> [(&'static str, Option<Vec<String>>); 4] {
        let Self { environment, working_directory, run_as, stdin } = self;
        let variables = |list: &Vec<VariablePattern>| list.iter().map(|entry| entry.text.clone()).collect();
        let directories =
            |list: &Vec<DirectoryPattern>| list.iter().map(|entry| entry.text.clone()).collect();
        let logins = |list: &Vec<LoginName>| list.iter().map(ToString::to_string).collect();
        [
            ("environment", environment.as_ref().map(variables)),
            ("working_directory", working_directory.as_ref().map(directories)),
            ("run_as", run_as.as_ref().map(logins)),
            ("stdin", stdin.map(|bound| vec![bound.to_string()])),
        ]
    }
}

// === impl StdinBound ===

impl StdinBound {
    /// As much as can be given.
    pub(crate) const ANY: Self = Self { max_bytes: MAX_CONTENT_BYTES };

    /// At most `max_bytes`.
    pub(crate) fn at_most(max_bytes: u64) -> Result<Self, String> {
        if (1..=MAX_CONTENT_BYTES).contains(&max_bytes) {
            return Ok(Self { max_bytes });
        }
        Err(format!("`max_bytes` is {max_bytes}; write 1 to {MAX_CONTENT_BYTES}, or leave `stdin` out"))
    }

    const fn permits(self, content: Content) -> bool {
        content.bytes() <= self.max_bytes
    }
}

impl std::fmt::Display for StdinBound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at most {} bytes", self.max_bytes)
    }
}

// === impl VariablePattern ===

impl VariablePattern {
    /// Reads `NAME`, `BEGINNING_*`, `NAME=value` or `NAME=<slot>`. What an allow rule permits must not meet a name that is
    /// refused in any request.
    pub(crate) fn parse(text: &str, deny: bool) -> Result<Self, String> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let beginning = name.strip_suffix('*');
        let letters = beginning.unwrap_or(name);
        let is_name = letters.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && letters.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let everything = deny && name == "*";
        if !is_name && !everything {
            return Err(format!(
                "`{text}` is not a variable; write NAME, BEGINNING_*, NAME=value or NAME=<slot>"
            ));
        }
        let refusal = match beginning {
            // A deny rule may be about more than anybody can ask for.
            Some(_) if deny => None,
            Some(beginning) => refused_like(beginning),
            None => refused(name),
        };
        if let Some(why) = refusal {
            let what = if beginning.is_some() { "covers" } else { "is" };
            return Err(format!(
                "`{text}` {what} {}, which no request can set: {}; name other variables",
                why.name, why.reason
            ));
        }
        let value =
            value.map(|text| if text.is_empty() { Ok(Test::Literal(String::new())) } else { word(text) });
        let name = beginning.map_or_else(|| Name::Whole(name.into()), |text| Name::Beginning(text.into()));
        Ok(Self { name, value: value.transpose()?, text: text.into() })
    }

    fn permits(&self, name: &VariableName, value: &VariableValue) -> bool {
        self.name.is(name) && self.value.as_ref().is_none_or(|test| test.accepts(value.as_str()))
    }
    fn denies(&self, name: &VariableName, value: &VariableValue) -> bool {
        self.name.is(name) && self.value.as_ref().is_none_or(|test| deny::may_be(test, value.as_str()))
    }
}

impl Name {
    fn is(&self, name: &VariableName) -> bool {
        match self {
            Self::Whole(text) => text == name.as_str(),
            Self::Beginning(text) => name.as_str().starts_with(text.as_str()),
        }
    }
}

// === impl DirectoryPattern ===

impl DirectoryPattern {
    /// Reads `/srv/app`, `<path:/srv/app>` or `/srv/<name>`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let test = word(text)?;
        let is_bounded = match &test {
            Test::Literal(path) => Directory::new(path).map(|_| true).map_err(|why| why.to_string())?,
            Test::Slot { prefix, kind, .. } => {
                prefix.starts_with('/')
                    || prefix.is_empty()
                        && matches!(kind, Kind::Path(_) | Kind::OneOf(_) | Kind::Regex { .. })
            }
        };
        if !is_bounded {
            return Err(format!(
                "`{text}` is any directory; write an absolute path, or `<path:/srv/app>` for one and all under it"
            ));
        }
        Ok(Self { test, text: text.into() })
    }

    fn permits(&self, directory: &Directory) -> bool {
        self.test.accepts(directory.as_str())
    }
    fn denies(&self, directory: &Directory) -> bool {
        deny::may_be(&self.test, directory.as_str())
    }
}

fn word(text: &str) -> Result<Test, String> {
    short::parse_word(text).map_err(|why| format!("`{text}`: {why}"))
}
