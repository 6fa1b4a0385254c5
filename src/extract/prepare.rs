//! The first stage: turns pictures into batches of tensors, in order.

use super::ThreadsError;
use super::in_hand::{InHand, Noted};
use super::known::{CodeSource, Known, KnownCode};
use crate::codes::{Failure, PictureRow};
use crate::dataset::{Picture, Pictures, ReadError};
use crate::picture::memory::{Later, Room, is_large, is_large_file, side_by_side};
use crate::picture::{self, DecodeError, DecodeLimits, Preparation};

/// Pictures of one batch.
pub(super) struct Batch {
    /// The outcome of each picture, in order.
    pub(super) outcomes: Vec<Result<Usable, Failure>>,
    /// The tensors of the pictures whose codes must be computed: all views of each, without gaps.
    pub(super) tensor: Vec<f32>,
    /// The number of these pictures.
    pub(super) n_computed: usize,
}

impl Batch {
    /// The pictures that could not be used.
    pub(super) fn failures(&self) -> impl Iterator<Item = &Failure> {
        failures(&self.outcomes)
    }
}

/// The failures among outcomes.
pub(super) fn failures(outcomes: &[Result<Usable, Failure>]) -> impl Iterator<Item = &Failure> {
    let outcomes = outcomes.iter();
    outcomes.filter_map(|outcome| outcome.as_ref().err())
}

/// A usable picture.
pub(crate) struct Usable {
    pub(crate) picture: PictureRow,
    /// Where its code is; `None` if it is the next computed one.
    pub(super) known: Option<CodeSource>,
}

/// Makes batches.
pub(crate) struct Preparer<'a> {
    pictures: &'a Pictures,
    preparation: Preparation,
    limits: DecodeLimits,
    decoders: rayon::ThreadPool,
    /// `None` if there is no draft in which to log large pictures.
    in_hand: Option<InHand>,
    /// `None` if codes are not remembered.
    known: Option<Known>,
    /// The row of the next usable picture.
    next_row: usize,
}

/// Why a picture is unusable; the messages go into failures.csv.
#[derive(Debug, thiserror::Error)]
enum PictureError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("an earlier run ended while it decoded this picture, perhaps for want of memory")]
    EndedARun,
}

/// Why a picture is not prepared.
enum NotPrepared {
    /// There is not enough memory for it now.
    Later(Later),
    /// It is unusable.
    Unusable(PictureError),
}

impl From<Later> for NotPrepared {
    fn from(later: Later) -> Self {
        Self::Later(later)
    }
}

impl From<PictureError> for NotPrepared {
    fn from(error: PictureError) -> Self {
        Self::Unusable(error)
    }
}

impl From<ReadError> for NotPrepared {
    fn from(error: ReadError) -> Self {
        Self::Unusable(error.into())
    }
}

impl From<DecodeError> for NotPrepared {
    fn from(error: DecodeError) -> Self {
        Self::Unusable(error.into())
    }
}

