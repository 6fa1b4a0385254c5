//! Weights in PyTorch's old format, written by `torch.save` before version 1.6.
//!
//! Such a file holds five pickles and then numbers. The pickles are a magic number, the format's
//! version, facts about the machine, the tensors, and the keys of the storages. Then each storage
//! follows, preceded by its length in 8 bytes. A pickle is a program for a machine that can call
//! any Python function. This reader knows the few instructions that a weights file needs, makes
//! tensors from them itself, and refuses everything else.
//!
//! Source: `torch/serialization.py`, `_legacy_save` and `_legacy_load`; `pickletools` for the
//! instructions.

mod error;
mod pickle;
mod storages;

use std::collections::BTreeMap;

pub use self::error::PytorchError;
use self::pickle::{Machine, Value};
use self::storages::Storages;

/// The first number of every such file.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The version of the format.
const VERSION: i64 = 1001;

/// A tensor of float32 numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its axes.
    pub shape: Vec<usize>,
    /// Its numbers in C order.
    pub values: Vec<f32>,
}

/// The float32 tensors of a file, by name. Integer tensors, such as counts of batches, are left
/// out.
///
/// ```
/// let error = cnn_codes_trunks::pytorch::read(b"no pickle").unwrap_err();
/// assert!(error.to_string().contains("instruction"));
/// ```
///
/// # Errors
/// [`PytorchError`]: the file has another format, is cut short, contradicts itself, or asks for
/// something that weights do not need.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, PytorchError> {
    let mut place = 0;
    let magic = Machine::run(bytes, &mut place)?;
    if !matches!(magic.result(), Value::LargeInt(number) if number == MAGIC) {
        return Err(PytorchError::OtherFormat {
            reason: "its first number is not that of PyTorch's old format".to_owned(),
        });
    }
    let version = Machine::run(bytes, &mut place)?;
    if !matches!(version.result(), Value::Int(VERSION)) {
        return Err(PytorchError::OtherFormat {
            reason: format!("its version is not {VERSION}"),
        });
    }
    let system = Machine::run(bytes, &mut place)?;
    if !system.says_little_endian() {
        return Err(PytorchError::OtherFormat {
            reason: "its numbers are not little-endian".to_owned(),
        });
    }
    let tensors = Machine::run(bytes, &mut place)?;
    let keys = Machine::run(bytes, &mut place)?;
    let storages = Storages::read(bytes, place, &tensors, &keys)?;
    let (mut named, mut n_numbers) = (BTreeMap::new(), 0);
    for (name, view) in tensors.named_tensors()? {
        let Some(tensor) = storages.tensor(name, view)? else {
            continue;
        };
        // Many names for one storage would turn a small file into much memory.
        n_numbers += tensor.values.len();
        if 4 * n_numbers > bytes.len() {
            return Err(PytorchError::Tensor {
                name: name.to_owned(),
                reason: "the tensors up to it are larger than the file".to_owned(),
            });
        }
        named.insert(name.to_owned(), tensor);
    }
    Ok(named)
}
