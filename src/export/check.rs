//! Compares the exported model with trunk and head, picture by picture.

mod probe;

use ndarray::ArrayView2;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use self::probe::Probe;
use super::{ExportError, ExportOptions, Exported};
use crate::codes::CodesIdentity;
use crate::dataset::{Picture, Pictures};
use crate::head::CodesView;
use crate::head::saved::SavedHead;
use crate::model::{ModelCard, OnnxModel, Provider, Runtime, Trunk, TrunkOptions};
use crate::picture::{self, DecodeLimits, Layout, Preparation, Recipe, RgbImage, Views};
use crate::predict::Classifier;
use crate::progress::{Progress, Watch};

/// What an exported model is checked against, and how.
#[derive(Debug)]
pub struct Against<'a> {
    /// The library that runs the models.
    pub runtime: &'a Runtime,
    /// The options for running them.
    pub options: TrunkOptions,
    /// The trunk that the head was trained on.
    pub trunk: &'a mut Trunk,
    /// The same export in float32, if the model is float16. The values inside it are checked,
    /// because a processor without float16 computes in float32 and hides that they are too large.
    pub in_float32: Option<&'a Exported>,
}

/// The pictures of a check.
#[derive(Clone, Copy, Debug)]
pub enum CheckPictures<'a> {
    /// These pictures; their labels are ignored.
    Found(&'a Pictures),
    /// Generated patches of colours, always the same.
    MadeUp,
}

impl CheckPictures<'_> {
    /// Number of generated pictures.
    pub const N_MADE_UP: usize = 16;
}

/// The distance between the exported model's probabilities and those of trunk and head.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Pictures that were compared.
    pub n_pictures: usize,
    /// Unusable pictures.
    pub n_unusable: usize,
    /// The largest difference of two probabilities.
    pub largest: f64,
    /// The mean absolute difference over all pictures and classes.
    pub mean: f64,
    /// Pictures whose class changes.
    pub n_changed: usize,
    /// The provider that ran the exported model.
    pub provider: Provider,
    /// The largest value inside the network, if it was measured.
    pub largest_inside: Option<LargestInside>,
}

/// A value inside the network.
#[derive(Clone, Debug, PartialEq)]
pub struct LargestInside {
    /// The tensor that holds it.
    pub tensor: String,
    /// Its absolute value.
    pub value: f32,
}

/// Runs pictures through the exported model and through trunk and head, and compares the
/// probabilities.
///
/// Pictures are fitted as they were for the head's codes. `watch` is told about each one, and may
/// stop the check.
///
/// # Errors
/// [`ExportError::Overflow`] if a value inside does not fit float16, [`ExportError::NotANumber`],
/// [`ExportError::NothingUsable`], [`ExportError::Stopped`]; [`ExportError::Trunk`] if a model does
/// not run.
///
/// # Panics
/// If `exported` is a head on its own.
pub fn check(
    exported: &Exported,
    head: &SavedHead,
    options: ExportOptions,
    against: Against,
    pictures: CheckPictures,
    watch: &dyn Watch,
) -> Result<Drift, ExportError> {
    let card = exported.card.as_ref().expect("a classifier has a card");
    let probe = (against.in_float32).map(|in_float32| Probe::new(&against, exported, in_float32));
    let mut comparison = Comparison {
        classifier: Classifier::new(head.clone(), Some(options.head))
            .expect("the head was exported"),
        probe: probe.transpose()?,
        exported: load(&against, &exported.model, card)?,
        trunk: against.trunk,
        differences: Differences::default(),
    };
    match pictures {
        CheckPictures::MadeUp => {
            let n = CheckPictures::N_MADE_UP;
            for index in 0..n {
                comparison.add(&made_up(index))?;
                report(index + 1, 0, n, watch)?;
            }
            Ok(comparison.finish(0))
        }
        CheckPictures::Found(pictures) => comparison.run(pictures, watch),
    }
}

/// Loads a model without a file as the trunk that `card` describes.
fn load(against: &Against, model: &OnnxModel, card: &ModelCard) -> Result<Trunk, ExportError> {
    let write_error = |source| ExportError::Write {
        path: std::env::temp_dir(),
        source,
    };
    let folder = tempfile::tempdir().map_err(write_error)?;
    let path = folder.path().join(&card.file);
    std::fs::write(&path, model.to_bytes()).map_err(write_error)?;
    Ok(Trunk::load(
        against.runtime,
        card.clone(),
        &path,
        against.options,
    )?)
}

/// Reports progress; an error if the check should stop.
fn report(
    done: usize,
    failures: usize,
    total: usize,
    watch: &dyn Watch,
) -> Result<(), ExportError> {
    let progress = Progress {
        done,
        done_before: 0,
        total,
        failures,
    };
    watch.progress(progress, &"");
    Ok(watch.or_stopped()?)
}

/// The two paths, and their differences so far.
struct Comparison<'a> {
    classifier: Classifier,
    trunk: &'a mut Trunk,
    exported: Trunk,
    probe: Option<Probe>,
    differences: Differences,
}

