//! The spellings in which a command is held against deny globs and forbidden text.

use lictor_core::command::{Command, Pipeline, Simple};

use super::{
    meets::Line,
    symbols::{self, Symbol, Symbols},
    wrapped::{self, Run},
};

/// One spelling of one command.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) line: Line,
    /// The line's text, when it has no globs.
    pub(crate) text: Option<String>,
    /// Its program is a glob.
    pub(crate) open_program: bool,
    /// It ends with `2>&1`.
    pub(crate) redirects: bool,
    /// The program that runs it.
    pub(crate) by: Option<String>,
}

/// Everything that a deny rule has to see of a command.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// Each simple command on its own.
    pub(crate) forms: Vec<Form>,
    /// Whole lines of several, without blanks around what joins them.
    pub(crate) wholes: Vec<Form>,
    /// The simple commands, word by word.
    pub(crate) runs: Vec<Run>,
    /// The program that runs what cannot be known.
    pub(crate) opaque: Option<String>,
}

// === impl View ===

impl View {
    /// One simple command with all that it runs.
    pub(crate) fn of_simple(simple: &Simple) -> Self {
        let found = wrapped::runs(simple);
        let wholes = found.texts.iter().flat_map(|(command, by)| wholes(command, Some(by)));
        Self {
            wholes: wholes.collect(),
            forms: found.runs.iter().flat_map(forms).collect(),
            runs: found.runs,
            opaque: found.opaque,
        }
    }

    /// What only the whole line shows.
    pub(crate) fn of_command(command: &Command) -> Self {
        Self { wholes: wholes(command, None), ..Self::default() }
    }
}

/// The spellings of one command: as it is, quoted as it would be sent, without any quotes, with paths made plain, and
/// each with the program's name alone.
fn forms(run: &Run) -> Vec<Form> {
    let as_is = run.words.clone();
    let unquoted: Vec<Symbols> =
        as_is.iter().map(|word| without_quotes(word)).filter(|word| !word.is_empty()).collect();
    let plain = unquoted.iter().map(|word| plain_path(word)).collect();
    let quoted = as_is.iter().map(|word| quote(word)).collect();
    let mut spellings: Vec<Vec<Symbols>> = Vec::new();
    for spelling in [as_is, unquoted, plain] {
        let short = with_base_name(&spelling);
        spellings.extend([spelling, short]);
    }
    spellings.push(quoted);
    spellings.extend(without_options(&run.words));
    let mut lines: Vec<Line> = Vec::new();
    for spelling in &spellings {
        let line = join(spelling);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let open_program = run.words.first().is_some_and(|program| !symbols::is_literal(program));
    let form = |line: Line, redirects: bool| Form {
        text: symbols::literal(&line.symbols),
        line,
        open_program,
        redirects,
        by: run.by.clone(),
    };
    let redirected = lines.first().filter(|_| run.redirects).map(|line| {
        let mut line = line.clone();
        line.symbols.extend(symbols::of_text(" 2>&1"));
        form(line, true)
    });
    lines.iter().map(|line| form(line.clone(), false)).chain(redirected).collect()
}

/// The words without options, and without what may be their values too: an option between two words of a deny glob is
/// no way around it. Nothing when there is no option.
fn without_options(words: &[Symbols]) -> Vec<Vec<Symbols>> {
    let is_option = |word: &Symbols| symbols::starts_with(word, '-') && word.len() > 1;
    if !words.iter().skip(1).any(is_option) {
        return Vec::new();
    }
    let program = || words.iter().take(1).cloned();
    let rest = || words.iter().skip(1);
    let bare: Vec<Symbols> = program().chain(rest().filter(|word| !is_option(word)).cloned()).collect();
    let mut after_option = false;
    let values = rest().filter(|word| {
        let is_value = after_option;
        after_option = is_option(word) && !symbols::has(word, '=');
        !is_value && !is_option(word)
    });
    let barest: Vec<Symbols> = program().chain(values.cloned()).collect();
    vec![bare, barest]
}

fn wholes(command: &Command, by: Option<&String>) -> Vec<Form> {
    let is_one = command.simples().count() == 1;
    if is_one {
        return Vec::new();
    }
    let spellings: [fn(&[Symbol]) -> Symbols; 2] = [<[Symbol]>::to_vec, without_quotes];
    let form = |spell: fn(&[Symbol]) -> Symbols| {
        let mut line = Line { symbols: Vec::new(), globbed: Vec::new() };
        push_pipeline(&mut line, command.first(), spell);
        for (joiner, pipeline) in command.rest() {
            line.symbols.extend(symbols::of_text(joiner.as_str()));
            push_pipeline(&mut line, pipeline, spell);
        }
        Form {
            text: symbols::literal(&line.symbols),
            line,
            open_program: false,
            redirects: true,
            by: by.cloned(),
        }
    };
    spellings.into_iter().map(form).collect()
}

fn push_pipeline(line: &mut Line, pipeline: &Pipeline, spell: fn(&[Symbol]) -> Symbols) {
    for (stage, simple) in pipeline.stages().iter().enumerate() {
        if stage > 0 {
            line.symbols.push(Symbol::Char('|'));
        }
        let words: Vec<Symbols> = symbols::of_simple(simple).iter().map(|word| spell(word)).collect();
        push_words(line, &words);
        if simple.stderr_to_stdout() {
            line.symbols.extend(symbols::of_text(" 2>&1"));
        }
    }
}

fn join(words: &[Symbols]) -> Line {
    let mut line = Line { symbols: Vec::new(), globbed: Vec::new() };
    push_words(&mut line, words);
    line
}

fn push_words(line: &mut Line, words: &[Symbols]) {
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            line.symbols.push(Symbol::Char(' '));
        }
        let start = line.symbols.len();
        line.symbols.extend_from_slice(word);
        if !symbols::is_literal(word) {
            line.globbed.push((start, line.symbols.len()));
        }
    }
}

