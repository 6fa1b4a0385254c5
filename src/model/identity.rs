//! What a store records of a model: which trunk it is, and which of its outputs the codes are.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Layers, ModelCard};

/// A trunk's name and hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkIdentity {
    /// Name on the model card.
    pub name: String,
    /// SHA-256 of the ONNX file, 64 hexadecimal digits.
    pub sha256: String,
    /// SHA-256 of the trunk's parameters, if they are initializers
    /// ([`hash_tensors`](crate::model::hash_tensors)).
    pub tensors_sha256: String,
    /// SHA-256 of everything that computes the output, wherever it is in the file
    /// ([`hash_graph`](crate::model::hash_graph)). Earlier versions did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph_sha256: Option<String>,
}

/// [`TrunkIdentity::tensors_sha256`] of a trunk without initializers: the SHA-256 of no data, which
/// says nothing about the trunk.
const NO_TENSORS: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl TrunkIdentity {
    /// Whether both give the same codes, as far as their records show.
    ///
    /// Their names must be equal. Then the graph's hash decides. If one of them has none, their
    /// initializers must be equal, and besides they must be the same file, or the fetched VGG16, or
    /// at least have initializers.
    #[must_use]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
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

    /// The graph's hash. VGG16's is known even if it was not recorded.
    fn graph(&self) -> Option<Cow<'_, str>> {
        if let Some(graph) = &self.graph_sha256 {
            return Some(Cow::Borrowed(graph));
        }
        let vgg16 = ModelCard::vgg16();
        let is_vgg16 =
            vgg16.name == self.name && vgg16.tensors_sha256.as_ref() == Some(&self.tensors_sha256);
        vgg16.graph_sha256.filter(|_| is_vgg16).map(Cow::Owned)
    }

    /// The name, and the hashes that distinguish this trunk from `other`.
    pub(crate) fn describe(&self, other: &Self) -> String {
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
    /// The layers whose codes are joined into one vector, in their order; empty for the output of a
    /// single layer. Earlier versions did not record them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerColumns>,
}

/// The columns of one layer, which follow those of the previous layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerColumns {
    /// The layer's name in the ONNX graph: `block4_pool`.
    pub layer: String,
    /// How many columns it has.
    pub columns: usize,
}

impl OutputSpec {
    /// Channels, C: the last axis.
    #[must_use]
    pub(crate) fn channels(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// The columns of `layer`; `None` if no such layer is recorded.
    #[must_use]
    pub(crate) fn columns_of(&self, layer: &str) -> Option<Range<usize>> {
        let mut first = 0_usize;
        for there in &self.layers {
            let columns = first..first.saturating_add(there.columns);
            if there.layer == layer {
                return Some(columns);
            }
            first = columns.end;
        }
        None
    }

    /// Refuses layers whose columns do not add up to the output.
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.layers.is_empty() {
            return Ok(());
        }
        let columns = self.layers.iter().map(|there| there.columns);
        let sum = columns.fold(0, usize::saturating_add);
        if self.shape != [sum] {
            return Err(format!(
                "its layers have {sum} columns, and its output is {:?}",
                self.shape
            ));
        }
        let written = self.name.parse::<Layers>().is_ok_and(|layers| {
            let names = self.layers.iter().map(|there| &there.layer);
            layers.names().iter().eq(names)
        });
        match written {
            true => Ok(()),
            false => Err(format!(
                "its layers are not those of its output {}",
                self.name
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
