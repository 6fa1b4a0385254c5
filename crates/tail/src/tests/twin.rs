//! Every layer in float64, as its formula says it: slow and plain. Tensors are (N, H, W, C).

use crate::Tail;
use crate::layers::{Activation, Border, Convolution, Depthwise, Layer, Operation, Pool, PoolKind};

/// A tensor (N, H, W, C) in C order.
#[derive(Clone, Debug)]
pub struct Array {
    pub shape: [usize; 4],
    pub values: Vec<f64>,
}

impl Array {
    pub fn zeros(shape: [usize; 4]) -> Self {
        Self {
            shape,
            values: vec![0.0; shape.iter().product()],
        }
    }

    fn place(&self, [n, y, x, c]: [usize; 4]) -> usize {
        let [_, height, width, channels] = self.shape;
        ((n * height + y) * width + x) * channels + c
    }

    fn at(&self, place: [usize; 4]) -> f64 {
        self.values[self.place(place)]
    }

    fn add(&mut self, place: [usize; 4], value: f64) {
        let place = self.place(place);
        self.values[place] += value;
    }

    /// All places, in their order.
    fn places(&self) -> impl Iterator<Item = [usize; 4]> + use<> {
        let [n, height, width, channels] = self.shape;
        (0..n * height * width * channels).map(move |index| {
            let (pixel, c) = (index / channels, index % channels);
            let (row, x) = (pixel / width, pixel % width);
            [row / height, row % height, x, c]
        })
    }
}

/// A tail whose weights are float64.
pub struct Twin<'a> {
    tail: &'a Tail,
    pub weights: Vec<Vec<f64>>,
}

impl<'a> Twin<'a> {
    pub fn of(tail: &'a Tail) -> Self {
        let values = tail.tensors().iter().map(|tensor| tensor.values());
        Self {
            tail,
            weights: values
                .map(|values| values.iter().map(|&value| f64::from(value)).collect())
                .collect(),
        }
    }

    /// The input and what each layer gives.
    pub fn forward(&self, input: Array) -> Vec<Array> {
        let mut values = vec![input];
        for layer in &self.tail.layers {
            values.push(self.layer_forward(layer, &values));
        }
        values
    }

    /// The tail's output of all values.
    pub fn output<'v>(&self, values: &'v [Array]) -> &'v Array {
        &values[self.tail.output]
    }

    /// Gradients to all weights and to the input.
    pub fn backward(&self, values: &[Array], d_output: Array) -> (Vec<Vec<f64>>, Array) {
        let mut d_weights: Vec<_> = (self.weights.iter())
            .map(|weights| vec![0.0; weights.len()])
            .collect();
        let mut d_values: Vec<_> = values
            .iter()
            .map(|value| Array::zeros(value.shape))
            .collect();
        d_values[self.tail.output] = d_output;
        for (index, layer) in self.tail.layers.iter().enumerate().rev() {
            let d_output = d_values[index + 1].clone();
            let output = &values[index + 1];
            let d_inputs = self.layer_backward(layer, values, output, d_output, &mut d_weights);
            for (&input, d_input) in layer.inputs.iter().zip(d_inputs) {
                for (sum, d) in d_values[input].values.iter_mut().zip(d_input.values) {
                    *sum += d;
                }
            }
        }
        (d_weights, d_values.swap_remove(0))
    }

    fn layer_forward(&self, layer: &Layer, values: &[Array]) -> Array {
        let input = &values[layer.inputs[0]];
        match &layer.operation {
            Operation::Convolution(convolution) => {
                let sums = Grouped::full(convolution).forward(&self.weights, input);
                activated(convolution.activation, &sums)
            }
            Operation::Depthwise(depthwise) => {
                let sums = Grouped::depthwise(depthwise).forward(&self.weights, input);
                activated(depthwise.activation, &sums)
            }
            Operation::Activation(activation) => activated(*activation, input),
            Operation::Pool(pool) => pooled(pool, input),
            Operation::GlobalAverage => averaged(input),
            Operation::Sum => {
                let mut sum = input.clone();
                for (sum, other) in sum.values.iter_mut().zip(&values[layer.inputs[1]].values) {
                    *sum += other;
                }
                sum
            }
        }
    }

    fn layer_backward(
        &self,
        layer: &Layer,
        values: &[Array],
        output: &Array,
        d_output: Array,
        d_weights: &mut [Vec<f64>],
    ) -> Vec<Array> {
        let input = &values[layer.inputs[0]];
        let d_input = match &layer.operation {
            Operation::Convolution(convolution) => {
                let d_sums = d_activated(convolution.activation, output, &d_output);
                Grouped::full(convolution).backward(&self.weights, input, &d_sums, d_weights)
            }
            Operation::Depthwise(depthwise) => {
                let d_sums = d_activated(depthwise.activation, output, &d_output);
                Grouped::depthwise(depthwise).backward(&self.weights, input, &d_sums, d_weights)
            }
            Operation::Activation(activation) => d_activated(*activation, output, &d_output),
            Operation::Pool(pool) => d_pooled(pool, input, &d_output),
            Operation::GlobalAverage => d_averaged(input, &d_output),
            Operation::Sum => return vec![d_output.clone(), d_output],
        };
        vec![d_input]
    }
}

