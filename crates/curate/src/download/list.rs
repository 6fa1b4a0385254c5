//! A CSV file with a URL and a label in each row.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, Read};
use std::path::PathBuf;

use csv::ByteRecord;

use super::{COLUMNS, DownloadError, label, url};
use cnn_codes::dataset::DatasetError;
use cnn_codes_files::lines::{BoundedLines, UniversalNewlines, line_of};

/// The rows of a list of URLs, and the names of its other columns.
#[derive(Clone, Debug)]
pub struct UrlList {
    /// The list's name in messages.
    name: String,
    /// The other columns, besides `url` and `label`.
    pub(super) other_columns: Vec<String>,
    /// The rows, in the order of the list.
    pub(super) rows: Vec<Row>,
}

/// A row of the list.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The line on which it begins, counted from 1.
    pub(super) line: u64,
    /// The URL in the list, without surrounding blanks.
    pub(super) url: String,
    /// The URL in requested form, or why it cannot be requested.
    pub(super) requested: Result<String, String>,
    /// The label, without surrounding blanks.
    pub(super) label: String,
    /// Why the label cannot be a folder's name, if so.
    pub(super) label_problem: Option<String>,
    /// The fields of the other columns.
    pub(super) others: Vec<String>,
}

impl Row {
    /// The URL to request, unless the row is refused.
    pub(super) fn wanted(&self) -> Option<&str> {
        let requested = self.requested.as_deref().ok();
        requested.filter(|_| self.label_problem.is_none())
    }
}

impl UrlList {
    /// Reads a list with the columns `url` and `label`, found by the names in the header line;
    /// other columns are kept. `name` is the list's name in messages.
    ///
    /// Blanks around URLs and labels are removed. Rows with a URL that is not of http or https, or
    /// with a label that cannot be a folder's name, are kept and reported, but not requested.
    ///
    /// # Errors
    /// [`DownloadError::List`] with the line that is at fault: a row whose length differs from the
    /// header's, a missing URL, a field that is not UTF-8. [`DownloadError::Column`] if a column
    /// has the name of one of results.csv, [`DownloadError::LabelCase`] if two labels differ only
    /// in case. A list of more than 20 million lines or 2 GiB is refused.
    pub fn read(name: &str, list: impl Read) -> Result<Self, DownloadError> {
        // As for tables: endless lines are refused, and the last line gets an end.
        let text = BoundedLines::new(list, b"\r\n").chain(&b"\n"[..]);
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(UniversalNewlines::new(text));
        let path = PathBuf::from(name);
        let unreadable = |error: csv::Error| DatasetError::Unreadable {
            path: path.clone(),
            source: io::Error::from(error),
        };
        let columns = Columns::find(name, reader.byte_headers().map_err(unreadable)?)?;
        let mut list = Self {
            name: name.to_owned(),
            other_columns: columns
                .others
                .iter()
                .map(|(_, name)| name.clone())
                .collect(),
            rows: Vec::new(),
        };
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(unreadable)? {
            let line = line_of(&record, reader.position());
            let row = columns.row(&record, line);
            list.rows.push(row.map_err(|problem| DatasetError::Row {
                path: path.clone(),
                line,
                problem,
            })?);
        }
        list.check()?;
        Ok(list)
    }

    /// The URLs to request, in requested form, each once, in the order of their first rows.
    #[must_use]
    pub fn urls(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let wanted = self.rows.iter().filter_map(Row::wanted);
        wanted.filter(|url| seen.insert(*url)).collect()
    }

    /// The labels of the URLs to request, sorted; each becomes a folder.
    #[must_use]
    pub fn labels(&self) -> BTreeSet<&str> {
        let wanted = self.rows.iter().filter(|row| row.wanted().is_some());
        wanted.map(|row| &*row.label).collect()
    }

    /// Number of rows, including the refused ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows; a list that was read has at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of URLs to request: those of accepted rows, each once.
    #[must_use]
    pub fn n_urls(&self) -> usize {
        self.urls().len()
    }

    fn check(&self) -> Result<(), DownloadError> {
        if self.rows.is_empty() {
            let path = PathBuf::from(&self.name);
            return Err(DatasetError::NoRows { path }.into());
        }
        let mut spellings: HashMap<String, &Row> = HashMap::new();
        for row in self.rows.iter().filter(|row| row.label_problem.is_none()) {
            let first = spellings.entry(row.label.to_lowercase()).or_insert(row);
            if first.label != row.label {
                return Err(DownloadError::LabelCase {
                    list: self.name.clone(),
                    labels: [first.label.clone(), row.label.clone()],
                    lines: [first.line, row.line],
                });
            }
        }
        Ok(())
    }
}

/// Where the columns are.
struct Columns {
    n: usize,
    url: usize,
    label: usize,
    others: Vec<(usize, String)>,
}

