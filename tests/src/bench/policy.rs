//! What a decision costs: with few and many rules and hosts, for the longest lines, and how reading a line grows.

use std::{fmt::Write as _, hint::black_box, time::Instant};

use anyhow::Context as _;
use lictor_core::{
    clock::Timestamp,
    command::Command,
    job::CommandInput,
    label::Labels,
    limits::{MAX_LINE_BYTES, MAX_WORD_BYTES, MAX_WORDS},
    name::{HostAlias, PrincipalName, SiteName, Tag, TenantName},
    principal::{Principal, PrincipalKind, Via},
};
use lictor_policy::{
    HostFacts, PolicySet, Request, RequestedLimits, evaluate,
    parse::{measure_line, parse_command},
};

use super::Times;

/// Sizes of policies.
const RULES: [usize; 3] = [10, 1_000, 10_000];
/// Decisions for each size, so that the largest takes some seconds.
const DECISIONS: usize = 2_000;
/// Hosts of a fan-out, each with a decision of its own.
const HOSTS: usize = 10_000;
/// Of the rules, one in so many denies.
const ONE_DENIES_IN: usize = 10;
/// A line that somebody sends to cost time.
const HOSTILE_BYTES: usize = 64 * 1024;
/// Lines read for one figure.
const LINES: usize = 2_000;
/// Where doubling begins and ends.
const FIRST_BYTES: usize = 8 * 1024;
const LAST_BYTES: usize = 1024 * 1024;
/// The fastest of so many counts, so that what else the machine does is left out.
const REPEATS: usize = 9;

/// Measures and prints.
///
/// # Errors
/// When a policy, a name or a line that is meant to be right is not.
pub fn measure() -> anyhow::Result<()> {
    decisions()?;
    fan_out()?;
    longest_lines()?;
    doubling();
    Ok(())
}

/// A policy of `count` rules: most allow two commands of a program of their own, some deny one.
fn policy_of(count: usize) -> anyhow::Result<PolicySet> {
    let mut text = String::from("version: 1\nrules:\n");
    for index in 0..count {
        let rule = if index % ONE_DENIES_IN == 0 {
            format!("effect: deny, where: all, commands: [d{index} <any>]")
        } else {
            format!(
                "effect: allow, where: {{tags: [t{}]}}, commands: [p{index} <unit> -n <int:1..9>]",
                index % 7
            )
        };
        writeln!(text, "- {{id: r{index}, {rule}}}")?;
    }
    PolicySet::parse(&text).map_err(|error| {
        let first = error.iter().next().map(ToString::to_string).unwrap_or_default();
        anyhow::anyhow!("{first}")
    })
}

fn host(index: usize) -> anyhow::Result<HostFacts> {
    let tags = (0..7).map(|tag| Tag::new(&format!("t{tag}"))).collect::<Result<_, _>>()?;
    Ok(HostFacts {
        alias: HostAlias::new(&format!("host-{index}"))?,
        site: SiteName::new("bench")?,
        tags,
        labels: Labels::default(),
    })
}

fn principal() -> anyhow::Result<Principal> {
    Ok(Principal {
        tenant: TenantName::new("bench")?,
        kind: PrincipalKind::User,
        name: PrincipalName::new("ops")?,
    })
}

fn command(line: &str) -> anyhow::Result<Command> {
    parse_command(&CommandInput::Line(line.into())).with_context(|| line.to_owned())
}

fn request<'a>(principal: &'a Principal, host: &'a HostFacts, command: &'a Command) -> Request<'a> {
    Request {
        principal,
        via: Via::Cli,
        host,
        command,
        context: lictor_core::context::Context::none(),
        requested: RequestedLimits::default(),
        at: Timestamp::default(),
    }
}

