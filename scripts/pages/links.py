"""Links of pages, against files and their headings."""

import re
import urllib.parse

from .markdown import Page

ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)")


def check(page, root, pages):
    """What is wrong with the page's links: line and message. `pages` keeps those that were read."""
    for line, target in page.links():
        if ELSEWHERE.match(target):
            continue
        path, _, anchor = urllib.parse.unquote(target).partition("#")
        if path.startswith("/"):
            found = root / path[1:]
        else:
            found = page.path.parent / path if path else page.path
        if not found.exists():
            yield line, f"the link to {target} leads nowhere: there is no {path}"
        elif anchor and found.suffix == ".md":
            found = found.resolve()
            if found not in pages:
                pages[found] = Page(found, root)
            if anchor not in pages[found].anchors():
                yield line, f"the link to {target} leads nowhere: {pages[found].name} has no heading #{anchor}"
