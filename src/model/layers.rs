//! Codes of several layers side by side: pooled over height and width, and each scaled to length 1
//! on request.
//!
//! They are computed in the trunk's own graph, whose output becomes one vector. The output's name
//! describes it: `avg(block4_pool) + avg(block5_pool)`, or `unit(avg(block4_pool)) +
//! unit(avg(block5_pool))`. Stores and heads record this name, and the same output can be made
//! again from it.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use ort_winograd::onnx::{AttributeProto, GraphProto, NodeProto, TensorType, ValueInfoProto};
use ort_winograd::{GraphError, OnnxModel};

use super::card::CardOutput;
use crate::codes::Pool;
use crate::picture::Layout;

/// The prefix of the tensors in between, before the layer's name.
const PREFIX: &str = "layers/";

/// Operators whose output has as many channels as their first input.
const KEEPS_CHANNELS: [&str; 14] = [
    "Relu",
    "LeakyRelu",
    "Clip",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Elu",
    "Identity",
    "Dropout",
    "BatchNormalization",
    "MaxPool",
    "AveragePool",
    "Add",
    "Mul",
];

/// Layers of a trunk whose means or maxima over height and width are joined into one code.
///
/// ```
/// use cnn_codes::codes::Pool;
/// use cnn_codes::model::Layers;
///
/// let layers = Layers::new(vec!["block4_pool".into(), "block5_pool".into()], Pool::Avg, true)?;
/// assert_eq!(layers.to_string(), "unit(avg(block4_pool)) + unit(avg(block5_pool))");
/// assert_eq!(layers.to_string().parse(), Ok(layers));
/// # Ok::<(), cnn_codes::model::NotLayers>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    tensors: Vec<String>,
    pool: Pool,
    is_scaled: bool,
}

/// A text is not a list of [`Layers`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotLayers(String);

impl Layers {
    /// These tensors of a graph, pooled by `pool`, each scaled to length 1 if `is_scaled`.
    ///
    /// # Errors
    /// [`NotLayers`] if the list is empty, a name is repeated or cannot be written into the
    /// output's name, or `pool` is [`Pool::None`].
    pub fn new(tensors: Vec<String>, pool: Pool, is_scaled: bool) -> Result<Self, NotLayers> {
        if pool == Pool::None {
            let reason = "codes of several layers are pooled; give --pool avg or --pool max";
            return Err(NotLayers(reason.to_owned()));
        }
        let twice = |(place, name): (usize, &String)| tensors[..place].contains(name);
        if let Some(name) = (tensors.iter().enumerate())
            .find(|&named| twice(named))
            .map(|(_, name)| name)
        {
            return Err(NotLayers(format!("the layer {name} is named twice")));
        }
        let is_told = |name: &String| !name.is_empty() && !name.contains([' ', '(', ')', ',']);
        match tensors.iter().find(|name| !is_told(name)) {
            Some(name) => Err(NotLayers(format!("{name:?} cannot be the name of a layer"))),
            None if tensors.is_empty() => Err(NotLayers("no layer is named".to_owned())),
            None => Ok(Self {
                tensors,
                pool,
                is_scaled,
            }),
        }
    }

