//! Random and damaged bytes through the readers of a list of URLs and of what a download left.

use crate::{promises, support};

use proptest::prelude::*;
use support::damage::{damaged_seed, seeds};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn a_url_list_of_any_bytes_leads_to_web_addresses_and_plain_folders(bytes in damaged_seed("url_list")) {
        promises::check_url_list(&bytes);
    }

    #[test]
    fn the_records_of_a_download_never_lead_out_of_its_folder(bytes in damaged_seed("download_records")) {
        promises::check_records(&bytes);
    }
}

#[test]
fn every_seed_of_a_download_keeps_the_promises_as_it_is() {
    seeds("url_list")
        .iter()
        .for_each(|bytes| promises::check_url_list(bytes));
    seeds("download_records")
        .iter()
        .for_each(|bytes| promises::check_records(bytes));
}
