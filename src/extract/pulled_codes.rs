//! The codes of pictures without a store: in memory, one batch at a time.

use super::judge::judge;
use super::{DecodeOptions, ExtractError, Extractor, PulledCodes};
use crate::codes::{Dtype, Failure, Pool};
use crate::dataset::Pictures;
use crate::model::Trunk;

/// The codes of pictures in order, one batch at a time, while later ones are being decoded.
/// Dropping it ends the work.
///
/// An item is an error if a run fails; nothing follows it. An unusable picture is not an error: it
/// has a [`Failure`] instead of its code. A code is float32 (D), channels last; with V views, (V
/// D). Pictures that were unusable before they were read come first.
pub struct PictureCodes<'t> {
    unusable: Vec<Result<Vec<f32>, Failure>>,
    /// `None` after an error, and after the last batch.
    pulled: Option<PulledCodes<'t>>,
    pool: Pool,
    n_views: usize,
    channels: usize,
}

impl<'t> Extractor<'_, &'t mut Trunk> {
    /// The codes of `pictures`, as [`Extractor::run`] would write them in float32. Stores to reuse,
    /// and options that only concern a store, are ignored.
    #[must_use]
    pub fn pull(self, pictures: Pictures) -> PictureCodes<'t> {
        let Self { trunk, options, .. } = self;
        let channels = trunk.output().channels();
        let decode = DecodeOptions {
            preparation: options.preparation,
            limits: options.limits,
            threads: options.threads,
            batch_size: options.batch_size,
        };
        let unusable = pictures.unusable.iter().cloned().map(Err);
        PictureCodes {
            unusable: unusable.collect(),
            pulled: Some(PulledCodes::begin(pictures, decode, trunk)),
            pool: options.pool,
            n_views: options.preparation.views.n(),
            channels,
        }
    }
}

impl Iterator for PictureCodes<'_> {
    type Item = Result<Vec<Result<Vec<f32>, Failure>>, ExtractError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.unusable.is_empty() {
            return Some(Ok(std::mem::take(&mut self.unusable)));
        }
        let batch = self.pulled.as_mut()?.next::<ExtractError>();
        let codes = batch.map(|batch| {
            let batch = batch?;
            let mut computed = batch.computed();
            let outcomes = batch.outcomes.iter().map(|outcome| {
                let usable = outcome.as_ref().map_err(Failure::clone)?;
                let code = computed
                    .next()
                    .expect("a code for each picture that is usable");
                let mut pooled = Vec::new();
                self.pool
                    .append_views(code, self.n_views, self.channels, &mut pooled);
                match judge(&pooled, Dtype::F32) {
                    Ok(()) => Ok(pooled),
                    Err(unfit) => Err(unfit.failure(&usable.picture.path)),
                }
            });
            Ok(outcomes.collect())
        });
        if !matches!(codes, Some(Ok(_))) {
            self.pulled = None;
        }
        codes
    }
}
