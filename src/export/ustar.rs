//! Tar members in their one canonical form: plain files with a name and a size, everything else fixed (ustar; a pax
//! header only where a name is too long for it). The reader takes exactly those bytes and no others.

use std::io::{self, Read};

use crate::digest::sha256_hex;

/// Size of a block.
pub const BLOCK: usize = 512;
/// What ends an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// Most bytes of a member: what eleven octal digits can say.
pub const MOST: u64 = 0o777_7777_7777;
/// Longest name.
const LONGEST: usize = 1024;
/// Longest part of a name in the two fields of a header.
const NAME: usize = 100;
const PREFIX: usize = 155;

/// Why bytes are no member.
#[derive(Debug)]
pub enum Fault {
    /// They can't be read.
    Io(io::Error),
    /// They are not what this program writes.
    Wrong(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Wrong("it ends too early".to_owned()),
            _ => Self::Io(error),
        }
    }
}

fn wrong<T>(text: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Wrong(text.into()))
}

/// A name that stays below the folder it is put into: `a/b`, of letters without control characters.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    let shown = name.escape_debug();
    if name.is_empty() || name.len() > LONGEST {
        return Err(format!("a name of {} bytes is not allowed", name.len()));
    }
    if name.starts_with('/') {
        return Err(format!("`{shown}` is an absolute name"));
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!("`{shown}` leads elsewhere"));
    }
    if name.chars().any(|c| c.is_control() || c == '\\') {
        return Err(format!("`{shown}` is not a name that this program writes"));
    }
    Ok(())
}

/// The blocks before the bytes of a member.
///
/// # Errors
/// Where the name or the size is not allowed.
pub fn head(name: &str, size: u64) -> Result<Vec<u8>, String> {
    check_name(name)?;
    if size > MOST {
        return Err(format!("`{name}` has {size} bytes, more than a member of this archive can have"));
    }
    if let Some((prefix, rest)) = split(name) {
        return Ok(block(prefix, rest, size, b'0').to_vec());
    }
    let digest = sha256_hex(name.as_bytes());
    let record = pax_path(name);
    let mut blocks = block("", &format!("pax/{}", &digest[..32]), record.len() as u64, b'x').to_vec();
    blocks.extend(record.as_bytes());
    blocks.extend(vec![0; padding(record.len() as u64)]);
    blocks.extend(block("", &format!("long/{}", &digest[..32]), size, b'0'));
    Ok(blocks)
}

/// Zero bytes behind a member's.
#[must_use]
pub fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over == 0 { 0 } else { BLOCK - over }
}

/// The two fields of a header that hold a name; `None` if they can't.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.len() <= NAME {
        return Some(("", name));
    }
    let mut slashes = name.match_indices('/').map(|(at, _)| at);
    let at = slashes.find(|at| name.len() - at - 1 <= NAME).filter(|at| (1..=PREFIX).contains(at))?;
    Some((&name[..at], &name[at + 1..]))
}

/// `LENGTH path=NAME`, whose length counts its own digits.
fn pax_path(name: &str) -> String {
    let rest = format!(" path={name}\n");
    let mut length = rest.len();
    loop {
        let text = format!("{length}{rest}");
        if text.len() == length {
            return text;
        }
        length = text.len();
    }
}

