//! What YAML 1.1 takes plain text for: <https://yaml.org/type/>, as PyYAML implements it.

use super::Kind;

/// What PyYAML takes the plain scalar `text` for.
pub(super) fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Kind::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Kind::Bool(false),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Kind::Text;
    }
    if is_date(text) {
        Kind::Date
    } else if let Some(value) = integer(unsigned) {
        Kind::Int(value.map(|n| if text.starts_with('-') { -n } else { n }))
    } else if is_float(text, unsigned) {
        Kind::Float
    } else {
        Kind::Text
    }
}

/// `None`: no integer; `Some(None)`: one that is too large.
fn integer(text: &str) -> Option<Option<i128>> {
    let digits = |text: &str, radix: u32| {
        let fits = !text.is_empty() && text.chars().all(|c| c == '_' || c.is_digit(radix));
        let plain: String = text.chars().filter(|c| *c != '_').collect();
        // `0x_` is an integer to the resolver and an error to the constructor: taken for text.
        (fits && !plain.is_empty()).then(|| i128::from_str_radix(&plain, radix).ok())
    };
    if let Some(binary) = text.strip_prefix("0b") {
        return digits(binary, 2);
    }
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return digits(hexadecimal, 16);
    }
    if text.contains(':') {
        return base_60(text);
    }
    match text.strip_prefix('0') {
        Some("") => Some(Some(0)),
        Some(octal) => digits(octal, 8),
        None => digits(text, 10),
    }
}

fn base_60(text: &str) -> Option<Option<i128>> {
    let mut parts = text.split(':');
    let first = parts.next()?;
    let leads = first.starts_with(|c: char| matches!(c, '1'..='9'))
        && first.chars().all(|c| c == '_' || c.is_ascii_digit());
    let mut value = first.replace('_', "").parse::<i128>().ok();
    for part in parts {
        let number = part.parse::<i128>().ok().filter(|n| part.len() <= 2 && *n < 60 && is_digits(part))?;
        value = value.and_then(|v| v.checked_mul(60)?.checked_add(number));
    }
    leads.then_some(value)
}

fn is_float(text: &str, unsigned: &str) -> bool {
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let Some((whole, rest)) = unsigned.split_once('.') else { return false };
    let loose = |text: &str| text.chars().all(|c| c == '_' || c.is_ascii_digit());
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let exponent = exponent.is_none_or(|e| e.strip_prefix(['+', '-']).is_some_and(is_digits));
    if whole.is_empty() {
        // Without a digit before the point there is no sign.
        return unsigned.len() == text.len()
            && fraction.starts_with(|c: char| c.is_ascii_digit())
            && loose(fraction)
            && exponent;
    }
    let whole_fits = match whole.split_once(':') {
        None => whole.starts_with(|c: char| c.is_ascii_digit()) && loose(whole),
        Some((first, rest)) => loose(first) && rest.split(':').all(|part| part.len() <= 2 && is_digits(part)),
    };
    whole_fits && loose(fraction) && exponent
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `2025-11-19`, and what begins so with a time of day behind.
fn is_date(text: &str) -> bool {
    let Some((day, rest)) = text.split_at_checked(10) else { return false };
    let parts: Vec<&str> = day.split('-').collect();
    let [year, month, date] = parts[..] else { return false };
    let fits = year.len() == 4 && month.len() == 2 && date.len() == 2;
    let time =
        rest.is_empty() || (rest.starts_with(['T', 't', ' ', '\t']) && rest.contains(':') && rest.is_ascii());
    fits && is_digits(year) && is_digits(month) && is_digits(date) && time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_taken_for_what_yaml_1_1_says() {
        for (text, kind) in [
            ("web-1", Kind::Text),
            ("y", Kind::Text),
            ("10.0.0.1", Kind::Text),
            ("off", Kind::Bool(false)),
            ("Yes", Kind::Bool(true)),
            ("~", Kind::Null),
            ("22", Kind::Int(Some(22))),
            ("-22", Kind::Int(Some(-22))),
            ("022", Kind::Int(Some(18))),
            ("08", Kind::Text),
            ("0x16", Kind::Int(Some(22))),
            ("0b11", Kind::Int(Some(3))),
            ("2_222", Kind::Int(Some(2222))),
            ("22:22", Kind::Int(Some(1342))),
            ("1e3", Kind::Text),
            ("1.5", Kind::Float),
            ("1.5e+3", Kind::Float),
            (".5", Kind::Float),
            ("-.inf", Kind::Float),
            ("2025-11-19", Kind::Date),
            ("2025-11-19T10:00:00Z", Kind::Date),
            ("...", Kind::Text),
            ("99999999999999999999999999999999999999999", Kind::Int(None)),
        ] {
            assert_eq!(resolve(text), kind, "{text}");
        }
    }
}
