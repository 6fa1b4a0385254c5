use super::*;

const BOX: Kind = Kind {
    name: "box",
    marker: "box.json",
};

fn publish(target: &Path, content: &str, existing: Existing) -> Result<(), DraftError> {
    let draft = Draft::begin(target, BOX, existing)?;
    fs::write(draft.path().join("box.json"), content).unwrap();
    draft.publish()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_published_draft_leaves_only_the_target() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("a/b");
    publish(&target, "1", Existing::Keep).unwrap();
    assert_eq!(names(&target), ["box.json"]);
    assert_eq!(names(target.parent().unwrap()), ["b"]);
}

#[test]
fn an_existing_target_is_kept_unless_told_to_replace() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    publish(&target, "1", Existing::Keep).unwrap();
    let refused = publish(&target, "2", Existing::Keep).unwrap_err();
    assert!(matches!(refused, DraftError::Exists { .. }));
    assert_eq!(content(&target), "1");
    publish(&target, "2", Existing::Replace).unwrap();
    assert_eq!(content(&target), "2");
    assert_eq!(names(place.path()), ["b"]);
}

#[test]
fn a_directory_of_another_kind_is_never_replaced() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("pictures");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("dear.jpg"), "x").unwrap();
    let refused = publish(&target, "1", Existing::Replace).unwrap_err();
    assert!(matches!(refused, DraftError::Foreign { .. }), "{refused}");
    assert_eq!(names(&target), ["dear.jpg"]);
}

#[test]
fn an_unpublished_draft_leaves_nothing_and_keeps_the_target() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    publish(&target, "1", Existing::Keep).unwrap();
    let draft = Draft::begin(&target, BOX, Existing::Replace).unwrap();
    fs::write(draft.path().join("box.json"), "half").unwrap();
    drop(draft);
    assert_eq!(content(&target), "1");
    assert_eq!(names(place.path()), ["b"]);
}

#[test]
fn two_drafts_of_one_target_exclude_each_other() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    let first = Draft::begin(&target, BOX, Existing::Keep).unwrap();
    let refused = Draft::begin(&target, BOX, Existing::Keep).unwrap_err();
    assert!(matches!(refused, DraftError::Busy { .. }), "{refused}");
    drop(first);
    Draft::begin(&target, BOX, Existing::Keep).unwrap();
}

#[test]
fn what_a_killed_run_left_is_thrown_away() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    fs::create_dir(place.path().join("b.partial")).unwrap();
    fs::write(place.path().join("b.partial/stale"), "x").unwrap();
    fs::write(place.path().join("b.partial").join(LOCK), "").unwrap();
    publish(&target, "1", Existing::Keep).unwrap();
    assert_eq!(names(&target), ["box.json"]);
}

#[test]
fn what_a_killed_run_had_finished_but_for_its_name_is_set_aside() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    let draft = place.path().join("b.partial");
    fs::create_dir(&draft).unwrap();
    fs::write(draft.join("box.json"), "finished").unwrap();
    fs::write(draft.join(LOCK), "").unwrap();
    let kept = place.path().join("b.kept");
    let begun = Draft::begin(&target, BOX, Existing::Keep).unwrap();
    assert_eq!(begun.kept_before(), Some(&*kept));
    drop(begun);
    publish(&target, "1", Existing::Keep).unwrap();
    assert_eq!(content(&target), "1");
    assert_eq!(content(&kept), "finished");
    assert_eq!(names(&kept), ["box.json"]);
    assert_eq!(names(place.path()), ["b", "b.kept"]);
}

#[test]
fn a_kept_draft_is_there_for_the_next_run() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    let mut draft = Draft::begin(&target, BOX, Existing::Keep).unwrap();
    fs::write(draft.path().join("half"), "1").unwrap();
    draft.keep();
    drop(draft);
    let draft = Draft::reopen(&target, BOX, Existing::Keep).unwrap();
    assert_eq!(fs::read_to_string(draft.path().join("half")).unwrap(), "1");
    drop(draft);
    assert!(names(place.path()).is_empty(), "an unkept one is removed");
}

