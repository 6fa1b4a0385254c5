//! store.json: what a store holds, and how it was made.

use serde::{Deserialize, Serialize};

use super::description::{is_false, onnxruntime_kernels};
use super::identity::checked_product;
use super::{CodesIdentity, Dtype, Shard, StoreDescription};
use crate::picture::Views;

/// Version of the store's format that this code writes and reads.
pub(crate) const FORMAT: u32 = 1;

/// Why a text is not a valid store.json.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The text is not JSON, lacks a key, or has an unknown key.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// The manifest has another format version, or contradicts itself.
    #[error("{reason}")]
    Invalid {
        /// What is wrong, in words that follow the file's name.
        reason: String,
    },
}

/// The contents of store.json. It has no time stamp, so that the same job writes the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The program that wrote the store, with its version.
    pub created_by: String,
    /// What the pictures have in common.
    pub store: StoreDescription,
    /// How many pictures went in, and how they ended.
    pub counts: Counts,
}

/// Numbers of pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Rows of codes.npy.
    pub pictures: usize,
    /// Rows of failures.csv.
    pub failures: usize,
    /// Rows of codes.npy for each class.
    pub per_class: Vec<usize>,
}

impl Counts {
    /// Adds the counts of another part of the store.
    pub(super) fn add(&mut self, part: &Self) {
        self.pictures += part.pictures;
        self.failures += part.failures;
        for (sum, n) in self.per_class.iter_mut().zip(&part.per_class) {
            *sum += n;
        }
    }
}

/// The keys of store.json, in their order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreJson {
    format: u32,
    created_by: String,
    codes: CodesIdentity,
    dtype: Dtype,
    #[serde(default, skip_serializing_if = "Views::is_none")]
    views: Views,
    shape: Vec<usize>,
    classes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listing: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<Shard>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    counts: Counts,
    decoder: String,
    onnxruntime: String,
    provider: String,
    #[serde(default = "onnxruntime_kernels")]
    kernels: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_pixels: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    grouped: bool,
}

impl From<&Manifest> for StoreJson {
    fn from(manifest: &Manifest) -> Self {
        let store = manifest.store.clone();
        Self {
            format: FORMAT,
            created_by: manifest.created_by.clone(),
            codes: store.codes,
            dtype: store.dtype,
            views: store.views,
            shape: manifest.shape(),
            classes: store.classes,
            listing: store.listing,
            part: store.part,
            root: store.root,
            counts: manifest.counts.clone(),
            decoder: store.decoder,
            onnxruntime: store.onnxruntime,
            provider: store.provider,
            kernels: store.kernels,
            max_pixels: store.max_pixels,
            grouped: store.grouped,
        }
    }
}

impl StoreJson {
    /// The manifest, if its numbers agree.
    fn checked(self) -> Result<Manifest, String> {
        if self.format != FORMAT {
            return Err(format!(
                "it has format {}, and this version reads format {FORMAT}",
                self.format
            ));
        }
        let manifest = Manifest {
            created_by: self.created_by,
            store: StoreDescription {
                codes: self.codes,
                dtype: self.dtype,
                views: self.views,
                classes: self.classes,
                listing: self.listing,
                part: self.part,
                root: self.root,
                decoder: self.decoder,
                onnxruntime: self.onnxruntime,
                provider: self.provider,
                kernels: self.kernels,
                max_pixels: self.max_pixels,
                grouped: self.grouped,
            },
            counts: self.counts,
        };
        manifest.check(&self.shape)?;
        Ok(manifest)
    }
}

impl Manifest {
    /// The manifest of a store that this version writes.
    pub(super) fn new(store: StoreDescription, counts: Counts) -> Self {
        Self {
            created_by: concat!("cnn-codes ", env!("CARGO_PKG_VERSION")).to_owned(),
            store,
            counts,
        }
    }

