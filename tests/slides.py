"""Small presentations, made with python-pptx."""

import io
from collections.abc import Sequence

from pptx import Presentation
from pptx.presentation import Presentation as Deck

_TITLE_AND_CONTENT = 1


def pptx(*slides: tuple[str, Sequence[str]]) -> bytes:
    """A presentation whose slides have a title and a list."""
    deck = Presentation()
    for title, items in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[_TITLE_AND_CONTENT])
        assert slide.shapes.title is not None
        slide.shapes.title.text_frame.text = title
        frame = slide.placeholders[1].text_frame
        frame.text = "\n".join(items)
    return saved(deck)


def saved(deck: Deck) -> bytes:
    """The presentation as a file."""
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()
