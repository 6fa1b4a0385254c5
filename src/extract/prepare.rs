//! The first stage: pictures become batches of tensors, in their order.

use rayon::prelude::*;

use super::ThreadsError;
use super::budget::{Budget, SIDE_BY_SIDE_BYTES};
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

/// A picture that is left for later, when its memory is set aside for it.
struct Later {
    /// How much of the budget it takes; more than all of it where it must be alone.
    n_bytes: u64,
}

impl Later {
    const ALONE: Self = Self { n_bytes: u64::MAX };
}

/// A picture of a batch, and where its tensor goes.
struct Slot<'a> {
    picture: &'a Picture,
    tensor: &'a mut [f32],
    attempt: Result<Outcome, Later>,
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

    /// Prepares pictures side by side, as far as the budget goes, and then those that were left, in
    /// groups that fit into it. A large one is alone, as is one that could not be read: it is tried
    /// again when fewer files are open.
    fn prepare_all(&self, chunk: &[Picture], tensor: &mut [f32]) -> Vec<Outcome> {
        let tensors = tensor.chunks_mut(self.preparation.tensor_len());
        let slot = |(picture, tensor)| Slot {
            picture,
            tensor,
            attempt: Err(Later { n_bytes: 0 }),
        };
        let mut slots: Vec<Slot> = chunk.iter().zip(tensors).map(slot).collect();
        let budget = Budget::default();
        self.side_by_side(slots.iter_mut().collect(), Some(&budget));
        loop {
            let group = next_group(&mut slots);
            if group.is_empty() {
                break;
            }
            self.side_by_side(group, None);
        }
        let attempts = slots.into_iter().map(|slot| slot.attempt);
        attempts.filter_map(Result::ok).collect()
    }

    fn side_by_side(&self, slots: Vec<&mut Slot>, budget: Option<&Budget>) {
        self.decoders.install(|| {
            let slots = slots.into_par_iter().with_max_len(1);
            slots.for_each(|slot| slot.attempt = self.prepare(slot.picture, slot.tensor, budget));
        });
    }

    fn find_known(&self, hash: &blake3::Hash) -> Option<KnownCode> {
        self.known.as_ref()?.find(hash)
    }

    /// Whether the picture's file is large; one that cannot be looked at will fail soon enough.
    fn is_large(&self, picture: &Picture) -> bool {
        let n_bytes = self.pictures.n_bytes(picture);
        n_bytes.is_ok_and(|n_bytes| n_bytes > LARGE_FILE_BYTES)
    }

    /// Reads a picture and, unless its code is known, decodes it into `tensor`. Without a budget,
    /// none is left for later.
    fn prepare(
        &self,
        picture: &Picture,
        tensor: &mut [f32],
        budget: Option<&Budget>,
    ) -> Result<Outcome, Later> {
        if budget.is_some() && self.is_large(picture) {
            return Err(Later::ALONE);
        }
        let error = match self.try_prepare(picture, tensor, budget) {
            Ok(usable) => return usable.map(Ok),
            Err(error) => error,
        };
        let failure = Failure {
            path: picture.path.to_string(),
            error: error.to_string(),
            kind: error.kind(),
        };
        if budget.is_some() && failure.may_pass() {
            return Err(Later::ALONE);
        }
        Ok(Err(failure))
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
        budget: Option<&Budget>,
    ) -> Result<Result<Usable, Later>, PictureError> {
        self.check_harmless(picture)?;
        let is_large_file = self.is_large(picture);
        let _noted = is_large_file.then(|| self.note_in_hand(picture));
        let bytes = self.pictures.read(picture)?;
        let hash = blake3::hash(&bytes);
        let known = self.find_known(&hash);
        let (width, height) = match known {
            Some(known) => (known.width, known.height),
            None => {
                let n_bytes = picture::decoding_bytes(&bytes)?;
                let is_large = n_bytes > LARGE_BYTES;
                if is_large && budget.is_some() {
                    return Ok(Err(Later::ALONE));
                }
                let taken = budget.map(|budget| budget.take(n_bytes));
                if taken.as_ref().is_some_and(Option::is_none) {
                    return Ok(Err(Later { n_bytes }));
                }
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
        Ok(Ok((picture, known)))
    }
}

/// The first of the pictures that are left, and those after it that fit into the budget beside it.
fn next_group<'a, 'b>(slots: &'a mut [Slot<'b>]) -> Vec<&'a mut Slot<'b>> {
    let mut sum: u64 = 0;
    let fits = |slot: &&mut Slot| {
        let Err(Later { n_bytes }) = slot.attempt else {
            return false;
        };
        let fits = sum == 0 || sum.saturating_add(n_bytes) <= SIDE_BY_SIDE_BYTES;
        sum = if fits {
            sum.saturating_add(n_bytes)
        } else {
            sum
        };
        fits
    };
    slots.iter_mut().filter(fits).collect()
}
