//! What `--help` says of every verb, kept as a file: it is the first manual that people read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use clap::{Command, CommandFactory as _};
use lictor_cli::arguments::Cli;

/// Narrow enough for every terminal.
const WIDTH: usize = 100;

fn help_of(command: &mut Command, path: &str, all: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let path = format!("{path} {}", command.get_name());
    let text = command.clone().bin_name(path.trim()).term_width(WIDTH).render_long_help().to_string();
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    all.push_str(&format!("==={path} --help\n{text}\n"));
    for below in command.get_subcommands_mut() {
        help_of(below, &path, all);
    }
}

#[test]
fn every_verb_says_what_it_does() {
    let mut all = String::new();
    help_of(&mut Cli::command(), "", &mut all);
    insta::assert_snapshot!("help", all);
}

#[test]
fn the_arguments_do_not_contradict_each_other() {
    Cli::command().debug_assert();
}