    /// Shape of codes.npy: N, then V if pictures have several views, then the shape of one code.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = vec![self.counts.pictures];
        shape.extend(self.store.row_shape());
        shape
    }

    /// Reads the text of a store.json and checks that it does not contradict itself.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        let json: StoreJson = serde_json::from_str(text)?;
        let checked = json.checked();
        checked.map_err(|reason| ManifestError::Invalid { reason })
    }

    /// The text of store.json.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = StoreJson::from(self);
        let mut text = serde_json::to_string_pretty(&json).expect("a manifest is plain data");
        text.push('\n');
        text
    }

    /// Checks the manifest's own invariants, before any other file is read. `shape` is the shape
    /// that it states.
    fn check(&self, shape: &[usize]) -> Result<(), String> {
        if self.store.part.is_some_and(|part| !part.is_sound()) {
            return Err("it is a part beyond the last".to_owned());
        }
        self.store.codes.validate()?;
        self.check_shape(shape)?;
        self.check_classes()
    }

    fn check_shape(&self, shape: &[usize]) -> Result<(), String> {
        if shape != self.shape() {
            return Err(format!(
                "its shape {shape:?} is not {} pictures of {:?}",
                self.counts.pictures,
                self.store.row_shape()
            ));
        }
        let n_bytes = checked_product(shape).and_then(|n| n.checked_mul(self.store.dtype.size()));
        match n_bytes {
            Some(_) => Ok(()),
            None => Err(format!("its shape {shape:?} is too large to count")),
        }
    }

    fn check_classes(&self) -> Result<(), String> {
        let Counts {
            pictures,
            per_class,
            ..
        } = &self.counts;
        if per_class.len() != self.store.classes.len() {
            return Err(format!(
                "it counts {} classes and names {}",
                per_class.len(),
                self.store.classes.len()
            ));
        }
        if !self.store.classes.is_sorted_by(|a, b| a < b) {
            return Err("its classes are not in alphabetical order".to_owned());
        }
        if self.store.classes.is_empty() {
            return Ok(());
        }
        let mut counts = per_class.iter();
        let sum = counts.try_fold(0_usize, |sum, &count| sum.checked_add(count));
        if sum != Some(*pictures) {
            return Err(format!(
                "its counts {per_class:?} do not add up to {pictures} pictures"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest of 3 pictures in 2 classes, with `from` replaced by `to`.
    fn reason(from: &str, to: &str) -> String {
        let text = r#"{
            "format": 1, "created_by": "a test",
            "codes": {
                "trunk": {"name": "t", "sha256": "0", "tensors_sha256": "0"},
                "recipe": "tf",
                "resize": {"width": 4, "height": 4, "fit": "crop", "filter": "nearest"},
                "output": {"name": "o", "shape": [2, 2, 8]},
                "pool": "none"
            },
            "dtype": "f32", "shape": [3, 2, 2, 8], "classes": ["a", "b"],
            "counts": {"pictures": 3, "failures": 0, "per_class": [1, 2]},
            "decoder": "d", "onnxruntime": "1", "provider": "p"
        }"#;
        assert_eq!(
            Manifest::from_json(text).unwrap().store.codes.code_len(),
            32
        );
        assert!(text.contains(from), "{from}");
        let error = Manifest::from_json(&text.replace(from, to)).unwrap_err();
        error.to_string()
    }

    #[test]
    fn an_output_too_large_to_count_is_an_error_and_no_overflow() {
        let huge = format!("{0}, {0}, 8]", 1_u64 << 62);
        assert!(reason("2, 2, 8]", &huge).contains("too many to count"));
    }

    #[test]
    fn a_code_without_values_is_refused() {
        assert!(reason("2, 2, 8]", "2, 0, 8]").contains("at least one number"));
    }

    #[test]
    fn shape_counts_and_classes_must_agree() {
        assert!(reason("[3, 2, 2, 8]", "[3, 4, 8]").contains("is not 3 pictures of [2, 2, 8]"));
        assert!(reason("[3, 2, 2, 8]", "[]").contains("is not 3 pictures"));
        assert!(reason("[1, 2]", "[1, 3]").contains("do not add up to 3"));
        assert!(reason("[1, 2]", "[18446744073709551615, 4]").contains("do not add up to 3"));
        assert!(reason("[1, 2]", "[3]").contains("counts 1 classes and names 2"));
        assert!(reason(r#""a", "b""#, r#""b", "a""#).contains("alphabetical"));
    }
}
