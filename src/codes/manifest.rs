//! store.json: what a store holds, and how it was made.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Dtype, Pool};
use crate::model::ModelCard;
use crate::picture::{Recipe, Resize};

/// Version of the store's format that this code writes and reads.
pub const FORMAT: u32 = 1;

/// Why a text is no store.json.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not JSON, lacks a key, or has one that a manifest does not have.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// It is of another format, or contradicts itself.
    #[error("{reason}")]
    Invalid {
        /// What is wrong, in words that follow the file's name.
        reason: String,
    },
}

/// The contents of store.json. It holds no time stamp: the same job leaves the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format, [`FORMAT`].
    pub format: u32,
    /// The program that wrote the store, with its version.
    pub created_by: String,
    /// What the codes are: all that another store must share to be used with this one.
    pub codes: CodesIdentity,
    /// Element type of codes.npy, `f32` or `f16`.
    pub dtype: Dtype,
    /// Shape of codes.npy: N, then the shape of one code.
    pub shape: Vec<usize>,
    /// Class names in the order of their indices (alphabetical); empty where the pictures are
    /// unlabelled.
    pub classes: Vec<String>,
    /// BLAKE3 over the names and labels of all the pictures that the job was given. The parts of
    /// one store share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<String>,
    /// Which part of a store this is; nothing for a whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The folder that the pictures' paths are relative to, absolute, where there is one: whoever
    /// shows pictures looks there. It is no part of what the job is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// How many pictures went in, and what became of them.
    pub counts: Counts,
    /// The JPEG decoder, with its version: two decoders differ by about 0.35% in the codes.
    pub decoder: String,
    /// Version of ONNX Runtime.
    pub onnxruntime: String,
    /// The execution provider that ran the trunk: `CPUExecutionProvider`.
    pub provider: String,
    /// Whose kernels did the convolutions, `winograd` or `onnxruntime`: they agree to a few
    /// millionths, so stores of both go together.
    #[serde(default = "onnxruntime_kernels")]
    pub kernels: String,
    /// The most pixels that a picture could have, unless it was the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u64>,
}

/// The kernels of stores that do not say: there were no others.
fn onnxruntime_kernels() -> String {
    "onnxruntime".to_owned()
}

/// What codes are: the trunk, and all that was done to a picture before and after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodesIdentity {
    /// The network.
    pub trunk: TrunkIdentity,
    /// How a picture became the input tensor.
    pub recipe: Recipe,
    /// How a picture became as large as the trunk wants it.
    pub resize: Resize,
    /// The trunk's output that the codes are.
    pub output: OutputSpec,
    /// What was done over height and width of the output.
    pub pool: Pool,
}

/// A trunk's name and hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkIdentity {
    /// Name on the model card.
    pub name: String,
    /// SHA-256 of the ONNX file, 64 hexadecimal digits.
    pub sha256: String,
    /// SHA-256 of the trunk's parameters, where they are initializers
    /// ([`hash_tensors`](crate::model::hash_tensors)).
    pub tensors_sha256: String,
    /// SHA-256 of all that computes the output, wherever it stands in the file
    /// ([`hash_graph`](crate::model::hash_graph)). Earlier versions did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph_sha256: Option<String>,
}