fn block(prefix: &str, name: &str, size: u64, kind: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Name and size of the next member, whose bytes follow; `None` at the end of the archive, behind which nothing may be.
///
/// # Errors
/// Whatever is not exactly what [`head`] writes.
pub fn next(input: &mut impl Read) -> Result<Option<(String, u64)>, Fault> {
    let mut first = [0; BLOCK];
    input.read_exact(&mut first)?;
    if first == [0; BLOCK] {
        let mut rest = Vec::new();
        input.take(BLOCK as u64 + 1).read_to_end(&mut rest)?;
        return if rest == [0; BLOCK] { Ok(None) } else { wrong("something is wrong with its end") };
    }
    let mut seen = first.to_vec();
    let mut last = first;
    let name = if first[156] == b'x' {
        let size = usize::try_from(size_of(&first)?).ok().filter(|size| *size <= 2 * LONGEST);
        let Some(size) = size else { return wrong("the name of a member is too long") };
        let mut record = vec![0; size + padding(size as u64)];
        input.read_exact(&mut record)?;
        seen.extend(&record);
        let text = text_of(&record[..size])?;
        input.read_exact(&mut last)?;
        seen.extend(last);
        let path = text.split_once(" path=").and_then(|(_, rest)| rest.strip_suffix('\n'));
        let Some(path) = path else { return wrong("a header holds more than a name") };
        path.to_owned()
    } else {
        let field = |from: usize, length: usize| {
            let field = &first[from..from + length];
            text_of(field.split(|&byte| byte == 0).next().unwrap_or_default())
        };
        let (name, prefix) = (field(0, NAME)?, field(345, PREFIX)?);
        if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
    };
    let what = match last[156] {
        b'0' | 0 => None,
        b'1' | b'2' => Some("a link"),
        b'3' | b'4' | b'6' => Some("a device"),
        b'5' => Some("a folder"),
        _ => Some("no plain file"),
    };
    if let Some(what) = what {
        return wrong(format!("`{}` is {what}; only plain files are taken", name.escape_debug()));
    }
    let size = size_of(&last)?;
    let right = head(&name, size).map_err(Fault::Wrong)?;
    if right != seen {
        return wrong(format!("the header of `{}` is not one that this program writes", name.escape_debug()));
    }
    Ok(Some((name, size)))
}

/// Reads the zeros behind a member's bytes.
///
/// # Errors
/// If they are none.
pub fn skip_padding(input: &mut impl Read, size: u64) -> Result<(), Fault> {
    let mut zeros = vec![0; padding(size)];
    input.read_exact(&mut zeros)?;
    if zeros.iter().any(|&byte| byte != 0) { wrong("there is something between two members") } else { Ok(()) }
}

fn text_of(bytes: &[u8]) -> Result<String, Fault> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Fault::Wrong("the name of a member is not UTF-8".to_owned()))
}

fn size_of(block: &[u8; BLOCK]) -> Result<u64, Fault> {
    let digits = std::str::from_utf8(&block[124..135]).ok();
    let size = digits.and_then(|digits| u64::from_str_radix(digits, 8).ok());
    size.map_or_else(|| wrong("the size of a member is no number"), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_come_back() {
        let deep = format!("{}/{}", "p".repeat(155), "n".repeat(100));
        for name in
            ["a", &"n".repeat(100), &"n".repeat(101), &deep, &format!("x{deep}"), &format!("ü/{}", "é".repeat(200))]
        {
            let blocks = head(name, 3).unwrap();
            assert_eq!(blocks.len() % BLOCK, 0);
            assert_eq!(next(&mut blocks.as_slice()).unwrap(), Some((name.to_owned(), 3)));
        }
        for length in 85..=96 {
            let record = pax_path(&"a".repeat(length));
            assert_eq!(record.split_once(' ').unwrap().0, record.len().to_string());
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a\0b", "a\nb", "a\\b", &"x".repeat(1025)] {
            assert!(head(name, 0).is_err(), "{name:?}");
        }
        assert!(head("a", MOST).is_ok() && head("a", MOST + 1).is_err());
    }

    #[test]
    fn every_other_bit_of_a_header_is_refused() {
        for name in ["run/x", &"n".repeat(300)] {
            let whole = head(name, 5).unwrap();
            for at in 0..whole.len() {
                for flip in [0x01, 0x80] {
                    let mut damaged = whole.clone();
                    damaged[at] ^= flip;
                    let found = next(&mut damaged.as_slice());
                    assert!(!matches!(&found, Ok(Some((same, 5))) if same == name), "byte {at}");
                }
            }
        }
    }

    #[test]
    fn links_devices_and_folders_are_called_what_they_are() {
        for (kind, word) in
            [(b'1', "a link"), (b'2', "a link"), (b'3', "a device"), (b'5', "a folder"), (b'L', "no plain")]
        {
            let block = block("", "x", 0, kind);
            let Err(Fault::Wrong(text)) = next(&mut block.as_slice()) else { panic!("{word}") };
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn the_end_is_two_blocks_and_nothing_more() {
        assert!(matches!(next(&mut END.as_slice()), Ok(None)));
        let longer = [END.as_slice(), &[0]].concat();
        assert!(next(&mut longer.as_slice()).is_err() && next(&mut &END[1..]).is_err());
    }
}