#[test]
fn a_lock_left_in_a_published_target_is_tidied_away() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    publish(&target, "1", Existing::Keep).unwrap();
    fs::write(target.join(LOCK), "").unwrap();
    publish(&target, "2", Existing::Keep).unwrap_err();
    assert_eq!(names(&target), ["box.json"]);
}

#[test]
fn a_users_own_directory_beside_the_target_is_left_alone() {
    for (name, is_in_the_way) in [
        ("b.partial", true),
        ("b.replaced", false),
        ("b.kept", false),
    ] {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b");
        publish(&target, "1", Existing::Keep).unwrap();
        fs::create_dir(place.path().join(name)).unwrap();
        fs::write(place.path().join(name).join("thesis.txt"), "dear").unwrap();
        let published = publish(&target, "2", Existing::Replace);
        if is_in_the_way {
            let refused = published.unwrap_err();
            assert!(matches!(refused, DraftError::InTheWay { .. }), "{refused}");
        } else {
            published.unwrap();
        }
        assert_eq!(names(&place.path().join(name)), ["thesis.txt"]);
        let expected = if is_in_the_way { "1" } else { "2" };
        assert_eq!(content(&target), expected);
        assert_eq!(names(place.path()), ["b", name]);
    }
}

/// A draft for `target` with a box in it.
fn filled(target: &Path, content: &str, existing: Existing) -> Draft {
    let draft = Draft::begin(target, BOX, existing).unwrap();
    fs::write(draft.path().join("box.json"), content).unwrap();
    draft
}

/// A folder of somebody's own.
fn make_thesis(folder: &Path) {
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("thesis.txt"), "dear").unwrap();
}

fn content(target: &Path) -> String {
    fs::read_to_string(target.join("box.json")).unwrap()
}

#[test]
fn a_folder_that_appears_in_the_meantime_is_left_alone_and_the_draft_is_kept() {
    for existing in [Existing::Keep, Existing::Replace] {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b");
        let draft = filled(&target, "1", existing);
        make_thesis(&target);
        let said = draft.publish().unwrap_err().to_string();
        let kept = place.path().join("b.kept");
        let expected = format!(
            "{} was put there by something else in the meantime, and was left as it is; \
             the finished box is kept in {}: move it where you want it",
            target.display(),
            kept.display()
        );
        assert_eq!(said, expected);
        assert_eq!(names(&target), ["thesis.txt"]);
        assert_eq!(names(&kept), ["box.json"]);
        assert_eq!(names(place.path()), ["b", "b.kept"]);
    }
}

#[test]
fn a_file_or_a_link_that_appears_in_the_meantime_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("file");
    let draft = filled(&target, "1", Existing::Keep);
    fs::write(&target, "dear").unwrap();
    draft.publish().unwrap_err();
    assert_eq!(fs::read_to_string(&target).unwrap(), "dear");
    #[cfg(unix)]
    {
        let target = place.path().join("link");
        let draft = filled(&target, "1", Existing::Keep);
        std::os::unix::fs::symlink("nowhere", &target).unwrap();
        draft.publish().unwrap_err();
        assert_eq!(fs::read_link(&target).unwrap(), Path::new("nowhere"));
    }
}

#[test]
fn a_target_that_was_exchanged_in_the_meantime_is_not_replaced() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    publish(&target, "1", Existing::Keep).unwrap();
    let draft = filled(&target, "2", Existing::Replace);
    fs::rename(&target, place.path().join("moved")).unwrap();
    make_thesis(&target);
    draft.publish().unwrap_err();
    assert_eq!(names(&target), ["thesis.txt"]);
    assert_eq!(content(&place.path().join("moved")), "1");
    assert_eq!(content(&place.path().join("b.kept")), "2");
}