/// [`TrunkIdentity::tensors_sha256`] of a trunk without initializers, which says nothing about it:
/// the SHA-256 of nothing.
const NO_TENSORS: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl TrunkIdentity {
    /// Whether both give the same codes, as far as their records tell.
    ///
    /// The graph's hash decides. Where one of them lacks it, they have the same initializers, and
    /// are the same file, or VGG16 as it is fetched, or at least have initializers.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        if self.name != other.name {
            return false;
        }
        if let (Some(ours), Some(theirs)) = (&self.graph_sha256, &other.graph_sha256) {
            return ours == theirs;
        }
        let has_same_tensors = self.tensors_sha256 == other.tensors_sha256;
        if !has_same_tensors || self.sha256 == other.sha256 {
            return has_same_tensors;
        }
        match (self.graph(), other.graph()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.tensors_sha256 != NO_TENSORS,
        }
    }

    /// The graph's hash; of VGG16, whose graph is known, even where it was not recorded.
    fn graph(&self) -> Option<Cow<'_, str>> {
        if let Some(graph) = &self.graph_sha256 {
            return Some(Cow::Borrowed(graph));
        }
        let vgg16 = ModelCard::vgg16();
        let is_vgg16 =
            vgg16.name == self.name && vgg16.tensors_sha256.as_ref() == Some(&self.tensors_sha256);
        vgg16.graph_sha256.filter(|_| is_vgg16).map(Cow::Owned)
    }

    /// The name, and the hashes that tell this trunk from `other`.
    fn describe(&self, other: &Self) -> String {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        let parameters = match self.tensors_sha256.as_str() {
            NO_TENSORS => "no initializers".to_owned(),
            hash => format!("parameters {}", short(hash)),
        };
        if self.tensors_sha256 != other.tensors_sha256 {
            return format!("{} ({parameters})", self.name);
        }
        match self.graph() {
            Some(graph) => format!("{} ({parameters}, graph {})", self.name, short(&graph)),
            None => format!(
                "{} ({parameters}, graph not recorded by the version that made it)",
                self.name
            ),
        }
    }
}

/// An output of the trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// Name in the ONNX graph.
    pub name: String,
    /// Shape of one picture's output, channels last: `[7, 7, 512]`.
    pub shape: Vec<usize>,
}

/// One of the parts that a store is made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which part, from 0.
    pub index: u32,
    /// How many parts there are.
    pub of: u32,
}

impl std::fmt::Display for Part {
    /// The directory's name, `part-00003-of-00008`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "part-{:05}-of-{:05}", self.index, self.of)
    }
}

/// What every picture of a store has in common, known before the first one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreDescription {
    /// What the codes are.
    pub codes: CodesIdentity,
    /// Element type on disk, `F32` or `F16`.
    pub dtype: Dtype,
    /// Class names in the order of their indices; empty for unlabelled pictures.
    pub classes: Vec<String>,
    /// BLAKE3 over the names and labels of all pictures of the job, where there is a list.
    pub listing: Option<String>,
    /// Which part of a store this is; nothing for a whole one.
    pub part: Option<Part>,
    /// The folder that the pictures' paths are relative to, absolute, where there is one: whoever
    /// shows pictures looks there. It is no part of what the job is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// JPEG decoder with version.
    pub decoder: String,
    /// Version of ONNX Runtime.
    pub onnxruntime: String,
    /// Execution provider that runs the trunk.
    pub provider: String,
    /// Whose kernels do the convolutions.
    #[serde(default = "onnxruntime_kernels")]
    pub kernels: String,
    /// The most pixels that a picture could have, unless it was the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u64>,
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

impl StoreDescription {
    /// Whether stores of both hold the same bytes but for where the pictures were, and for the
    /// graph's hash, which earlier versions did not record.
    pub(super) fn is_same_job(&self, other: &Self) -> bool {
        let anywhere = |description: &Self| {
            let mut description = description.clone();
            description.root = None;
            description.codes.trunk.graph_sha256 = None;
            description
        };
        anywhere(self) == anywhere(other) && self.codes.trunk.is_same(&other.codes.trunk)
    }
}

