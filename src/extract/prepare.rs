//! The first stage: pictures become batches of tensors, in their order.

use rayon::prelude::*;

use super::ThreadsError;
use super::known::{Known, KnownCode, Place};
use crate::codes::WrittenPicture;
use crate::dataset::{Failure, Picture, Pictures, ReadError};
use crate::picture::{self, DecodeError, Preparation};

/// The largest picture that is decoded while others are; a large one alone may take a gigabyte.
const LARGE_PIXELS: u64 = 1 << 25;

/// The largest file that is read while others are.
const LARGE_FILE_BYTES: u64 = 1 << 26;

/// Pictures of one batch.
pub(super) struct Batch {
    /// What became of its pictures, in their order.
    pub(super) outcomes: Vec<Result<Row, Failure>>,
    /// The tensors of those whose codes are to be computed, without gaps.
    pub(super) tensor: Vec<f32>,
    /// How many those are.
    pub(super) n_computed: usize,
}

impl Batch {
    /// The pictures that could not be used.
    pub(super) fn failures(&self) -> impl Iterator<Item = &Failure> {
        failures(&self.outcomes)
    }
}

/// The failures among outcomes.
pub(super) fn failures(outcomes: &[Result<Row, Failure>]) -> impl Iterator<Item = &Failure> {
    let outcomes = outcomes.iter();
    outcomes.filter_map(|outcome| outcome.as_ref().err())
}

/// A picture that could be used.
pub(crate) struct Row {
    pub(crate) picture: WrittenPicture,
    /// Where its code lies; nothing where it is the next of the computed ones.
    pub(super) known: Option<Place>,
}

/// Makes batches.
pub(crate) struct Preparer<'a> {
    pictures: &'a Pictures,
    preparation: Preparation,
    decoders: rayon::ThreadPool,
    /// Nothing where no code is to be remembered.
    known: Option<Known>,
    /// The row that the next usable picture becomes.
    next_row: usize,
}

/// A picture that becomes a row, and its code where that is known already.
type Usable = (WrittenPicture, Option<KnownCode>);

/// What becomes of one picture.
type Outcome = Result<Usable, Failure>;

/// What to do with a large picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Large {
    Defer,
    Prepare,
}

/// Why one picture cannot be used; the messages go into failures.csv.
#[derive(Debug, thiserror::Error)]
enum PictureError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl PictureError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Read(error) => error.kind(),
            Self::Decode(error) => error.kind(),
        }
    }
}

