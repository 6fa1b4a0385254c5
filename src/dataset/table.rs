//! A CSV file with one row per picture.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::ByteRecord;

use super::classes::Classes;

use super::{DatasetError, Picture, Pictures, Place};
use crate::codes::Failure;
use crate::files::lines::{BoundedLines, UniversalNewlines, line_of};

/// Reads the rows of a table. The columns `path`, `label`, `split` and `group` are found by the
/// names in the header line; other columns are ignored.
///
/// Paths start from the table's folder unless they are absolute, and their extensions are ignored.
/// Rows are sorted by path; a repeated path with the same label is one row. Blanks around labels,
/// splits and groups are removed. Without a `label` column, or with an empty one, the pictures are
/// unlabelled. If the `split` column holds several values, `split` chooses one. Pictures with the
/// same `group` belong together; a picture with an empty `group` has no group.
///
/// # Errors
/// [`DatasetError`] with the line that is at fault: a row whose length differs from the header's, a
/// missing path, labels for only some rows, or two labels for one path. If a split must be chosen,
/// the error lists the splits. A table of more than 20 million lines or 2 GiB is refused.
pub fn read_table(csv: &Path, split: Option<&str>) -> Result<Pictures, DatasetError> {
    let mut table = Table::open(csv)?;
    table.check_asked_split(split)?;
    while table.read_row(split)? {}
    table.check_rows(split)?;
    table.into_pictures()
}

/// A row of the chosen split.
struct Row {
    path: Box<[u8]>,
    /// An index into [`Table::classes`].
    label: Option<usize>,
    group: Option<Box<str>>,
    /// The line on which it begins, counted from 1.
    line: u64,
}

/// A table while it is being read.
struct Table<'a> {
    csv: &'a Path,
    reader: csv::Reader<Box<dyn Read>>,
    record: ByteRecord,
    columns: Columns,
    classes: Classes,
    /// All values of the split column.
    splits: BTreeSet<String>,
    rows: Vec<Row>,
    /// The first line with a label, and the first line without one.
    first_labelled: Option<u64>,
    first_unlabelled: Option<u64>,
}

/// Where the columns are.
struct Columns {
    n: usize,
    path: usize,
    label: Option<usize>,
    split: Option<usize>,
    group: Option<usize>,
    /// All their names, for errors.
    names: Vec<String>,
}

impl Columns {
    fn find(csv: &Path, header: &ByteRecord) -> Result<Self, DatasetError> {
        let path = || csv.to_owned();
        let names: Vec<_> = header
            .iter()
            .map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned())
            .collect();
        if names.is_empty() {
            return Err(DatasetError::NoHeader { path: path() });
        }
        let find = |column: &'static str| {
            let mut places = (0..names.len()).filter(|&place| names[place] == column);
            let place = places.next();
            match places.next() {
                None => Ok(place),
                Some(_) => Err(DatasetError::TwoColumns {
                    path: path(),
                    column,
                }),
            }
        };
        Ok(Self {
            n: names.len(),
            path: find("path")?.ok_or_else(|| DatasetError::NoColumn {
                path: path(),
                column: "path",
                columns: names.clone(),
            })?,
            label: find("label")?,
            split: find("split")?,
            group: find("group")?,
            names,
        })
    }
}

impl<'a> Table<'a> {
    fn open(csv: &'a Path) -> Result<Self, DatasetError> {
        let file = File::open(csv).map_err(DatasetError::unreadable(csv))?;
        // Ends the last line if it has no line end, so that lines can be counted by their ends.
        let text = BoundedLines::new(file, b"\r\n").chain(&b"\n"[..]);
        let text: Box<dyn Read> = Box::new(UniversalNewlines::new(text));
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
        let header = reader.byte_headers().map_err(csv_error(csv))?;
        let columns = Columns::find(csv, header)?;
        Ok(Self {
            csv,
            reader,
            record: ByteRecord::new(),
            columns,
            classes: Classes::default(),
            splits: BTreeSet::new(),
            rows: Vec::new(),
            first_labelled: None,
            first_unlabelled: None,
        })
    }

    fn check_asked_split(&self, split: Option<&str>) -> Result<(), DatasetError> {
        if split.is_some() && self.columns.split.is_none() {
            return Err(DatasetError::NoColumn {
                path: self.csv.to_owned(),
                column: "split",
                columns: self.columns.names.clone(),
            });
        }
        Ok(())
    }