impl Comparison<'_> {
    /// Compares the two paths on all usable pictures.
    fn run(mut self, pictures: &Pictures, watch: &dyn Watch) -> Result<Drift, ExportError> {
        let mut unusable = Unusable::from_listing(pictures);
        for (index, picture) in pictures.listed.iter().enumerate() {
            match read(pictures, picture) {
                Ok(picture) => self.add(&picture)?,
                Err(reason) => unusable.add(picture.path.to_string(), reason),
            }
            report(index + 1, unusable.n, pictures.listed.len(), watch)?;
        }
        if self.differences.n_pictures == 0 {
            return Err(ExportError::NothingUsable {
                n: unusable.n,
                first: unusable.first,
            });
        }
        Ok(self.finish(unusable.n))
    }

    /// Compares the two paths on a picture of any size.
    fn add(&mut self, picture: &RgbImage) -> Result<(), ExportError> {
        let expected = self.expected(picture)?;
        let levels = self.prepared(picture, Recipe::None, Layout::ChannelsLast);
        if let Some(probe) = &mut self.probe {
            probe.add(&levels)?;
        }
        let mut actual = Vec::new();
        self.exported.run(&levels, &mut actual)?;
        if actual.iter().any(|value| value.is_nan()) {
            return Err(ExportError::NotANumber {
                advice: "see whether `cnn-codes extract-features` gives NaN for it as well",
            });
        }
        self.differences.add(&expected, &actual);
        Ok(())
    }

    /// Probabilities (K) by trunk and head.
    fn expected(&mut self, picture: &RgbImage) -> Result<Vec<f32>, ExportError> {
        let input = &self.trunk.card().input;
        let CodesIdentity { recipe, pool, .. } = *self.classifier.codes();
        let tensor = self.prepared(picture, recipe, input.layout);
        let mut code = Vec::new();
        self.trunk.run(&tensor, &mut code)?;
        let channels = self.trunk.output().channels();
        let mut pooled = Vec::new();
        pool.append(&code, channels, &mut pooled);
        let codes = ArrayView2::from_shape((1, pooled.len()), &pooled)
            .expect("one row of as many columns as there are values");
        let probabilities = self.classifier.probabilities(&CodesView::from(codes))?;
        Ok(probabilities.into_raw_vec_and_offset().0)
    }

    /// The input tensor of a picture, fitted as for the head's codes.
    fn prepared(&self, picture: &RgbImage, recipe: Recipe, layout: Layout) -> Vec<f32> {
        let preparation = Preparation {
            resize: self.classifier.codes().resize,
            recipe,
            layout,
            views: Views::None,
        };
        let mut tensor = vec![0.0; preparation.tensor_len()];
        preparation.prepare(picture, &mut tensor);
        tensor
    }

    fn finish(self, n_unusable: usize) -> Drift {
        let differences = self.differences;
        Drift {
            n_pictures: differences.n_pictures,
            n_unusable,
            largest: differences.largest,
            mean: differences.sum / differences.n_values as f64,
            n_changed: differences.n_changed,
            provider: self.exported.provider(),
            largest_inside: self.probe.map(Probe::largest),
        }
    }
}

#[derive(Default)]
struct Differences {
    n_pictures: usize,
    n_values: usize,
    largest: f64,
    sum: f64,
    n_changed: usize,
}

impl Differences {
    fn add(&mut self, expected: &[f32], actual: &[f32]) {
        self.n_pictures += 1;
        self.n_values += expected.len();
        for (&expected, &actual) in expected.iter().zip(actual) {
            let difference = (f64::from(expected) - f64::from(actual)).abs();
            self.largest = self.largest.max(difference);
            self.sum += difference;
        }
        self.n_changed += usize::from(most_probable(expected) != most_probable(actual));
    }
}

/// The first of the largest values.
fn most_probable(values: &[f32]) -> usize {
    let better = |best, index| {
        if values[index] > values[best] {
            index
        } else {
            best
        }
    };
    (1..values.len()).fold(0, better)
}

/// The number of unusable pictures, and the first one's failure.
struct Unusable {
    n: usize,
    first: String,
}

impl Unusable {
    fn from_listing(pictures: &Pictures) -> Self {
        let mut unusable = Self {
            n: 0,
            first: "there is none".to_owned(),
        };
        for failure in &pictures.unusable {
            unusable.add(failure.path.clone(), failure.error.clone());
        }
        unusable
    }

    fn add(&mut self, path: String, reason: String) {
        if self.n == 0 {
            self.first = format!("{path}: {reason}");
        }
        self.n += 1;
    }
}

fn read(pictures: &Pictures, picture: &Picture) -> Result<RgbImage, String> {
    let max_bytes = DecodeLimits::default().max_file_bytes();
    let bytes = pictures.read_up_to(picture, max_bytes);
    let bytes = bytes.map_err(|error| error.to_string())?;
    picture::decode(&bytes).map_err(|error| error.to_string())
}

/// A grid of random colours, finer with each index; fitting blurs it.
fn made_up(index: usize) -> RgbImage {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(index as u64);
    let side = 2 + 4 * index as u32;
    RgbImage::from_fn(side, side, |_, _| image::Rgb(random.r#gen()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_by_hand() {
        let mut differences = Differences::default();
        differences.add(&[0.5, 0.5], &[0.5, 0.5]);
        differences.add(&[0.25, 0.75], &[0.5, 0.5]);
        assert_eq!((differences.n_pictures, differences.n_values), (2, 4));
        assert_eq!((differences.largest, differences.sum), (0.25, 0.5));
        // Of two equal ones the first counts, as NumPy's argmax has it.
        assert_eq!(differences.n_changed, 1);
    }
}
