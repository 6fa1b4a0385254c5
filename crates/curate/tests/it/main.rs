//! The tests of curation that run no program, in one program.

mod download_hostile;
mod promises;
mod split_placement;

use test_support as support;