impl CodesIdentity {
    /// Says how these codes differ from `other`, or `None` where both mean the same.
    ///
    /// The trunk is compared by what computes its output, not by its file: the same weights and
    /// operators in two files give the same codes.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        if !self.trunk.is_same(&other.trunk) {
            let (ours, theirs) = (&self.trunk, &other.trunk);
            return Some(format!(
                "the trunk differs: {} and {}",
                ours.describe(theirs),
                theirs.describe(ours)
            ));
        }
        let described = |codes: &Self| {
            [
                ("recipe", codes.recipe.to_string()),
                ("resizing", describe_resize(&codes.resize)),
                (
                    "output",
                    format!("{} {:?}", codes.output.name, codes.output.shape),
                ),
                ("pooling", codes.pool.to_string()),
            ]
        };
        let mut pairs = described(self).into_iter().zip(described(other));
        pairs
            .find(|(ours, theirs)| ours != theirs)
            .map(|((what, ours), (_, theirs))| format!("the {what} differs: {ours} and {theirs}"))
    }

    /// Number of values in one flattened code, D.
    ///
    /// It fits a `usize`, and is not 0, in identities that came out of a checked file.
    #[must_use]
    pub fn code_len(&self) -> usize {
        self.pool.shape(&self.output.shape).iter().product()
    }

    /// Refuses an output without values, or with more than can be counted.
    pub(crate) fn validate(&self) -> Result<(), String> {
        match checked_product(&self.output.shape) {
            Some(1..) => Ok(()),
            _ => Err(format!(
                "its output {:?} must hold at least one number, and not too many to count",
                self.output.shape
            )),
        }
    }
}

fn checked_product(shape: &[usize]) -> Option<usize> {
    let mut axes = shape.iter();
    axes.try_fold(1_usize, |product, &axis| product.checked_mul(axis))
}

fn describe_resize(resize: &Resize) -> String {
    let Resize {
        width,
        height,
        fit,
        filter,
    } = resize;
    format!("{width}x{height} {fit} {filter}")
}

impl Manifest {
    /// What is known of the store before its first picture.
    #[must_use]
    pub fn description(&self) -> StoreDescription {
        StoreDescription {
            codes: self.codes.clone(),
            dtype: self.dtype,
            classes: self.classes.clone(),
            listing: self.listing.clone(),
            part: self.part,
            root: self.root.clone(),
            decoder: self.decoder.clone(),
            onnxruntime: self.onnxruntime.clone(),
            provider: self.provider.clone(),
            kernels: self.kernels.clone(),
            max_pixels: self.max_pixels,
        }
    }

