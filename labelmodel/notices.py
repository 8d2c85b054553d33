"""What a fit finds worth saying, with the sources or classes that it is about.

A notice holds their numbers apart from its words, so that whoever knows the names can say it with
names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["no_votes", "one_source", "alike", "one_class", "silent", "copies", "alike_pairs",
               "mixed", "lost_class", "fallback"]  # fmt: skip


@dataclass(frozen=True)
class Notice:
    """One finding of a fit.

    Attributes
    ----------
    kind : str
        "no_votes", "one_source", "alike", "one_class", "silent", "copies", "alike_pairs",
        "mixed", "lost_class" or "fallback".
    text : str
        The finding; `{names}` stands for the sources or classes.
    sources, classes : tuple of int
        Which it is about.
    """

    kind: Kind
    text: str
    sources: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()

    def worded(
        self, lf_names: Sequence[str] | None = None, class_names: Sequence[str] | None = None
    ) -> str:
        """The finding in words.

        Parameters
        ----------
        lf_names, class_names : sequence of str, optional
            What sources and classes are called; their numbers by default.
        """
        sources = [str(j) if lf_names is None else lf_names[j] for j in self.sources]
        classes = [str(y) if class_names is None else class_names[y] for y in self.classes]
        return self.text.replace("{names}", ", ".join(sources + classes))

    def __str__(self) -> str:
        """Return the finding with numbers for names."""
        return self.worded()


def silent_sources(silent: Sequence[int], n_sources: int) -> Notice:
    """Notice of sources that never voted; of no text where there are none."""
    text = f"{len(silent)} of {n_sources} labeling functions never voted" if len(silent) else ""
    return Notice("silent", text, sources=tuple(int(source) for source in silent))


def mixed_sources(n_functions: int, n_annotators: int) -> Notice:
    """Notice that a job has functions and annotators."""
    text = (
        f"{n_functions} sources were taken for labeling functions and {n_annotators} for "
        "annotators, and fitted each in their way"
    )
    return Notice("mixed", text)
