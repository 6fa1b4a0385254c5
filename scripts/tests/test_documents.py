"""documents.py finds what is wrong with a page, and lets pass what may differ."""

import contextlib
import io
import json
import os
import pathlib
import sys
import tempfile
import textwrap
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import documents  # noqa: E402
from pages.markdown import slug_of  # noqa: E402
from pages.output import plain, shown_lines  # noqa: E402

# A program with the help of clap, and two verbs.
PROGRAM = """#!/usr/bin/env bash
case "${1-} ${2-}" in
  "--help ") printf 'About\\n\\nCommands:\\n  train-head  Train\\n  split       Split\\n\\nOptions:\\n  -h, --help  Help\\n' ;;
  "train-head --help") printf 'Options:\\n      --train <STORE>\\n          Store\\n  -h, --help\\n' ;;
  "split --help") printf 'Options:\\n      --out <DIR>\\n          Folder\\n' ;;
  "train-head "*) echo "accuracy  0.$RANDOM in $SECONDS.$RANDOM s"; echo "head: $PWD/head"; echo "a message" >&2 ;;
  "split "*) echo "error: no pictures" >&2; exit 1 ;;
  *) exit 2 ;;
esac
"""

GOOD = """\
# A page

```sh
folder=head
mkdir "$folder"
cnn-codes train-head --train codes
```

```text
accuracy 0.93 in 12 s
head: /home/you/head
```

See [below](#what-fails-and-why) and [the other](other.md#a-b).

## What fails, and why?

<!-- fails: 1 -->
<!-- with messages -->

```sh
ls "$folder"
cnn-codes split --out x
```

```text
error: no pictures
```

<!-- not run: it takes a day -->
```sh
cnn-codes train-head --train imagenet
```
"""


