"""messages.py finds messages of each kind, and leaves out those of tests."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import messages  # noqa: E402

SOURCE = r'''
#[error("{} is empty; its first line \
         names the columns")]
fn f() {
    bail!("no class {name:?}");
    x.with_context(|| format!("cannot read {}", path.display()))?;
    y.context("cannot start a thread")?;
    say(&format!("left out: {}", n));
    let advice = match e { A => "; give another --out", B => "" };
}
#[cfg(test)]
mod tests {
    fn g() { bail!("of a test"); }
}
'''


class Messages(unittest.TestCase):
    def test_each_kind_is_found_with_its_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "a.rs")
            path.write_text(SOURCE)
            self.assertEqual(messages.messages(path), [
                (2, "error", "{} is empty; its first line names the columns"),
                (5, "bail", "no class {name:?}"),
                (6, "context", "cannot read {}"),
                (7, "context", "cannot start a thread"),
                (8, "say", "left out: {}"),
                (9, "advice", "; give another --out"),
            ])

    def test_the_sources_have_hundreds(self):
        found = [text for path in messages.sources() for _, _, text in messages.messages(path)]
        self.assertGreater(len(found), 400)
        self.assertTrue(any("is not a store" in text for text in found))


if __name__ == "__main__":
    unittest.main()
