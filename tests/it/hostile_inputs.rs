//! Random and damaged bytes through the readers of tar files, tables and lists.

use crate::support;

use proptest::prelude::*;
use support::damage::{damaged_seed, seeds};
use support::promises;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_tar_file_of_any_bytes_is_refused_or_its_pictures_are_pieces_of_it(bytes in damaged_seed("tar")) {
        promises::check_tar(&bytes, tempfile::tempdir().unwrap().path());
    }

    #[test]
    fn a_table_of_any_bytes_is_refused_by_its_name_or_consistent(bytes in damaged_seed("table")) {
        promises::check_table(&bytes, tempfile::tempdir().unwrap().path());
    }

    #[test]
    fn a_list_of_any_bytes_is_refused_or_holds_paths(bytes in damaged_seed("table")) {
        promises::check_list(&bytes);
    }
}

#[test]
fn every_seed_keeps_the_promises_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    seeds("tar")
        .iter()
        .for_each(|bytes| promises::check_tar(bytes, folder.path()));
    for bytes in seeds("table") {
        promises::check_table(&bytes, folder.path());
        promises::check_list(&bytes);
    }
}
