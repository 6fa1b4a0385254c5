//! The operation of one node.

use ort_winograd::onnx::NodeProto;

use super::constants::Constants;
use crate::layers::{Activation, Border, Pool, PoolKind, Side};

/// The operations that a tail can have.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// A convolution of any supported kind.
    Convolution(ConvolutionForm),
    /// A normalization with the means and variances from training.
    Normalization(NormalizationForm),
    Activation(Activation),
    Pool(Pool),
    GlobalAverage,
    Sum,
    /// From (N, H, W, C) to (N, C, H, W).
    ToChannelsFirst,
    /// From (N, C, H, W) to (N, H, W, C).
    ToChannelsLast,
    /// From (N, ...) to (N, numbers).
    Flatten,
    /// To the given shape, whose first axis is N; 0 and -1 have ONNX's meanings.
    Reshape(Vec<i64>),
    Identity,
}

/// A convolution with its weights' names.
#[derive(Clone, Debug)]
pub(super) struct ConvolutionForm {
    pub(super) filters: String,
    pub(super) bias: Option<String>,
    /// Shape of the filters.
    pub(super) shape: [usize; 4],
    pub(super) kind: ConvolutionKind,
    pub(super) border: Border,
}

/// How input and output channels are connected.
#[derive(Clone, Copy, Debug)]
pub(super) enum ConvolutionKind {
    /// Each output channel has a filter for each input channel.
    Full(Side),
    /// Each channel has a filter.
    Depthwise,
}

/// A normalization with the names of its numbers, (O) each.
#[derive(Clone, Debug)]
pub(super) struct NormalizationForm {
    pub(super) scale: String,
    pub(super) shift: String,
    pub(super) mean: String,
    pub(super) variance: String,
    pub(super) epsilon: f32,
}

/// Why a node cannot be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// No tail can have its operator.
    Operator,
    /// A tail can only have it in another form.
    Form(String),
}

impl Form {
    /// The operation of `node`.
    pub(super) fn of(node: &NodeProto, constants: &Constants) -> Result<Self, Unread> {
        if !matches!(node.domain(), "" | "ai.onnx") {
            return Err(Unread::Operator);
        }
        let form = Attributes { node, constants };
        let form = match node.op_type() {
            "Conv" => form.convolution(),
            "BatchNormalization" => form.normalization(),
            "Relu" => Ok(Self::Activation(Activation::Relu)),
            "Clip" => form.clip(),
            "MaxPool" => form.pool(PoolKind::Largest),
            "AveragePool" => form.average(),
            "GlobalAveragePool" => Ok(Self::GlobalAverage),
            "Add" => Ok(Self::Sum),
            "Transpose" => form.transpose(),
            "Flatten" => form.flatten(),
            "Reshape" => form.reshape(),
            "Identity" => Ok(Self::Identity),
            _ => return Err(Unread::Operator),
        };
        let form = form.map_err(Unread::Form)?;
        let n_inputs = form.n_inputs();
        let is_whole = node.input.len() >= n_inputs
            && node.input[..n_inputs].iter().all(|name| !name.is_empty());
        let mut more = node.output.iter().skip(1);
        if !is_whole {
            Err(Unread::Form("an input is missing".to_owned()))
        } else if more.any(|name| !name.is_empty()) {
            Err(Unread::Form("it has more than one output".to_owned()))
        } else if let Some(constant) =
            (node.input[..n_inputs].iter()).find(|name| constants.get(name).is_some())
        {
            Err(Unread::Form(format!("{constant:?} is a constant")))
        } else {
            Ok(form)
        }
    }

    /// How many of the node's inputs are computed tensors; these come first.
    pub(super) fn n_inputs(&self) -> usize {
        match self {
            Self::Sum => 2,
            _ => 1,
        }
    }

    /// Whether it has weights that can be tuned.
    pub(super) fn has_weights(&self) -> bool {
        matches!(self, Self::Convolution(_))
    }
}

/// A node that is being read.
struct Attributes<'a> {
    node: &'a NodeProto,
    constants: &'a Constants<'a>,
}

