//! Where trunks and ONNX Runtime lie.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folder's name in a checkout, and what older versions took in any working folder.
const MODELS: &str = "models";
/// The environment variable that names the folder where --models does not.
const VARIABLE: &str = "CNN_CODES_MODELS";
/// The folder's name among the user's data.
const PROGRAM: &str = "cnn-codes";

/// Where trunks and ONNX Runtime lie.
#[derive(Clone, Debug, clap::Args)]
pub struct ModelsOption {
    /// Folder of model cards, trunks and ONNX Runtime [default: `cnn-codes` in your data folder, such as
    /// ~/.local/share/cnn-codes; in the checkout that the program was built from, its folder `models`]
    /// [env: CNN_CODES_MODELS]
    // Not clap's `env`, which would show the option as required in the usage where the variable is set.
    #[arg(long, value_name = "DIR", help_heading = crate::FILES)]
    models: Option<PathBuf>,
}

/// A models folder, and why it is the one.
#[derive(Debug)]
pub struct ModelsFolder {
    pub path: PathBuf,
    pub reason: Reason,
}

/// Why a models folder is the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was named.
    Given,
    /// The program belongs to this checkout.
    Checkout,
    /// It is among the user's data, for all projects.
    UserData,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given => "given by --models or CNN_CODES_MODELS",
            Self::Checkout => "of the checkout that the program was built from",
            Self::UserData => "in your data folder, for all projects",
        })
    }
}

impl ModelsOption {
    /// The folder that was named, or else the default one.
    ///
    /// A folder called `models` in the current folder is not taken by itself: it may have come with
    /// somebody's pictures, and what lies there is run.
    pub fn find(&self) -> anyhow::Result<ModelsFolder> {
        let variable = || std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty());
        let given = self.models.clone();
        if let Some(path) = given.or_else(|| variable().map(PathBuf::from)) {
            return Ok(ModelsFolder {
                path,
                reason: Reason::Given,
            });
        }
        if let Some(path) = models_of_checkout() {
            return Ok(ModelsFolder {
                path,
                reason: Reason::Checkout,
            });
        }
        let data = data_folder().context(
            "cannot tell where your data folder is, as there is no home folder; name a folder for \
             models and ONNX Runtime with --models",
        )?;
        Ok(ModelsFolder {
            path: data.join(PROGRAM),
            reason: Reason::UserData,
        })
    }

    /// The path of the folder that [`ModelsOption::find`] finds.
    pub fn path(&self) -> anyhow::Result<PathBuf> {
        Ok(self.find()?.path)
    }
}

impl ModelsFolder {
    /// A folder of assets in the current folder that is passed over, though versions before took it.
    pub fn passed_over(&self) -> Option<&'static Path> {
        let here = Path::new(MODELS);
        let has_assets = ["onnxruntime", "vgg16_notop.onnx"]
            .iter()
            .any(|asset| here.join(asset).exists());
        (self.reason == Reason::UserData && has_assets).then_some(here)
    }
}

/// `models` of the checkout that the program was built from, if the program or the current folder
/// lies in it. Anyone who can write there could have changed the program as well.
fn models_of_checkout() -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .ok()?;
    let current = std::env::current_dir().ok()?.canonicalize().ok()?;
    if current == checkout {
        return Some(PathBuf::from(MODELS));
    }
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    let is_in_it = current.starts_with(&checkout) || program.starts_with(&checkout);
    is_in_it.then(|| checkout.join(MODELS))
}

/// Where this system keeps a user's data of programs.
fn data_folder() -> Option<PathBuf> {
    let home = || std::env::home_dir().filter(|home| home.is_absolute());
    if cfg!(windows) {
        return std::env::var_os("LOCALAPPDATA").map(PathBuf::from);
    }
    if cfg!(target_os = "macos") {
        return Some(home()?.join("Library/Application Support"));
    }
    // The XDG standard: a path that is not absolute is to be passed over.
    let named = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    named
        .filter(|path| path.is_absolute())
        .or_else(|| Some(home()?.join(".local/share")))
}
