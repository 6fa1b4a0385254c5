"""Tables of measurements, rendered from docs/figures.json between comments of a page.

An entry has "columns", a list of names; "rows", lists of as many texts; "command", "processor" and "date", which
become the caption.
"""

import json
import re

BEGIN = re.compile(r"^\s*<!--\s*figures:\s*(\S+)\s*-->\s*$")
END = re.compile(r"^\s*<!--\s*end of figures\s*-->\s*$")
KEYS = {"columns", "rows", "command", "processor", "date"}


def read(path):
    """The entries by name; none where there is no file."""
    if not path.exists():
        return {}
    figures = json.loads(path.read_text("utf-8"))
    for name, figure in figures.items():
        if set(figure) != KEYS:
            raise ValueError(f"{path.name}: {name} must have {', '.join(sorted(KEYS))}, and has {', '.join(figure)}")
        if any(len(row) != len(figure["columns"]) for row in figure["rows"]):
            raise ValueError(f"{path.name}: {name} has a row with more or fewer texts than columns")
    return figures


def regions(page):
    """Name, and lines (from 0) of the comments, of each region; a region without an end has None for that."""
    name = begin = None
    for n, line in enumerate(page.lines):
        if n + 1 in page.fenced:
            continue
        begins = BEGIN.match(line)
        if begins:
            if name is not None:
                yield name, begin, None
            name, begin = begins[1], n
        elif END.match(line) and name is not None:
            yield name, begin, n
            name = None
    if name is not None:
        yield name, begin, None


def rendered(figure):
    """The lines of a table and its caption. Columns of numbers are aligned to the right."""
    columns, rows = figure["columns"], figure["rows"]

    def is_numeric(n):
        return n > 0 and all(re.match(r"[-+]?\d", row[n]) for row in rows)

    def row(cells):
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|" + "|".join("---:" if is_numeric(n) else "---" for n in range(len(columns))) + "|"
    caption = f"(`{figure['command']}`, {figure['processor']}, {figure['date']}.)"
    return ["", row(columns), rule, *map(row, rows), "", caption, ""]
