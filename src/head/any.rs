//! Heads of any kind in one value: options, and trained heads.

use std::any::Any;

use ndarray::Array2;
use serde::Serialize;

use super::list::for_each_head;
use super::saved::{HeadEntry, Saved};
use super::{CodesView, Head, HeadError, HeadKind, Layer, Samples, mean_of_views};
use crate::progress::Watch;

/// An operation on any kind of head.
pub(crate) trait HeadVisitor {
    type Output;

    /// `options` are those of the visited head.
    fn visit<H: Head>(self, options: &H::Options) -> Self::Output
    where
        OneHead: From<Saved<H>>,
        HeadOptions: From<H::Options>;
}

macro_rules! any_head {
    ($($(#[$about:meta])* $variant:ident, $field:ident, $name:literal, $left_out:literal, $model:ty;)+) => {
        /// Options of one head.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        #[non_exhaustive]
        pub enum HeadOptions {
            $($(#[$about])* $variant(<$model as Head>::Options)),+
        }

        /// One trained head.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum OneHead {
            $($(#[$about])* $variant(Saved<$model>)),+
        }

        impl HeadOptions {
            /// The kind of head.
            #[must_use]
            pub const fn kind(&self) -> HeadKind {
                match self {
                    $(Self::$variant(_) => HeadKind::$variant),+
                }
            }

            pub(crate) fn visit<V: HeadVisitor>(&self, visitor: V) -> V::Output {
                match self {
                    $(Self::$variant(options) => visitor.visit::<$model>(options)),+
                }
            }
        }

        impl OneHead {
            fn set_temperature(self, temperature: f64) -> Self {
                match self {
                    $(Self::$variant(saved) => Self::$variant(Saved { temperature, ..saved })),+
                }
            }

            fn as_any_kind(&self) -> &dyn AnyKind {
                match self {
                    $(Self::$variant(saved) => saved),+
                }
            }
        }

        $(
            impl From<Saved<$model>> for OneHead {
                fn from(saved: Saved<$model>) -> Self {
                    Self::$variant(saved)
                }
            }

            impl From<<$model as Head>::Options> for HeadOptions {
                fn from(options: <$model as Head>::Options) -> Self {
                    Self::$variant(options)
                }
            }
        )+
    };
}
for_each_head!(any_head);

impl HeadOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`HeadError::InvalidOption`] for the first option that is out of range.
    pub fn validate(&self) -> Result<(), HeadError> {
        struct Validate;
        impl HeadVisitor for Validate {
            type Output = Result<(), HeadError>;

            fn visit<H: Head>(self, options: &H::Options) -> Self::Output {
                H::validate(options)
            }
        }
        self.visit(Validate)
    }
}

impl HeadOptions {
    /// Fits a head on all of `train`; returns the head and a remark about the fit for people.
    ///
    /// Nothing is held out and nothing is evaluated; [`train`](mod@crate::train) does that.
    ///
    /// # Errors
    /// As [`Head::fit`].
    pub fn fit(&self, train: &Samples, watch: &dyn Watch) -> Result<(OneHead, String), HeadError> {
        struct FitOne<'a, 's>(&'a Samples<'s>, &'a dyn Watch);
        impl HeadVisitor for FitOne<'_, '_> {
            type Output = Result<(OneHead, String), HeadError>;

            fn visit<H: Head>(self, options: &H::Options) -> Self::Output
            where
                OneHead: From<Saved<H>>,
            {
                H::validate(options)?;
                let fit = H::fit(self.0, None, options, self.1)?;
                let saved = Saved {
                    model: fit.model,
                    options: options.clone(),
                    convergence: fit.convergence,
                    temperature: 1.0,
                };
                Ok((saved.into(), fit.remark))
            }
        }
        self.visit(FitOne(train, watch))
    }
}

impl OneHead {
    /// The kind of head.
    #[must_use]
    pub fn kind(&self) -> HeadKind {
        self.as_any_kind().kind()
    }

    /// Its entry in head.json: everything but the weights.
    #[must_use]
    pub fn entry(&self) -> HeadEntry {
        self.as_any_kind().entry()
    }

    /// The divisor of the logits before softmax; 1 if the head is not calibrated.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.as_any_kind().temperature()
    }

    /// The same head with another temperature.
    #[must_use]
    pub(crate) fn with_temperature(self, temperature: f64) -> Self {
        self.set_temperature(temperature)
    }

    /// Logits (N, K) of codes (N, D) that are already scaled.
    ///
    /// # Errors
    /// [`HeadError::FeatureMismatch`] if the codes have another D; [`HeadError::Read`].
    pub fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        self.as_any_kind().logits(codes)
    }

    /// Logits (N, K) of samples whose codes are already scaled: for each sample the mean over its
    /// views.
    ///
    /// # Errors
    /// As [`OneHead::logits`].
    pub(crate) fn logits_of(&self, samples: &Samples) -> Result<Array2<f32>, HeadError> {
        let logits = self.logits(samples.codes_of_views())?;
        Ok(mean_of_views(logits, samples.n_views()))
    }

    /// The head, if it is of kind `H`.
    #[must_use]
    pub fn get<H: Head>(&self) -> Option<&Saved<H>> {
        self.as_any_kind().as_any().downcast_ref()
    }

    /// The steps from codes to logits.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer<'_>> {
        self.as_any_kind().layers()
    }

    /// Refuses a model that contradicts its options, or whose D and K are not `shape`.
    pub(super) fn check(&self, shape: (usize, usize)) -> Result<(), String> {
        self.as_any_kind().check(shape)
    }
}

/// What a trained head can do, whatever its kind.
trait AnyKind {
    fn kind(&self) -> HeadKind;
    fn entry(&self) -> HeadEntry;
    fn temperature(&self) -> f64;
    fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError>;
    fn layers(&self) -> Vec<Layer<'_>>;
    fn check(&self, shape: (usize, usize)) -> Result<(), String>;
    fn as_any(&self) -> &dyn Any;
}

impl<H: Head> AnyKind for Saved<H>
where
    HeadOptions: From<H::Options>,
{
    fn kind(&self) -> HeadKind {
        H::KIND
    }

    fn entry(&self) -> HeadEntry {
        HeadEntry {
            options: self.options.clone().into(),
            convergence: self.convergence.clone(),
            temperature: self.temperature,
        }
    }

    fn temperature(&self) -> f64 {
        self.temperature
    }

    fn logits(&self, codes: &CodesView) -> Result<Array2<f32>, HeadError> {
        H::logits(&self.model, codes)
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        self.model.layers()
    }

    fn check(&self, (n_features, n_classes): (usize, usize)) -> Result<(), String> {
        H::validate(&self.options).map_err(|error| error.to_string())?;
        let (features, classes) = self.model.shape();
        if (features, classes) != (n_features, n_classes) {
            return Err(format!(
                "the {} takes {features} features to {classes} classes, and the codes have \
                 {n_features} features and {n_classes} classes",
                H::TITLE
            ));
        }
        self.model.check_options(&self.options)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