/// A usable picture, and its code if that is known already.
type Prepared = (PictureRow, Option<KnownCode>);

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
    /// Starts `threads` decoders, at least 1. Every code will be computed.
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

    /// Skips codes that are known, or computed for an earlier picture. `next_row` is the number of
    /// existing rows.
    pub(super) fn with_known(self, known: Known, next_row: usize) -> Self {
        Self {
            known: Some(known),
            next_row,
            ..self
        }
    }

    /// Logs large pictures while they are decoded.
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

    /// Prepares `chunk`, and puts its tensors into `tensor`.
    ///
    /// Which of two equal pictures in a batch counts as the copy does not depend on thread timing.
    pub(super) fn batch(&mut self, chunk: &[Picture], mut tensor: Vec<f32>) -> Batch {
        let len = self.preparation.tensor_len();
        tensor.resize(chunk.len() * len, 0.0);
        let slots: Vec<_> = chunk.iter().zip(tensor.chunks_mut(len)).collect();
        let prepared = self.decoders.install(|| {
            side_by_side(slots, |(picture, tensor), room| {
                self.prepare(picture, tensor, room)
            })
        });
        let mut batch = Batch {
            outcomes: Vec::with_capacity(chunk.len()),
            tensor,
            n_computed: 0,
        };
        for (slot, prepared) in prepared.into_iter().enumerate() {
            match prepared {
                Ok((picture, known)) => self.take(&mut batch, slot, picture, known),
                Err(failure) => batch.outcomes.push(Err(failure)),
            }
        }
        batch.tensor.truncate(batch.n_computed * len);
        batch
    }

    /// Makes a picture the next row, and closes any gap left by pictures before it.
    fn take(
        &mut self,
        batch: &mut Batch,
        slot: usize,
        picture: PictureRow,
        known: Option<KnownCode>,
    ) {
        // Its code may be known only since an earlier picture of this batch.
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
            known.note(&picture, self.next_row, CodeSource::Written);
        }
        self.next_row += 1;
        batch.outcomes.push(Ok(Usable {
            picture,
            known: known.map(|code| code.source),
        }));
    }

    fn find_known(&self, hash: &blake3::Hash) -> Option<KnownCode> {
        self.known.as_ref()?.find(hash)
    }

    /// Reads a picture and, unless its code is known, decodes it into `tensor`. A picture that
    /// could not be read for an outside reason is tried again alone, when fewer files are open.
    fn prepare(
        &self,
        picture: &Picture,
        tensor: &mut [f32],
        room: Room,
    ) -> Result<Result<Prepared, Failure>, Later> {
        let error = match self.try_prepare(picture, tensor, room) {
            Ok(prepared) => return Ok(Ok(prepared)),
            Err(NotPrepared::Later(later)) => return Err(later),
            Err(NotPrepared::Unusable(error)) => error,
        };
        let failure = Failure {
            path: picture.path.to_string(),
            error: error.to_string(),
            kind: error.kind(),
        };
        if failure.may_pass() {
            room.alone()?;
        }
        Ok(Err(failure))
    }

    fn try_prepare(
        &self,
        picture: &Picture,
        tensor: &mut [f32],
        room: Room,
    ) -> Result<Prepared, NotPrepared> {
        // A file without metadata will fail soon anyway.
        let file_bytes = self.pictures.n_bytes(picture).unwrap_or(0);
        room.for_file(file_bytes)?;
        self.check_harmless(picture)?;
        let is_large_file = is_large_file(file_bytes);
        let _noted = is_large_file.then(|| self.note_in_hand(picture));
        let max_bytes = self.limits.max_file_bytes();
        let bytes = self.pictures.read_up_to(picture, max_bytes)?;
        let blake3 = blake3::hash(&bytes);
        let known = self.find_known(&blake3);
        let (width, height) = match known {
            Some(known) => (known.width, known.height),
            None => {
                let n_bytes = picture::decoding_bytes(&bytes)?;
                let _memory = room.for_decoding(n_bytes)?;
                let is_noted = is_large_file || !is_large(n_bytes);
                let _noted = (!is_noted).then(|| self.note_in_hand(picture));
                let resize = &self.preparation.resize;
                let decoded = picture::decode_for(&bytes, self.limits, resize)?;
                self.preparation.prepare_decoded(&decoded, tensor);
                (decoded.width, decoded.height)
            }
        };
        let picture = PictureRow {
            path: picture.path.clone(),
            label: picture.label,
            width,
            height,
            blake3,
            group: picture.group.clone(),
        };
        Ok((picture, known))
    }

    /// Refuses a picture that was being decoded when an earlier run was killed.
    fn check_harmless(&self, picture: &Picture) -> Result<(), PictureError> {
        match &self.in_hand {
            Some(in_hand) if in_hand.ended_a_run(&picture.path) => Err(PictureError::EndedARun),
            _ => Ok(()),
        }
    }

    /// Logs a large picture until the result is dropped.
    fn note_in_hand<'b>(&'b self, picture: &'b Picture) -> Option<Noted<'b>> {
        self.in_hand
            .as_ref()
            .map(|in_hand| in_hand.note(&picture.path))
    }
}
