//! What the readers of a download's files promise for any bytes. Fuzz targets use it too.

#![allow(dead_code, reason = "each program uses a part of it")]

use cnn_codes_curate::download::{UrlList, recorded_files};

/// A list of URLs is refused by its name, or only web addresses and plain folders come of it.
pub fn check_url_list(bytes: &[u8]) {
    let list = match UrlList::read("urls.csv", bytes) {
        Ok(list) => list,
        Err(error) => return assert!(error.to_string().contains("urls.csv"), "{error}"),
    };
    assert!(list.n_urls() <= list.len() && !list.is_empty());
    for url in list.urls() {
        assert!(url.starts_with("http://") || url.starts_with("https://"));
        assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
        let host = url.split('/').nth(2).expect("a host");
        assert!(!host.is_empty() && !host.contains('@'), "{url}");
        let again = format!("url,label\n\"{url}\",a\n");
        let again = UrlList::read("urls.csv", again.as_bytes()).expect("a row");
        assert_eq!(again.urls(), [url]);
    }
    assert!(list.labels().into_iter().all(is_plain_name));
}

/// What a download left is refused by its name and line, or leads to files of one folder.
///
/// `bytes` are results.csv and, from the first line that begins with `[`, journal.jsonl.
pub fn check_records(bytes: &[u8]) {
    let journal = bytes.windows(2).position(|pair| pair == b"\n[");
    let (results, journal) = bytes.split_at(journal.map_or(bytes.len(), |line_end| line_end + 1));
    match recorded_files(results, journal) {
        Ok(paths) => {
            for path in paths {
                let (folder, file) = path.split_once('/').expect("a folder");
                assert!(folder == ".download" || is_plain_name(folder), "{path}");
                assert!(is_plain_name(file), "{path}");
            }
        }
        Err(error) => assert!(
            error.to_string().starts_with("results.csv, line "),
            "{error}"
        ),
    }
}

/// Whether a folder or file of this name lies where it is made, and is seen.
fn is_plain_name(name: &str) -> bool {
    let is_odd = |c: char| c.is_control() || "/\\:".contains(c);
    !name.is_empty() && !name.starts_with('.') && !name.contains(is_odd)
}
