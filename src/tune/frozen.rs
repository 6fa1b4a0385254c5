//! Heads on the published tail: the start and the baseline of each training.

use cnn_codes_tail::Tail;
use ndarray::Array2;

use super::TuneError;
use super::network::Network;
use super::options::TuneOptions;
use super::run::Data;
use crate::codes::Store;
use crate::head::saved::SavedHead;
use crate::head::scaling::{Scaling, ScalingKind};
use crate::head::{OneHead, Samples};
use crate::progress::Watch;

/// A head on the published tail.
pub(super) struct Frozen<'a> {
    pub(super) tail: &'a Tail,
    /// The head that is tuned.
    pub(super) head: OneHead,
    pub(super) network: Network,
    from: &'a SavedHead,
    options: &'a TuneOptions,
}

impl<'a> Frozen<'a> {
    pub(super) fn new(
        front: &Store,
        tail: &'a Tail,
        from: &'a SavedHead,
        options: &'a TuneOptions,
    ) -> Result<Self, TuneError> {
        let kind = options.head.unwrap_or_else(|| from.default_kind());
        let head = from.of_kind(kind).ok_or_else(|| TuneError::NoHead {
            kind,
            there: from
                .heads
                .iter()
                .map(|head| head.kind().to_string())
                .collect(),
        })?;
        let wrong = |reason: String| TuneError::Store {
            store: front.dir().to_owned(),
            reason,
        };
        let (ours, theirs) = (front.codes_identity(), &from.codes);
        if ours.trunk.name != theirs.trunk.name
            || ours.recipe != theirs.recipe
            || ours.resize != theirs.resize
        {
            let reason = format!(
                "its pictures were prepared for {} in another way than those that the head was trained on; extract them with the same --trunk, --recipe and --resize",
                ours.trunk.name
            );
            return Err(wrong(reason));
        }
        if ours.output.name != tail.from() || theirs.output.name != tail.to() {
            let reason = format!(
                "it holds codes of {}, the head takes codes of {}, and the tail is between {} and {}",
                ours.output.name,
                theirs.output.name,
                tail.from(),
                tail.to()
            );
            return Err(wrong(reason));
        }
        let channels = theirs.output.channels();
        let network = Network::of(head, from.scaling.clone(), theirs.pool, channels)?;
        Ok(Self {
            tail,
            head: head.clone(),
            network,
            from,
            options,
        })
    }

    /// Identifies this job: a hash of the pictures, the head, the tail and the options.
    pub(super) fn job(&self, front: &Store) -> Result<String, TuneError> {
        let mut hash = blake3::Hasher::new();
        hash.update(format!("{:?} {:?}", front.manifest(), self.options).as_bytes());
        for picture in front.pictures() {
            hash.update(picture.blake3.as_bytes());
            hash.update(format!("{:?}", (&picture.path, picture.label, &picture.group)).as_bytes());
        }
        hash.update(&self.tail.to_safetensors()?);
        for tensor in self.network.tensors() {
            tensor.iter().for_each(|value| {
                hash.update(&value.to_le_bytes());
            });
        }
        hash.update(format!("{:?}", self.head.entry()).as_bytes());
        Ok(format!(
            "cnn-codes fine-tune {}\n",
            hash.finalize().to_hex()
        ))
    }

    /// Codes (rows, V D) of the published tail for all views of a picture, pooled as for the head.
    pub(super) fn codes(&self, data: &Data, rows: &[usize]) -> Result<Array2<f32>, TuneError> {
        let shape = (rows.len(), data.n_views() * self.n_features());
        let mut codes = Vec::with_capacity(shape.0 * shape.1);
        let (pool, channels) = (self.network.pool, self.network.channels);
        data.outputs(self.tail, rows, |rows, outputs| {
            pool.append_views(outputs, rows.len() * data.n_views(), channels, &mut codes);
        })?;
        Ok(Array2::from_shape_vec(shape, codes).expect("a code for each row"))
    }

    /// D of the codes that the head takes.
    pub(super) fn n_features(&self) -> usize {
        self.network.layers[0].weights.nrows()
    }

    /// A head of the same kind and options, trained on codes (N, V D) of the published tail.
    pub(super) fn trained_on(
        &self,
        codes: &Array2<f32>,
        labels: &[usize],
        watch: &dyn Watch,
    ) -> Result<Network, TuneError> {
        let n_views = codes.ncols() / self.n_features();
        let of_views = codes
            .view()
            .into_shape_with_order((codes.nrows() * n_views, self.n_features()));
        let of_views = of_views.expect("codes are in C order");
        let samples = Samples::with_views(of_views, n_views, labels, self.from.classes.len())?;
        let scaling = match self.from.scaling.kind() {
            ScalingKind::None => Scaling::None,
            kind => Scaling::fit(kind, &samples),
        };
        let scaled = samples.scaled(scaling.clone())?;
        let (head, _) = self.head.entry().options.fit(&scaled, watch)?;
        Network::of(&head, scaling, self.network.pool, self.network.channels)
    }
}
