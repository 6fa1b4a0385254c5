//! Files with something wrong in them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

/// One change of a file's bytes.
#[derive(Clone, Debug)]
pub enum Damage {
    /// Another byte in the place of one.
    Byte(Index, u8),
    /// Nothing from there on.
    Cut(Index),
    /// Bytes between two others.
    Insert(Index, Vec<u8>),
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
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), number).prop_map(|(at, number)| Damage::Number(at, number)),
    ]
}

impl Damage {
    /// `bytes` with this damage, if there are any.
    pub fn to(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if bytes.is_empty() {
            return bytes;
        }
        match self {
            Self::Byte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Number(at, number) => {
                let at = at.index(bytes.len());
                let is_digit = |byte: &u8| byte.is_ascii_digit();
                let start = bytes[at..].iter().position(is_digit).map(|n| at + n);
                let start = start.unwrap_or(at);
                let end = bytes[start..].iter().position(|byte| !is_digit(byte));
                let end = end.map_or(bytes.len(), |n| start + n);
                bytes.splice(start..end, number.bytes());
            }
        }
        bytes
    }
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
