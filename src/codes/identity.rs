//! What codes are, and whether two stores' codes are the same.

use serde::{Deserialize, Serialize};

use super::Pool;
use crate::model::{LayerColumns, Layers, ModelCard, OutputSpec, TrunkIdentity};
use crate::picture::{Decoding, Recipe, Resize};

/// What codes are: the trunk, and everything done to a picture before and after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodesIdentity {
    /// The network.
    pub trunk: TrunkIdentity,
    /// How a picture became the input tensor.
    pub recipe: Recipe,
    /// How a picture was brought to the trunk's input size.
    pub resize: Resize,
    /// The trunk's output that the codes are.
    pub output: OutputSpec,
    /// How the output was pooled over height and width.
    pub pool: Pool,
}

impl CodesIdentity {
    /// The identity of the codes of a trunk, for pictures prepared like this and pooled outputs.
    ///
    /// `trunk` is the identity of the trunk that `card` describes. Pictures get the size of the
    /// card's input, whatever size `resize` states.
    #[must_use]
    pub(crate) fn new(
        trunk: TrunkIdentity,
        card: &ModelCard,
        recipe: Recipe,
        resize: Resize,
        pool: Pool,
    ) -> Self {
        Self {
            trunk,
            recipe,
            resize: Resize {
                width: card.input.width,
                height: card.input.height,
                ..resize
            },
            output: card.output(),
            pool,
        }
    }

    /// The identity of the codes of some of the layers. `None` if these codes have no recorded
    /// layers, or if one of the names is not among them.
    ///
    /// The trunk's graph is then a different one, with an unknown hash; its parameters identify it.
    #[must_use]
    pub(super) fn with_layers(&self, names: &[String]) -> Option<Self> {
        let layers = self.output.name.parse::<Layers>().ok()?.only(names).ok()?;
        let columns = names.iter().map(|name| {
            let columns = self.output.columns_of(name)?;
            Some(LayerColumns {
                layer: name.clone(),
                columns: columns.len(),
            })
        });
        let columns: Vec<_> = columns.collect::<Option<_>>()?;
        Some(Self {
            trunk: TrunkIdentity {
                graph_sha256: None,
                ..self.trunk.clone()
            },
            output: OutputSpec {
                name: layers.to_string(),
                shape: vec![columns.iter().map(|there| there.columns).sum()],
                layers: columns,
            },
            ..self.clone()
        })
    }

    /// Says how these codes differ from `other`; `None` if both mean the same.
    ///
    /// Trunks are compared by what computes their output, not by their files: equal weights and
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
    /// In an identity from a checked file, it fits a `usize` and is not 0.
    #[must_use]
    pub fn code_len(&self) -> usize {
        self.pool.shape(&self.output.shape).iter().product()
    }

    /// Refuses an output without values, or with too many to count.
    pub(crate) fn validate(&self) -> Result<(), String> {
        match checked_product(&self.output.shape) {
            Some(1..) => self.output.validate(),
            _ => Err(format!(
                "its output {:?} must hold at least one number, and not too many to count",
                self.output.shape
            )),
        }
    }
}

/// The number of elements of an array; `None` if it is too large to count.
pub(super) fn checked_product(shape: &[usize]) -> Option<usize> {
    let mut axes = shape.iter();
    axes.try_fold(1_usize, |product, &axis| product.checked_mul(axis))
}

fn describe_resize(resize: &Resize) -> String {
    let Resize {
        width,
        height,
        fit,
        filter,
        decoding,
    } = resize;
    let scaled = match decoding {
        Decoding::Scaled => ", large JPEGs decoded at a smaller size",
        Decoding::Full => "",
    };
    format!("{width}x{height} {fit} {filter}{scaled}")
}