    /// Reads a row, and keeps it if it belongs to `split`; `false` at the end.
    fn read_row(&mut self, split: Option<&str>) -> Result<bool, DatasetError> {
        let more = self.reader.read_byte_record(&mut self.record);
        if !more.map_err(csv_error(self.csv))? {
            return Ok(false);
        }
        let line = self.line();
        if self.record.len() != self.columns.n {
            let (n, columns) = (self.record.len(), self.columns.n);
            let problem = format!(
                "{n} fields where the first line has {columns}; put fields with commas in quotes"
            );
            return Err(self.row_error(line, problem));
        }
        let row_split = self.text(self.columns.split, "split", line)?.to_owned();
        let is_asked = split.is_none_or(|split| split == row_split);
        if !self.splits.contains(&row_split) {
            self.splits.insert(row_split);
        }
        if is_asked {
            self.keep_row(line)?;
        }
        Ok(true)
    }

    fn keep_row(&mut self, line: u64) -> Result<(), DatasetError> {
        if self.record[self.columns.path].is_empty() {
            return Err(self.row_error(line, "the path is missing".to_owned()));
        }
        let label = self.text(self.columns.label, "label", line)?.to_owned();
        let first = if label.is_empty() {
            &mut self.first_unlabelled
        } else {
            &mut self.first_labelled
        };
        first.get_or_insert(line);
        let label = (!label.is_empty()).then(|| self.classes.place(&label));
        let group = self.text(self.columns.group, "group", line)?;
        let group = (!group.is_empty()).then(|| group.into());
        self.rows.push(Row {
            path: self.record[self.columns.path].into(),
            label,
            group,
            line,
        });
        Ok(())
    }

    /// A label, a split or a group without the blanks around it; empty if there is no such column.
    fn text(
        &self,
        column: Option<usize>,
        name: &'static str,
        line: u64,
    ) -> Result<&str, DatasetError> {
        let field = column.map_or(&b""[..], |column| &self.record[column]);
        let problem = match str::from_utf8(field.trim_ascii()) {
            Ok(text) if !text.contains('\n') => return Ok(text),
            Ok(_) => format!("there is a line end within the {name}; is a closing quote missing?"),
            Err(_) => format!("the {name} is not UTF-8; save the table as UTF-8"),
        };
        Err(self.row_error(line, problem))
    }

    fn line(&self) -> u64 {
        line_of(&self.record, self.reader.position())
    }

    fn row_error(&self, line: u64, problem: String) -> DatasetError {
        DatasetError::Row {
            path: self.csv.to_owned(),
            line,
            problem,
        }
    }

    fn check_rows(&self, split: Option<&str>) -> Result<(), DatasetError> {
        let path = || self.csv.to_owned();
        let splits = || self.splits.iter().cloned().collect();
        match split {
            _ if self.splits.is_empty() => return Err(DatasetError::NoRows { path: path() }),
            None if self.splits.len() > 1 => {
                return Err(DatasetError::SplitNotChosen {
                    path: path(),
                    splits: splits(),
                });
            }
            Some(split) if self.rows.is_empty() => {
                return Err(DatasetError::NoSuchSplit {
                    path: path(),
                    split: split.to_owned(),
                    splits: splits(),
                });
            }
            _ => {}
        }
        if let (Some(labelled), Some(unlabelled)) = (self.first_labelled, self.first_unlabelled) {
            let problem = format!(
                "the label is missing, though line {labelled} has one; label all rows or none"
            );
            return Err(self.row_error(unlabelled, problem));
        }
        Ok(())
    }

    fn into_pictures(mut self) -> Result<Pictures, DatasetError> {
        let mut rows = std::mem::take(&mut self.rows);
        // A stable sort: of two equal paths the upper one stays.
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        self.check_contradictions(&rows)?;
        rows.dedup_by(|row, kept| row.path == kept.path);
        let mut found = Pictures {
            root: self.csv.parent().unwrap_or(Path::new("")).to_owned(),
            listed: Vec::with_capacity(rows.len()),
            ..Pictures::default()
        };
        for row in rows {
            match String::from_utf8(row.path.into_vec()) {
                Ok(path) => found.listed.push(Picture {
                    path: path.into_boxed_str(),
                    label: row.label,
                    group: row.group,
                    place: Place::File,
                }),
                Err(error) => {
                    let path = String::from_utf8_lossy(error.as_bytes()).into_owned();
                    found.unusable.push(Failure::not_utf8(path));
                }
            }
        }
        let input = self.csv.display().to_string();
        found.classes = self.classes.assign(&input, &mut found.listed)?;
        Ok(found)
    }

