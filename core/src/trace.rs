//! The trace that a request belongs to, in the terms of W3C Trace Context: whoever asked says which, and it is told on. It decides
//! nothing.

use std::fmt;

/// The only version that there is; what later ones add is not told on.
const VERSION: &str = "00";
/// The version that stands for none.
const NO_VERSION: &str = "ff";
/// Digits of a trace's identifier.
const TRACE_DIGITS: usize = 32;
/// Digits of a parent's identifier.
const PARENT_DIGITS: usize = 16;
/// Digits of the flags.
const FLAG_DIGITS: usize = 2;
/// The flag of a trace whose asker records it.
const SAMPLED: u8 = 1;
/// Longest `tracestate` that is told on: the length up to which everybody should.
const MAX_STATE_BYTES: usize = 512;
/// Most members of a `tracestate`.
const MAX_MEMBERS: usize = 32;

/// A trace, and the place in it from which a request comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: String,
    parent: String,
    sampled: bool,
    state: Option<String>,
}

// === impl TraceContext ===

impl TraceContext {
    /// The name under which `traceparent` travels.
    pub const PARENT: &'static str = "traceparent";
    /// The name under which `tracestate` travels.
    pub const STATE: &'static str = "tracestate";

    /// The context that `parent` names; `None` for text that names none. A `state` that is none is left out, as the
    /// recommendation has it.
    pub fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        let mut parts = parent.splitn(5, '-');
        let (version, trace) = (parts.next()?, parts.next()?);
        let (from, flags, rest) = (parts.next()?, parts.next()?, parts.next());
        let is_version = is_hex(version, VERSION.len()) && version != NO_VERSION;
        let is_whole = if version == VERSION { rest.is_none() } else { rest != Some("") };
        let is_named = |text: &str, digits| is_hex(text, digits) && text.bytes().any(|b| b != b'0');
        if !is_version || !is_whole || !is_named(trace, TRACE_DIGITS) || !is_named(from, PARENT_DIGITS) {
            return None;
        }
        let flags = Some(flags).filter(|flags| is_hex(flags, FLAG_DIGITS))?;
        let sampled = u8::from_str_radix(flags, 16).ok()? & SAMPLED != 0;
        let state = state.filter(|state| is_state(state)).map(ToOwned::to_owned);
        Some(Self { trace: trace.to_owned(), parent: from.to_owned(), sampled, state })
    }

    /// The trace's identifier.
    pub fn trace(&self) -> &str {
        &self.trace
    }

    /// The identifier of what the request comes from.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// What the systems on the way have said of it.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// As a `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, parent, sampled, state: _ } = self;
        write!(f, "{VERSION}-{trace}-{parent}-{:02x}", if *sampled { SAMPLED } else { 0 })
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_state(text: &str) -> bool {
    let members: Vec<&str> = text.split(',').map(|m| m.trim_matches([' ', '\t'])).collect();
    let mut named: Vec<&str> = members.iter().filter_map(|m| Some(m.split_once('=')?.0)).collect();
    named.sort_unstable();
    let once = named.windows(2).all(|pair| pair.first() != pair.last());
    let filled: Vec<&&str> = members.iter().filter(|member| !member.is_empty()).collect();
    (1..=MAX_STATE_BYTES).contains(&text.len())
        && (1..=MAX_MEMBERS).contains(&filled.len())
        && once
        && filled.into_iter().all(|member| is_member(member))
}

fn is_member(member: &str) -> bool {
    /// Longest name of a member, and longest value.
    const MAX_PART: usize = 256;
    let Some((key, value)) = member.split_once('=') else { return false };
    let in_key =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'*' | b'/' | b'@');
    let in_value = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b',' | b'=');
    let begins = key.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    begins
        && key.len() <= MAX_PART
        && key.bytes().all(in_key)
        && (1..=MAX_PART).contains(&value.len())
        && value.bytes().all(in_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_a_trace_is_told_on_as_it_is() {
        let context = TraceContext::parse(GOOD, Some("congo=t61rcWkgMzE,rojo@x=1")).unwrap();
        assert_eq!(context.to_string(), GOOD);
        assert_eq!(
            (context.trace(), context.parent(), context.state()),
            ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", Some("congo=t61rcWkgMzE,rojo@x=1"))
        );
        // Of a later version what this one knows, and of the flags those that this one has.
        let later = format!("cc{}-what-is-new", &GOOD[2..]);
        assert_eq!(TraceContext::parse(&later, None).unwrap().to_string(), GOOD);
        assert_eq!(TraceContext::parse(&GOOD.replace("-01", "-ff"), None).unwrap().to_string(), GOOD);
        let unsampled = GOOD.replace("-01", "-00");
        assert_eq!(TraceContext::parse(&unsampled, None).unwrap().to_string(), unsampled);
    }

    #[test]
    fn what_is_none_is_dropped_and_a_bad_state_alone() {
        let zeros = |range: std::ops::Range<usize>| {
            let mut text = GOOD.to_owned();
            text.replace_range(range.clone(), &"0".repeat(range.len()));
            text
        };
        for bad in [
            "",
            "-",
            &GOOD[..54],
            &format!("{GOOD}-"),
            &format!("{GOOD}-00"),
            &format!("{GOOD} "),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &format!("cc{}-", &GOOD[2..]),
            &zeros(3..35),
            &zeros(36..52),
            &GOOD.replace("-01", "-0g"),
            &GOOD.replace('a', "\n"),
            &GOOD.replace("b7", "é"),
        ] {
            assert_eq!(TraceContext::parse(bad, None), None, "{bad:?}");
        }
        let many: Vec<String> = (0..33).map(|n| format!("k{n}=1")).collect();
        for bad in [
            "",
            ",",
            "a",
            "a=",
            "=1",
            "A=1",
            "a=1,a=2",
            "a=\u{e9}",
            "a=\n",
            "a=1\r\nx: y",
            "a==",
            &many.join(","),
            &format!("a={}", "1".repeat(600)),
        ] {
            let context = TraceContext::parse(GOOD, Some(bad)).unwrap();
            assert_eq!(context.state(), None, "{bad:?}");
        }
    }
}
