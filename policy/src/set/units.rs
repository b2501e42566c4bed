//! Durations, sizes and networks as the file writes them.

use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use lictor_core::limits::{MAX_DOWNLOAD_BYTES, MAX_OUTPUT_BYTES, MAX_TIMEOUT};

const DURATION_UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
const SIZE_UNITS: [(&str, u64); 3] = [("KiB", 1024), ("MiB", 1024 * 1024), ("B", 1)];

/// What stands before the IPv4 address in an IPv4-mapped IPv6 address: `::ffff:0:0/96`.
const MAPPED_PREFIX_BITS: u8 = 96;

/// `60s`, `5m`, `1h`, `1d`: more than nothing, at most [`MAX_TIMEOUT`].
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = number_with_unit(text, &DURATION_UNITS)
        .ok_or_else(|| format!("`{text}` is not a duration; write e.g. `60s`, `5m` or `1h`"))?;
    let duration = Duration::from_secs(seconds);
    if duration.is_zero() || duration > MAX_TIMEOUT {
        return Err(format!("`{text}` is not between 1s and {}h", MAX_TIMEOUT.as_secs() / 3_600));
    }
    Ok(duration)
}

/// `1000B`, `256KiB`, `1MiB`: more than nothing, at most [`MAX_OUTPUT_BYTES`].
pub(crate) fn size(text: &str) -> Result<u64, String> {
    size_up_to(text, MAX_OUTPUT_BYTES)
}

/// As [`size`], of a file that a download brings: at most [`MAX_DOWNLOAD_BYTES`].
pub(crate) fn file_size(text: &str) -> Result<u64, String> {
    size_up_to(text, MAX_DOWNLOAD_BYTES)
}

fn size_up_to(text: &str, most: u64) -> Result<u64, String> {
    let bytes = number_with_unit(text, &SIZE_UNITS)
        .ok_or_else(|| format!("`{text}` is not a size; write e.g. `256KiB` or `1MiB`"))?;
    if bytes == 0 || bytes > most {
        return Err(format!("`{text}` is not between 1B and {}KiB", most / 1024));
    }
    Ok(bytes)
}

/// `10.0.0.0/8`: an address with a prefix, and nothing set behind it.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let network: IpNet = text.parse().map_err(|_| {
        format!("`{text}` is not a network; write e.g. `10.0.0.0/8`, `fd00::/8` or `192.0.2.7/32`")
    })?;
    if network.trunc() != network {
        return Err(format!("`{text}` has bits behind its prefix; write `{}`", network.trunc()));
    }
    if let Some(plain) = as_ipv4(network) {
        return Err(format!("`{text}` writes IPv4 addresses as IPv6 and would match none; write `{plain}`"));
    }
    Ok(network)
}

/// The IPv4 network that `network` is the IPv4-mapped form of (RFC 4291 section 2.5.5.2). Connected addresses are
/// compared in their IPv4 form.
fn as_ipv4(network: IpNet) -> Option<Ipv4Net> {
    let IpNet::V6(mapped) = network else { return None };
    let prefix = mapped.prefix_len().checked_sub(MAPPED_PREFIX_BITS)?;
    Ipv4Net::new(mapped.addr().to_ipv4_mapped()?, prefix).ok()
}

fn number_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| number.parse::<u64>().ok()?.checked_mul(factor)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_need_a_unit_and_stay_within_bounds() {
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1d"), Ok(MAX_TIMEOUT));
        for bad in [
            "",
            "5",
            "m",
            "0s",
            "2d",
            "-1s",
            "1.5h",
            "5 m",
            "5ms",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(size("256KiB"), Ok(256 * 1024));
        assert_eq!(size("10B"), Ok(10));
        for bad in ["", "1", "1kb", "1GiB", "0B", "5MiB", "+1B"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(file_size("256MiB"), Ok(MAX_DOWNLOAD_BYTES));
        assert!(file_size("257MiB").is_err() && file_size("0B").is_err());
    }

    #[test]
    fn networks_are_exact() {
        assert!(network("10.0.0.0/8").is_ok() && network("fd00::/8").is_ok() && network("0.0.0.0/0").is_ok());
        for bad in ["10.0.0.1/8", "10.0.0.1", "10.0.0.0/33", "web", "", "fd00::1/8"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }
    #[test]
    fn an_ipv4_network_has_one_form() {
        for (bad, plain) in [
            ("::ffff:169.254.169.254/128", "`169.254.169.254/32`"),
            ("::ffff:10.0.0.0/104", "`10.0.0.0/8`"),
            ("::ffff:0:0/96", "`0.0.0.0/0`"),
            ("0:0:0:0:0:ffff:a00:0/104", "`10.0.0.0/8`"),
        ] {
            let why = network(bad).unwrap_err();
            assert!(why.contains(plain), "{bad}: {why}");
        }
        assert!(network("::/0").is_ok() && network("::/96").is_ok() && network("64:ff9b::/96").is_ok());
    }
}