/// A convolution of stride 1 in groups: one for all channels, or one for each.
struct Grouped {
    filters: usize,
    bias: Option<usize>,
    n_out: usize,
    /// Input channels of a group.
    n_in: usize,
    /// Output channels of a group.
    n_group: usize,
    kernel: [usize; 2],
    border: Border,
}

impl Grouped {
    fn full(convolution: &Convolution) -> Self {
        Self {
            filters: convolution.weights.filters,
            bias: convolution.weights.bias,
            n_out: convolution.n_out,
            n_in: convolution.n_in,
            n_group: convolution.n_out,
            kernel: [convolution.side.length(); 2],
            border: convolution.border,
        }
    }

    fn depthwise(depthwise: &Depthwise) -> Self {
        Self {
            filters: depthwise.weights.filters,
            bias: depthwise.weights.bias,
            n_out: depthwise.channels,
            n_in: 1,
            n_group: 1,
            kernel: depthwise.kernel,
            border: depthwise.border,
        }
    }

    /// y[n, v, u, o] = b[o] + sum over i, r, s of g[o, i, r, s] x[n, v + r - top, u + s - left, i].
    fn forward(&self, weights: &[Vec<f64>], input: &Array) -> Array {
        let [n, height, width, _] = input.shape;
        let Border {
            top,
            left,
            bottom,
            right,
        } = self.border;
        let height = height + top + bottom + 1 - self.kernel[0];
        let width = width + left + right + 1 - self.kernel[1];
        let mut output = Array::zeros([n, height, width, self.n_out]);
        for place in output.places() {
            let bias = self.bias.map_or(0.0, |bias| weights[bias][place[3]]);
            output.add(place, bias);
            for (from, tap) in self.terms(input, place) {
                output.add(place, weights[self.filters][tap] * input.at(from));
            }
        }
        output
    }

    /// What each term of the sums gives: dg += dy x, dx += dy g.
    fn backward(
        &self,
        weights: &[Vec<f64>],
        input: &Array,
        d_output: &Array,
        d_weights: &mut [Vec<f64>],
    ) -> Array {
        let mut d_input = Array::zeros(input.shape);
        for place in d_output.places() {
            let d = d_output.at(place);
            if let Some(bias) = self.bias {
                d_weights[bias][place[3]] += d;
            }
            for (from, tap) in self.terms(input, place) {
                d_weights[self.filters][tap] += d * input.at(from);
                d_input.add(from, d * weights[self.filters][tap]);
            }
        }
        d_input
    }