impl Columns {
    fn find(list: &str, header: &ByteRecord) -> Result<Self, DownloadError> {
        let path = || PathBuf::from(list);
        let names: Vec<_> = header
            .iter()
            .map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned())
            .collect();
        if names.is_empty() {
            let list = list.to_owned();
            return Err(DownloadError::EmptyList { list });
        }
        let find = |column: &'static str| {
            let mut places = (0..names.len()).filter(|&place| names[place] == column);
            match (places.next(), places.next()) {
                (Some(place), None) => Ok(place),
                (Some(_), Some(_)) => Err(DatasetError::TwoColumns {
                    path: path(),
                    column,
                }),
                (None, _) => Err(DatasetError::NoColumn {
                    path: path(),
                    column,
                    columns: names.clone(),
                }),
            }
        };
        let (url, label) = (find("url")?, find("label")?);
        let others: Vec<_> = (0..names.len())
            .filter(|&place| place != url && place != label)
            .map(|place| (place, names[place].clone()))
            .collect();
        let taken = others.iter().find(|(_, name)| COLUMNS.contains(&&**name));
        if let Some((_, column)) = taken {
            return Err(DownloadError::Column {
                list: list.to_owned(),
                column: column.clone(),
            });
        }
        Ok(Self {
            n: names.len(),
            url,
            label,
            others,
        })
    }

    /// The row of a record, or its problem.
    fn row(&self, record: &ByteRecord, line: u64) -> Result<Row, String> {
        if record.len() != self.n {
            return Err(format!(
                "{} fields where the first line has {}; put fields with commas in quotes",
                record.len(),
                self.n
            ));
        }
        let text = |column: usize, name: &str| {
            let text = str::from_utf8(&record[column]).map(str::trim);
            text.map_err(|_| format!("the {name} is not UTF-8; save the list as UTF-8"))
        };
        let url = text(self.url, "URL")?;
        if url.is_empty() {
            return Err("the URL is missing".to_owned());
        }
        let label = text(self.label, "label")?;
        if url.contains('\n') || label.contains('\n') {
            return Err(
                "there is a line end within the URL or the label; is a closing quote \
                 missing?"
                    .to_owned(),
            );
        }
        let others = self.others.iter().map(|(column, name)| {
            let field = str::from_utf8(&record[*column]);
            let field = field.map_err(|_| format!("the field of '{name}' is not UTF-8"));
            field.map(str::to_owned)
        });
        Ok(Row {
            line,
            url: url.to_owned(),
            requested: url::requested(url),
            label: label.to_owned(),
            label_problem: label::problem(label),
            others: others.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: impl AsRef<[u8]>) -> Result<UrlList, String> {
        UrlList::read("u.csv", text.as_ref()).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_are_found_by_name_and_the_others_are_kept() {
        let text = "\u{feff}split, label ,url,\"a, b\"\r\ntrain, cat , http://a.org/1 ,\"x\ny\"\r\n\r\nval,dog,http://a.org/2,";
        let list = read(text).unwrap();
        assert_eq!(list.other_columns, ["split", "a, b"]);
        let rows: Vec<_> = list
            .rows
            .iter()
            .map(|row| (row.line, &*row.url, &*row.label))
            .collect();
        assert_eq!(
            rows,
            [(2, "http://a.org/1", "cat"), (5, "http://a.org/2", "dog")]
        );
        assert_eq!(list.rows[0].others, ["train", "x\ny"]);
        assert_eq!(list.rows[1].others, ["val", ""]);
    }

    #[test]
    fn a_url_that_comes_again_is_asked_for_once() {
        let list = read("url,label\nhttp://A.org,a\nhttp://a.org/#x,b\nhttp://b.org/,a\n").unwrap();
        assert_eq!((list.len(), list.n_urls()), (3, 2));
        assert_eq!(list.urls(), ["http://a.org/", "http://b.org/"]);
    }

    #[test]
    fn rows_that_cannot_be_fetched_are_kept_and_not_asked_for() {
        let list =
            read("url,label\nftp://a.org/x,a\nhttp://a.org/x,../b\nhttp://a.org/x,\n").unwrap();
        assert_eq!((list.len(), list.n_urls()), (3, 0));
        assert!(list.rows[0].requested.is_err());
        assert!(list.rows[1].label_problem.is_some() && list.rows[2].label_problem.is_some());
    }

    #[test]
    fn a_list_that_cannot_be_understood_is_refused_with_the_line() {
        let refused = |text: &[u8], expected: &str| {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        refused(
            b"",
            "u.csv is empty; its first line names the columns: url and label",
        );
        refused(b"url,label\n", "has no rows");
        refused(
            b"url,class\nx,y\n",
            "no column 'label', only 'url', 'class'",
        );
        refused(b"url,url,label\nx,y,z\n", "two columns 'url'");
        refused(
            b"url,label,path\nx,y,z\n",
            "'path', which results.csv has too",
        );
        refused(
            b"url,label\n\nx,y\nz\n",
            "line 4: 1 fields where the first line has 2",
        );
        refused(b"url,label\nx,y\n ,z\n", "line 3: the URL is missing");
        refused(b"url,label\nx,\xff\n", "line 2: the label is not UTF-8");
        refused(b"url,label\nx,y\n\"z,w\nx,y\n", "line 3: 1 fields");
        refused(
            b"url,label\n\"z\nx\",y\n",
            "line 2: there is a line end within",
        );
        refused(
            b"url,label\nx,Cat\nx,dog\nx,cat\n",
            "the labels 'Cat' (line 2) and 'cat' (line 4) differ only in case",
        );
    }
}