fn decisions() -> anyhow::Result<()> {
    println!("\none decision: allowed, denied by a rule, by none, and of two parts, in turn");
    let (principal, host) = (principal()?, host(0)?);
    for count in RULES {
        let set = match policy_of(count) {
            Ok(set) => set,
            Err(why) => {
                println!("  {count:>6} rules: not measured: {why}");
                continue;
            }
        };
        let lines = [
            format!("p{} nginx -n 5", count - 1),
            "sudo -n d0 x".to_owned(),
            "tail -n 100 /var/log/nginx/access.log".to_owned(),
            format!("p1 nginx -n 5 | p{} nginx -n 5", count / 2 + 1),
        ];
        let commands = lines.iter().map(|line| command(line)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut times = Times::default();
        for command in commands.iter().cycle().take(DECISIONS) {
            let begun = Instant::now();
            black_box(evaluate(&set, &request(&principal, &host, command)));
            times.add(begun.elapsed());
        }
        println!("  {}", line_of(&times, &format!("{count} rules")));
    }
    Ok(())
}

fn fan_out() -> anyhow::Result<()> {
    println!("\none decision for each of {HOSTS} hosts");
    let principal = principal()?;
    let hosts = (0..HOSTS).map(host).collect::<anyhow::Result<Vec<_>>>()?;
    for count in RULES.into_iter().take(2) {
        let (set, command) = (policy_of(count)?, command(&format!("p{} nginx -n 5", count - 1))?);
        let mut times = Times::default();
        let all = Instant::now();
        for host in &hosts {
            let begun = Instant::now();
            black_box(evaluate(&set, &request(&principal, host, &command)));
            times.add(begun.elapsed());
        }
        let all = all.elapsed().as_secs_f64() * 1e3;
        println!("  {}   all {all:.1} ms", line_of(&times, &format!("{count} rules")));
    }
    Ok(())
}

fn longest_lines() -> anyhow::Result<()> {
    println!("\nreading one line");
    let words = |word: &str, bytes: usize| format!("echo {}", word.repeat(bytes / word.len()));
    let word = "w".repeat(MAX_LINE_BYTES / MAX_WORDS - 2);
    let longest = vec![word; MAX_WORDS - 1].join(" ");
    let lines = [
        ("64 KiB, refused by its length", "'a'b ".repeat(HOSTILE_BYTES / 5)),
        ("just fits: plain words, accepted", longest),
        ("just fits: two words of one quoted text each, accepted", {
            let text = "a b;".repeat(MAX_WORD_BYTES / 4 - 8);
            format!("echo '{text}'")
        }),
        ("just fits: too many words, refused at the end", words("a ", MAX_LINE_BYTES - 8)),
        ("just fits: quotes only", words("''", MAX_LINE_BYTES - 8)),
        ("just fits: escaped quotes only", words("\\'", MAX_LINE_BYTES - 8)),
        ("just fits: operators only", words("a;", MAX_LINE_BYTES - 8)),
        ("just fits: a quote that is never closed", format!("echo '{}", "a".repeat(MAX_LINE_BYTES - 8))),
    ];
    for (what, line) in lines {
        let input = CommandInput::Line(line);
        let mut times = Times::default();
        for _ in 0..LINES {
            let begun = Instant::now();
            drop(black_box(parse_command(black_box(&input))));
            times.add(begun.elapsed());
        }
        println!("  {}", line_of(&times, what));
    }
    let judged = command(&format!("sh -c '{}'", "rm;".repeat(MAX_WORD_BYTES / 3 - 8)))?;
    let (set, principal, host) = (policy_of(1_000)?, principal()?, host(0)?);
    let mut times = Times::default();
    for _ in 0..LINES / 100 {
        let begun = Instant::now();
        black_box(evaluate(&set, &request(&principal, &host, &judged)));
        times.add(begun.elapsed());
    }
    println!("  {}", line_of(&times, "the decision about 4 KiB of shell text, 1000 rules"));
    Ok(())
}

/// Twice the text, how many times the time? Without the bound on the length of a line.
fn doubling() {
    println!("\nreading without the bound: time at 8 KiB, and the ratio of each doubling up to 1 MiB");
    for (what, piece) in [
        ("words", "word "),
        ("quoted words", "'a b' "),
        ("quotes", "''"),
        ("escaped quotes", "\\'"),
        ("pipes", "a|"),
        ("lists", "a && b;"),
        ("letters outside ASCII, quoted", "'é' "),
    ] {
        let mut before = None;
        let mut ratios = Vec::new();
        let mut bytes = FIRST_BYTES;
        let mut first = 0.0;
        while bytes <= LAST_BYTES {
            let line = piece.repeat(bytes / piece.len());
            let time = fastest(&line);
            match before {
                Some(before) => ratios.push(format!("{:.2}", time / before)),
                None => first = time,
            }
            before = Some(time);
            bytes *= 2;
        }
        println!("  {what:<32} {:>8.1} µs   ratios {}", first * 1e6, ratios.join(" "));
    }
}

/// Seconds for one reading of `line`.
fn fastest(line: &str) -> f64 {
    let times = (0..REPEATS).map(|_| {
        let begun = Instant::now();
        drop(black_box(measure_line(black_box(line))));
        begun.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

/// A line for people, with the part of a microsecond that matters here.
fn line_of(times: &Times, what: &str) -> String {
    format!("{what:<58} p50 {:>9.1} µs   p99 {:>9.1} µs", times.percentile(50), times.percentile(99))
}
