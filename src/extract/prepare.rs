//! The first stage: pictures become batches of tensors, in their order.

use rayon::prelude::*;

use super::ThreadsError;
use super::in_hand::{InHand, Noted};
use super::known::{Known, KnownCode, Place};
use crate::codes::WrittenPicture;
use crate::dataset::{Failure, Picture, Pictures, ReadError};
use crate::picture::{self, DecodeError, DecodeLimits, LARGE_BYTES, LARGE_FILE_BYTES, Preparation};

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
    limits: DecodeLimits,
    decoders: rayon::ThreadPool,
    /// Nothing where there is no draft to note large pictures in.
    in_hand: Option<InHand>,
    /// Nothing where no code is to be remembered.
    known: Option<Known>,
    /// The row that the next usable picture becomes.
    next_row: usize,
}

/// A picture that becomes a row, and its code where that is known already.
type Usable = (WrittenPicture, Option<KnownCode>);

/// What becomes of one picture.
type Outcome = Result<Usable, Failure>;

/// Whether other pictures are prepared meanwhile. One that is large, or cannot be read while many
/// files are open, is left for its turn alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    SideBySide,
    Alone,
}

/// Why one picture cannot be used; the messages go into failures.csv.
#[derive(Debug, thiserror::Error)]
enum PictureError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(
        "an earlier run ended while it decoded this picture, perhaps for want of memory; with \
         --restart it is tried again, with --max-pixels it is refused"
    )]
    EndedARun,
}

impl PictureError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Read(error) => error.kind(),
            Self::Decode(error) => error.kind(),
            Self::EndedARun => "ended_a_run",
        }
    }
}

impl<'a> Preparer<'a> {
    /// Starts `threads` decoders, at least 1. Every code is to be computed.
    pub(crate) fn new(
        pictures: &'a Pictures,
        preparation: Preparation,
        limits: DecodeLimits,
        threads: usize,
    ) -> Result<Self, ThreadsError> {
        let decoders = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|source| ThreadsError { threads, source })?;
        Ok(Self {
            pictures,
            preparation,
            limits,
            decoders,
            in_hand: None,
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

    /// Large pictures are noted while they are decoded.
    pub(super) fn with_in_hand(self, in_hand: InHand) -> Self {
        Self {
            in_hand: Some(in_hand),
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
    /// memory does not grow with the number of threads. Those that could not be read are tried
    /// again then: fewer files are open.
    fn prepare_all(&self, chunk: &[Picture], tensor: &mut [f32]) -> Vec<Outcome> {
        let len = self.preparation.tensor_len();
        let at_once = |(tensor, picture): (&mut [f32], &Picture)| {
            (!self.is_large(picture)).then(|| self.prepare(picture, tensor, Turn::SideBySide))?
        };
        let outcomes: Vec<Option<Outcome>> = self.decoders.install(|| {
            let pairs = tensor.par_chunks_mut(len).zip(chunk).with_max_len(1);
            pairs.map(at_once).collect()
        });
        let tensors = tensor.chunks_mut(len).zip(chunk);
        let in_turn = |(outcome, (tensor, picture)): (Option<Outcome>, (&mut [f32], &Picture))| {
            let prepare = || self.prepare(picture, tensor, Turn::Alone);
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

    /// Reads a picture and, unless its code is known, decodes it into `tensor`. Nothing comes of
    /// one that is left for its turn alone.
    fn prepare(&self, picture: &Picture, tensor: &mut [f32], turn: Turn) -> Option<Outcome> {
        let outcome = self.try_prepare(picture, tensor, turn).transpose()?;
        let outcome = outcome.map_err(|error| Failure {
            path: picture.path.to_string(),
            error: error.to_string(),
            kind: error.kind(),
        });
        let is_left = |failure: &Failure| turn == Turn::SideBySide && failure.may_pass();
        (!outcome.as_ref().is_err_and(is_left)).then_some(outcome)
    }

    /// Notes a large picture for as long as the result lives.
    fn note_in_hand<'b>(&'b self, picture: &'b Picture) -> Option<Noted<'b>> {
        self.in_hand
            .as_ref()
            .map(|in_hand| in_hand.note(&picture.path))
    }

    fn check_harmless(&self, picture: &Picture) -> Result<(), PictureError> {
        match &self.in_hand {
            Some(in_hand) if in_hand.ended_a_run(&picture.path) => Err(PictureError::EndedARun),
            _ => Ok(()),
        }
    }

    fn try_prepare(
        &self,
        picture: &Picture,
        tensor: &mut [f32],
        turn: Turn,
    ) -> Result<Option<Usable>, PictureError> {
        self.check_harmless(picture)?;
        let is_large_file = turn == Turn::Alone && self.is_large(picture);
        let _noted = is_large_file.then(|| self.note_in_hand(picture));
        let bytes = self.pictures.read(picture)?;
        let hash = blake3::hash(&bytes);
        let known = self.find_known(&hash);
        let is_large = known.is_none() && picture::decoding_bytes(&bytes)? > LARGE_BYTES;
        let (width, height) = match known {
            Some(known) => (known.width, known.height),
            None if is_large && turn == Turn::SideBySide => return Ok(None),
            None => {
                let _noted = (is_large && !is_large_file).then(|| self.note_in_hand(picture));
                let decoded = picture::decode_within(&bytes, self.limits)?;
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