impl Attributes<'_> {
    fn convolution(&self) -> Result<Form, String> {
        let filters = self.input(1).ok_or("it has no filters")?;
        let Some(&[n_out, n_in, rows, columns]) = self
            .constants
            .shape(filters)
            .as_deref()
            .and_then(<[_]>::first_chunk)
        else {
            return Err("its filters are not in the file, or are no (O, I, k, k)".to_owned());
        };
        if self
            .constants
            .shape(filters)
            .is_some_and(|shape| shape.len() != 4)
        {
            return Err("its filters are no (O, I, k, k)".to_owned());
        }
        let kernel = [rows, columns];
        if self.lengths("kernel_shape", kernel)? != kernel {
            return Err("its kernel_shape is not that of its filters".to_owned());
        }
        if self.lengths("strides", [1, 1])? != [1, 1] {
            return Err("its stride is not 1".to_owned());
        }
        self.check_dilations()?;
        let group = self.number("group", 1)?;
        let kind = match (group, kernel) {
            (1, [3, 3]) => ConvolutionKind::Full(Side::Three),
            (1, [1, 1]) => ConvolutionKind::Full(Side::One),
            (1, _) if n_in != 1 || n_out != 1 => {
                return Err(format!(
                    "its filters are {rows} x {columns}, not 3 x 3 or 1 x 1"
                ));
            }
            (group, _) if group == n_out && n_in == 1 => ConvolutionKind::Depthwise,
            _ => return Err(format!("it has {group} groups")),
        };
        let bias = self.input(2).map(str::to_owned);
        if let Some(bias) = &bias
            && self.constants.shape(bias).as_deref() != Some(&[n_out])
        {
            return Err("its bias is not in the file, or not as long as its filters".to_owned());
        }
        Ok(Form::Convolution(ConvolutionForm {
            filters: filters.to_owned(),
            bias,
            shape: [n_out, n_in, rows, columns],
            kind,
            border: self.border(kernel)?,
        }))
    }

    fn normalization(&self) -> Result<Form, String> {
        let name = |index: usize| {
            let name = self.input(index);
            let name = name.filter(|name| self.constants.get(name).is_some());
            name.map(str::to_owned)
                .ok_or_else(|| "its numbers are not in the file".to_owned())
        };
        if self.number("training_mode", 0)? != 0 {
            return Err("it is in training mode".to_owned());
        }
        let epsilon = self.node.attribute_named("epsilon");
        Ok(Form::Normalization(NormalizationForm {
            scale: name(1)?,
            shift: name(2)?,
            mean: name(3)?,
            variance: name(4)?,
            epsilon: epsilon.map_or(1e-5, |epsilon| epsilon.f()),
        }))
    }

    /// Bounds are inputs since version 11 of the operators; before, they were attributes.
    fn clip(&self) -> Result<Form, String> {
        let bound = |name: &str, index: usize, none: f32| match self.input(index) {
            Some(input) => self.constants.scalar(input),
            None => Some(
                self.node
                    .attribute_named(name)
                    .map_or(none, |bound| bound.f()),
            ),
        };
        let bounds = bound("min", 1, f32::MIN).zip(bound("max", 2, f32::MAX));
        match bounds {
            Some((0.0, 6.0)) => Ok(Form::Activation(Activation::Relu6)),
            Some((0.0, f32::MAX | f32::INFINITY)) => Ok(Form::Activation(Activation::Relu)),
            Some((least, most)) => Err(format!("it clips to {least} and {most}, not to 0 and 6")),
            None => Err("its bounds are not in the file".to_owned()),
        }
    }

    fn average(&self) -> Result<Form, String> {
        match self.number("count_include_pad", 0)? {
            0 => self.pool(PoolKind::MeanInside),
            _ => self.pool(PoolKind::MeanWithBorder),
        }
    }

    fn pool(&self, kind: PoolKind) -> Result<Form, String> {
        let kernel = self.lengths("kernel_shape", [0, 0])?;
        let stride = self.lengths("strides", [1, 1])?;
        if kernel.contains(&0) || stride.contains(&0) {
            return Err("it has no two-dimensional windows".to_owned());
        }
        if self.number("ceil_mode", 0)? != 0 {
            return Err("it has windows that reach beyond the picture".to_owned());
        }
        self.check_dilations()?;
        let is_same = self
            .text("auto_pad")
            .is_some_and(|pad| pad.starts_with(b"SAME"));
        if is_same && stride != [1, 1] {
            return Err("its border depends on the picture's size".to_owned());
        }
        let border = self.border(kernel)?;
        let most = [border.top.max(border.bottom), border.left.max(border.right)];
        // As in PyTorch. This also prevents a file from making pictures much larger.
        if most
            .iter()
            .zip(kernel)
            .any(|(&side, length)| side > length / 2)
        {
            return Err("its border is wider than half of its windows".to_owned());
        }
        Ok(Form::Pool(Pool {
            kind,
            kernel,
            stride,
            border,
        }))
    }

    fn transpose(&self) -> Result<Form, String> {
        let axes = self
            .node
            .attribute_named("perm")
            .map(|axes| axes.ints.as_slice());
        match axes {
            Some([0, 3, 1, 2]) => Ok(Form::ToChannelsFirst),
            Some([0, 2, 3, 1]) => Ok(Form::ToChannelsLast),
            Some([0, 1, 2, 3] | [0, 1]) => Ok(Form::Identity),
            _ => Err("it moves other axes than those of the channels".to_owned()),
        }
    }

    fn flatten(&self) -> Result<Form, String> {
        match self.node.attribute_named("axis").map_or(1, |axis| axis.i()) {
            1 => Ok(Form::Flatten),
            axis => Err(format!("it flattens from axis {axis} on")),
        }
    }

    fn reshape(&self) -> Result<Form, String> {
        let shape = self.input(1).and_then(|name| self.constants.integers(name));
        match shape {
            Some(_) if self.number("allowzero", 0)? != 0 => Err("it has allowzero".to_owned()),
            Some(shape) => Ok(Form::Reshape(shape)),
            None => Err("its shape is not in the file".to_owned()),
        }
    }

    fn input(&self, index: usize) -> Option<&str> {
        let name = self.node.input.get(index).map(String::as_str);
        name.filter(|name| !name.is_empty())
    }

    fn text(&self, name: &str) -> Option<&[u8]> {
        self.node.attribute_named(name)?.s.as_deref()
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, String> {
        match self.node.attribute_named(name) {
            None => Ok(default),
            Some(number) => {
                usize::try_from(number.i()).map_err(|_| format!("its {name} is negative"))
            }
        }
    }

    /// A list of N lengths.
    fn lengths<const N: usize>(
        &self,
        name: &str,
        default: [usize; N],
    ) -> Result<[usize; N], String> {
        let Some(attribute) = self.node.attribute_named(name) else {
            return Ok(default);
        };
        let lengths = attribute
            .ints
            .iter()
            .map(|&length| usize::try_from(length).ok());
        let lengths: Option<Vec<usize>> = lengths.collect();
        let lengths = lengths.and_then(|lengths| lengths.try_into().ok());
        lengths.ok_or_else(|| format!("its {name} are not {N} lengths"))
    }

    fn check_dilations(&self) -> Result<(), String> {
        match self.lengths("dilations", [1, 1])? {
            [1, 1] => Ok(()),
            _ => Err("it is dilated".to_owned()),
        }
    }

    /// The border, on each side smaller than the kernel; if it is chosen to keep the size, the
    /// stride must be 1.
    fn border(&self, kernel: [usize; 2]) -> Result<Border, String> {
        let [rows, columns] = kernel.map(|length| length - 1);
        // An odd border is larger at the end, or at the start.
        let border = match self.text("auto_pad") {
            None | Some(b"NOTSET" | b"") => {
                let [top, left, bottom, right] = self.lengths("pads", [0; 4])?;
                Border {
                    top,
                    left,
                    bottom,
                    right,
                }
            }
            Some(b"VALID") => Border::default(),
            Some(b"SAME_UPPER") => Border {
                top: rows / 2,
                left: columns / 2,
                bottom: rows - rows / 2,
                right: columns - columns / 2,
            },
            Some(b"SAME_LOWER") => Border {
                top: rows - rows / 2,
                left: columns - columns / 2,
                bottom: rows / 2,
                right: columns / 2,
            },
            Some(_) => return Err("its auto_pad is unknown".to_owned()),
        };
        if border.top.max(border.bottom) > rows || border.left.max(border.right) > columns {
            return Err("its border is as wide as its kernel".to_owned());
        }
        Ok(border)
    }
}
