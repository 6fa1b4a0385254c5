//! head.json.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{FORMAT, MANIFEST, SavedHead, SavedHeadError, damaged, read_file};
use crate::codes::CodesIdentity;
use crate::files::Open;
use crate::head::list::for_each_head;
use crate::head::scaling::ScalingKind;
use crate::head::{Convergence, Head, HeadKind, HeadOptions, OneHead};
use crate::picture::Views;

/// The contents of head.json: everything about the heads but their weights.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HeadManifest {
    /// The program that wrote the head, with its version.
    pub created_by: String,
    /// The codes that the heads take.
    pub codes: CodesIdentity,
    /// Class names (K) in the order of their indices.
    pub classes: Vec<String>,
    /// The views of a picture whose mean logits the heads use.
    pub views: Views,
    /// The scaling of codes before they reach a head.
    pub scaling: ScalingKind,
    /// The heads, in the order of the kinds.
    pub heads: Vec<HeadEntry>,
    /// The default head, if one was chosen.
    pub recommended: Option<HeadKind>,
}

/// One head's entry in head.json.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HeadEntry {
    /// Its options.
    pub options: HeadOptions,
    /// Whether the fit found its optimum, if it has one.
    pub convergence: Option<Convergence>,
    /// The divisor of the logits before softmax; 1 if the head is not calibrated.
    pub temperature: f64,
}

/// [`HeadEntry`] of a head of a known kind, in its written form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry<O> {
    options: O,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    convergence: Option<Convergence>,
    temperature: f64,
}

impl<O> WrittenEntry<O> {
    fn into_entry(self) -> HeadEntry
    where
        HeadOptions: From<O>,
    {
        HeadEntry {
            options: self.options.into(),
            convergence: self.convergence,
            temperature: self.temperature,
        }
    }
}

/// For missing heads that head.json writes as null.
fn never<T>(_: &Option<T>) -> bool {
    false
}

/// For missing heads that head.json leaves out.
fn absent<T>(entry: &Option<T>) -> bool {
    entry.is_none()
}

macro_rules! written {
    ($($(#[$about:meta])* $variant:ident, $field:ident, $name:literal, $left_out:literal, $model:ty;)+) => {
        /// head.json in its written form.
        #[derive(Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            /// Version of the format, [`FORMAT`].
            format: u32,
            created_by: String,
            codes: CodesIdentity,
            classes: Vec<String>,
            #[serde(default, skip_serializing_if = "Views::is_none")]
            views: Views,
            scaling: ScalingKind,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            recommended: Option<HeadKind>,
            $(
                #[serde(rename = $name, default, skip_serializing_if = $left_out)]
                $field: Option<WrittenEntry<<$model as Head>::Options>>,
            )+
        }

        impl Written {
            fn into_entries(self) -> Vec<HeadEntry> {
                let entries = [$(self.$field.map(WrittenEntry::into_entry)),+];
                entries.into_iter().flatten().collect()
            }

            fn with_entries(mut self, entries: Vec<HeadEntry>) -> Self {
                for entry in entries {
                    let HeadEntry {
                        options,
                        convergence,
                        temperature,
                    } = entry;
                    match options {
                        $(HeadOptions::$variant(options) => {
                            self.$field = Some(WrittenEntry {
                                options,
                                convergence,
                                temperature,
                            });
                        })+
                    }
                }
                self
            }

            fn without_heads(manifest: &HeadManifest) -> Self {
                Self {
                    format: FORMAT,
                    created_by: concat!("cnn-codes ", env!("CARGO_PKG_VERSION")).to_owned(),
                    codes: manifest.codes.clone(),
                    classes: manifest.classes.clone(),
                    views: manifest.views,
                    scaling: manifest.scaling,
                    recommended: manifest.recommended,
                    $($field: None),+
                }
            }
        }
    };
}
for_each_head!(written);

/// The part of every format, so that another format is recognised before it is misread.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
    #[serde(default)]
    created_by: String,
}

impl HeadManifest {
    pub(super) fn of(head: &SavedHead) -> Self {
        Self {
            created_by: concat!("cnn-codes ", env!("CARGO_PKG_VERSION")).to_owned(),
            codes: head.codes.clone(),
            classes: head.classes.clone(),
            views: head.views,
            scaling: head.scaling.kind(),
            heads: head.in_order().map(OneHead::entry).collect(),
            recommended: head.recommended,
        }
    }

    /// The bytes of head.json.
    pub(super) fn to_json(&self) -> io::Result<Vec<u8>> {
        let written = Written::without_heads(self);
        let mut json = serde_json::to_vec_pretty(&written.with_entries(self.heads.clone()))?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads head.json in `dir`, which need not be a HEAD, from a file that `open` opens.
    ///
    /// # Errors
    /// [`SavedHeadError::NotAHead`], [`SavedHeadError::Format`], [`SavedHeadError::Read`] or
    /// [`SavedHeadError::Damaged`].
    pub(crate) fn read_from(dir: &Path, open: Open) -> Result<Self, SavedHeadError> {
        let path = &dir.join(MANIFEST);
        let bytes = match read_file(path, open) {
            Err(SavedHeadError::Read { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(SavedHeadError::NotAHead {
                    dir: dir.to_owned(),
                });
            }
            read => read?,
        };
        let manifest = Self::parse(&bytes, path)?;
        manifest.codes.validate().map_err(damaged(path))?;
        manifest.validate().map_err(damaged(path))?;
        Ok(manifest)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, SavedHeadError> {
        let wrong = |error: serde_json::Error| damaged(path)(error.to_string());
        let AnyFormat { format, created_by } = serde_json::from_slice(bytes).map_err(wrong)?;
        if format != FORMAT {
            return Err(SavedHeadError::Format {
                path: path.to_owned(),
                found: format,
                created_by,
            });
        }
        let written: Written = serde_json::from_slice(bytes).map_err(wrong)?;
        Ok(Self {
            created_by: written.created_by.clone(),
            codes: written.codes.clone(),
            classes: written.classes.clone(),
            views: written.views,
            scaling: written.scaling,
            recommended: written.recommended,
            heads: written.into_entries(),
        })
    }

    /// The entry of the head of this kind, if there is one.
    #[must_use]
    pub fn of_kind(&self, kind: HeadKind) -> Option<&HeadEntry> {
        self.heads.iter().find(|head| head.options.kind() == kind)
    }

    /// The invariants that can be checked without the weights.
    pub(super) fn validate(&self) -> Result<(), String> {
        let n_classes = self.classes.len();
        if n_classes < 2 {
            return Err(format!(
                "it names {n_classes} classes, and a head needs two"
            ));
        }
        let mut names: Vec<_> = self.classes.iter().collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("it names the class {:?} twice", pair[0]));
        }
        if self.heads.is_empty() {
            return Err(format!(
                "it holds none of the heads: {}",
                HeadKind::NAMES.join(", ")
            ));
        }
        if let Some(recommended) = self.recommended
            && self.of_kind(recommended).is_none()
        {
            return Err(format!(
                "it recommends the head {recommended}, and does not hold it"
            ));
        }
        let temperatures = || self.heads.iter().map(|head| head.temperature);
        if let Some(temperature) = temperatures().find(|&t| !(t.is_finite() && t > 0.0)) {
            return Err(format!(
                "a temperature is {temperature}, and has to be above 0"
            ));
        }
        Ok(())
    }
}
