#!/usr/bin/env python3
"""Checks that the documents are true, and fills in what they show.

    scripts/documents.py check [PAGE...]      runs the pages' commands and compares; checks links, options, figures
    scripts/documents.py refresh [PAGE...]    writes the real output and figures into the pages

Without PAGE: the pages of RUN below are run, and links, options and figures are checked in all
Markdown files of the repository.

How a page is written:

    ```sh                       commands; all blocks of a page run in one bash, in a scratch folder with data/
    ```text                     behind such a block: its output. Numbers and times may differ; `...` stands for
                                any lines
    ```python                   runs in the same folder, all blocks of a page in one Python
    <!-- not run: REASON -->    before a block: it is not run
    <!-- fails: CODE -->        before a block: its last command ends with this exit code
    <!-- with messages -->      before a block: its output has what is said on stderr, too
    <!-- figures: NAME --> ... <!-- end of figures -->    a table of docs/figures.json
"""

import argparse
import os
import pathlib
import signal
import sys
import time

from pages import figures, links, options
from pages.markdown import Failure, Page
from pages.output import difference, shown_lines
from pages.shell import Session

RUN = (
    "README.md", "docs/tutorial.md", "docs/how-to/*.md", "docs/cluster.md", "docs/files.md", "docs/python.md",
    "docs/review.md", "docs/serve.md", "docs/trunks.md",
)
# Commands of old versions are history.
WITHOUT_OPTIONS = {"CHANGELOG.md"}
NOT_OURS = {"target", "node_modules"}


class Documents:
    """A check or a refresh of pages: what was done, and what is wrong."""

    def __init__(self, arguments):
        self.root = arguments.root.resolve()
        self.program = arguments.program or built(self.root)
        self.python = arguments.python
        self.refreshes = arguments.verb == "refresh"
        self.figures = figures.read(self.root / "docs/figures.json")
        self.asked = options.Program(self.program)
        self.pages = {}
        self.failures, self.not_run, self.skipped = [], [], []
        self.n_run = 0

    def fail(self, page, line, message):
        self.failures.append(f"{page.name}:{line}: {message}")

    def look(self, path, runs):
        """Does all that is to be done with a page."""
        try:
            page = self.pages.get(path.resolve()) or Page(path, self.root)
            self.pages[path.resolve()] = page
            wrong = list(links.check(page, self.root, self.pages))
        except Failure as failure:
            self.failures.append(str(failure))
            return
        if page.name not in WITHOUT_OPTIONS:
            wrong += options.check(page, self.asked)
        for line, message in wrong:
            self.fail(page, line, message)
        edits = list(self.compare_figures(page))
        if runs:
            begin, before = time.monotonic(), self.n_run
            edits += self.run(page)
            n, seconds = self.n_run - before, time.monotonic() - begin
            print(f"{page.name}: {n} blocks run in {seconds:.0f} s", flush=True)
        if edits and self.refreshes:
            lines = page.lines[:]
            for begin, end, new in sorted(edits, reverse=True):
                lines[begin:end] = new
            page.path.write_text("\n".join(lines) + "\n", "utf-8")
            print(f"{page.name}: {len(edits)} blocks written")

    def compare_figures(self, page):
        """Yields edits: the lines from one to another (from 0), and what is to be there."""
        for name, begin, end in figures.regions(page):
            if end is None:
                self.fail(page, begin + 1, f"the figures {name} have no <!-- end of figures -->")
            elif name not in self.figures:
                self.fail(page, begin + 1, f"docs/figures.json has no figures {name}")
            else:
                shown, expected = page.lines[begin + 1 : end], figures.rendered(self.figures[name])
                if shown == expected:
                    continue
                if not self.refreshes:
                    diff = difference_of_figures(shown, expected)
                    self.fail(page, begin + 1, f"the figures {name} are not those of docs/figures.json\n{diff}")
                yield begin + 1, end, expected

    def run(self, page):
        """Runs the page's blocks, and yields edits."""
        with Session(self.root, self.program, self.python) as session:
            ran = None
            for n, block in enumerate(page.blocks):
                if page.is_output(n):
                    if ran is not None:
                        yield from self.compare(page, block, ran)
                elif block.language in ("sh", "python"):
                    ran = self.run_block(session, page, block)
                    if ran is False:
                        self.fail(page, block.line, "the blocks after this one were not run")
                        return

    def run_block(self, session, page, block):
        """What came of a block; None where it was not run, False where nothing after it can be."""
        if "not run" in block.marks:
            reason = block.marks["not run"]
            if not reason:
                self.fail(page, block.line, "say why this is not run: <!-- not run: REASON -->")
            self.not_run.append(f"{page.name}:{block.line}: {reason}")
            return None
        if block.language == "python" and self.python is None:
            self.skipped.append(f"documents/{page.name}:{block.line}: no Python with cnn_codes is given (--python)")
            return None
        ran = session.run(block)
        self.n_run += 1
        wrong = what_is_wrong(block, ran)
        if wrong is None:
            return ran
        line, message = wrong
        self.fail(page, block.line + line, "\n    ".join([message, *(ran.messages or ran.lines)[-8:]]))
        has_ended = block.language == "sh" and "fails" not in block.marks
        return False if has_ended or ran.status is None else None

    def compare(self, page, block, ran):
        """Yields an edit where the block shows other lines than came."""
        real, shown = without_end(ran.lines), without_end(block.lines)
        found = shown_lines(shown, real)
        if found is None and self.refreshes and "..." not in [line.strip() for line in shown]:
            found = real
        if found is None:
            self.fail(page, block.line, f"this is not what the commands print\n{difference(shown, real)}")
        elif found != shown:
            yield block.line, block.end - 1, [(block.indent + line).rstrip() for line in found]

    def summary(self):
        """Prints what was found, and returns the exit code."""
        for line in self.not_run:
            print(f"not run: {line}")
        for line in self.skipped:
            print(f"skipped: {line}")
        skips = os.environ.get("CNN_CODES_TEST_SKIPS")
        if skips and self.skipped:
            with open(skips, "a", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in self.skipped)
        for failure in self.failures:
            print(failure, file=sys.stderr)
        print(
            f"{len(self.pages)} pages: {self.n_run} blocks run, {len(self.not_run)} not run, "
            f"{len(self.skipped)} skipped, {len(self.failures)} failures"
        )
        is_forbidden = self.skipped and os.environ.get("REQUIRE_ALL", "0") != "0"
        return 1 if self.failures or is_forbidden else 0


