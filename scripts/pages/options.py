"""Verbs and options that pages name, against those of the program's --help."""

import difflib
import re
import subprocess

from .markdown import INLINE

# Blocks that hold no commands for a shell.
OTHER_LANGUAGES = {"text", "toml", "json", "rust", "python", "csv", "html", "dockerfile", "mermaid"}
COMMAND = re.compile(r"(?:^|[\s`(/=])cnn-codes[ \t]+([a-z][a-z-]*)((?:'[^']*'|\"[^\"]*\"|[^|;&`#'\"]|&(?=&)|#(?! ))*)")
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
INDENTED = re.compile(r"^(?: {4}|\t)")


class Program:
    """The verbs and options of a program, from its own help."""

    def __init__(self, path):
        self.path, self._options = path, {}
        help_text = self._help("--help")
        verbs = help_text.split("Commands:\n", 1)[-1].split("\n\n", 1)[0]
        self.verbs = re.findall(r"^  ([a-z][a-z-]*)", verbs, re.MULTILINE)

    def options(self, verb):
        if verb not in self._options:
            found = re.findall(r"^ +(?:-\w, )?--([a-z][a-z0-9-]*)", self._help(verb, "--help"), re.MULTILINE)
            self._options[verb] = set(found)
        return self._options[verb]

    def _help(self, *words):
        return subprocess.run([self.path, *words], capture_output=True, text=True, check=True).stdout


def check(page, program):
    """What is wrong with the page's commands: line and message."""
    for line, verb, rest in commands(page, program.verbs):
        if verb not in program.verbs:
            yield line, f"`cnn-codes {verb}`: there is no such verb{meant(verb, program.verbs)}"
            continue
        for option in OPTION.findall(rest):
            if option not in program.options(verb):
                likely = meant(f"--{option}", [f"--{name}" for name in program.options(verb)])
                yield line, f"`cnn-codes {verb}` has no option --{option}{likely}"


def meant(name, names):
    """A name that may be meant, as the end of a message."""
    likely = difflib.get_close_matches(name, names, 1)
    return f"; is {likely[0]} meant?" if likely else ""


def commands(page, verbs):
    """Commands of the program: line, verb, and what follows the verb."""
    for line, text in pieces(page, verbs):
        for verb, rest in COMMAND.findall(text):
            yield line, verb, rest


def pieces(page, verbs):
    """Code of a page, each piece with its line: blocks by their commands, indented lines, and code within prose."""
    for block in page.blocks:
        if block.language not in OTHER_LANGUAGES:
            yield from joined((block.line + n, text) for n, text in enumerate(block.lines, 1))
    prose = page.prose()
    yield from joined((n, text) for n, text in prose if INDENTED.match(text))
    text = "\n".join(text if not INDENTED.match(text) else "" for _, text in prose)
    numbers = [n for n, _ in prose]
    for code in INLINE.finditer(text):
        line = numbers[text.count("\n", 0, code.start())]
        inner = " ".join(code[2].split())
        # A verb that stands by itself, with options: `train-head --tune`.
        if inner.split(" ")[0] in verbs and " --" in inner:
            inner = f"cnn-codes {inner}"
        yield line, inner


def joined(lines):
    """Lines with those that go on behind a backslash."""
    start, text = None, ""
    for line, more in lines:
        start = start or line
        if more.rstrip().endswith("\\"):
            text += more.rstrip()[:-1] + " "
            continue
        yield start, text + more
        start, text = None, ""
    if text:
        yield start, text