#[test]
fn what_is_moved_away_to_be_replaced_is_judged_once_more_and_put_back() {
    let place = tempfile::tempdir().unwrap();
    let [fresh, target, aside] = ["fresh", "b", "aside"].map(|name| place.path().join(name));
    make_thesis(&target);
    fs::create_dir(&fresh).unwrap();
    let judge = |old: &Path| {
        assert_eq!(names(old), ["thesis.txt"]);
        Err(DraftError::Unnamed {
            target: old.to_owned(),
        })
    };
    put_in_place(&fresh, &target, &aside, judge).unwrap_err();
    assert_eq!(names(&target), ["thesis.txt"]);
    assert_eq!(names(place.path()), ["b", "fresh"]);
}

#[test]
fn what_appears_where_the_old_one_would_wait_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    publish(&target, "1", Existing::Keep).unwrap();
    for name in ["b.replaced", "b.cnn-codes-replaced"] {
        let draft = filled(&target, "2", Existing::Replace);
        make_thesis(&place.path().join(name));
        let published = draft.publish();
        assert_eq!(published.is_ok(), name == "b.replaced");
        assert_eq!(names(&place.path().join(name)), ["thesis.txt"]);
    }
    assert_eq!(content(&target), "2");
    assert_eq!(content(&place.path().join("b.kept")), "2");

    // Where nothing is replaced, nothing waits.
    let target = place.path().join("c");
    let draft = filled(&target, "1", Existing::Replace);
    make_old(&place.path().join("c.cnn-codes-replaced"));
    draft.publish().unwrap();
    assert_eq!(content(&place.path().join("c.cnn-codes-replaced")), "old");
}

#[test]
fn what_is_kept_is_never_replaced_by_what_is_kept_later() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    for number in ["1", "2", "3"] {
        let _ = filled(&target, number, Existing::Keep).set_aside();
    }
    assert_eq!(names(place.path()), ["b.kept", "b.kept-2", "b.kept-3"]);
    assert_eq!(content(&place.path().join("b.kept")), "1");
    assert_eq!(content(&place.path().join("b.kept-3")), "3");
    publish(&target, "4", Existing::Keep).unwrap();
    assert_eq!(content(&place.path().join("b.kept-2")), "2");
}

#[test]
fn a_draft_that_a_later_run_goes_on_with_is_kept_for_it() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    let draft = Draft::reopen(&target, BOX, Existing::Keep).unwrap();
    fs::write(draft.path().join("box.json"), "1").unwrap();
    make_thesis(&target);
    let said = draft.publish().unwrap_err().to_string();
    assert!(
        said.ends_with("b.partial: once that is mended, the same command puts it in its place"),
        "{said}"
    );
    fs::rename(&target, place.path().join("mine")).unwrap();
    let draft = Draft::reopen(&target, BOX, Existing::Keep).unwrap();
    draft.publish().unwrap();
    assert_eq!(content(&target), "1");
    assert_eq!(names(place.path()), ["b", "mine"]);
}

/// The old box with a file more, of which a kill may leave a part.
fn make_old(folder: &Path) {
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("box.json"), "old").unwrap();
    fs::write(folder.join("codes.npy"), "old").unwrap();
}

