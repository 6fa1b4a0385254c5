//! What to do about errors: which option or command of this program helps.
//!
//! The library's messages know nothing of options. Here each kind of error gets the end of its
//! sentence; what the system answered gets a line of its own.

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, ErrorKind};

use cnn_codes::codes::{Failure, StoreError};
use cnn_codes::dataset::DatasetError;
use cnn_codes::export::ExportError;
use cnn_codes::extract::{ExtractError, SameCodesError};
use cnn_codes::head::saved::SavedHeadError;
use cnn_codes::model::{RuntimeError, TrunkError};
use cnn_codes::predict::PredictError;
use cnn_codes::train::{ReportError, TrainError};
use cnn_codes_curate::download::DownloadError;
use cnn_codes_curate::split::SplitError;
use cnn_codes_files::DraftError;
use cnn_codes_onnxruntime::Origin;

/// What helps, as the end of a sentence. Nothing where the message says it all.
type Advice = Cow<'static, str>;

/// An error's message, with what helps after it, and after those of its causes that it quotes.
pub fn message(error: &(dyn Error + 'static)) -> String {
    let error = unboxed(error);
    let mut message = error.to_string();
    if let Some(cause) = error.source() {
        message = message.replacen(&cause.to_string(), &self::message(cause), 1);
    }
    // What the library calls by its name, and a command line by its option.
    if error.is::<RuntimeError>() {
        message = message.replace(&Origin::Option.to_string(), "--onnxruntime");
    }
    if let Some(TrunkError::Kernels { .. }) = error.downcast_ref() {
        message = message.replace("the Winograd kernels", "--kernels winograd");
        message = message.replace("CUDA was asked for", "--device cuda was given");
    }
    if let Some(ExportError::Foreign { .. }) = error.downcast_ref() {
        message = message.replace("by an export", "by `cnn-codes export`");
    }
    message + &advice(error)
}

/// An error that another one of its type holds in a box is still of that type.
fn unboxed<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    if let Some(error) = error.downcast_ref::<Box<ExtractError>>() {
        &**error
    } else if let Some(error) = error.downcast_ref::<Box<DraftError>>() {
        &**error
    } else if let Some(error) = error.downcast_ref::<Box<TrainError>>() {
        &**error
    } else {
        error
    }
}