impl<'a> Preparer<'a> {
    /// Starts `threads` decoders, at least 1. Every code is to be computed.
    pub(crate) fn new(
        pictures: &'a Pictures,
        preparation: Preparation,
        threads: usize,
    ) -> Result<Self, ThreadsError> {
        let decoders = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|source| ThreadsError { threads, source })?;
        Ok(Self {
            pictures,
            preparation,
            decoders,
            known: None,
            next_row: 0,
        })
    }

    /// Codes that are known, or computed for an earlier picture, need not be computed. `next_row`
    /// is the number of rows that are there already.
    pub(super) fn with_known(self, known: Known, next_row: usize) -> Self {
        Self {
            known: Some(known),
            next_row,
            ..self
        }
    }

    /// The pictures.
    pub(super) fn pictures(&self) -> &'a Pictures {
        self.pictures
    }

    /// Prepares `chunk`, whose tensors go into `tensor`.
    ///
    /// Which of two equal pictures in a batch is the copy does not depend on the threads' luck.
    pub(super) fn batch(&mut self, chunk: &[Picture], mut tensor: Vec<f32>) -> Batch {
        let len = self.preparation.tensor_len();
        tensor.resize(chunk.len() * len, 0.0);
        let outcomes = self.prepare_all(chunk, &mut tensor);
        let mut batch = Batch {
            outcomes: Vec::with_capacity(chunk.len()),
            tensor,
            n_computed: 0,
        };
        for (slot, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok((picture, known)) => self.take(&mut batch, slot, picture, known),
                Err(failure) => batch.outcomes.push(Err(failure)),
            }
        }
        batch.tensor.truncate(batch.n_computed * len);
        batch
    }

    /// Makes a picture the next row, and closes the gap that those before it may have left.
    fn take(
        &mut self,
        batch: &mut Batch,
        slot: usize,
        picture: WrittenPicture,
        known: Option<KnownCode>,
    ) {
        // Perhaps it is known only since an earlier picture of this batch.
        let known = known.or_else(|| self.find_known(&picture.blake3));
        if known.is_none() {
            let len = self.preparation.tensor_len();
            let to = batch.n_computed * len;
            if to != slot * len {
                batch.tensor.copy_within(slot * len..(slot + 1) * len, to);
            }
            batch.n_computed += 1;
        }
        if let Some(known) = &mut self.known {
            let place = Place::Row(self.next_row);
            known.note(picture.blake3, place, picture.width, picture.height);
        }
        self.next_row += 1;
        batch.outcomes.push(Ok(Row {
            picture,
            known: known.map(|code| code.place()),
        }));
    }

    /// Prepares pictures side by side, and then the large ones among them one by one, so that
    /// memory does not grow with the number of threads.
    fn prepare_all(&self, chunk: &[Picture], tensor: &mut [f32]) -> Vec<Outcome> {
        let len = self.preparation.tensor_len();
        let at_once = |(tensor, picture): (&mut [f32], &Picture)| {
            (!self.is_large(picture)).then(|| self.prepare(picture, tensor, Large::Defer))?
        };
        let outcomes: Vec<Option<Outcome>> = self.decoders.install(|| {
            let pairs = tensor.par_chunks_mut(len).zip(chunk).with_max_len(1);
            pairs.map(at_once).collect()
        });
        let tensors = tensor.chunks_mut(len).zip(chunk);
        let in_turn = |(outcome, (tensor, picture)): (Option<Outcome>, (&mut [f32], &Picture))| {
            let prepare = || self.prepare(picture, tensor, Large::Prepare);
            outcome.or_else(|| self.decoders.install(prepare))
        };
        outcomes
            .into_iter()
            .zip(tensors)
            .filter_map(in_turn)
            .collect()
    }

    fn find_known(&self, hash: &blake3::Hash) -> Option<KnownCode> {
        self.known.as_ref()?.find(hash)
    }

    /// Whether the picture's file is large; one that cannot be looked at will fail soon enough.
    fn is_large(&self, picture: &Picture) -> bool {
        let n_bytes = self.pictures.n_bytes(picture);
        n_bytes.is_ok_and(|n_bytes| n_bytes > LARGE_FILE_BYTES)
    }

    /// Reads a picture and, unless its code is known, decodes it into `tensor`. Nothing comes of a
    /// large one that is to be deferred.
    fn prepare(&self, picture: &Picture, tensor: &mut [f32], large: Large) -> Option<Outcome> {
        let outcome = self.try_prepare(picture, tensor, large);
        outcome.transpose().map(|outcome| {
            outcome.map_err(|error| Failure {
                path: picture.path.to_string(),
                error: error.to_string(),
                kind: error.kind(),
            })
        })
    }

    fn try_prepare(
        &self,
        picture: &Picture,
        tensor: &mut [f32],
        large: Large,
    ) -> Result<Option<Usable>, PictureError> {
        let bytes = self.pictures.read(picture)?;
        let hash = blake3::hash(&bytes);
        let known = self.find_known(&hash);
        let (width, height) = match known {
            Some(known) => (known.width, known.height),
            None if large == Large::Defer && picture::n_pixels(&bytes)? > LARGE_PIXELS => {
                return Ok(None);
            }
            None => {
                let decoded = picture::decode(&bytes)?;
                self.preparation.prepare(&decoded, tensor);
                decoded.dimensions()
            }
        };
        let picture = WrittenPicture {
            path: picture.path.to_string(),
            label: picture.label,
            width,
            height,
            blake3: hash,
        };
        Ok(Some((picture, known)))
    }
}