#[test]
fn whatever_a_kill_leaves_while_a_target_is_replaced_the_next_run_mends() {
    // What is left at b, at b.cnn-codes-replaced and at b.cnn-codes-old, by names of files, and
    // what the next run finds at b.
    let new: &[&str] = &["box.json", LOCK];
    let old: &[&str] = &["box.json", "codes.npy"];
    for (at_target, waiting, removing, found) in [
        (None, Some(old), None, "old"),
        (Some(new), Some(old), None, "new"),
        (Some(new), None, Some(old), "new"),
        (Some(new), None, Some(&["codes.npy"] as &[_]), "new"),
        (Some(new), None, Some(&["box.json"] as &[_]), "new"),
        (Some(new), None, Some(&[] as &[_]), "new"),
        (Some(new), None, None, "new"),
    ] {
        for existing in [Existing::Keep, Existing::Replace] {
            let place = tempfile::tempdir().unwrap();
            let target = place.path().join("b");
            for (name, files, content) in [
                ("b", at_target, "new"),
                ("b.cnn-codes-replaced", waiting, "old"),
                ("b.cnn-codes-old", removing, "old"),
            ] {
                let Some(files) = files else { continue };
                fs::create_dir(place.path().join(name)).unwrap();
                for file in files {
                    fs::write(place.path().join(name).join(file), content).unwrap();
                }
            }
            let next = publish(&target, "next", existing);
            let case = format!("{at_target:?} {waiting:?} {removing:?} {existing:?}");
            if existing == Existing::Keep {
                assert!(matches!(next, Err(DraftError::Exists { .. })), "{case}");
                assert_eq!(content(&target), found, "{case}");
                assert_eq!(names(place.path()), ["b"], "{case}");
                publish(&target, "next", Existing::Replace).unwrap();
            } else {
                next.unwrap();
            }
            assert_eq!(content(&target), "next", "{case}");
            assert_eq!(names(&target), ["box.json"], "{case}");
            assert_eq!(names(place.path()), ["b"], "{case}");
        }
    }
}

#[test]
fn what_waits_to_be_put_back_is_not_removed_while_something_else_has_its_place() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("b");
    make_old(&place.path().join("b.cnn-codes-replaced"));
    fs::create_dir(&target).unwrap();
    let refused = publish(&target, "next", Existing::Replace).unwrap_err();
    assert!(matches!(refused, DraftError::InTheWay { .. }), "{refused}");
    assert_eq!(content(&place.path().join("b.cnn-codes-replaced")), "old");
    assert_eq!(names(place.path()), ["b", "b.cnn-codes-replaced"]);
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_dangling_link_is_refused_at_once() {
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("link");
        symlink("away/b", &link).unwrap();
        let check = |target: &Path| Draft::check(target, BOX, Existing::Replace).unwrap_err();
        for target in [link.clone(), link.join(""), link.join("b")] {
            let said = Draft::begin(&target, BOX, Existing::Replace)
                .unwrap_err()
                .to_string();
            let expected = format!("{} is a link to away/b, which is not there", link.display());
            assert_eq!(said, expected);
            assert_eq!(check(&target).to_string(), expected);
        }
        assert_eq!(names(place.path()), ["link"]);
    }

    #[test]
    fn a_link_to_a_folder_means_that_folder() {
        let place = tempfile::tempdir().unwrap();
        let disk = place.path().join("disk");
        let link = place.path().join("link");
        fs::create_dir_all(disk.join("b")).unwrap();
        symlink("disk/b", &link).unwrap();
        publish(&link, "1", Existing::Keep).unwrap();
        publish(&link.join(""), "2", Existing::Replace).unwrap();
        assert_eq!(content(&disk.join("b")), "2");
        assert_eq!(names(&disk), ["b"]);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("disk/b"));
        assert_eq!(names(place.path()), ["disk", "link"]);
        let refused = publish(&link, "3", Existing::Keep).unwrap_err();
        assert!(matches!(refused, DraftError::Exists { .. }), "{refused}");
    }

    #[test]
    fn a_link_in_the_place_of_the_draft_or_of_its_lock_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("b");
        let draft = place.path().join("b.partial");
        let mine = place.path().join("mine");
        make_thesis(&mine);
        fs::write(mine.join(LOCK), "dear").unwrap();

        symlink(&mine, &draft).unwrap();
        publish(&target, "1", Existing::Keep).unwrap_err();
        fs::remove_file(&draft).unwrap();
        fs::create_dir(&draft).unwrap();
        symlink(mine.join("thesis.txt"), draft.join(LOCK)).unwrap();
        publish(&target, "1", Existing::Keep).unwrap_err();

        assert_eq!(names(&mine), [LOCK, "thesis.txt"]);
        for name in [LOCK, "thesis.txt"] {
            assert_eq!(fs::read_to_string(mine.join(name)).unwrap(), "dear");
        }
        assert!(!target.exists());
    }
}
