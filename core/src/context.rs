//! In what a command runs besides its words: variables, a working directory, another login, standard input. Asked for as
//! fields, judged by policy, and never part of the command line.

mod refused;
mod shown;

use std::{collections::BTreeMap, fmt, str::FromStr};

pub use self::refused::{Refused, refused, refused_like};
use self::shown::is_shown;
use crate::{
    content::Content,
    digest::{Digest, Sha256Builder},
};

/// Most variables of one request: more belong in a file on the host.
pub const MAX_VARIABLES: usize = 64;
/// Longest name of a variable, in bytes; far above what programs look for.
pub const MAX_VARIABLE_NAME_BYTES: usize = 128;
/// Longest value of a variable, in bytes: as long as a word of a command may be.
pub const MAX_VALUE_BYTES: usize = 4 * 1024;
/// Longest environment, names and values together, in bytes. Quoted it becomes at most four times as long, and Linux
/// takes no text above 128 KiB as one argument of a login shell.
pub const MAX_ENVIRONMENT_BYTES: usize = 8 * 1024;
/// Longest working directory, in bytes: one less than Linux's PATH_MAX.
pub const MAX_DIRECTORY_BYTES: usize = 4095;
/// Longest login name, in bytes, as `useradd` takes it.
pub const MAX_LOGIN_BYTES: usize = 32;

/// In what a command runs. The default is nothing: the environment, home directory and login that the site's own user
/// gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Context {
    /// Variables that are set for it.
    pub environment: Environment,
    /// Where it starts. `None`: in the home directory of its login.
    pub working_directory: Option<Directory>,
    /// As whom it runs. `None`: as the user that the site logs in as.
    pub run_as: Option<LoginName>,
    /// What it reads from its standard input, or the file that an upload writes. `None`: nothing.
    pub stdin: Option<Content>,
}

/// Variables with their values: at most [`MAX_VARIABLES`], at most [`MAX_ENVIRONMENT_BYTES`] together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Environment(BTreeMap<VariableName, VariableValue>);

/// `[A-Za-z_][A-Za-z0-9_]*`, and none of the [refused](refused()).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableName(String);

/// At most [`MAX_VALUE_BYTES`], without control or invisible characters; may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableValue(String);

/// An absolute path in which every segment is a name: no `.`, `..`, `//`, and no slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Directory(String);

/// A POSIX user name (IEEE 1003.1, 3.437) that is no number and cannot be an option.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoginName(String);

/// Why something cannot be part of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidContext(String);

// === impl Context ===

impl Context {
    /// Nothing asked for.
    pub const fn none() -> &'static Self {
        static NONE: Context = Context {
            environment: Environment(BTreeMap::new()),
            working_directory: None,
            run_as: None,
            stdin: None,
        };
        &NONE
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        !self.shapes_process() && self.stdin.is_none()
    }

    /// Whether anything is asked for that the process has from its start: all but standard input.
    pub fn shapes_process(&self) -> bool {
        let Self { environment, working_directory, run_as, stdin: _ } = self;
        !environment.is_empty() || working_directory.is_some() || run_as.is_some()
    }

    /// Adds everything that is asked for; nothing of an empty context, so that what had none keeps its digest.
    #[must_use]
    pub fn digest_into(&self, mut builder: Sha256Builder) -> Sha256Builder {
        if self.is_empty() {
            return builder;
        }
        builder = builder.part(b"context").part(&(self.environment.0.len() as u64).to_be_bytes());
        for (name, value) in &self.environment.0 {
            builder = builder.part(name.0.as_bytes()).part(value.0.as_bytes());
        }
        // Neither is ever empty text.
        let text = |text: Option<&str>| text.unwrap_or_default().as_bytes().to_vec();
        builder = builder
            .part(&text(self.working_directory.as_ref().map(Directory::as_str)))
            .part(&text(self.run_as.as_ref().map(LoginName::as_str)));
        // Only where there is one: contexts from before there was any keep their digest.
        match &self.stdin {
            Some(content) => {
                builder.part(b"stdin").part(content.digest().as_bytes()).part(&content.bytes().to_be_bytes())
            }
            None => builder,
        }
    }

    /// The digest of a command in this context: the command's own where there is none. What travels beside a grant, so
    /// that an agent that knows no contexts refuses one instead of running the command without it.
    pub fn bind(&self, command: Digest) -> Digest {
        if self.is_empty() {
            return command;
        }
        let builder = Sha256Builder::new("lictor command in context v1").part(command.as_bytes());
        self.digest_into(builder).finish()
    }

    /// Each thing that is asked for, as people read it: `APP_ENV=prod`, `working_directory=/srv`, `run_as=deploy`.
    pub fn items(&self) -> Vec<String> {
        let variables = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let directory =
            self.working_directory.iter().map(|directory| format!("working_directory={directory}"));
        let login = self.run_as.iter().map(|login| format!("run_as={login}"));
        let stdin = self.stdin.iter().map(|content| format!("stdin={content}"));
        variables.chain(directory).chain(login).chain(stdin).collect()
    }
}