    fn check_contradictions(&self, sorted: &[Row]) -> Result<(), DatasetError> {
        let contradicts =
            |a: &Row, b: &Row| a.path == b.path && (a.label != b.label || a.group != b.group);
        let Some(pair) = sorted
            .windows(2)
            .find(|pair| contradicts(&pair[0], &pair[1]))
        else {
            return Ok(());
        };
        let label = |row: &Row| match pair[0].label == pair[1].label {
            false => self.classes.name(row.label).to_owned(),
            true => format!("group {}", row.group.as_deref().unwrap_or("none")),
        };
        Err(DatasetError::Contradiction {
            path: self.csv.to_owned(),
            picture: String::from_utf8_lossy(&pair[0].path).into_owned(),
            labels: [label(&pair[0]), label(&pair[1])],
            lines: [pair[0].line, pair[1].line],
        })
    }
}

fn csv_error(path: &Path) -> impl FnOnce(csv::Error) -> DatasetError {
    let unreadable = DatasetError::unreadable(path);
    move |error| unreadable(io::Error::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `text` as the table `t.csv` of a temporary folder.
    fn read(text: impl AsRef<[u8]>, split: Option<&str>) -> Result<Pictures, String> {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("t.csv");
        std::fs::write(&csv, text).unwrap();
        let folder = folder.path().to_str().unwrap();
        read_table(&csv, split)
            .inspect(|found| assert_eq!(found.root, Path::new(folder)))
            .map_err(|error| error.to_string().replace(&format!("{folder}/"), ""))
    }

    fn rows(found: &Pictures) -> Vec<(&str, &str)> {
        let class = |label: Option<usize>| label.map_or("", |label| &found.classes[label]);
        let pictures = found.listed.iter();
        pictures
            .map(|picture| (&*picture.path, class(picture.label)))
            .collect()
    }

    #[test]
    fn columns_are_found_by_name_and_rows_sorted_by_path() {
        let text = "\u{feff}note, label ,path\r\n\
                    x,zwei Wörter,b/2.jpg\r\n\
                    \"y, \"\"z\"\"\",Äpfel, b/1\r\n\
                    ,a,/abs/3.jpg\r\n";
        let found = read(text, None).unwrap();
        assert_eq!(found.classes, ["a", "zwei Wörter", "Äpfel"]);
        assert_eq!(
            rows(&found),
            [
                (" b/1", "Äpfel"),
                ("/abs/3.jpg", "a"),
                ("b/2.jpg", "zwei Wörter")
            ]
        );
    }

    #[test]
    fn without_labels_the_pictures_are_unlabelled() {
        for text in ["path\nb\na\n", "path,label\nb,\na, \n"] {
            let found = read(text, None).unwrap();
            assert!(!found.is_labelled());
            assert_eq!(rows(&found), [("a", ""), ("b", "")]);
            assert!(found.listed.iter().all(|picture| picture.label.is_none()));
        }
    }

    #[test]
    fn a_path_that_comes_twice_is_one_row_unless_its_labels_differ() {
        let found = read("path,label\na,x\nb,y\na,x\n", None).unwrap();
        assert_eq!(rows(&found), [("a", "x"), ("b", "y")]);
        assert_eq!(
            read("path,label\na,x\nb,y\na,y\n", None).unwrap_err(),
            "t.csv contradicts itself: 'a' is 'x' on line 2 and 'y' on line 4; remove one of them"
        );
    }

    #[test]
    fn groups_are_read_and_contradicted_as_labels_are() {
        let groups = |text: &str| {
            let found = read(text, None).unwrap();
            let of = |picture: &Picture| picture.group.as_deref().unwrap_or("none").to_owned();
            (
                found.is_grouped(),
                found.listed.iter().map(of).collect::<Vec<_>>().join(" "),
            )
        };
        let text = "group,path,label\n p 1 ,b,x\n,c,y\np 1,a,y\n";
        assert_eq!(groups(text), (true, "p 1 p 1 none".to_owned()));
        assert_eq!(
            groups("group,path\n,b\n,a\n"),
            (false, "none none".to_owned())
        );
        assert_eq!(
            read("path,label,group\na,x,1\nb,y,1\na,x,2\n", None).unwrap_err(),
            "t.csv contradicts itself: 'a' is 'group 1' on line 2 and 'group 2' on line 4; remove one of them"
        );
    }

    #[test]
    fn one_split_is_read_and_it_must_be_named_if_there_are_several() {
        let text = "path,label,split\na,x,train\nb,y,train\nc,y,test\nd,,other\n";
        let found = read(text, Some("train")).unwrap();
        assert_eq!(rows(&found), [("a", "x"), ("b", "y")]);
        assert_eq!(
            read(text, None).unwrap_err(),
            "t.csv holds the splits 'other', 'test', 'train'; choose one"
        );
        assert_eq!(
            read(text, Some("Train")).unwrap_err(),
            "t.csv holds no split 'Train', only 'other', 'test', 'train'"
        );
        assert_eq!(
            read("path,label\na,x\n", Some("train")).unwrap_err(),
            "t.csv has no column 'split', only 'path', 'label'; name the columns in the first line"
        );
        let only = read("path,split\na,train\n", None).unwrap();
        assert_eq!(rows(&only), [("a", "")]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line_whatever_ends_the_lines() {
        let table = "path,label\n\n\na,x\n\"b\nc\",y\n\nLAST";
        let cases = [
            (
                "d",
                "1 fields where the first line has 2; put fields with commas in quotes",
            ),
            (
                "d,y,",
                "3 fields where the first line has 2; put fields with commas in quotes",
            ),
            (",y", "the path is missing"),
            (
                "d,",
                "the label is missing, though line 4 has one; label all rows or none",
            ),
        ];
        for (last, problem) in cases {
            let text = table.replace("LAST", last);
            for ends in ["\n", "\r\n", "\r"] {
                let message = read(text.replace('\n', ends), None).unwrap_err();
                assert_eq!(message, format!("t.csv, line 8: {problem}"), "{ends:?}");
            }
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_does_not_swallow_the_rest() {
        assert_eq!(
            read("path,label\na,x\nb,\"y\nc,z\n", None).unwrap_err(),
            "t.csv, line 3: there is a line end within the label; is a closing quote missing?"
        );
        assert_eq!(
            read("path,label\na,x\n\"b,y\nc,z\n", None).unwrap_err(),
            "t.csv, line 3: 1 fields where the first line has 2; put fields with commas in quotes"
        );
    }

    #[test]
    fn tables_without_rows_columns_or_classes_are_refused() {
        let message = |text: &str| read(text, None).unwrap_err();
        assert!(message("").starts_with("t.csv is empty; its first line names the columns"));
        assert!(message("\n\n").starts_with("t.csv is empty;"));
        assert_eq!(
            message("path,label\n\n"),
            "t.csv has no rows; each row names a picture"
        );
        assert!(
            message("file,label\na,x\n").starts_with("t.csv has no column 'path', only 'file'")
        );
        assert!(message("path,path\na,x\n").starts_with("t.csv has two columns 'path'"));
        assert_eq!(
            message("path,label\na,x\nb,x\n"),
            "t.csv: one class only, 'x'; a classifier needs two or more"
        );
        let long = format!("path\n{}", "x".repeat(100_000));
        assert!(message(&long).starts_with("cannot read t.csv: line 2 is longer than 64 KiB"));
    }

    #[test]
    fn bytes_that_are_not_utf8_spoil_their_row_or_the_labels() {
        let found = read(b"path,label\n\xff,z\na,x\nb,y\n", None).unwrap();
        assert_eq!(found.classes, ["x", "y"]);
        assert_eq!(found.unusable, [Failure::not_utf8("\u{fffd}".to_owned())]);
        assert_eq!(
            read(b"path,label\na,\xff\nb,y\n", None).unwrap_err(),
            "t.csv, line 2: the label is not UTF-8; save the table as UTF-8"
        );
    }
}
