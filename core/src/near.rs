//! Names that are almost what somebody wrote.

/// Most names that are suggested: more is a list.
const MAX_NEAR: usize = 3;
/// Most slips of the pen, however long the name is.
const MAX_SLIPS: usize = 3;

/// The `known` names that `name` may have been meant to be, nearest first: each differs in at most one of three characters,
/// and in at most three.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let most = (name.len() / 3).clamp(1, MAX_SLIPS);
    let slips = |other: &'a str| Some((slips(name.as_bytes(), other.as_bytes(), most)?, other));
    let mut found: Vec<(usize, &str)> = known.into_iter().filter_map(slips).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(MAX_NEAR).map(|(_, name)| name).collect()
}

/// How many characters must be put in, left out, changed or swapped with the next to get from one text to the other, if that
/// is at most `most`; only the cells within `most` of the diagonal are looked at.
fn slips(a: &[u8], b: &[u8], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let far = most + 1;
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(far);
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).map(|n| n.min(far)).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![far; b.len() + 1];
        if let Some(first) = row.first_mut() {
            *first = (i + 1).min(far);
        }
        let from_column = i.saturating_sub(most);
        for (j, to) in b.iter().enumerate().skip(from_column).take(2 * most + 1) {
            let changed = at(&last, j) + usize::from(from != to);
            let mut least = changed.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let is_swap = i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from);
            if is_swap {
                least = least.min(at(&before_last, j - 1) + 1);
            }
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = least.min(far);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    Some(at(&last, b.len())).filter(|slips| *slips <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_a_character_too_many_too_few_wrong_or_swapped() {
        let known = ["web", "db", "production", "staging"];
        for (written, meant) in
            [("wbe", "web"), ("we", "web"), ("webs", "web"), ("wex", "web"), ("prodution", "production")]
        {
            assert_eq!(near(written, known), [meant], "{written}");
        }
        assert_eq!(near("dbs", known), ["db"]);
        assert!(near("cache", known).is_empty());
        assert_eq!(near("a1", ["a4", "a2", "a3", "a5", "a2"]), ["a2", "a3", "a4"]);
    }

    #[test]
    fn looking_near_the_diagonal_only_finds_what_looking_everywhere_finds() {
        // A table of all cells.
        fn plain(a: &[u8], b: &[u8]) -> usize {
            let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
            for i in 0..=a.len() {
                for j in 0..=b.len() {
                    table[i][j] = if i == 0 || j == 0 {
                        i + j
                    } else {
                        let mut least = (table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]))
                            .min(table[i - 1][j] + 1)
                            .min(table[i][j - 1] + 1);
                        if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                            least = least.min(table[i - 2][j - 2] + 1);
                        }
                        least
                    };
                }
            }
            table[a.len()][b.len()]
        }
        let words: Vec<String> = (0..243_u32)
            .map(|n| (0..5).map(|d| char::from(b'a' + (n / 3_u32.pow(d) % 3) as u8)).collect())
            .collect();
        for a in words.iter().step_by(5) {
            for b in words.iter().flat_map(|word| [&word[..], &word[1..], &word[2..]]) {
                for most in 1..=MAX_SLIPS {
                    let expected = Some(plain(a.as_bytes(), b.as_bytes())).filter(|n| *n <= most);
                    assert_eq!(slips(a.as_bytes(), b.as_bytes(), most), expected, "{a} {b} {most}");
                }
            }
        }
    }
}
