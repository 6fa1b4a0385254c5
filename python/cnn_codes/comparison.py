"""What heads are worth, and which of them is better."""

from __future__ import annotations

import html
import pathlib
from typing import Any

__all__ = ["Comparison", "TrunkComparison"]


class Comparison:
    """Heads that were judged on the same pictures.

    The figures are those of metrics.json: as attributes (``comparison.verdict``, ``comparison.heads["mlp"]["errors"]``),
    and all of them in :attr:`figures`. Printed, it is a few lines; a notebook shows a table.

    Attributes
    ----------
    figures : dict
        All figures.
    path : pathlib.Path or None
        The head's folder.
    """

    def __init__(self, figures, path=None):
        self.figures = figures
        self.path = None if path is None else pathlib.Path(path)

    def __getattr__(self, name: str) -> Any:
        figures = self.__dict__.get("figures", {})
        if name in figures:
            return figures[name]
        raise AttributeError(f"a comparison has no {name}; it has {', '.join(figures)}")

    def __dir__(self):
        return [*super().__dir__(), *self.figures]

    def __getitem__(self, name):
        return self.figures[name]

    @property
    def report(self) -> pathlib.Path | None:
        """The path of the page with pictures, curves and tables, or None."""
        return None if self.path is None else self.path / "report.html"

    @property
    def errors(self) -> dict[str, int]:
        """How many pictures each head got wrong, by its name."""
        return {name: head["errors"] for name, head in self.heads.items() if head}

    def __str__(self):
        lines = [
            f"{name}: {head['errors']} errors of {head['n']}, {head['mean_accuracy']:.1%}, 95% from "
            f"{head['wilson_95'][0]:.1%} to {head['wilson_95'][1]:.1%}"
            for name, head in self.heads.items()
            if head
        ]
        return "\n".join([*lines, self.verdict])

    def __repr__(self):
        told = ", ".join(f"{name}: {errors} of {self.judged_pictures}" for name, errors in self.errors.items())
        return f"Comparison(errors of {told})"

    def _repr_html_(self):
        rows = []
        for name, head in self.heads.items():
            if not head:
                continue
            low, high = head["wilson_95"]
            accuracy = head["mean_accuracy"]
            rows.append(
                f"<tr><td>{html.escape(name)}</td><td>{head['errors']} of {head['n']}</td><td>{accuracy:.1%}</td>"
                f"<td>{low:.1%} to {high:.1%}</td><td>{head['metrics']['log_loss']:.3f}</td></tr>"
            )
        report = f"<p>Report: <code>{html.escape(str(self.report))}</code></p>" if self.report else ""
        return (
            "<table><thead><tr><th>head</th><th>errors</th><th>accuracy</th><th>95% interval</th><th>log loss</th>"
            f"</tr></thead><tbody>{''.join(rows)}</tbody></table><p>{html.escape(self.verdict)}</p>{report}"
        )


class TrunkComparison:
    """The codes of several trunks, judged by the same heads in the same folds.

    Attributes
    ----------
    figures : dict
        All figures, as ``cnn-codes compare-trunks --format json`` prints them.
    """

    def __init__(self, figures):
        self.figures = figures

    @property
    def trunks(self) -> list[dict[str, Any]]:
        """A dict of each trunk and pooling: trunk, pool, errors, accuracy, log_loss, pictures_per_second, licence, ..."""
        return self.figures["trunks"]

    @property
    def chosen(self) -> dict[str, Any]:
        """The dict of the fastest whose log loss is not larger than the smallest by more than a standard error."""
        return next(trunk for trunk in self.trunks if trunk["is_chosen"])

    def __getitem__(self, name):
        return self.figures[name]

    def __repr__(self):
        return f"TrunkComparison({len(self.trunks)} judged, chosen: {self.chosen['trunk']}, pool={self.chosen['pool']})"

    def _repr_html_(self):
        rows = []
        for trunk in self.trunks:
            speed = trunk["pictures_per_second"]
            low, high = trunk["accuracy_95"]
            mark = " (chosen)" if trunk["is_chosen"] else ""
            told = "" if speed is None else f"{speed:.0f}"
            rows.append(
                f"<tr><td>{html.escape(trunk['trunk'])}{mark}</td><td>{trunk['pool']}</td><td>{trunk['errors']}</td>"
                f"<td>{low:.1%} to {high:.1%}</td><td>{trunk['log_loss']:.3f}</td><td>{told}</td></tr>"
            )
        return (
            "<table><thead><tr><th>trunk</th><th>pool</th><th>errors</th><th>accuracy, 95%</th><th>log loss</th>"
            f"<th>pictures/s</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
        )
