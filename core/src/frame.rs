//! Frames of an append-only file: length, checksum, payload. Pure; files are read and written elsewhere.
//!
//! Shape: `u32` length of the payload, `u32` checksum of the payload, payload; both numbers little-endian. A torn or
//! damaged frame ends the readable part: what follows was never acknowledged.

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 8;
/// Longest payload: far above any batch that is written, so that a damaged length is noticed at once.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024 * 1024;

/// Appends `payload` as a frame; `checksum` is the checksum of the payload.
pub fn write(payload: &[u8], checksum: u32, out: &mut Vec<u8>) {
    write_parts(&[payload], checksum, out);
}

/// As [`write()`], of a payload that lies in parts.
pub fn write_parts(parts: &[&[u8]], checksum: u32, out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&checksum.to_le_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Reads the header of a frame.
///
/// Returns the payload's length and checksum, or `None` if `bytes` is too short or the length is impossible.
pub fn read_header(bytes: &[u8]) -> Option<(usize, u32)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, _) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    (length <= MAX_PAYLOAD_BYTES).then(|| (length, u32::from_le_bytes(*checksum)))
}

/// Splits the first whole and undamaged frame off `bytes`.
///
/// Returns its payload and what follows, or `None` at the end of the readable part.
pub fn split_first(bytes: &[u8], checksum_of: impl Fn(&[u8]) -> u32) -> Option<(&[u8], &[u8])> {
    let (length, checksum) = read_header(bytes)?;
    let rest = bytes.get(HEADER_BYTES..)?;
    let payload = rest.get(..length)?;
    (checksum_of(payload) == checksum).then(|| (payload, rest.get(length..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u32 {
        bytes.iter().fold(7, |a, b| a.wrapping_mul(31).wrapping_add(u32::from(*b)))
    }

    #[test]
    fn every_cut_and_every_flipped_bit_ends_the_readable_part() {
        let mut file = Vec::new();
        for payload in [b"one".as_slice(), b"", b"three"] {
            write(payload, sum(payload), &mut file);
        }
        let read = |mut bytes: &[u8]| {
            let mut seen = Vec::new();
            while let Some((payload, rest)) = split_first(bytes, sum) {
                seen.push(payload.to_vec());
                bytes = rest;
            }
            seen
        };
        assert_eq!(read(&file), [b"one".to_vec(), vec![], b"three".to_vec()]);
        for cut in 0..file.len() {
            assert!(read(&file[..cut]).len() < 3);
        }
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(read(&damaged), read(&file), "bit {bit}");
        }
    }
}
