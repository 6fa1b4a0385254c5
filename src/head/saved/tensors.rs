//! Named float32 arrays in a safetensors file.

use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{SavedHeadError, damaged, read_file, write_file};
use crate::files::Open;

/// Arrays to write.
#[derive(Debug, Default)]
pub(super) struct TensorsToWrite {
    tensors: Vec<(String, Vec<usize>, Vec<u8>)>,
}

impl TensorsToWrite {
    /// Adds a matrix, in C order.
    pub(super) fn matrix(&mut self, name: &str, values: ArrayView2<f32>) {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.tensors
            .push((name.to_owned(), values.shape().to_vec(), bytes));
    }

    /// Adds a vector.
    pub(super) fn vector(&mut self, name: &str, values: ArrayView1<f32>) {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.tensors
            .push((name.to_owned(), vec![values.len()], bytes));
    }

    /// Writes the file, with its tensors sorted by name.
    pub(super) fn write(&self, path: &Path) -> Result<(), SavedHeadError> {
        let views = self.tensors.iter().map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name, view))
        });
        let file = views
            .collect::<Result<Vec<_>, _>>()
            .and_then(|views| safetensors::serialize(views, None))
            .map_err(|error| damaged(path)(error.to_string()))?;
        write_file(path, |out| out.write_all(&file))
    }
}

/// The arrays of a file, taken one by one.
#[derive(Debug)]
pub struct Tensors {
    path: PathBuf,
    bytes: Vec<u8>,
    taken: usize,
}

impl Tensors {
    /// Reads and checks a file as a whole.
    pub(super) fn read(path: &Path, open: Open) -> Result<Self, SavedHeadError> {
        let tensors = Self {
            path: path.to_owned(),
            bytes: read_file(path, open)?,
            taken: 0,
        };
        tensors.parse()?;
        Ok(tensors)
    }

    fn parse(&self) -> Result<SafeTensors<'_>, SavedHeadError> {
        SafeTensors::deserialize(&self.bytes).map_err(|error| {
            damaged(&self.path)(format!(
                "it is cut short or is no safetensors file ({error})"
            ))
        })
    }

    /// Takes the matrix `name`, which must have this shape.
    pub(in crate::head) fn matrix(
        &mut self,
        name: &str,
        shape: (usize, usize),
    ) -> Result<Array2<f32>, SavedHeadError> {
        let values = self.take(name, &[shape.0, shape.1])?;
        Array2::from_shape_vec(shape, values)
            .map_err(|error| damaged(&self.path)(error.to_string()))
    }

    /// Takes the vector `name`, which must have this length.
    pub(in crate::head) fn vector(
        &mut self,
        name: &str,
        len: usize,
    ) -> Result<Array1<f32>, SavedHeadError> {
        self.take(name, &[len]).map(Array1::from_vec)
    }

    /// Takes the vector `name`, of any length, if it exists.
    pub(super) fn any_vector(&mut self, name: &str) -> Result<Option<Array1<f32>>, SavedHeadError> {
        match self.shape(name)?.as_deref() {
            Some(&[len]) => self.vector(name, len).map(Some),
            found => self.no_shape(name, found, "a vector"),
        }
    }

    /// Takes the matrix `name`, of any shape, if it exists.
    pub(super) fn any_matrix(&mut self, name: &str) -> Result<Option<Array2<f32>>, SavedHeadError> {
        match self.shape(name)?.as_deref() {
            Some(&[rows, columns]) => self.matrix(name, (rows, columns)).map(Some),
            found => self.no_shape(name, found, "a matrix"),
        }
    }

    /// The shape of a tensor, if it exists.
    fn shape(&self, name: &str) -> Result<Option<Vec<usize>>, SavedHeadError> {
        let found = self.parse()?.tensor(name);
        Ok(found.ok().map(|tensor| tensor.shape().to_vec()))
    }

    /// The error for a tensor that is missing, or has other axes than `expected`.
    fn no_shape<T>(
        &self,
        name: &str,
        found: Option<&[usize]>,
        expected: &str,
    ) -> Result<Option<T>, SavedHeadError> {
        match found {
            None => Ok(None),
            Some(found) => {
                Err(self.damaged(format!("{name} is {found:?}, and {expected} is expected")))
            }
        }
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, SavedHeadError> {
        let wrong = damaged(&self.path);
        let tensors = self.parse()?;
        let tensor = tensors
            .tensor(name)
            .map_err(|_| wrong(format!("it has no tensor {name}")))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let (dtype, found) = (tensor.dtype(), tensor.shape());
            return Err(wrong(format!(
                "{name} is {dtype:?} {found:?}, and F32 {shape:?} is expected"
            )));
        }
        let words = tensor.data().chunks_exact(4);
        let values: Vec<_> = words
            .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(wrong(format!("{name} holds NaN or infinity")));
        }
        self.taken += 1;
        Ok(values)
    }

    /// The error for sound arrays that do not make a valid model.
    pub(in crate::head) fn damaged(&self, error: impl std::fmt::Display) -> SavedHeadError {
        damaged(&self.path)(error.to_string())
    }

    /// Refuses a file with further tensors.
    pub(super) fn finish(self) -> Result<(), SavedHeadError> {
        let held = self.parse()?.len();
        if held != self.taken {
            let reason = format!(
                "it holds {held} tensors, and head.json speaks of {}",
                self.taken
            );
            return Err(damaged(&self.path)(reason));
        }
        Ok(())
    }
}
