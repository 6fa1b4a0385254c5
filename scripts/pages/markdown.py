"""A page's blocks of code, the comments before them, its headings and its links."""

import dataclasses
import pathlib
import re

FENCE = re.compile(r"^( *)(`{3,}|~{3,})[ ]*([\w+-]*).*$")
COMMENT = re.compile(r"^\s*<!--\s*(.*?)\s*-->\s*$")
MARK = re.compile(r"(not run|fails|with messages)(?::\s*(.*))?$")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s+<?(\S+?)>?(?:\s|$)")
ANCHOR = re.compile(r"<a\s+(?:id|name)=[\"']([^\"']+)[\"']")
INLINE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)


class Failure(Exception):
    """What is wrong, and where: `PAGE:LINE: MESSAGE`."""

    def __init__(self, page, line, message):
        super().__init__(f"{page.name}:{line}: {message}")


@dataclasses.dataclass
class Block:
    """A fenced block of code."""

    language: str
    line: int  # Of the fence that opens it, from 1.
    lines: list  # Its text, without the indentation of the fence.
    indent: str
    marks: dict  # "not run", "fails", "with messages", each with what follows the colon.

    @property
    def text(self):
        return "".join(line + "\n" for line in self.lines)

    @property
    def end(self):
        """The line of the fence that closes it."""
        return self.line + len(self.lines) + 1


class Page:
    """A file of Markdown."""

    def __init__(self, path, root):
        self.path = pathlib.Path(path)
        self.name = str(self.path.resolve().relative_to(pathlib.Path(root).resolve()))
        self.lines = self.path.read_text("utf-8").splitlines()
        self.blocks = list(self._blocks())
        self.fenced = {n for block in self.blocks for n in range(block.line, block.end + 1)}

    def _blocks(self):
        n = 0
        while n < len(self.lines):
            opened = FENCE.match(self.lines[n])
            n += 1
            if not opened:
                continue
            indent, fence, language = opened.groups()
            first = n
            closes = re.compile(rf"^ *{re.escape(fence)}{re.escape(fence[0])}* *$")
            while n < len(self.lines) and not closes.match(self.lines[n]):
                n += 1
            if n == len(self.lines):
                raise Failure(self, first, "this block of code has no end")
            body = [line.removeprefix(indent) for line in self.lines[first:n]]
            yield Block(language.lower(), first, body, indent, self._marks(first - 1))
            n += 1

    def _marks(self, n):
        """The comments before line `n` (from 0), with blank lines between them or without."""
        marks = {}
        for above in range(n - 1, -1, -1):
            line = self.lines[above]
            comment = COMMENT.match(line)
            mark = comment and MARK.match(comment[1])
            if mark:
                marks[mark[1]] = mark[2] or ""
            elif line.strip():
                break
        return marks

    def is_output(self, n):
        """Whether block `n` is a block of text that directly follows one of commands."""
        block, before = self.blocks[n], self.blocks[n - 1] if n else None
        if block.language != "text" or before is None or before.language not in ("sh", "python"):
            return False
        between = self.lines[before.end : block.line - 1]
        return not any(line.strip() for line in between)

    def prose(self):
        """Lines outside of fenced blocks, numbered from 1."""
        return [(n, line) for n, line in enumerate(self.lines, 1) if n not in self.fenced]

    def anchors(self):
        """What `#...` in a link may name: headings by GitHub's rule, and anchors of HTML."""
        anchors, seen = set(), {}
        for _, line in self.prose():
            anchors.update(ANCHOR.findall(line))
            heading = HEADING.match(line)
            if heading:
                slug = slug_of(heading[1])
                anchors.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
                seen[slug] = seen.get(slug, 0) + 1
        return anchors

    def links(self):
        """Where links of the prose lead, with their lines."""
        for n, line in self.prose():
            line = INLINE.sub(lambda code: " " * len(code[0]), line)
            for target in LINK.findall(line) + REFERENCE.findall(line):
                yield n, target


def slug_of(heading):
    """The anchor that GitHub gives a heading, before it numbers those that come again."""
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    heading = re.sub(r"<[^>]+>", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
