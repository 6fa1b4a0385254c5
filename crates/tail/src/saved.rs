//! Weights as safetensors.

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::{Tail, TailError};

impl Tail {
    /// All weights as the bytes of a safetensors file: float32, with their names and shapes. Equal
    /// weights give equal bytes.
    ///
    /// # Errors
    /// [`TailError::Safetensors`].
    pub fn to_safetensors(&self) -> Result<Vec<u8>, TailError> {
        let bytes: Vec<Vec<u8>> = (self.tensors.iter())
            .map(|tensor| tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let mut views = Vec::new();
        for (tensor, bytes) in self.tensors.iter().zip(&bytes) {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?;
            views.push((tensor.name.as_str(), view));
        }
        Ok(serialize(views, None)?)
    }

    /// Loads the weights from a safetensors file, which must hold exactly the weights of this tail.
    /// After an error the weights are unchanged.
    ///
    /// # Errors
    /// [`TailError::Safetensors`] or [`TailError::Foreign`].
    pub fn load_safetensors(&mut self, bytes: &[u8]) -> Result<(), TailError> {
        let file = SafeTensors::deserialize(bytes)?;
        if let Some(other) = file
            .names()
            .into_iter()
            .find(|name| self.named(name).is_none())
        {
            return Err(TailError::Foreign {
                reason: format!("the tail has no {other:?}"),
            });
        }
        let mut all = Vec::new();
        for tensor in &self.tensors {
            let view = file.tensor(&tensor.name).map_err(|_| TailError::Foreign {
                reason: format!("there is no {:?}", tensor.name),
            })?;
            if view.dtype() != Dtype::F32 || view.shape() != tensor.shape {
                return Err(TailError::Foreign {
                    reason: format!(
                        "{:?} is {:?} {:?}, and must be F32 {:?}",
                        tensor.name,
                        view.dtype(),
                        view.shape(),
                        tensor.shape
                    ),
                });
            }
            let (numbers, _) = view.data().as_chunks::<4>();
            all.push(
                numbers
                    .iter()
                    .map(|&bytes| f32::from_le_bytes(bytes))
                    .collect(),
            );
        }
        for (tensor, values) in self.tensors.iter_mut().zip(all) {
            tensor.values = values;
        }
        Ok(())
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.tensors.iter().position(|tensor| tensor.name == name)
    }
}
