//! The four inputs from the outside: what rows they give, whose bytes those are, and what hostile
//! files do to them.

use crate::support;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cnn_codes::codes::Shard;
use cnn_codes::dataset::{
    self, DatasetError, MAX_FILE_BYTES, Pictures, Place, ReadError, read_labelled_archives,
    read_table, read_unlabelled_list,
};
use cnn_codes::picture::DecodeLimits;
use tar::{Builder, EntryType, Header};

/// A folder of files made from their names and contents.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            place.write(name, bytes);
        }
        place
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Every row: path, class and bytes, which must be readable.
fn rows(found: &Pictures) -> Vec<(String, Option<&str>, String)> {
    let class = |label: Option<usize>| label.map(|label| found.classes[label].as_str());
    let pictures = found.listed.iter();
    pictures
        .map(|picture| {
            let bytes = String::from_utf8(found.read(picture).unwrap()).unwrap();
            (picture.path.to_string(), class(picture.label), bytes)
        })
        .collect()
}

fn row<'a>(path: &str, class: &'a str, bytes: &str) -> (String, Option<&'a str>, String) {
    let class = (!class.is_empty()).then_some(class);
    (path.to_owned(), class, bytes.to_owned())
}

/// What could not be used: path and kind.
fn unusable(found: &Pictures) -> Vec<(&str, &str)> {
    let failures = found.unusable.iter();
    failures
        .map(|failure| (failure.path.as_str(), failure.kind))
        .collect()
}

/// A tar file of regular members.
fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in members {
        append(&mut builder, name.as_bytes(), EntryType::Regular, bytes);
    }
    builder.into_inner().unwrap()
}

/// Appends a member whose name is taken as it is, `..` and all.
fn append(builder: &mut Builder<Vec<u8>>, name: &[u8], kind: EntryType, bytes: &[u8]) {
    builder
        .append(&header(name, kind, bytes.len() as u64), bytes)
        .unwrap();
}

fn header(name: &[u8], kind: EntryType, n_bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(n_bytes);
    header.set_cksum();
    header
}

/// Reads one archive that holds `bytes`, for an error without the temporary folder in it.
fn refusal(bytes: &[u8]) -> String {
    let place = Files::new(&[("s.tar", bytes)]);
    let error = read_labelled_archives(&[place.at("s.tar")]).unwrap_err();
    let folder = format!("{}/", place.0.path().display());
    error.to_string().replace(&folder, "")
}

#[test]
fn folders_tables_and_lists_of_the_same_files_give_their_bytes() {
    let place = Files::new(&[
        ("b/2.jpg", b"two"),
        ("a/1.jpg", b"one"),
        ("t.csv", b"path,label\nb/2.jpg,b\na/1.jpg,a\n"),
    ]);
    let expected = [row("a/1.jpg", "a", "one"), row("b/2.jpg", "b", "two")];
    assert_eq!(rows(&dataset::find(place.0.path()).unwrap()), expected);
    assert_eq!(
        rows(&read_table(&place.at("t.csv"), None).unwrap()),
        expected
    );
    let [one, two] = ["a/1.jpg", "b/2.jpg"].map(|name| place.at(name).display().to_string());
    let list = format!("{two}\n{one}\n");
    let found = read_unlabelled_list(list.as_bytes()).unwrap();
    assert_eq!(rows(&found), [row(&one, "", "one"), row(&two, "", "two")]);
}

#[test]
fn the_digest_does_not_depend_on_how_the_folder_is_spelled() {
    let place = Files::new(&[
        ("x/a/1.jpg", b""),
        ("x/b/2.jpg", b""),
        ("x/t.csv", b"path,label\na/1.jpg,a\nb/2.jpg,b\n"),
        ("x/s.tar", &tar(&[("1.jpg", b"")])),
    ]);
    let digests = |folder: &str| {
        let folder = place.at(folder);
        [
            dataset::find(&folder).unwrap().digest(),
            read_table(&folder.join("t.csv"), None).unwrap().digest(),
            read_labelled_archives(&[folder.join("s.tar")])
                .unwrap()
                .digest(),
        ]
    };
    let before = digests("x");
    assert_eq!(digests("x/../x/."), before);
    assert_eq!(
        before[0], before[1],
        "the same rows, from a folder and a table"
    );
    assert_ne!(before[0], before[2]);
    fs::rename(place.at("x"), place.at("y")).unwrap();
    assert_eq!(digests("y"), before);
}

