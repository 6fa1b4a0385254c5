//! Files with something wrong in them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One change of a file's bytes.
#[derive(Clone, Debug)]
pub enum Damage {
    /// Another byte in the place of one, or behind the last.
    Byte(Index, u8),
    /// Nothing from there on.
    Cut(Index),
    /// Bytes between two others.
    Insert(Index, Vec<u8>),
    /// A piece of so many bytes, if there are as many, is gone.
    Remove(Index, usize),
    /// A piece of so many bytes comes again in another place.
    Repeat(Index, usize, Index),
    /// Another number in the place of the first one after there.
    Number(Index, String),
}

/// Any of them.
pub fn damage() -> impl Strategy<Value = Damage> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        (0..10_u8).prop_map(|number| number.to_string()),
        Just("18446744073709551615".to_owned()),
        Just("1e999".to_owned()),
    ];
    // Half of them mean something in a table, a list, an address or UTF-8.
    let odd = select(&b"\0\t\n\r\x1b \"#%,./012789:=@\\x\x7f\x80\xc3\xe2\xff"[..]);
    let byte = prop_oneof![any::<u8>(), odd];
    let (place, length) = (any::<Index>, 1..600_usize);
    prop_oneof![
        3 => (place(), byte.clone()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => place().prop_map(Damage::Cut),
        1 => (place(), vec(byte, 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (place(), length.clone()).prop_map(|(at, n)| Damage::Remove(at, n)),
        1 => (place(), length, place()).prop_map(|(at, n, to)| Damage::Repeat(at, n, to)),
        1 => (place(), number).prop_map(|(at, number)| Damage::Number(at, number)),
    ]
}

impl Damage {
    /// `bytes` with this damage.
    pub fn to(&self, bytes: &[u8]) -> Vec<u8> {
        let n = bytes.len();
        let place = |at: &Index| at.index(n + 1);
        let (range, more) = match self {
            Self::Byte(at, byte) => (place(at)..n.min(place(at) + 1), vec![*byte]),
            Self::Cut(at) => (place(at)..n, Vec::new()),
            Self::Insert(at, more) => (place(at)..place(at), more.clone()),
            Self::Remove(at, length) => (place(at)..n.min(place(at) + length), Vec::new()),
            Self::Repeat(from, length, at) => {
                let piece = &bytes[place(from)..n.min(place(from) + length)];
                (place(at)..place(at), piece.to_vec())
            }
            Self::Number(at, number) => (number_after(bytes, place(at)), number.clone().into()),
        };
        [&bytes[..range.start], &more, &bytes[range.end..]].concat()
    }
}

/// Where the first number from `at` on stands, or nothing at `at`.
fn number_after(bytes: &[u8], at: usize) -> Range<usize> {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let start = bytes[at..].iter().position(is_digit).map(|n| at + n);
    let start = start.unwrap_or(at);
    let digits = bytes[start..].iter().take_while(|byte| is_digit(byte));
    start..start + digits.count()
}

/// `bytes` with all of `damages`, one after the other.
pub fn damaged(bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    let damage = |bytes: Vec<u8>, damage: &Damage| damage.to(&bytes);
    damages.iter().fold(bytes, damage)
}

/// The files from which fuzzing of a target starts, in the order of their names.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = crate::root().join("fuzz/seeds").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A seed of a fuzz target with some damage, or bytes of no meaning.
pub fn damaged_seed(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let sound_or_not = (select(seeds(target)), vec(damage(), 0..8));
    let sound_or_not = sound_or_not.prop_map(|(bytes, damages)| damaged(bytes, &damages));
    prop_oneof![9 => sound_or_not, 1 => vec(any::<u8>(), 0..2000)]
}

/// The files of a folder by their names.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Reads the files of a folder, but for those that are hidden.
pub fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    });
    files.filter(|(name, _)| !name.starts_with('.')).collect()
}

/// Opens one of `files` by the name at the end of its path.
pub fn open(files: &Files, path: &Path) -> io::Result<Box<dyn Read>> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let bytes = files.get(name).ok_or(io::ErrorKind::NotFound)?;
    Ok(Box::new(Cursor::new(bytes.clone())))
}
