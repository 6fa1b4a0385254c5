//! What every picture of a store has in common.

use serde::{Deserialize, Serialize};

use super::{CodesIdentity, Dtype, Shard};
use crate::picture::Views;

/// What all pictures of a store have in common; known before the first one is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreDescription {
    /// What the codes are. Another store must share all of it to be used with this one.
    pub codes: CodesIdentity,
    /// Element type on disk.
    pub dtype: Dtype,
    /// The views of a picture that have codes; the codes of one picture are one row.
    #[serde(default, skip_serializing_if = "Views::is_none")]
    pub views: Views,
    /// Class names in the order of their indices (alphabetical); empty for unlabelled pictures.
    pub classes: Vec<String>,
    /// BLAKE3 of the names and labels of all pictures that the job was given. The parts of one
    /// store share it. `None` for a store that was not made by a job.
    pub listing: Option<String>,
    /// Which part of a store this is; `None` for a complete one.
    pub part: Option<Shard>,
    /// The folder that the pictures' paths are relative to, absolute, if there is one. It is only
    /// used to show pictures, and does not identify the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The JPEG decoder, with its version: two decoders differ by 0.2 to 0.8% in the codes.
    pub decoder: String,
    /// Version of ONNX Runtime.
    pub onnxruntime: String,
    /// The execution provider that runs the trunk: `CPUExecutionProvider`.
    pub provider: String,
    /// Whose kernels compute the convolutions, `winograd` or `onnxruntime`. They agree to a few
    /// millionths, so their stores can be combined.
    #[serde(default = "onnxruntime_kernels")]
    pub kernels: String,
    /// The largest number of pixels of a picture; `None` for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u64>,
    /// Whether images.csv has a column `group`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub grouped: bool,
}

/// Which values store.json leaves out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
pub(super) fn is_false(value: &bool) -> bool {
    !value
}

/// The kernels of stores that record none: there were no others then.
pub(super) fn onnxruntime_kernels() -> String {
    "onnxruntime".to_owned()
}

impl StoreDescription {
    /// Shape of one code: `[7, 7, 512]`, or `[512]` when pooled.
    #[must_use]
    pub fn code_shape(&self) -> Vec<usize> {
        self.codes.pool.shape(&self.codes.output.shape)
    }

    /// Shape of a row: that of one code; `[V, 7, 7, 512]` if pictures have V views.
    #[must_use]
    pub fn row_shape(&self) -> Vec<usize> {
        let views = (!self.views.is_none()).then(|| self.views.n());
        views.into_iter().chain(self.code_shape()).collect()
    }

    /// Bytes of one code on the disk.
    #[must_use]
    pub(crate) fn code_bytes(&self) -> usize {
        self.codes.code_len() * self.dtype.size()
    }

    /// Whether stores of both hold the same bytes. The pictures' root may differ, and so may the
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