    /// The layers' names in their order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.tensors
    }

    /// Some of these layers, pooled and scaled in the same way.
    ///
    /// # Errors
    /// As [`Layers::new`].
    pub(crate) fn only(&self, names: &[String]) -> Result<Self, NotLayers> {
        Self::new(names.to_vec(), self.pool, self.is_scaled)
    }

    /// Whether `other` is pooled and scaled in the same way.
    pub(crate) fn is_made_like(&self, other: &Self) -> bool {
        (self.pool, self.is_scaled) == (other.pool, other.is_scaled)
    }

    /// The number of each layer's channels, in their order.
    ///
    /// # Errors
    /// [`GraphError::NoTensor`] with the possible layers.
    pub fn channels(&self, model: &OnnxModel, output: &CardOutput) -> Result<Vec<u64>, GraphError> {
        let known = channels(model.graph(), output);
        let channels = self.tensors.iter().map(|tensor| {
            let channels = known.get(tensor.as_str()).copied();
            channels.ok_or_else(|| no_layer(model, tensor, &known, output))
        });
        channels.collect()
    }

    /// How many numbers the code has: the sum of [`Layers::channels`].
    ///
    /// # Errors
    /// As [`Layers::channels`].
    pub fn n_numbers(&self, model: &OnnxModel, output: &CardOutput) -> Result<u64, GraphError> {
        let channels = self.channels(model, output)?;
        // A file may state any number. One that is too large matches no file, which is checked
        // later.
        Ok(channels.into_iter().fold(0, u64::saturating_add))
    }

    /// The model with this code as its only output. `output` is the model's own output, whose
    /// layout is known; all other feature maps have their channels first.
    ///
    /// # Errors
    /// As [`Layers::channels`]; [`GraphError::Unsound`] if the model already has tensors with these
    /// names.
    pub(crate) fn made_in(
        &self,
        model: OnnxModel,
        output: &CardOutput,
    ) -> Result<OnnxModel, GraphError> {
        let n_numbers = self.n_numbers(&model, output)?;
        let origin = model.origin().to_owned();
        let mut proto = model.into_proto();
        let graph = proto.graph.get_or_insert_default();
        let mut parts = Vec::new();
        for tensor in &self.tensors {
            let is_last = *tensor == output.name && output.layout == Some(Layout::ChannelsLast);
            parts.push(self.part(graph, tensor, is_last));
        }
        let inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
        let name = self.to_string();
        let concat = NodeProto::new("Concat", &inputs, &name).with(AttributeProto::int("axis", 1));
        graph.node.push(concat);
        let declared = TensorType::float32_batch(&[n_numbers]);
        graph.output = vec![ValueInfoProto::new(&name, &declared)];
        OnnxModel::from_proto(proto, &origin)
    }

    /// Pools a tensor to (N, C), and scales it; returns the name of the result.
    fn part(&self, graph: &mut GraphProto, tensor: &str, is_last: bool) -> String {
        let mut last = tensor.to_owned();
        let mut push = |operator: &str, what: &str, attribute: Option<AttributeProto>| {
            let output = format!("{PREFIX}{tensor}/{what}");
            let node = NodeProto::new(operator, &[&last], &output);
            graph.node.push(match attribute {
                Some(attribute) => node.with(attribute),
                None => node,
            });
            last = output;
        };
        if is_last {
            let first = AttributeProto::ints("perm", &[0, 3, 1, 2]);
            push("Transpose", "channels_first", Some(first));
        }
        match self.pool {
            Pool::Max => push("GlobalMaxPool", "max", None),
            _ => push("GlobalAveragePool", "avg", None),
        }
        push("Flatten", "vector", Some(AttributeProto::int("axis", 1)));
        if self.is_scaled {
            push(
                "LpNormalization",
                "unit",
                Some(AttributeProto::int("axis", 1)),
            );
        }
        last
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, tensor) in self.tensors.iter().enumerate() {
            let between = if place > 0 { " + " } else { "" };
            let pool = self.pool;
            match self.is_scaled {
                true => write!(f, "{between}unit({pool}({tensor}))")?,
                false => write!(f, "{between}{pool}({tensor})")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Layers {
    type Err = NotLayers;

    fn from_str(text: &str) -> Result<Self, NotLayers> {
        let not = || NotLayers(format!("{text:?} names no layers"));
        let part = |part: &str| -> Option<(String, Pool, bool)> {
            let unit = part
                .strip_prefix("unit(")
                .and_then(|part| part.strip_suffix(')'));
            let (pool, tensor) = unit.unwrap_or(part).strip_suffix(')')?.split_once('(')?;
            Some((tensor.to_owned(), pool.parse().ok()?, unit.is_some()))
        };
        let parts: Option<Vec<_>> = text.split(" + ").map(part).collect();
        let parts = parts.ok_or_else(not)?;
        let (_, pool, is_scaled) = parts[0];
        let is_alike = |part: &(String, Pool, bool)| (part.1, part.2) == (pool, is_scaled);
        if !parts.iter().all(is_alike) {
            return Err(not());
        }
        let tensors = parts.into_iter().map(|(tensor, ..)| tensor).collect();
        Self::new(tensors, pool, is_scaled)
    }
}

/// The channels of the feature maps of a graph, as far as its convolutions show them.
fn channels<'a>(graph: &'a GraphProto, output: &'a CardOutput) -> HashMap<&'a str, u64> {
    let mut known: HashMap<&str, u64> = HashMap::new();
    let filters: HashMap<&str, &[i64]> = (graph.initializer.iter())
        .map(|tensor| (tensor.name(), tensor.dims.as_slice()))
        .collect();
    for node in &graph.node {
        let [given] = node.output.as_slice() else {
            continue;
        };
        let channels = match (node.op_type(), node.input.as_slice()) {
            ("Conv", [_, weights, ..]) => match filters.get(weights.as_str()) {
                Some([n_out, _, _, _]) => u64::try_from(*n_out).ok(),
                _ => None,
            },
            (operator, [first, ..]) if KEEPS_CHANNELS.contains(&operator) => {
                known.get(first.as_str()).copied()
            }
            _ => None,
        };
        known.extend(channels.map(|channels| (given.as_str(), channels)));
    }
    if let (&[a, _, c], Some(layout)) = (output.shape.as_slice(), output.layout) {
        let channels = if layout == Layout::ChannelsFirst {
            a
        } else {
            c
        };
        known.insert(&output.name, channels);
    }
    known
}

fn no_layer(
    model: &OnnxModel,
    tensor: &str,
    known: &HashMap<&str, u64>,
    output: &CardOutput,
) -> GraphError {
    // Pools and activations are what people call layers; a network has hundreds of tensors.
    let graph = model.graph();
    let mut there: Vec<_> = (graph.node.iter())
        .filter(|node| matches!(node.op_type(), "MaxPool" | "AveragePool" | "Add"))
        .flat_map(|node| &node.output)
        .map(String::as_str)
        .filter(|name| known.contains_key(name))
        .collect();
    if known.contains_key(output.name.as_str()) {
        there.push(&output.name);
    }
    if there.is_empty() {
        there = known.keys().copied().collect();
        there.sort_unstable();
    }
    GraphError::NoTensor {
        path: model.origin().to_owned(),
        name: tensor.to_owned(),
        there: there.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_others_are_refused() {
        for text in ["avg(a)", "max(a) + max(b/c)", "unit(avg(a)) + unit(avg(b))"] {
            let layers: Layers = text.parse().unwrap();
            assert_eq!(layers.to_string(), text);
        }
        for text in [
            "",
            "block5_pool",
            "avg(a) + max(b)",
            "avg(a) + unit(avg(b))",
            "avg(a) + avg(a)",
            "avg()",
            "avg(a",
            "none(a)",
            "unit(a)",
        ] {
            assert!(text.parse::<Layers>().is_err(), "{text}");
        }
        assert!(Layers::new(vec!["a".into()], Pool::None, false).is_err());
    }
}