// === impl Environment ===

impl Environment {
    /// Sets a variable that is not set yet.
    ///
    /// # Errors
    /// When it is set already, or when there would be too much.
    pub fn insert(&mut self, name: VariableName, value: VariableValue) -> Result<(), InvalidContext> {
        if self.0.contains_key(&name) {
            return Err(InvalidContext(format!("the variable {name} is given twice")));
        }
        if self.0.len() >= MAX_VARIABLES {
            return Err(InvalidContext(format!("there are more than {MAX_VARIABLES} variables")));
        }
        if self.bytes() + name.0.len() + value.0.len() > MAX_ENVIRONMENT_BYTES {
            return Err(InvalidContext(format!(
                "the variables have more than {MAX_ENVIRONMENT_BYTES} bytes together; put them in a file on the host"
            )));
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// Reads variables from pairs of name and value.
    ///
    /// # Errors
    /// The first that cannot be set.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, InvalidContext> {
        let mut environment = Self::default();
        for (name, value) in pairs {
            environment.insert(VariableName::new(name.as_ref())?, VariableValue::new(value.as_ref())?)?;
        }
        Ok(environment)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&VariableName, &VariableValue)> {
        self.0.iter()
    }
    fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.0.len() + value.0.len()).sum()
    }
}

// === impl VariableName ===

impl VariableName {
    /// Checks `text` and makes it a name.
    ///
    /// # Errors
    /// When it is no name, or one of a variable that is refused.
    pub fn new(text: &str) -> Result<Self, InvalidContext> {
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            let shown = text.escape_debug();
            return Err(InvalidContext(format!(
                "`{shown}` is not the name of a variable: letters, digits and `_`, no digit first"
            )));
        }
        if text.len() > MAX_VARIABLE_NAME_BYTES {
            return Err(InvalidContext(format!(
                "the name of a variable has more than {MAX_VARIABLE_NAME_BYTES} characters"
            )));
        }
        match refused(text) {
            Some(why) => Err(InvalidContext(format!("the variable {text} cannot be set: {}", why.reason))),
            None => Ok(Self(text.to_owned())),
        }
    }
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl VariableValue ===

impl VariableValue {
    /// Checks `text` and makes it a value.
    ///
    /// # Errors
    /// When it is too long, or has a control or invisible character.
    pub fn new(text: &str) -> Result<Self, InvalidContext> {
        if text.len() > MAX_VALUE_BYTES {
            return Err(InvalidContext(format!("a value has more than {MAX_VALUE_BYTES} bytes")));
        }
        if !text.chars().all(is_shown) {
            return Err(InvalidContext("a value has a control or invisible character".into()));
        }
        Ok(Self(text.to_owned()))
    }
    /// The value as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Directory ===

impl Directory {
    /// Checks `text` and makes it a directory.
    ///
    /// # Errors
    /// When it is relative, not normalised, too long, or has a control or invisible character.
    pub fn new(text: &str) -> Result<Self, InvalidContext> {
        let names = |rest: &str| rest.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if text != "/" && !text.strip_prefix('/').is_some_and(names) {
            let shown = text.escape_debug();
            return Err(InvalidContext(format!(
                "`{shown}` is not an absolute path without `.`, `..`, `//` or a slash at its end"
            )));
        }
        if text.len() > MAX_DIRECTORY_BYTES {
            return Err(InvalidContext(format!(
                "a working directory has more than {MAX_DIRECTORY_BYTES} bytes"
            )));
        }
        if !text.chars().all(is_shown) {
            return Err(InvalidContext("a working directory has a control or invisible character".into()));
        }
        Ok(Self(text.to_owned()))
    }
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl LoginName ===

impl LoginName {
    /// Checks `text` and makes it a login name.
    ///
    /// # Errors
    /// When it is empty, too long, begins with other than a letter or `_`, or has a character outside `A-Za-z0-9._-`.
    pub fn new(text: &str) -> Result<Self, InvalidContext> {
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !starts || text.len() > MAX_LOGIN_BYTES || !text.bytes().all(plain) {
            let shown = text.escape_debug();
            return Err(InvalidContext(format!(
                "`{shown}` is not a login name: at most {MAX_LOGIN_BYTES} of letters, digits, `.`, `_` and `-`, a letter or `_` first"
            )));
        }
        Ok(Self(text.to_owned()))
    }
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = InvalidContext;
            fn from_str(text: &str) -> Result<Self, InvalidContext> {
                Self::new(text)
            }
        }
    )*};
}

