//! Names in the store: of runs, and of the folders of their steps. Touches no file.

/// The id of a run: `20261124T061503Z-x7k2qd`, from the wall clock (milliseconds since 1970) and four random bytes.
#[must_use]
pub fn run_id(at: i64, random: [u8; 4]) -> String {
    const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let time = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let bits = u32::from_be_bytes(random);
    let letters: String = (0..6).map(|i| char::from(BASE32[((bits >> (5 * i)) & 31) as usize])).collect();
    format!("{}-{letters}", time.strftime("%Y%m%dT%H%M%SZ"))
}

/// `<rank>-<slug>`: letters and digits of the name in lower case, `.`, `_`; everything else is one `-`. The rank makes
/// it unique.
#[must_use]
pub fn step_folder(rank: u32, name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_') {
            slug.push(c);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == 60 {
            break;
        }
    }
    format!("{rank:04}-{}", slug.trim_matches(['-', '.']))
}