#[test]
fn archives_are_read_member_by_member_with_labels_wherever_they_stand() {
    let place = Files::new(&[]);
    let second = tar(&[
        ("b/7.left.png", b"left"),
        ("b/7.right.PNG", b"right"),
        ("notes.txt", b"other"),
        ("b/7.json", br#"{"label": 10}"#),
    ]);
    let first = tar(&[
        ("./9.cls", b" 2\n"),
        ("./1.cls", b"10"),
        ("./9.jpg", b"nine"),
        ("./1.jpg", b"one"),
        ("./1.json", br#"{"label": "not this"}"#),
        ("./no picture.cls", b"nor this"),
    ]);
    let archives = [
        place.write("a/2.tar", &second),
        place.write("b/1.tar", &first),
    ];
    let found = read_labelled_archives(&archives).unwrap();
    // By code points, and by the archives' own names, whatever folders they lie in.
    assert_eq!(found.classes, ["10", "2"]);
    assert_eq!(
        rows(&found),
        [
            row("1.tar/9.jpg", "2", "nine"),
            row("1.tar/1.jpg", "10", "one"),
            row("2.tar/b/7.left.png", "10", "left"),
            row("2.tar/b/7.right.PNG", "10", "right"),
        ]
    );
    assert_eq!((found.other_files.len(), found.unusable.len()), (1, 0));
    assert_eq!(found.archives, [archives[1].clone(), archives[0].clone()]);
}

#[test]
fn archives_without_any_label_are_unlabelled() {
    let bytes = tar(&[
        ("IMG.1.jpg", b"one"),
        ("IMG.2.jpg", b"two"),
        ("IMG.json", br#"{"caption": "x"}"#),
    ]);
    let place = Files::new(&[("s.tar", &bytes)]);
    let found = read_labelled_archives(&[place.at("s.tar")]).unwrap();
    assert!(!found.is_labelled());
    assert_eq!(
        rows(&found),
        [
            row("s.tar/IMG.1.jpg", "", "one"),
            row("s.tar/IMG.2.jpg", "", "two")
        ]
    );
}

#[test]
fn pictures_whose_label_is_missing_or_useless_are_unusable() {
    let huge = vec![b' '; (1 << 20) + 1];
    let mut bytes = tar(&[
        ("a.jpg", b"a"),
        ("a.cls", b"x"),
        ("b.jpg", b"b"),
        ("b.cls", b"y"),
        ("empty.jpg", b""),
        ("empty.cls", b"\n"),
        ("huge.jpg", b""),
        ("huge.json", &huge),
        ("none.jpg", b""),
        ("torn.jpg", b""),
        ("torn.json", b"{"),
    ]);
    bytes.truncate(bytes.len() - 1024);
    let mut builder = Builder::new(bytes);
    append(&mut builder, b"linked.jpg", EntryType::Regular, b"");
    append(&mut builder, b"linked.cls", EntryType::Link, b"");
    let bytes = builder.into_inner().unwrap();
    let place = Files::new(&[("s.tar", &bytes)]);
    let found = read_labelled_archives(&[place.at("s.tar")]).unwrap();
    assert_eq!(
        rows(&found),
        [row("s.tar/a.jpg", "x", "a"), row("s.tar/b.jpg", "y", "b")]
    );
    let expected =
        ["empty", "huge", "linked", "none", "torn"].map(|key| format!("s.tar/{key}.jpg"));
    let expected = expected.each_ref().map(|path| (path.as_str(), "no_label"));
    assert_eq!(unusable(&found), expected);
    let errors: Vec<_> = found.unusable.iter().map(|f| f.error.as_str()).collect();
    assert_eq!(errors[0], "s.tar/empty.cls holds an empty label");
    assert_eq!(errors[1], "s.tar/huge.json is larger than 1 MiB");
    assert_eq!(
        errors[2],
        "s.tar/linked.cls is a link or another special file"
    );
    assert_eq!(errors[4], "s.tar/torn.json is not JSON");
}

#[test]
fn members_that_are_no_plain_files_or_have_odd_names_do_no_harm() {
    let mut builder = Builder::new(Vec::new());
    append(&mut builder, b"dir.jpg/", EntryType::Directory, b"");
    append(&mut builder, b"../up.jpg", EntryType::Regular, b"up");
    append(&mut builder, b"/etc/root.jpg", EntryType::Regular, b"root");
    append(&mut builder, b"\xff.jpg", EntryType::Regular, b"");
    append(&mut builder, b"._up.jpg", EntryType::Regular, b"");
    append(&mut builder, b"pipe.jpg", EntryType::Fifo, b"");
    for (name, kind) in [
        ("soft.jpg", EntryType::Symlink),
        ("hard.jpg", EntryType::Link),
    ] {
        let mut header = header(name.as_bytes(), kind, 0);
        header.set_link_name("../up.jpg").unwrap();
        header.set_cksum();
        builder.append(&header, &b""[..]).unwrap();
    }
    let long = format!("{}/long.jpg", "folder".repeat(40));
    let mut plain = header(b"", EntryType::Regular, 4);
    builder
        .append_data(&mut plain, &long, &b"long"[..])
        .unwrap();
    let place = Files::new(&[("s.tar", &builder.into_inner().unwrap())]);
    let found = read_labelled_archives(&[place.at("s.tar")]).unwrap();
    assert_eq!(
        rows(&found),
        [
            row("s.tar/../up.jpg", "", "up"),
            row("s.tar//etc/root.jpg", "", "root"),
            row(&format!("s.tar/{long}"), "", "long"),
        ]
    );
    assert_eq!(
        unusable(&found),
        [
            ("s.tar/hard.jpg", "not_a_file"),
            ("s.tar/pipe.jpg", "not_a_file"),
            ("s.tar/soft.jpg", "not_a_file"),
            ("s.tar/\u{fffd}.jpg", "not_utf8"),
        ]
    );
    assert_eq!(found.other_files.len(), 1, "what macOS puts beside a file");
}

#[test]
fn what_is_no_sound_tar_file_is_refused_with_what_to_do() {
    let whole = tar(&[("1.jpg", b"one"), ("2.jpg", &[7; 2000])]);
    assert_eq!(
        refusal(b"\x1f\x8b\x08 and so on"),
        "s.tar is compressed with gzip; archives are read by seeking, so decompress it first (gunzip)"
    );
    assert!(refusal(&[b'x'; 2000]).starts_with("s.tar is not a sound tar file, near byte 0: "));
    assert!(refusal(b"x").starts_with("s.tar is not a sound tar file, near byte 0: "));
    assert_eq!(
        refusal(b""),
        "s.tar is cut short, at byte 0; copy it again, or leave it out"
    );
    assert_eq!(
        refusal(&tar(&[("1.txt", b"")])),
        format!(
            "there are no pictures ({}) in s.tar",
            dataset::EXTENSIONS.join(", ")
        )
    );
    assert!(
        refusal(&tar(&[("a.jpg", b""), ("a.cls", b"x")])).starts_with("s.tar: one class only, 'x'")
    );
    assert_eq!(
        refusal(&tar(&[("a/1.jpg", b""), ("2.jpg", b""), ("a/1.jpg", b"")])),
        "s.tar holds 'a/1.jpg' twice; make it again with one of them"
    );
    let members = 512 + 512 + 512 + 2048;
    let read = |bytes: &[u8]| {
        let place = Files::new(&[("s.tar", bytes)]);
        read_labelled_archives(&[place.at("s.tar")]).map(|found| found.len())
    };
    for n in (0..whole.len()).step_by(64).flat_map(|n| [n, n + 1]) {
        match read(&whole[..n]) {
            Ok(found) => assert!(n >= members + 512 && found == 2, "{n}"),
            Err(error) => assert!(n < members + 512, "{n}: {error}"),
        }
    }
}

#[test]
fn archives_of_one_name_cannot_be_told_apart() {
    let bytes = tar(&[("1.jpg", b"")]);
    let place = Files::new(&[("a/s.tar", &bytes), ("b/s.tar", &bytes)]);
    let error = read_labelled_archives(&[place.at("b/s.tar"), place.at("a/s.tar")]).unwrap_err();
    assert!(matches!(error, DatasetError::SameName { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("two archives are called s.tar: ")
    );
    assert!(read_labelled_archives(&[]).is_err());
}

/// A name of 8 GiB is announced, and a sparse file would even deliver it.
#[test]
fn a_huge_name_takes_no_memory() {
    let n_bytes = 8 << 30;
    let header = header(b"././@LongLink", EntryType::GNULongName, n_bytes);
    let place = Files::new(&[("s.tar", header.as_bytes())]);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.at("s.tar"))
        .unwrap();
    file.set_len(512 + n_bytes + 1024).unwrap();
    let error = read_labelled_archives(&[place.at("s.tar")])
        .unwrap_err()
        .to_string();
    assert!(error.contains("a header of more than 2 MiB"), "{error}");
}

#[test]
fn a_huge_member_is_unusable_and_what_follows_it_is_read() {
    let n_bytes = MAX_FILE_BYTES + 1;
    let header = header(b"huge.jpg", EntryType::Regular, n_bytes);
    let place = Files::new(&[("s.tar", header.as_bytes())]);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .open(place.at("s.tar"))
        .unwrap();
    let next = 512 + n_bytes.next_multiple_of(512);
    file.set_len(next).unwrap();
    let rest = tar(&[("1.jpg", b"one")]);
    file.seek(SeekFrom::Start(next)).unwrap();
    file.write_all(&rest).unwrap();
    let found = read_labelled_archives(&[place.at("s.tar")]).unwrap();
    assert_eq!(rows(&found), [row("s.tar/1.jpg", "", "one")]);
    assert_eq!(unusable(&found), [("s.tar/huge.jpg", "too_large")]);
}

#[test]
fn an_archive_that_shrinks_after_it_was_listed_is_noticed() {
    let place = Files::new(&[("s.tar", &tar(&[("1.jpg", &[1; 900])]))]);
    let found = read_labelled_archives(&[place.at("s.tar")]).unwrap();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.at("s.tar"))
        .unwrap();
    for (len, left) in [(512 + 100, 100), (100, 0)] {
        file.set_len(len).unwrap();
        let error = found.read(&found.listed[0]).unwrap_err();
        assert!(
            matches!(error, ReadError::Truncated { expected: 900, actual } if actual == left),
            "{error}"
        );
    }
    fs::remove_file(place.at("s.tar")).unwrap();
    assert_eq!(
        found.read(&found.listed[0]).unwrap_err().kind(),
        "out_of_reach"
    );
}

#[test]
fn shards_of_archives_read_the_same_bytes() {
    let place = Files::new(&[
        ("0.tar", &tar(&[("a.jpg", b"a"), ("b.jpg", b"b")])),
        ("1.tar", &tar(&[("c.jpg", b"c")])),
    ]);
    let whole = read_labelled_archives(&[place.at("0.tar"), place.at("1.tar")]).unwrap();
    let shards = (0..2).map(|index| whole.clone().shard(Shard::new(index, 2).unwrap()));
    let parts: Vec<_> = shards
        .flat_map(|shard| {
            rows(&shard)
                .into_iter()
                .map(|row| row.2)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(parts, ["a", "b", "c"]);
}

/// Python's tarfile is what WebDataset writes with.
#[test]
fn archives_made_by_python_give_the_bytes_that_python_put_in() {
    let Some(python) = support::python() else {
        return;
    };
    const PROGRAM: &str = r#"
import io, sys, tarfile
formats = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}
for name, format in formats.items():
    with tarfile.open(f"{sys.argv[1]}/{name}.tar", "w", format=format) as archive:
        for i in range(40):
            folder = "" if format == tarfile.USTAR_FORMAT else "Wörter/" * (i * 4)
            for ending, data in (("cls", b"%d" % (i % 3)), ("jpg", b"%d" % i * i)):
                info = tarfile.TarInfo(f"{folder}{i}.{ending}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
for name in formats:
    with tarfile.open(f"{sys.argv[1]}/{name}.tar") as archive:
        for info in archive:
            if info.name.endswith(".jpg"):
                data = archive.extractfile(info).read().decode()
                print(f"{name}.tar/{info.name}", int(info.name.split("/")[-1][:-4]) % 3, data, sep="\t")
"#;
    let place = Files::new(&[]);
    let printed = support::run_python(&python, PROGRAM, &[place.0.path()]);
    let expected: Vec<Vec<&str>> = printed
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let archives = ["ustar", "pax", "gnu"].map(|name| place.at(&format!("{name}.tar")));
    let found = read_labelled_archives(&archives).unwrap();
    assert_eq!(expected.len(), 120);
    let rows = rows(&found);
    let rows: Vec<Vec<&str>> = rows
        .iter()
        .map(|(path, class, bytes)| vec![path.as_str(), class.unwrap(), bytes.as_str()])
        .collect();
    assert_eq!(rows, expected);
}

#[cfg(unix)]
mod hostile {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::thread;

    use super::*;

    fn mkfifo(path: &Path) {
        let status = std::process::Command::new("mkfifo").arg(path).status();
        assert!(status.unwrap().success());
    }

    /// The kind of error that reading the picture `path` gives.
    fn kind(found: &Pictures, path: &str) -> &'static str {
        let mut pictures = found.listed.iter();
        let picture = pictures.find(|picture| &*picture.path == path).unwrap();
        assert_eq!(picture.place, Place::File);
        found.read(picture).unwrap_err().kind()
    }

    #[test]
    fn what_is_no_file_is_found_by_its_ending_and_refused_when_it_is_read() {
        let place = Files::new(&[("a/1.jpg", b""), ("b/2.jpg", b"two")]);
        mkfifo(&place.at("a/pipe.jpg"));
        symlink("/dev/zero", place.at("a/zero.jpg")).unwrap();
        fs::create_dir(place.at("a/folder.jpg")).unwrap();
        std::os::unix::net::UnixListener::bind(place.at("a/socket.jpg")).unwrap();
        let huge = fs::File::create(place.at("a/huge.jpg")).unwrap();
        huge.set_len(MAX_FILE_BYTES + 1).unwrap();
        let found = dataset::find(place.0.path()).unwrap();
        let paths: Vec<_> = found.listed.iter().map(|picture| &*picture.path).collect();
        assert_eq!(
            paths,
            [
                "a/1.jpg",
                "a/huge.jpg",
                "a/pipe.jpg",
                "a/socket.jpg",
                "a/zero.jpg",
                "b/2.jpg"
            ]
        );
        assert_eq!(found.read(&found.listed[0]).unwrap(), b"");
        for path in ["a/pipe.jpg", "a/socket.jpg", "a/zero.jpg"] {
            assert_eq!(kind(&found, path), "not_a_file");
        }
        assert_eq!(kind(&found, "a/huge.jpg"), "too_large");
    }

    #[test]
    fn a_file_that_takes_more_than_decoding_may_is_refused_by_its_length() {
        let place = Files::new(&[("a/1.jpg", b""), ("b/2.jpg", b"two")]);
        let max_bytes = DecodeLimits::default().max_file_bytes();
        let huge = fs::File::create(place.at("a/1.jpg")).unwrap();
        huge.set_len(max_bytes + 1).unwrap();
        let found = dataset::find(place.0.path()).unwrap();
        let read = |row: usize| found.read_up_to(&found.listed[row], max_bytes);
        assert_eq!(read(1).unwrap(), b"two");
        let error = read(0).unwrap_err();
        assert_eq!(error.kind(), "too_large");
        assert_eq!(error.to_string(), "larger than 381 MiB");
    }

    #[test]
    fn rows_that_name_nothing_readable_are_refused_when_they_are_read() {
        let place = Files::new(&[("t.csv", b"path\ngone.jpg\nfolder\npipe\n")]);
        fs::create_dir(place.at("folder")).unwrap();
        mkfifo(&place.at("pipe"));
        let found = read_table(&place.at("t.csv"), None).unwrap();
        assert_eq!(kind(&found, "folder"), "not_a_file");
        assert_eq!(kind(&found, "pipe"), "not_a_file");
        assert_eq!(kind(&found, "gone.jpg"), "missing");
    }

    #[test]
    fn links_in_loops_are_listed_once_each() {
        let place = Files::new(&[("a/sub/1.jpg", b""), ("b/2.jpg", b""), ("b/3.jpg", b"")]);
        symlink("..", place.at("a/sub/parent")).unwrap();
        symlink("../..", place.at("a/sub/root")).unwrap();
        symlink("/", place.at("a/slash")).unwrap();
        symlink("self.jpg", place.at("b/self.jpg")).unwrap();
        // No loop by itself, but those that lie in it are still loops.
        symlink("../a/sub", place.at("b/there")).unwrap();
        let found = dataset::find(place.0.path()).unwrap();
        assert_eq!(
            unusable(&found),
            [
                ("a/slash", "link_loop"),
                ("a/sub/parent", "link_loop"),
                ("a/sub/root", "link_loop"),
                ("b/self.jpg", "dangling_link"),
                ("b/there/parent", "link_loop"),
                ("b/there/root", "link_loop"),
            ]
        );
        assert_eq!(found.listed.len(), 4);
    }

    #[test]
    fn a_class_that_is_a_link_to_its_root_is_refused() {
        let place = Files::new(&[("a/1.jpg", b"")]);
        symlink(".", place.at("b")).unwrap();
        let error = dataset::find(place.0.path()).unwrap_err();
        assert!(matches!(error, DatasetError::ClassLoop { .. }), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_whose_name_is_not_utf8_spoils_the_pictures_in_it() {
        use std::os::unix::ffi::OsStrExt;
        let place = Files::new(&[("a/1.jpg", b""), ("b/2.jpg", b"")]);
        let folder = place.at("a").join(std::ffi::OsStr::from_bytes(b"\xe9"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("1.jpg"), b"").unwrap();
        fs::write(folder.join("2.txt"), b"").unwrap();
        let found = dataset::find(place.0.path()).unwrap();
        assert_eq!(unusable(&found), [("a/\u{fffd}/1.jpg", "not_utf8")]);
        assert_eq!((found.listed.len(), found.other_files.len()), (2, 1));
    }

    /// Runs a test on a thread whose access to files is that of a user whom permissions bind, as they
    /// do not bind root.
    fn as_nobody(test: fn()) {
        let name = thread::current().name().unwrap_or("main").to_owned();
        let nobody = thread::Builder::new().name(name).spawn(move || {
            #[cfg(target_os = "linux")]
            // SAFETY: neither call takes a pointer, and only this thread becomes another user's.
            unsafe {
                if libc::geteuid() == 0 {
                    libc::setfsuid(65_534);
                }
            }
            test();
        });
        nobody.unwrap().join().unwrap();
    }

    #[test]
    fn what_may_not_be_read_is_a_failure_below_a_class_and_an_error_above() {
        as_nobody(find_what_may_not_be_read);
    }

    fn find_what_may_not_be_read() {
        let place = Files::new(&[
            ("a/1.jpg", b""),
            ("a/locked/2.jpg", b""),
            ("b/3.jpg", b""),
            ("b/locked.jpg", b""),
        ]);
        let lock = |name: &str, mode| {
            fs::set_permissions(place.at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        lock("a/locked", 0o000);
        lock("b/locked.jpg", 0o000);
        if fs::read_dir(place.at("a/locked")).is_ok() {
            support::skip!("permissions do not bind this user");
            return;
        }
        let found = dataset::find(place.0.path());
        lock("a/locked", 0o755);
        let found = found.unwrap();
        assert_eq!(unusable(&found), [("a/locked", "out_of_reach")]);
        assert_eq!(kind(&found, "b/locked.jpg"), "unreadable");
        lock("b", 0o000);
        let error = dataset::find(place.0.path());
        lock("b", 0o755);
        assert!(matches!(error, Err(DatasetError::Unreadable { path, .. }) if path.ends_with("b")));
    }

    #[test]
    fn archives_that_cannot_seek_are_refused_without_a_wait() {
        let place = Files::new(&[]);
        mkfifo(&place.at("s.tar"));
        for path in [place.at("s.tar"), place.at("."), "/dev/zero".into()] {
            let error = read_labelled_archives(&[path]).unwrap_err();
            assert!(
                matches!(error, DatasetError::ArchiveNotAFile { .. }),
                "{error}"
            );
        }
        let error = read_labelled_archives(&[place.at("gone.tar")]).unwrap_err();
        assert!(matches!(error, DatasetError::Unreadable { .. }), "{error}");
    }
}
