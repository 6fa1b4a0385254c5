"""The output that a page shows, compared with the real one, or replaced by it."""

import difflib
import re

ELLIPSIS = "..."
# As in 1h 2m 3s, which is one time.
DURATION = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:d|h|m|s|ms)(?: \d+(?:h|m|s|ms|us|ns))*\b")
# A number that stands by itself, not one in a name such as vgg16; with its sign, and the unit of a time.
NUMBER = re.compile(
    r"(?<![\w.])[-+]?\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?(?:x\d+)*"
    r"(?:\s?(?:ns|us|µs|ms|s|min|h|seconds?|minutes?|hours?|days?)\b)?"
)


def plain(line):
    """A line without what changes from run to run: numbers, times, and how many spaces align them."""
    line = NUMBER.sub("#", DURATION.sub("#", line))
    return re.sub(r"\s+", " ", line).strip()


def shown_lines(shown, real):
    """The real lines in place of those that a page shows, its `...` kept; None where they do not match."""
    parts = [[]]
    for line in shown:
        if line.strip() == ELLIPSIS:
            parts.append([])
        else:
            parts[-1].append(line)
    plain_real = [plain(line) for line in real]
    plain_parts = [[plain(line) for line in part] for part in parts]
    if len(parts) == 1:
        return real if plain_real == plain_parts[0] else None

    def is_at(start, part):
        return plain_real[start : start + len(part)] == part

    def places():
        """Where each part begins: the first and the last at the ends, the others as early as may be."""
        first, *middle, last = plain_parts
        yield 0 if is_at(0, first) else None
        end = len(first)
        for part in middle:
            start = next((n for n in range(end, len(real) - len(part) + 1) if is_at(n, part)), None)
            yield start
            end = (start or 0) + len(part)
        start = len(real) - len(last)
        yield start if start >= end and is_at(start, last) else None

    lines = []
    for place, part in zip(places(), parts):
        if place is None:
            return None
        lines += real[place : place + len(part)] + [ELLIPSIS]
    return lines[:-1]


def difference(shown, real):
    """A unified diff from what the page shows to what came; lines that differ in numbers alone count as equal."""
    by_plain = {}
    for line in shown:
        by_plain.setdefault(plain(line), line)
    real = [by_plain.get(plain(line), line) for line in real]
    lines = difflib.unified_diff(shown, real, "the page shows", "the commands print", lineterm="", n=2)
    return "\n".join("    " + line for line in lines)
