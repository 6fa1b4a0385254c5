#!/usr/bin/env python3
"""Lists every message that the program and its libraries can give, by package, with file and line.

    scripts/messages.py [--plain] [PACKAGE...]

Taken from the Rust sources: texts of `#[error("...")]`, of `bail!`, `anyhow!`, `context` and `with_context`, of the
functions that print or say (`say`, `print`, ...), and advice that is put behind messages (crates/cli/src/remedy.rs).
Tests are left out. It is for reading all of them at once: does each say what was wrong, where, and what to do next?
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# What a message begins with; the string follows, perhaps after format!( or a closure.
CALLS = {
    "error": r"#\[error\(\s*",
    "bail": r"\bbail!\(\s*",
    "anyhow": r"\banyhow!\(\s*",
    "context": r"\.(?:with_)?context\((?:\s*\|[^|]*\|)?\s*(?:format!\(\s*)?",
    "say": r"\b(?:say|say_kept|print|print_result|print_json)\(\s*(?:Format::\w+,\s*)?&?(?:format!\(\s*)?",
    "advice": r"=>\s*\{?\s*(?:return\s+)?(?:format!\(\s*)?(?=\"[;,] |\" \()",
    "error made": r"\bErr\((?:format!\(\s*)?(?:\w+::\w+\()?(?=\")",
}
STRING = re.compile(r'r#"(.*?)"#|"((?:[^"\\]|\\.)*)"', re.DOTALL)


def package(path):
    """The name of the package that a source is of."""
    parts = path.relative_to(ROOT).parts
    if parts[0] == "crates":
        return {"cli": "cnn-codes-cli"}.get(parts[1], parts[1])
    return "python" if parts[0] == "python" else "cnn-codes"


def sources():
    for folder in (ROOT / "src", *sorted((ROOT / "crates").glob("*/src")), ROOT / "python/src"):
        yield from sorted(folder.rglob("*.rs"))


def without_tests(text):
    """A source up to its tests."""
    return text.split("#[cfg(test)]\nmod tests", 1)[0]


def unescaped(string):
    """A string of Rust as it is: without the line ends and spaces that a backslash takes away."""
    text = string[1] if string[1] is not None else re.sub(r"\\\n\s*", "", string[2])
    return text.replace('\\"', '"').replace("\\n", "\n").strip("\n")


def messages(path):
    """Line, kind and text of each message of a source."""
    text = without_tests(path.read_text("utf-8"))
    found = {}
    for kind, call in CALLS.items():
        for begin in re.finditer(call, text):
            string = STRING.match(text, begin.end())
            if string and " " in string[0]:
                found[begin.end()] = (text.count("\n", 0, begin.end()) + 1, kind, unescaped(string))
    return [found[at] for at in sorted(found)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", nargs="*")
    parser.add_argument("--plain", action="store_true", help="without files and lines, to compare two versions")
    arguments = parser.parse_args()
    by_package = {}
    for path in sources():
        for line, kind, text in messages(path):
            place = f"{path.relative_to(ROOT)}:{line}"
            by_package.setdefault(package(path), []).append((place, kind, text))
    unknown = set(arguments.package) - set(by_package)
    if unknown:
        sys.exit(f"there are no messages of {', '.join(sorted(unknown))}; packages are {', '.join(by_package)}")
    for name, found in by_package.items():
        if arguments.package and name not in arguments.package:
            continue
        print(f"\n{name}: {len(found)} messages")
        for place, kind, text in found:
            text = text.replace("\n", "\n" + " " * 8)
            print(f"  {text}" if arguments.plain else f"  {place} ({kind})\n      {text}")


if __name__ == "__main__":
    main()
