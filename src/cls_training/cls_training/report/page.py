"""A page of sections with figures and tables, and its HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, field
import re

import jinja2
import numpy as np
from numpy.typing import NDArray

from ..exploration.pictures import data_uri


@dataclass(frozen=True)
class Figure:
    """A picture or a drawing.

    Attributes:
        source: data URI of a picture, or SVG. caption: below it. is_marked: gets a frame.
    """

    source: str
    caption: str = ''
    is_marked: bool = False

    @classmethod
    def of(cls, image: NDArray[np.uint8], caption: str = '', *, is_marked: bool = False) -> 'Figure':
        """Makes the figure of an image uint8 (H, W, 3)."""
        return cls(data_uri(image), caption, is_marked)

    @property
    def svg(self) -> str:
        """The drawing; empty for a picture."""
        return self.source if self.source.startswith('<svg') else ''


@dataclass(frozen=True)
class Bar:
    """A table cell that is drawn as a bar, of a share in 0..1."""

    share: float


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first of `header` may be empty. Cells are text or a Bar."""

    header: Sequence[str]
    rows: Sequence[Sequence[str | Bar]]


@dataclass
class Block:
    """Text, then figures side by side, then a table; each may be absent.

    Attributes:
        is_large: figures are drawings that need width. is_closed: the block opens on a click, with `text` as its title.
    """

    text: str = ''
    figures: Sequence[Figure] = ()
    table: Table | None = None
    is_large: bool = False
    is_closed: bool = False


@dataclass
class Section:
    """A part of the page with an entry in the table of contents."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """Name of its place in the page."""
        return re.sub(r'[^a-z0-9]+', '-', self.title.lower()).strip('-')


@dataclass
class Page:
    """A whole report. `facts`: what it is about, by name; `summary`: what matters most, in sentences."""

    title: str
    made: str
    facts: dict[str, str]
    summary: list[str]
    sections: list[Section]


def render(page: Page) -> str:
    """Returns a page as one HTML document."""
    loader = jinja2.PackageLoader('cls_training.report', '.')
    own = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return own.get_template('page.html.j2').render(page=page, is_bar=lambda cell: isinstance(cell, Bar))


def number(value: float) -> str:
    """Returns a number for people: three digits, a dash for NaN."""
    if value != value:
        return '-'
    return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.3g}'