    /// Reads the text of a store.json and checks that it does not contradict itself.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_str(text)?;
        match manifest.validate() {
            Ok(()) => Ok(manifest),
            Err(reason) => Err(ManifestError::Invalid { reason }),
        }
    }

    /// The manifest's own invariants, before any other file is looked at.
    fn validate(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!(
                "it has format {}, and this version reads format {FORMAT}",
                self.format
            ));
        }
        if self.dtype == Dtype::I64 {
            return Err("codes are f32 or f16, not i64".to_owned());
        }
        if self.part.is_some_and(|part| part.index >= part.of) {
            return Err("it is a part beyond the last".to_owned());
        }
        self.codes.validate()?;
        self.validate_shape()?;
        self.validate_classes()
    }

    fn validate_shape(&self) -> Result<(), String> {
        let code_shape = self.codes.pool.shape(&self.codes.output.shape);
        let n_pictures = self.counts.pictures;
        if self.shape.split_first() != Some((&n_pictures, &code_shape[..])) {
            return Err(format!(
                "its shape {:?} is not {n_pictures} pictures of {code_shape:?}",
                self.shape
            ));
        }
        let n_bytes = checked_product(&self.shape).and_then(|n| n.checked_mul(self.dtype.size()));
        match n_bytes {
            Some(_) => Ok(()),
            None => Err(format!("its shape {:?} is too large to count", self.shape)),
        }
    }

    fn validate_classes(&self) -> Result<(), String> {
        let Counts {
            pictures,
            per_class,
            ..
        } = &self.counts;
        if per_class.len() != self.classes.len() {
            return Err(format!(
                "it counts {} classes and names {}",
                per_class.len(),
                self.classes.len()
            ));
        }
        if !self.classes.is_sorted_by(|a, b| a < b) {
            return Err("its classes are not in alphabetical order".to_owned());
        }
        if self.classes.is_empty() {
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

    /// A description as earlier versions wrote it.
    const DESCRIPTION: &str = r#"{
        "codes": {
            "trunk": {"name": "t", "sha256": "0", "tensors_sha256": "0"},
            "recipe": "tf",
            "resize": {"width": 4, "height": 4, "fit": "crop", "filter": "nearest"},
            "output": {"name": "o", "shape": [2, 2, 8]},
            "pool": "none"
        },
        "dtype": "f32", "classes": ["a", "b"], "listing": "3",
        "decoder": "d", "onnxruntime": "1", "provider": "p"
    }"#;

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
        assert_eq!(Manifest::from_json(text).unwrap().codes.code_len(), 32);
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

    /// A trunk of a file called `file`, recorded with a graph or as earlier versions did.
    fn trunk(name: &str, file: &str, tensors: &str, graph: Option<&str>) -> TrunkIdentity {
        TrunkIdentity {
            name: name.to_owned(),
            sha256: file.to_owned(),
            tensors_sha256: tensors.to_owned(),
            graph_sha256: graph.map(str::to_owned),
        }
    }

    #[test]
    fn a_graph_that_is_recorded_on_both_sides_decides() {
        let ours = trunk("t", "1", "2", Some("3"));
        assert!(ours.is_same(&trunk("t", "9", "9", Some("3"))));
        assert!(!ours.is_same(&trunk("t", "1", "2", Some("9"))));
        assert!(!ours.is_same(&trunk("other", "1", "2", Some("3"))));
    }

    #[test]
    fn initializers_decide_where_one_side_has_no_graph_unless_there_are_none() {
        let ours = trunk("t", "1", "2", Some("3"));
        assert!(ours.is_same(&trunk("t", "9", "2", None)));
        assert!(!ours.is_same(&trunk("t", "1", "9", None)));
        let ours = trunk("t", "1", NO_TENSORS, Some("3"));
        for older in [None, Some("3")] {
            let same_file = trunk("t", "1", NO_TENSORS, older);
            assert!(ours.is_same(&same_file) && same_file.is_same(&ours));
        }
        let other_file = trunk("t", "9", NO_TENSORS, None);
        assert!(!ours.is_same(&other_file) && !other_file.is_same(&ours));
        assert!(!other_file.is_same(&trunk("t", "8", NO_TENSORS, None)));
    }

    #[test]
    fn the_graph_of_vgg16_is_known_of_older_stores() {
        let card = ModelCard::vgg16();
        let (tensors, graph) = (card.tensors_sha256.unwrap(), card.graph_sha256.unwrap());
        let older = trunk("vgg16", "1", &tensors, None);
        assert!(older.is_same(&trunk("vgg16", "2", &tensors, Some(&graph))));
        assert!(!older.is_same(&trunk("vgg16", "2", &tensors, Some("3"))));
        // The same weights in a graph of the user's own, which an earlier version used.
        let own = trunk("own", "1", &tensors, None);
        assert!(own.is_same(&trunk("own", "1", &tensors, Some("3"))));
        assert!(own.is_same(&trunk("own", "2", &tensors, Some("3"))));
    }

    #[test]
    fn the_hash_of_no_initializers_is_that_of_nothing() {
        use sha2::{Digest, Sha256};
        let hash = Sha256::digest([]);
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, NO_TENSORS);
    }

    #[test]
    fn a_graph_that_an_earlier_version_did_not_record_is_the_same_job() {
        let mut then: StoreDescription = serde_json::from_str(DESCRIPTION).unwrap();
        let mut now = then.clone();
        now.codes.trunk.graph_sha256 = Some("7".to_owned());
        assert!(now.is_same_job(&then) && then.is_same_job(&now));
        then.codes.trunk.graph_sha256 = Some("8".to_owned());
        assert!(!now.is_same_job(&then));
        then.codes.trunk.graph_sha256 = None;
        then.codes.trunk.sha256 = "9".to_owned();
        assert!(
            !now.is_same_job(&then),
            "another file makes another store.json"
        );
    }

    #[test]
    fn moved_pictures_are_the_same_job() {
        let before: StoreDescription = serde_json::from_str(DESCRIPTION).unwrap();
        let mut now = before.clone();
        now.root = Some("/pictures".to_owned());
        assert!(now.is_same_job(&before));
        now.listing = None;
        assert!(!now.is_same_job(&before));
    }
}
