//! Random and damaged bytes through the readers of tar files, tables, lists and downloads.

#[path = "support/promises.rs"]
mod promises;
mod support;

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use support::damage::damage;

/// The files from which fuzzing starts.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A seed of the target with some damage, or bytes of no meaning.
fn input(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let damaged = (select(seeds(target)), vec(damage(), 0..8));
    let damaged = damaged.prop_map(|(bytes, damages)| support::damage::damaged(bytes, &damages));
    prop_oneof![9 => damaged, 1 => vec(any::<u8>(), 0..2000)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_tar_file_of_any_bytes_is_refused_or_its_pictures_are_pieces_of_it(bytes in input("tar")) {
        promises::check_tar(&bytes, tempfile::tempdir().unwrap().path());
    }

    #[test]
    fn a_table_of_any_bytes_is_refused_by_its_name_or_consistent(bytes in input("table")) {
        promises::check_table(&bytes, tempfile::tempdir().unwrap().path());
    }

    #[test]
    fn a_list_of_any_bytes_is_refused_or_holds_paths(bytes in input("table")) {
        promises::check_list(&bytes);
    }

    #[test]
    fn a_url_list_of_any_bytes_leads_to_web_addresses_and_plain_folders(bytes in input("url_list")) {
        promises::check_url_list(&bytes);
    }

    #[test]
    fn the_records_of_a_download_never_lead_out_of_its_folder(bytes in input("download_records")) {
        promises::check_records(&bytes);
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
    seeds("url_list")
        .iter()
        .for_each(|bytes| promises::check_url_list(bytes));
    seeds("download_records")
        .iter()
        .for_each(|bytes| promises::check_records(bytes));
}