class Repository(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.program = self.root / "program"
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)
        (self.root / "data").mkdir()
        (self.root / "data/a.txt").write_text("picture\n")
        (self.root / "docs").mkdir()
        (self.root / "other.md").write_text("# A b\n")
        self.page = self.root / "README.md"
        self.page.write_text(GOOD)
        self.skips = self.root / "skips.txt"
        os.environ["CNN_CODES_TEST_SKIPS"] = str(self.skips)
        self.addCleanup(os.environ.pop, "CNN_CODES_TEST_SKIPS")
        required = os.environ.pop("REQUIRE_ALL", None)
        if required is not None:
            self.addCleanup(os.environ.__setitem__, "REQUIRE_ALL", required)

    def do(self, verb, *words):
        """The exit code, and all that is printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = documents.main([verb, "--program", str(self.program), "--root", str(self.root), *map(str, words)])
        return code, printed.getvalue()

    def write(self, text):
        self.page.write_text(textwrap.dedent(text))

    def edit(self, old, new):
        text = self.page.read_text()
        assert old in text, old
        self.page.write_text(text.replace(old, new))

    def fails(self, *parts):
        code, printed = self.do("check")
        self.assertEqual(code, 1, printed)
        for part in parts:
            self.assertIn(part, printed)
        return printed

    def passes(self, *parts):
        code, printed = self.do("check")
        self.assertEqual(code, 0, printed)
        for part in parts:
            self.assertIn(part, printed)


class Checks(Repository):
    def test_a_good_page_passes_and_what_is_not_run_is_counted(self):
        self.passes("2 blocks run, 1 not run, 0 skipped, 0 failures", "README.md:31: it takes a day")

    def test_other_numbers_and_times_pass(self):
        self.edit("accuracy 0.93 in 12 s", "accuracy   0.9 in 850 ms")
        self.passes()

    def test_another_word_of_the_output_fails_with_a_diff(self):
        self.edit("accuracy 0.93", "precision 0.93")
        printed = self.fails("README.md:9: this is not what the commands print", "-precision 0.93 in 12 s", "+accuracy  0.")
        self.assertNotIn("-head: ", printed)

    def test_a_verb_that_is_not_there_fails(self):
        self.edit("cnn-codes train-head --train codes", "cnn-codes train-haed --train codes")
        self.fails("README.md:6: `cnn-codes train-haed`: there is no such verb; is train-head meant?",
                   "README.md:6: this fails with exit code 2")

    def test_an_option_that_is_not_there_fails_also_where_nothing_is_run(self):
        self.edit("--train imagenet", "--trian imagenet")
        self.fails("README.md:32: `cnn-codes train-head` has no option --trian; is --train meant?")

    def test_options_are_looked_at_in_prose_indented_lines_and_behind_a_line_that_goes_on(self):
        self.write("""\
            Try `cnn-codes
            split --a` or `train-head --b 1`.

                cnn-codes split --out x  # not --this
                cnn-codes split --out x \\
                  --c
                cnn-codes split --group-by 'a|b' --d | other --out-of-it
            """)
        printed = self.fails("README.md:1: ", "no option --a", "README.md:2: `cnn-codes train-head` has no option --b",
                             "README.md:5: ", "--c", "README.md:7: ", "--d", "--group-by", "5 failures")
        self.assertNotIn("--this", printed)
        self.assertNotIn("--out-of-it", printed)

    def test_options_of_pages_that_are_not_run_are_looked_at(self):
        (self.root / "docs/deep").mkdir()
        (self.root / "docs/deep/page.md").write_text("`cnn-codes split --old`\n")
        self.fails("docs/deep/page.md:1: `cnn-codes split` has no option --old")

    def test_nothing_is_run_where_that_is_asked_for(self):
        self.edit("accuracy 0.93", "precision 0.93")
        code, printed = self.do("check", "--no-run")
        self.assertEqual(code, 0, printed)
        self.assertIn("0 blocks run", printed)

    def test_a_dead_link_fails(self):
        self.edit("other.md#a-b", "another.md")
        self.fails("README.md:14: the link to another.md leads nowhere")

    def test_a_dead_anchor_fails(self):
        self.edit("#what-fails-and-why", "#what-fails")
        self.fails("README.md:14: the link to #what-fails leads nowhere: README.md has no heading #what-fails")
        self.edit("#what-fails", "#what-fails-and-why")
        self.edit("other.md#a-b", "other.md#c")
        self.fails("other.md has no heading #c")

    def test_a_link_within_code_is_none(self):
        self.edit("See [below]", "`[x](no.md)` See [below]")
        self.passes()

    def test_a_command_that_fails_is_named_by_its_line(self):
        self.edit("mkdir \"$folder\"", "mkdir \"$folder\"\nls missing-file")
        self.fails("README.md:6: this fails with exit code 2", "missing-file", "the blocks after this one were not run")

    def test_a_pipe_fails_where_a_part_of_it_does(self):
        self.edit("cnn-codes train-head --train codes", "cnn-codes split --out x | cat")
        self.fails("README.md:6: this fails with exit code 1")

    def test_a_block_that_should_fail_must_and_by_its_last_command(self):
        self.edit("<!-- fails: 1 -->", "<!-- fails: 3 -->")
        self.fails("README.md:23: this should end with exit code 3, and ends with 1")
        self.edit("<!-- fails: 3 -->", "<!-- fails: 1 -->")
        self.edit("ls \"$folder\"", "false")
        self.fails("README.md:22: this fails with exit code 1; only the last command of the block may")

    def test_messages_are_output_where_the_page_says_so(self):
        self.edit("<!-- with messages -->\n", "")
        self.fails("-error: no pictures")

    def test_a_block_that_is_not_run_has_a_reason(self):
        self.edit("<!-- not run: it takes a day -->", "<!-- not run -->")
        self.fails("README.md:31: say why this is not run")

    def test_a_block_without_an_end_is_told(self):
        self.page.write_text("```sh\nls\n")
        self.fails("README.md:1: this block of code has no end")

    def test_the_scratch_folder_has_the_data_and_none_of_what_is_left_running_stays(self):
        self.write("""\
            ```sh
            sleep 1000 & echo $! > "$OLD/pid"
            cat data/a.txt
            ```
            ```text
            picture
            ```
            """.replace("$OLD", str(self.root)))
        self.passes()
        pid = int((self.root / "pid").read_text())
        state = pathlib.Path(f"/proc/{pid}/stat")
        self.assertTrue(not state.exists() or state.read_text().split()[2] == "Z")

    def test_python_is_skipped_by_name_or_run_in_one_interpreter(self):
        self.write("""\
            ```sh
            echo 7 > number
            ```
            ```python
            number = int(open("number").read())
            ```
            ```python
            print("the number", number)
            ```
            ```text
            the number 7
            ```
            """)
        self.passes("skipped: documents/README.md:4: no Python", "2 skipped")
        self.assertIn("documents/README.md:7: ", self.skips.read_text())
        code, printed = self.do("check", "--python", sys.executable)
        self.assertEqual(code, 0, printed)
        self.assertIn("3 blocks run", printed)
        self.edit("the number 7", "the digit 7")
        code, printed = self.do("check", "--python", sys.executable)
        self.assertEqual(code, 1, printed)

    def test_python_that_raises_fails(self):
        self.page.write_text("```python\n1 / 0\n```\n")
        code, printed = self.do("check", "--python", sys.executable)
        self.assertEqual(code, 1)
        self.assertIn("ZeroDivisionError", printed)


class Refreshes(Repository):
    def test_a_refresh_writes_the_output_and_then_the_check_passes(self):
        self.edit("accuracy 0.93 in 12 s", "something else")
        self.fails()
        code, printed = self.do("refresh")
        self.assertEqual(code, 0, printed)
        self.assertRegex(self.page.read_text(), r"```text\naccuracy  0\.\d+ in \d+\.\d+ s\nhead: /home/you/head\n```")
        self.passes()

    def test_a_refresh_keeps_what_is_left_out_and_replaces_what_is_shown(self):
        self.edit("accuracy 0.93 in 12 s\nhead: /home/you/head\n", "accuracy 1 in 99999999 s\n...\n")
        self.passes()
        code, printed = self.do("refresh")
        self.assertEqual(code, 0, printed)
        text = self.page.read_text()
        self.assertRegex(text, r"accuracy  0\.\d+ in \d+\.\d+ s\n\.\.\.\n```")

    def test_a_refresh_that_cannot_match_says_so(self):
        self.edit("accuracy 0.93 in 12 s\n", "precision 1\n...\n")
        before = self.page.read_text()
        code, printed = self.do("refresh")
        self.assertEqual(code, 1)
        self.assertIn("README.md:9: this is not what the commands print", printed)
        self.assertEqual(self.page.read_text(), before)


class Figures(Repository):
    FIGURE = {"columns": ["trunk", "pictures/s"], "rows": [["vgg16", "8.1"], ["a|b", "80"]],
              "command": "cargo bench", "processor": "2-core AMD EPYC", "date": "2026-11-28"}

    def setUp(self):
        super().setUp()
        (self.root / "docs/figures.json").write_text(json.dumps({"speed": self.FIGURE}))
        self.write("""\
            <!-- figures: speed -->
            <!-- end of figures -->
            """)

    def test_figures_are_written_and_compared(self):
        self.fails("README.md:1: the figures speed are not those of docs/figures.json", "+| vgg16 | 8.1 |")
        self.assertEqual(self.do("refresh")[0], 0)
        self.passes()
        text = self.page.read_text()
        self.assertIn("|---|---:|\n| vgg16 | 8.1 |\n| a\\|b | 80 |\n\n(`cargo bench`, 2-core AMD EPYC, 2026-11-28.)\n", text)
        self.edit("8.1", "9.1")
        self.fails("-| vgg16 | 9.1 |", "+| vgg16 | 8.1 |")

    def test_unknown_figures_and_a_region_without_an_end_fail(self):
        self.edit("speed", "memory")
        self.fails("README.md:1: docs/figures.json has no figures memory")
        self.edit("<!-- end of figures -->", "")
        self.fails("README.md:1: the figures memory have no <!-- end of figures -->")


class Parts(unittest.TestCase):
    def test_numbers_are_left_out_and_names_with_digits_are_not(self):
        for one, other, same in [
            ("vgg16: 31 of 33", "vgg16:   2 of 9", True),
            ("vgg16", "vgg19", False),
            ("in 1m 2s", "in 9.5 s", True),
            ("loss -0.5e-3, 93.1%", "loss 7, 4%", True),
            ("1,300 pictures, 224x224", "7 pictures, 32x32", True),
            ("lite0", "lite1", False),
            ("batch 20", "epoch 20", False),
        ]:
            self.assertEqual(plain(one) == plain(other), same, (one, other))

    def test_what_is_left_out_may_be_anywhere(self):
        real = ["a 1", "b", "c", "d 2"]
        for shown, expected in [
            (["...", "c", "d 9"], ["...", "c", "d 2"]),
            (["a 7", "...", "d 9"], ["a 1", "...", "d 2"]),
            (["a 7", "...", "b", "..."], ["a 1", "...", "b", "..."]),
            (["..."], ["..."]),
            (["a 7", "...", "a 7"], None),
            (["a 7", "..." , "x"], None),
            (["a 7", "b", "c"], None),
            (["b", "..."], None),
        ]:
            self.assertEqual(shown_lines(shown, real), expected, shown)

    def test_headings_have_githubs_anchors(self):
        for heading, slug in [
            ("What fails, and why?", "what-fails-and-why"),
            ("`--format json`: for programs", "--format-json-for-programs"),
            ("A [link](x.md) & more", "a-link--more"),
            ("predict_proba", "predict_proba"),
        ]:
            self.assertEqual(slug_of(heading), slug)


if __name__ == "__main__":
    unittest.main()