fn advice(error: &(dyn Error + 'static)) -> Advice {
    /// The advice of the first type that the error is of.
    macro_rules! first_of {
        ($($of:ident),+) => {
            $(if let Some(error) = error.downcast_ref() {
                return $of(error);
            })+
        };
    }
    first_of!(
        of_draft,
        of_store,
        of_extraction,
        of_same_codes,
        of_dataset,
        of_split,
        of_download,
        of_head,
        of_report,
        of_runtime,
        of_trunk,
        of_prediction,
        of_export
    );
    "".into()
}

fn of_draft(error: &DraftError) -> Advice {
    match error {
        DraftError::Exists { .. } => "; give --overwrite to replace it, or another --out",
        DraftError::Foreign { .. } => ", so --overwrite does not touch it; choose another --out",
        DraftError::Busy { .. } => "; wait for it to end, or choose another --out",
        DraftError::InTheWay { .. } => "; move it, or choose another --out",
        DraftError::Unnamed { .. } => "; give --out a name of its own",
        DraftError::Dangling { .. } => {
            "; make that folder, remove the link, or choose another --out"
        }
        _ => "",
    }
    .into()
}

fn of_store(error: &StoreError) -> Advice {
    match error {
        StoreError::OtherJob { .. } => {
            "; to continue it, give its command again; to discard it, add --restart to this one"
        }
        StoreError::NotAStore { .. } => {
            "; make one with `cnn-codes extract-features IMAGES --out STORE`"
        }
        StoreError::MissingParts { .. } => {
            "; make them with `cnn-codes extract-features --shard I/N`"
        }
        StoreError::MisplacedPart { part, .. } => {
            return format!(
                ", or make it with `cnn-codes extract-features --shard {part} --overwrite`"
            )
            .into();
        }
        StoreError::Damaged { is_unfinished, .. } => match is_unfinished {
            true => "; extract the codes again with --restart",
            false => "; extract the codes again with --overwrite",
        },
        _ => "",
    }
    .into()
}

fn of_extraction(error: &ExtractError) -> Advice {
    match error {
        ExtractError::Unread { .. } => {
            " (--accept-unreadable lists such pictures in failures.csv and goes on)"
        }
        ExtractError::Unlisted(_) => {
            " (--accept-unreadable lists the folder in failures.csv and goes on)"
        }
        ExtractError::Strict(failure) => {
            let remedy = of_failure(failure);
            let strict = " (leave out --strict to list such pictures and go on)";
            return format!("{remedy}{strict}").into();
        }
        ExtractError::NothingUsable { first, .. } => first.as_ref().map_or("", of_failure),
        _ => "",
    }
    .into()
}

fn of_same_codes(_: &SameCodesError) -> Advice {
    "; try --kernels onnxruntime, and check the recipe and the output that the card names".into()
}

fn of_dataset(error: &DatasetError) -> Advice {
    match error {
        DatasetError::SplitNotChosen { .. } => " with --split NAME",
        _ => "",
    }
    .into()
}

fn of_split(error: &SplitError) -> Advice {
    match error {
        SplitError::Exists { .. } => "; choose another --out, or move it away",
        SplitError::Inside { .. } => ", so choose another --out",
        SplitError::Place { source, .. } if source.kind() == ErrorKind::CrossesDevices => {
            "; leave out --link, or choose an --out on the pictures' file system"
        }
        _ => "",
    }
    .into()
}

fn of_download(error: &DownloadError) -> Advice {
    match error {
        DownloadError::Busy { .. } => "; wait for it to end, or choose another --out",
        DownloadError::Results { .. } => ", so move it away, or choose another --out",
        DownloadError::OtherList { .. } => "; choose another --out",
        _ => "",
    }
    .into()
}

fn of_head(error: &SavedHeadError) -> Advice {
    match error {
        SavedHeadError::NotAHead { .. } => {
            "; make one with `cnn-codes train-head --train STORE --out HEAD`"
        }
        SavedHeadError::Damaged { .. } => "; train the head again with --overwrite",
        _ => "",
    }
    .into()
}

fn of_report(error: &ReportError) -> Advice {
    match error {
        ReportError::Missing { .. } | ReportError::Damaged { .. } => {
            "; train the head again with --overwrite"
        }
        _ => "",
    }
    .into()
}

fn of_runtime(error: &RuntimeError) -> Advice {
    match error {
        RuntimeError::NotFound { .. } => {
            ". Run `cnn-codes fetch onnxruntime`, or give the library's path to --onnxruntime"
        }
        RuntimeError::Missing { .. } => {
            "; correct the path, or leave it out and run `cnn-codes fetch onnxruntime`"
        }
        RuntimeError::NotAsFetched { .. } => {
            ". Run `cnn-codes fetch onnxruntime`, which puts the right files there; a library of \
             your own is for --onnxruntime or ORT_DYLIB_PATH"
        }
        _ => "",
    }
    .into()
}

fn of_trunk(error: &TrunkError) -> Advice {
    match error {
        TrunkError::Cuda { is_built_in, .. } => match is_built_in {
            false => "; run `cnn-codes fetch onnxruntime --cuda`; or give --device cpu",
            true => {
                "; install CUDA 13, cuDNN 9 and a driver for them, and put their folders on \
                 LD_LIBRARY_PATH; or give --device cpu"
            }
        },
        TrunkError::Kernels { .. } => "; give --kernels auto",
        TrunkError::NotALevel { .. } => ", so leave --recipe out, or give none",
        _ => "",
    }
    .into()
}

fn of_prediction(error: &PredictError) -> Advice {
    match error {
        PredictError::NoSuchHead { found, .. } => {
            format!("; give --head {found}, or train it with --head both").into()
        }
        PredictError::NotOutOfFold { .. } => {
            " (--calibrate, --tune, or --folds without --validation)".into()
        }
        PredictError::OtherTrunk { .. } => {
            "; give the trunk that it was trained with (--model and --card), or train a head on \
             codes of this one"
                .into()
        }
        _ => "".into(),
    }
}

fn of_export(error: &ExportError) -> Advice {
    match error {
        ExportError::OtherTrunk { .. } => "; give that trunk with --model and --card",
        ExportError::NoHead { other, .. } => {
            return format!("; give --head {other}, or train it again with both").into();
        }
        ExportError::NotHalved { .. } | ExportError::Overflow { .. } => "; leave --fp16 out",
        ExportError::TooLarge { .. } => "; try --fp16, or --head-only",
        ExportError::Ending { .. } => "; give --out a name that does",
        ExportError::Exists { .. } => "; give --overwrite to replace it, or another --out",
        ExportError::Foreign { .. } => ", so --overwrite does not touch it; choose another --out",
        ExportError::NothingUsable { .. } => "; give others with --check",
        _ => "",
    }
    .into()
}

/// Why a picture could not be used, or a URL gave none, with what helps after it.
pub fn reason(failure: &Failure) -> String {
    format!("{}{}", failure.error, of_failure(failure))
}

/// What helps with a picture that could not be used, or a URL that gave none, after its reason.
pub fn of_failure(failure: &Failure) -> &'static str {
    match failure.kind {
        "ended_a_run" => "; with --restart it is tried again, with --max-pixels it is refused",
        "beyond_f16" => "; extract with --dtype f32",
        "too_large" if failure.error.ends_with("are allowed") => " (--max-bytes)",
        "too_large" => of_decoding(&failure.error),
        "private_address" => "; give --allow-private if that is meant",
        "timed_out" => " (--timeout)",
        "too_many_redirects" => " (--max-redirects)",
        _ => "",
    }
}

