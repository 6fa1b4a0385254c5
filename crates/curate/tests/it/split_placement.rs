//! Pictures of a split are placed in its parts, and nowhere else.

use crate::support;

use std::fs;
use std::path::Path;

use cnn_codes::dataset;
use cnn_codes::progress::{Progress, Watch};
use cnn_codes_curate::split::{self, Placement, Shares, SplitError, SplitOptions, group};
use support::split::{files, images, names, picture, table};

/// Makes a folder at `out` when seven pictures are placed.
struct Appears<'a> {
    out: &'a Path,
}

impl Watch for Appears<'_> {
    fn progress(&self, progress: Progress, _detail: &dyn std::fmt::Display) {
        if progress.done == 7 {
            fs::create_dir(self.out).unwrap();
            fs::write(self.out.join("thesis.txt"), "dear").unwrap();
        }
    }
}

#[test]
fn a_folder_that_appears_while_pictures_are_placed_stays_and_the_split_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let pictures = dataset::find(&folder.path().join("images")).unwrap();
    let grouping = group(&pictures, None, None);
    let mut options = SplitOptions::default();
    options.shares = Shares::new(0.8, None, None).unwrap();
    options.seed = 0;
    options.placement = Placement::Copy;
    let out = folder.path().join("out");
    let appears = Appears { out: &out };
    let refused = split::split(&pictures, &grouping, &options, &out, &appears);
    let said = refused.unwrap_err().to_string();
    let kept = folder.path().join("out.kept");
    let expected = format!("the finished split is kept in {}: move it", kept.display());
    assert!(said.contains(&expected), "{said}");
    assert_eq!(names(&out), ["thesis.txt".to_owned()].into());
    assert_eq!(table(&kept).len(), 30);
    assert_eq!(files(&kept).len(), 31);
    assert_eq!(
        names(folder.path()),
        ["images", "out", "out.kept"].map(str::to_owned).into()
    );
}

#[test]
fn paths_of_a_table_that_lead_out_of_the_parts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path());
    let outside = folder.path().join("outside.png");
    picture(99).save(&outside).unwrap();
    for path in [
        "../outside.png",
        "a/../../outside.png",
        outside.to_str().unwrap(),
    ] {
        let csv = folder.path().join("images/labels.csv");
        fs::write(
            &csv,
            format!("path,label\n{path},x\nb.png,x\nc.png,y\nd.png,y\n"),
        )
        .unwrap();
        let pictures = dataset::read_table(&csv, None).unwrap();
        let grouping = split::group(&pictures, None, None);
        let mut options = SplitOptions::default();
        options.shares = Shares::new(0.5, None, None).unwrap();
        options.seed = 0;
        options.placement = Placement::Copy;
        let out = folder.path().join("out");
        let before = names(folder.path());
        let error = split::split(&pictures, &grouping, &options, &out, &()).unwrap_err();
        assert!(
            matches!(&error, SplitError::Path { path: named } if named == path),
            "{error}"
        );
        assert_eq!(names(folder.path()), before);
    }
}
