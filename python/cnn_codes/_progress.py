"""Progress through tqdm where it is installed, and messages as warnings."""

import re
import sys
import warnings

from ._messages import in_python


class CnnCodesWarning(UserWarning):
    """Something that was done, and should be looked at."""


def shows_bars():
    """Whether somebody looks at bars: in a notebook, or where stderr is a terminal."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive else None
    if hasattr(shell, "kernel"):
        return True
    return sys.stderr is not None and sys.stderr.isatty()


class Listener:
    """Is told how far the work is.

    Parameters
    ----------
    progress : bool or None
        Whether bars are shown. None shows them where tqdm is installed, on a terminal or in a notebook.
    """

    def __init__(self, progress=None):
        self._tqdm = None
        if shows_bars() if progress is None else progress:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                tqdm = None
            self._tqdm = tqdm
        self._bar = None
        self._told = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._close()
        # After the work: with warnings as errors, what was done is there all the same.
        if error[0] is None:
            for message in self._told:
                warnings.warn(in_python(message), CnnCodesWarning, stacklevel=4)
        return False

    def _close(self):
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def say(self, message):
        """A line for people: a warning, unless it is news of the work itself."""
        if message.startswith(("*", " ")):
            # It goes on with the line before.
            if self._told and self._told[-1].startswith("note:"):
                self._told[-1] += "\n" + message
        elif not NEWS.search(message):
            self._told.append(message)

    def stage(self, name, steps):
        """A stage begins."""
        self._close()
        if self._tqdm is not None and steps > 0:
            self._bar = self._tqdm(total=steps, desc=name, leave=False)

    def progress(self, done, done_before, total, failures, detail):
        """The stage is this far."""
        if self._bar is None:
            return
        if total and self._bar.total != total:
            self._bar.total = total
        if done_before and self._bar.initial != done_before and self._bar.n == 0:
            self._bar.initial = done_before
        self._bar.update(done - self._bar.n)
        note = detail.strip(" ,:")
        if note:
            self._bar.set_postfix_str(note, refresh=False)


# What the program says of its work while it does it, which a caller who gets the result need not be told.
NEWS = re.compile(
    r"^(shard .* of )?\d+ pictures? .*through |^going on after |\(head names another\)|--head names another"
    r"|: \d+ pictures, \d+ a second$|: log loss [\d.]+$|^views of the codes, |^downloading |^taking |^groups: "
)