/// What helps with a picture that could not be decoded, after the reason.
pub fn of_decoding(reason: &str) -> &'static str {
    let too_costly = ["pixels are too many: up to", "of memory: up to"];
    match too_costly.iter().any(|words| reason.contains(words)) {
        true => " (--max-pixels)",
        false => "",
    }
}

/// Numbers that `ErrorKind` has no names for.
#[cfg(unix)]
mod number {
    pub const EIO: i32 = 5;
    pub const ENFILE: i32 = 23;
    pub const EMFILE: i32 = 24;
}

/// A sentence for the line below an error, if the system's answer is at its end. The answer is found
/// by its number in the text: libraries for CSV and for temporary files pass on no more than that,
/// nor does ONNX Runtime.
pub fn of_system(error: &str) -> Option<&'static str> {
    let marks = ["(os error ", "system error number "];
    let answer = marks.iter().find_map(|mark| error.rsplit_once(mark))?.1;
    let n_digits = answer.bytes().take_while(u8::is_ascii_digit).count();
    let number = answer[..n_digits].parse().ok()?;
    match io::Error::from_raw_os_error(number).kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("Make room on that disk, and give the same command again.")
        }
        ErrorKind::ReadOnlyFilesystem => {
            Some("That disk is read-only: make it writable, or choose a place on another.")
        }
        ErrorKind::Interrupted => Some("A signal came between: give the same command again."),
        _ => of_number(number),
    }
}

#[cfg(unix)]
fn of_number(number: i32) -> Option<&'static str> {
    match number {
        number::EIO => Some(
            "The disk or the network failed there: look after it, and give the same command again.",
        ),
        number::EMFILE | number::ENFILE => {
            Some("Raise the limit of open files (ulimit -n), and give the same command again.")
        }
        _ => None,
    }
}

#[cfg(not(unix))]
fn of_number(_: i32) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use cnn_codes::extract::Kept;
    use cnn_codes::picture::DecodeError;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn disks_limits_and_signals_have_remedies_and_other_causes_none() {
        for (number, word) in [
            (4, "signal"),
            (5, "failed"),
            (24, "ulimit -n"),
            (28, "room"),
        ] {
            let cause = io::Error::from_raw_os_error(number);
            let error = format!("cannot write a.txt: {cause}; nothing was left behind");
            assert!(of_system(&error).unwrap().contains(word), "{error}");
        }
        let onnxruntime = "Load model from a.onnx failed:system error number 24";
        assert!(of_system(onnxruntime).unwrap().contains("ulimit -n"));
        let absent = io::Error::from_raw_os_error(2);
        assert_eq!(of_system(&format!("cannot read a.txt: {absent}")), None);
        assert_eq!(of_system("there are no pictures"), None);
    }

    #[test]
    fn advice_follows_the_message_that_it_is_about() {
        let exists = || DraftError::Exists { target: "s".into() };
        let text = "s exists already; give --overwrite to replace it, or another --out";
        assert_eq!(message(&exists()), text);
        assert_eq!(message(&StoreError::from(exists())), text);
        let in_the_way = DraftError::Kept {
            why: Box::new(DraftError::InTheWay { path: "o".into() }),
            kind: "split",
            kept: "s.kept".into(),
            goes_on: false,
        };
        assert_eq!(
            message(&in_the_way),
            "o is in the way and was not made by this program; move it, or choose another --out; the \
             finished split is kept in s.kept: move it where you want it"
        );
        let failure = Failure {
            path: "a.jpg".to_owned(),
            error: "the file is empty".to_owned(),
            kind: "empty",
        };
        let kept = Kept {
            draft: "s.partial".into(),
            n_done: 3,
            n_pictures: 9,
        };
        let broken = ExtractError::Broken {
            source: Box::new(ExtractError::Strict(failure)),
            kept,
        };
        assert_eq!(
            message(&broken),
            "a.jpg: the file is empty (leave out --strict to list such pictures and go on); 3 of 9 \
             pictures are done and kept in s.partial: the same command goes on from there"
        );
    }

    #[test]
    fn pictures_that_cost_too_much_are_told_by_the_librarys_words() {
        let failure = |error: DecodeError| Failure {
            path: "a.jpg".to_owned(),
            error: error.to_string(),
            kind: error.kind(),
        };
        let (width, height, max_pixels) = (9, 8, 64);
        let too_many = DecodeError::TooLarge {
            width,
            height,
            max_pixels,
        };
        assert_eq!(of_failure(&failure(too_many)), " (--max-pixels)");
        let too_much = DecodeError::TooMuchMemory {
            format: "PNG",
            n_bytes: 9,
            max_bytes: 8,
            max_pixels,
        };
        assert_eq!(of_failure(&failure(too_much)), " (--max-pixels)");
        let too_long = DecodeError::SideTooLong {
            width,
            height,
            max_side: 7,
        };
        assert_eq!(of_failure(&failure(too_long)), "");
    }
}