as_text!(VariableName, VariableValue, Directory, LoginName);

impl fmt::Display for InvalidContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for InvalidContext {}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(variables: &[(&str, &str)], directory: Option<&str>, login: Option<&str>) -> Context {
        Context {
            environment: Environment::from_pairs(variables.iter().copied()).unwrap(),
            working_directory: directory.map(|text| Directory::new(text).unwrap()),
            run_as: login.map(|text| LoginName::new(text).unwrap()),
            stdin: None,
        }
    }

    #[test]
    fn only_names_of_variables_are_taken() {
        for good in ["LANG", "LC_ALL", "_x", "a1", "APP_ENV", "TZ", &"X".repeat(MAX_VARIABLE_NAME_BYTES)] {
            assert!(VariableName::new(good).is_ok(), "{good}");
        }
        for bad in
            ["", "1A", "A-B", "A B", "A=B", "Ä", "A\n", "a.b", &"X".repeat(MAX_VARIABLE_NAME_BYTES + 1)]
        {
            assert!(VariableName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_directory_is_absolute_and_normalised() {
        for good in ["/", "/srv/app", "/srv/a b", "/srv/..x", "/-x", "/é"] {
            assert!(Directory::new(good).is_ok(), "{good}");
        }
        for bad in
            ["", "srv", "./srv", "/srv/", "/srv/../etc", "/srv/.", "//srv", "/a\nb", "/a\u{202e}b", "~"]
        {
            assert!(Directory::new(bad).is_err(), "{bad}");
        }
        assert!(Directory::new(&format!("/{}", "x".repeat(MAX_DIRECTORY_BYTES))).is_err());
    }

    #[test]
    fn a_login_name_is_no_option_no_number_and_no_shell() {
        for good in ["root", "deploy", "www-data", "_apt", "j.doe", "User1"] {
            assert!(LoginName::new(good).is_ok(), "{good}");
        }
        for bad in
            ["", "-u", "0", "#0", "1000", "a b", "a;b", "a$", "$(id)", "ü", &"x".repeat(MAX_LOGIN_BYTES + 1)]
        {
            assert!(LoginName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_environment_is_bounded_and_says_each_variable_once() {
        assert!(Environment::from_pairs([("A", "1"), ("A", "2")]).is_err());
        let many = (0..=MAX_VARIABLES).map(|n| (format!("V{n}"), "x"));
        assert!(Environment::from_pairs(many.clone().take(MAX_VARIABLES)).is_ok());
        assert!(Environment::from_pairs(many).is_err());
        let long = "x".repeat(MAX_VALUE_BYTES);
        assert!(Environment::from_pairs([("A", &long)]).is_ok());
        assert!(Environment::from_pairs([("A", &long), ("B", &long)]).is_err(), "together they are too long");
        for bad in ["a\nb", "\0", "\u{7f}", "\u{200b}", &"x".repeat(MAX_VALUE_BYTES + 1)] {
            assert!(VariableValue::new(bad).is_err(), "{bad:?}");
        }
        assert!(VariableValue::new("").is_ok() && VariableValue::new("it's $HOME é 日").is_ok());
    }

    #[test]
    fn nothing_asked_for_changes_no_digest_and_whatever_is_asked_for_does() {
        let command = Digest::of(b"command");
        assert_eq!(Context::none().bind(command), command);
        assert!(Context::none().is_empty() && *Context::none() == Context::default());
        let given = |bytes: &[u8], of: Context| Context { stdin: Some(Content::of(bytes).unwrap()), ..of };
        let all = [
            given(b"a", Context::default()),
            given(b"b", Context::default()),
            given(b"a", context(&[("A", "1")], None, None)),
            context(&[("A", "1")], None, None),
            context(&[("A", "2")], None, None),
            context(&[("B", "1")], None, None),
            context(&[("A", "")], None, None),
            context(&[("A", "1"), ("B", "1")], None, None),
            context(&[], Some("/a"), None),
            context(&[], Some("/b"), None),
            context(&[], None, Some("a")),
            context(&[], None, Some("b")),
            context(&[("A", "1")], Some("/a"), Some("a")),
        ];
        let mut digests: Vec<Digest> = all.iter().map(|context| context.bind(command)).collect();
        digests.push(command);
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }
}