    /// Places in the input and in the filters, of the terms of an output.
    fn terms(&self, input: &Array, [n, v, u, o]: [usize; 4]) -> Vec<([usize; 4], usize)> {
        let ([_, height, width, _], [rows, columns]) = (input.shape, self.kernel);
        let group = o / self.n_group;
        let mut terms = Vec::new();
        for i in 0..self.n_in {
            for (r, s) in (0..rows).flat_map(|r| (0..columns).map(move |s| (r, s))) {
                let y = (v + r).wrapping_sub(self.border.top);
                let x = (u + s).wrapping_sub(self.border.left);
                if y < height && x < width {
                    let tap = ((o * self.n_in + i) * rows + r) * columns + s;
                    terms.push(([n, y, x, group * self.n_in + i], tap));
                }
            }
        }
        terms
    }
}

fn activated(activation: Activation, input: &Array) -> Array {
    let mut output = input.clone();
    for value in &mut output.values {
        *value = match activation {
            Activation::Linear => *value,
            Activation::Relu => value.max(0.0),
            Activation::Relu6 => value.clamp(0.0, 6.0),
        };
    }
    output
}

fn d_activated(activation: Activation, output: &Array, d_output: &Array) -> Array {
    let mut d_input = d_output.clone();
    for (d, &output) in d_input.values.iter_mut().zip(&output.values) {
        let passes = match activation {
            Activation::Linear => true,
            Activation::Relu => output > 0.0,
            Activation::Relu6 => output > 0.0 && output < 6.0,
        };
        *d *= f64::from(u8::from(passes));
    }
    d_input
}

/// Places of a window that are inside the picture.
fn window(pool: &Pool, input: &Array, [n, v, u, c]: [usize; 4]) -> Vec<[usize; 4]> {
    let [_, height, width, _] = input.shape;
    let mut places = Vec::new();
    for r in 0..pool.kernel[0] {
        for s in 0..pool.kernel[1] {
            let y = (v * pool.stride[0] + r).wrapping_sub(pool.border.top);
            let x = (u * pool.stride[1] + s).wrapping_sub(pool.border.left);
            if y < height && x < width {
                places.push([n, y, x, c]);
            }
        }
    }
    places
}

fn divisor(pool: &Pool, n_inside: usize) -> f64 {
    match pool.kind {
        PoolKind::MeanWithBorder => (pool.kernel[0] * pool.kernel[1]) as f64,
        _ => n_inside as f64,
    }
}

fn pooled(pool: &Pool, input: &Array) -> Array {
    let [n, height, width, channels] = input.shape;
    let border = pool.border;
    let height = (height + border.top + border.bottom - pool.kernel[0]) / pool.stride[0] + 1;
    let width = (width + border.left + border.right - pool.kernel[1]) / pool.stride[1] + 1;
    let mut output = Array::zeros([n, height, width, channels]);
    for place in output.places() {
        let places = window(pool, input, place);
        let values = places.iter().map(|&place| input.at(place));
        let value = match pool.kind {
            PoolKind::Largest => values.fold(f64::NEG_INFINITY, f64::max),
            _ => values.sum::<f64>() / divisor(pool, places.len()),
        };
        output.add(place, value);
    }
    output
}

fn d_pooled(pool: &Pool, input: &Array, d_output: &Array) -> Array {
    let mut d_input = Array::zeros(input.shape);
    for place in d_output.places() {
        let (d, places) = (d_output.at(place), window(pool, input, place));
        if pool.kind == PoolKind::Largest {
            let mut largest = places[0];
            for &place in &places[1..] {
                if input.at(place) > input.at(largest) {
                    largest = place;
                }
            }
            d_input.add(largest, d);
        } else {
            for &place in &places {
                d_input.add(place, d / divisor(pool, places.len()));
            }
        }
    }
    d_input
}

fn averaged(input: &Array) -> Array {
    let [n, height, width, channels] = input.shape;
    let mut output = Array::zeros([n, 1, 1, channels]);
    for place in input.places() {
        let [n, _, _, c] = place;
        output.add([n, 0, 0, c], input.at(place) / (height * width) as f64);
    }
    output
}

fn d_averaged(input: &Array, d_output: &Array) -> Array {
    let [_, height, width, _] = input.shape;
    let mut d_input = Array::zeros(input.shape);
    for place in input.places() {
        let [n, _, _, c] = place;
        d_input.add(place, d_output.at([n, 0, 0, c]) / (height * width) as f64);
    }
    d_input
}
