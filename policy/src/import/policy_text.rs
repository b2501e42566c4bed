//! A policy taken over, as the text of a policy file.

use std::fmt::Write as _;

use super::{
    policy::Draft,
    policy_rules::{RuleDraft, WordsDraft},
    policy_scopes::Scope,
};
use crate::{imported::Dialect, parse::characters};

/// Writes the file: the networks, the block of imported rules, and no rules besides.
pub(crate) fn write(dialect: Dialect, draft: &Draft) -> String {
    let mut out = String::from("version: 1\n");
    let network = &draft.network;
    if !network.allow.is_empty() || !network.deny.is_empty() {
        out.push_str("network:\n");
        for (key, list) in [("allow", &network.allow), ("deny", &network.deny)] {
            if !list.is_empty() {
                let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
                line(&mut out, 1, key, &list_of(&texts));
            }
        }
    }
    out.push_str("imported:\n");
    line(&mut out, 1, "dialect", dialect.as_str());
    scope(&mut out, 1, &draft.scope);
    if !draft.aliases.is_empty() || !draft.tags.is_empty() {
        out.push_str("  overrides:\n");
        for (key, scopes) in [("aliases", &draft.aliases), ("tags", &draft.tags)] {
            if scopes.is_empty() {
                continue;
            }
            let _ = writeln!(out, "    {key}:");
            for (name, one) in scopes {
                let empty = one.seconds.is_none() && one.output.is_none() && one.forbidden.is_none();
                let _ = writeln!(out, "      {}:{}", quote(name), if empty { " {}" } else { "" });
                scope(&mut out, 4, one);
            }
        }
    }
    out.push_str(if draft.rules.is_empty() { "  rules: []\n" } else { "  rules:\n" });
    for one in &draft.rules {
        rule(&mut out, one);
    }
    out.push_str("rules: []\n");
    out
}

fn scope(out: &mut String, depth: usize, scope: &Scope) {
    let timeout = scope.seconds.map(|seconds| format!("timeout: {seconds}s"));
    let output = scope.output.map(|bytes| format!("output: {bytes}B"));
    let limits: Vec<String> = [timeout, output].into_iter().flatten().collect();
    if !limits.is_empty() {
        line(out, depth, "limits", &format!("{{ {} }}", limits.join(", ")));
    }
    if let Some(texts) = &scope.forbidden {
        list(out, depth, "deny_substrings", texts);
    }
}

fn rule(out: &mut String, rule: &RuleDraft) {
    let _ = writeln!(out, "    - id: {}", rule.id);
    line(out, 3, "action", if rule.allow { "allow" } else { "deny" });
    for (key, globs) in [("aliases", &rule.aliases), ("tags", &rule.tags)] {
        if let Some(globs) = globs {
            line(out, 3, key, &list_of(globs));
        }
    }
    if !rule.commands.is_empty() {
        list(out, 3, "commands", &rule.commands);
    }
    if let Some(all) = &rule.words {
        words(out, all);
    }
}

fn words(out: &mut String, words: &WordsDraft) {
    if !words.simple.is_empty() {
        line(out, 3, "simple_binaries", &list_of(&words.simple));
    }
    if let Some(max) = words.simple_max {
        line(out, 3, "simple_max_args", &max.to_string());
    }
    let Some(binary) = &words.binary else { return };
    line(out, 3, "binary", &quote(binary));
    if !words.prefix.is_empty() {
        line(out, 3, "arg_prefix", &list_of(&words.prefix));
    }
    if let Some((indices, patterns)) = &words.paths {
        let indices: Vec<String> = indices.iter().map(ToString::to_string).collect();
        line(
            out,
            3,
            "path_args",
            &format!("{{ indices: [{}], patterns: {} }}", indices.join(", "), list_of(patterns)),
        );
    }
    line(out, 3, "allow_extra_args", if words.extra { "true" } else { "false" });
}

fn line(out: &mut String, depth: usize, key: &str, value: &str) {
    let _ = writeln!(out, "{:indent$}{key}: {value}", "", indent = depth * 2);
}

/// One entry a line, because people will read and change it.
fn list(out: &mut String, depth: usize, key: &str, texts: &[String]) {
    if texts.is_empty() {
        return line(out, depth, key, "[]");
    }
    let _ = writeln!(out, "{:indent$}{key}:", "", indent = depth * 2);
    for text in texts {
        let _ = writeln!(out, "{:indent$}- {}", "", quote(text), indent = depth * 2 + 2);
    }
}

fn list_of(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A double-quoted scalar, in which nothing is invisible.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            _ if characters::check(c.encode_utf8(&mut [0; 4]), false).is_ok() => out.push(c),
            _ => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
