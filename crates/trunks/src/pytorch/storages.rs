//! The numbers after the pickles, and the tensors that are views of them.

use std::collections::HashMap;
use std::rc::Rc;

use super::Tensor;
use super::error::PytorchError;
use super::pickle::{Machine, Name, TensorView};

/// The storages of a file, each a slice of it.
pub(super) struct Storages<'a> {
    by_key: HashMap<Rc<str>, (Name, &'a [u8])>,
}

impl<'a> Storages<'a> {
    /// Finds the storages from `place` on, in the order of `keys`.
    pub(super) fn read(
        bytes: &'a [u8],
        mut place: usize,
        tensors: &Machine,
        keys: &Machine,
    ) -> Result<Self, PytorchError> {
        let mut declared = HashMap::new();
        for (name, tensor) in tensors.named_tensors()? {
            let storage = &tensor.storage;
            let known = declared.entry(&*storage.key).or_insert(storage);
            if *known != storage {
                let reason = "its storage is described in two ways".to_owned();
                let name = name.to_owned();
                return Err(PytorchError::Tensor { name, reason });
            }
        }
        let keys = keys.texts().ok_or(PytorchError::Damaged {
            reason: "the keys of the storages are no list of texts",
            place,
        })?;
        let mut by_key = HashMap::new();
        for key in keys {
            let Some(&storage) = declared.get(key) else {
                let reason = "a storage belongs to no tensor";
                return Err(PytorchError::Damaged { reason, place });
            };
            let what = "a storage";
            let cut = PytorchError::CutShort { what, place };
            let rest = bytes.get(place..).unwrap_or_default();
            let Some((len, rest)) = rest.split_first_chunk::<8>() else {
                return Err(cut);
            };
            if usize::try_from(u64::from_le_bytes(*len)).ok() != Some(storage.len) {
                let reason = "a storage is not as long as its tensors say";
                return Err(PytorchError::Damaged { reason, place });
            }
            let element = match storage.kind {
                Name::LongStorage => 8,
                _ => 4,
            };
            let n_bytes = storage.len.checked_mul(element);
            let Some(numbers) = n_bytes.and_then(|n_bytes| rest.get(..n_bytes)) else {
                return Err(cut);
            };
            place += 8 + numbers.len();
            by_key.insert(Rc::clone(&storage.key), (storage.kind, numbers));
        }
        if place != bytes.len() {
            let reason = "there is something behind the last storage";
            return Err(PytorchError::Damaged { reason, place });
        }
        Ok(Self { by_key })
    }

    /// The numbers of a view in C order; `None` for integers.
    ///
    /// Strides are used, because PyTorch writes a transposed weight in its memory order.
    pub(super) fn tensor(
        &self,
        name: &str,
        view: &TensorView,
    ) -> Result<Option<Tensor>, PytorchError> {
        let wrong = |reason: &str| PytorchError::Tensor {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        let len = view.storage.len;
        let &(kind, bytes) = self
            .by_key
            .get(&view.storage.key)
            .ok_or_else(|| wrong("its storage is not in the file"))?;
        if kind != Name::FloatStorage {
            return Ok(None);
        }
        let TensorView {
            offset,
            shape,
            strides,
            ..
        } = view;
        if shape.len() != strides.len() {
            return Err(wrong("it has not as many strides as axes"));
        }
        let mut axes = shape.iter();
        let n = axes.try_fold(1_usize, |n, &axis| n.checked_mul(axis));
        // At most as large as its storage: strides of 0 would turn a small file into much memory.
        let n = n.filter(|&n| n <= len);
        let n = n.ok_or_else(|| wrong("it is larger than its storage"))?;
        let mut last = Some(*offset);
        for (&axis, &stride) in shape.iter().zip(strides) {
            let reach = axis.saturating_sub(1).checked_mul(stride);
            last = last
                .zip(reach)
                .and_then(|(last, reach)| last.checked_add(reach));
        }
        if n > 0 && last.is_none_or(|last| last >= len) {
            return Err(wrong("it reaches beyond its storage"));
        }
        let (numbers, _) = bytes.as_chunks::<4>();
        let values = (0..n).map(|index| {
            let (mut rest, mut at) = (index, *offset);
            for (&axis, &stride) in shape.iter().zip(strides).rev() {
                at += rest % axis * stride;
                rest /= axis;
            }
            f32::from_le_bytes(numbers[at])
        });
        Ok(Some(Tensor {
            shape: shape.clone(),
            values: values.collect(),
        }))
    }
}