def what_is_wrong(block, ran):
    """The line within the block, and the message, where it did not end as it should."""
    if ran.status is None:
        return 0, "this takes too long, and was killed"
    expected = int(block.marks.get("fails") or 0)
    where = min((line for _, line in ran.failed), default=0)
    if expected == 0:
        return None if ran.status == 0 else (where, f"this fails with exit code {ran.status}")
    if where and where < last_command(block):
        return where, f"this fails with exit code {ran.failed[0][0]}; only the last command of the block may"
    if ran.status != expected:
        return last_command(block), f"this should end with exit code {expected}, and ends with {ran.status}"
    return None


def last_command(block):
    """The line within the block, from 1, on which its last command begins."""
    is_code = [bool(line.strip()) and not line.lstrip().startswith("#") for line in block.lines]
    last = max((n for n, code in enumerate(is_code, 1) if code), default=0)
    while last > 1 and block.lines[last - 2].rstrip().endswith(("\\", "|", "&&")):
        last -= 1
    return last


def without_end(lines):
    """Lines without blank ones at the end."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return lines[:end]


def difference_of_figures(shown, expected):
    return "\n".join([f"    -{line}" for line in shown if line not in expected]
                     + [f"    +{line}" for line in expected if line not in shown])


def built(root):
    """The program as cargo builds it."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    for profile in ("release", "debug"):
        if (target / profile / "cnn-codes").exists():
            return target / profile / "cnn-codes"
    sys.exit(f"there is no cnn-codes in {target}; build it, or name it with --program")


def markdown_files(root):
    """All Markdown files of the repository, but for those that are built or hidden."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in NOT_OURS)
        yield from (pathlib.Path(folder) / name for name in sorted(files) if name.endswith(".md"))


def parsed(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["check", "refresh"])
    parser.add_argument("page", nargs="*", type=pathlib.Path)
    parser.add_argument("--program", type=pathlib.Path, help="cnn-codes [default: target/release, then target/debug]")
    parser.add_argument("--no-run", action="store_true", help="look at links, options and figures alone")
    parser.add_argument("--python", type=pathlib.Path, help="a Python with the package cnn_codes")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[1], help=argparse.SUPPRESS)
    return parser.parse_args(words)


def end(*_):
    """On SIGTERM: ends what a page runs, and removes its folder. `timeout` sends the signal twice."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def main(words=None):
    arguments = parsed(words)
    documents = Documents(arguments)
    root = documents.root
    run = {path.resolve() for path in arguments.page}
    run = run or {path.resolve() for pattern in RUN for path in root.glob(pattern)}
    for path in sorted(run) if arguments.page else sorted(run | {path.resolve() for path in markdown_files(root)}):
        documents.look(path, path in run and not arguments.no_run)
    return documents.summary()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    sys.exit(main())