/// The word as a shell would be given it.
fn quote(word: &[Symbol]) -> Symbols {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+:,./-=".contains(c);
    let is_plain = word.iter().all(|symbol| !matches!(symbol, Symbol::Char(c) if !plain(*c)));
    if is_plain && !word.is_empty() {
        return word.to_vec();
    }
    let mut out = vec![Symbol::Char('\'')];
    for symbol in word {
        match symbol {
            Symbol::Char('\'') => out.extend(symbols::of_text("'\\''")),
            other => out.push(other.clone()),
        }
    }
    out.push(Symbol::Char('\''));
    out
}

/// The word without quotes, backslashes and more than one blank in a row: what a second reading would make of it.
pub(crate) fn without_quotes(word: &[Symbol]) -> Symbols {
    let mut out = Symbols::new();
    let mut escaped = false;
    for symbol in word {
        match symbol {
            Symbol::Char('\'' | '"') => continue,
            Symbol::Char('\\') if !escaped => {
                escaped = true;
                continue;
            }
            Symbol::Char(c) if c.is_whitespace() => {
                if !matches!(out.last(), None | Some(Symbol::Char(' '))) {
                    out.push(Symbol::Char(' '));
                }
            }
            other => out.push(other.clone()),
        }
        escaped = false;
    }
    out.pop_if(|last| *last == Symbol::Char(' '));
    out
}

/// The word with its path, or the path behind its `=`, made plain.
fn plain_path(word: &[Symbol]) -> Symbols {
    if !symbols::has(word, '/') {
        return word.to_vec();
    }
    let value = word.iter().position(|s| *s == Symbol::Char('=')).map_or(0, |at| at + 1);
    let (name, path) = word.split_at(value);
    if symbols::has(name, '/') {
        return symbols::normal(word);
    }
    [name, &symbols::normal(path)].concat()
}

fn with_base_name(words: &[Symbols]) -> Vec<Symbols> {
    let mut words = words.to_vec();
    if let Some(program) = words.first_mut() {
        *program = symbols::base_name(program).to_vec();
    }
    words
}
