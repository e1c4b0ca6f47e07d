"""What the words of RTF stand for: places that a group's text is for, and characters."""

from enum import Enum, auto

from striprtf.striprtf import destinations


class Place(Enum):
    """What the text of a group is for."""

    BODY = auto()
    NOTE = auto()  # a footnote or a text box: shown, but not inside the sentence where it stands
    MARKER = auto()  # the number or bullet before an item of a list
    NOWHERE = auto()
    WRAPPER = auto()  # nowhere, but one of the groups inside holds what is shown
    TITLE = auto()
    STYLE = auto()
    FONT = auto()


PLACES = {
    **dict.fromkeys(destinations, Place.NOWHERE),
    **dict.fromkeys(str.split("revtbl mmathPict themedata xmlnstbl"), Place.NOWHERE),
    **dict.fromkeys(str.split("shp shpgrp shpinst upr object do"), Place.WRAPPER),
    **dict.fromkeys(str.split("footnote shptxt dptxbxtext"), Place.NOTE),
    **dict.fromkeys(str.split("listtext pntext"), Place.MARKER),
    "stylesheet": Place.STYLE,
    "fonttbl": Place.FONT,
    "info": Place.WRAPPER,
}
SHOWN_IN_WRAPPER = {"ud": Place.BODY, "result": Place.BODY, "title": Place.TITLE}
WITH_OWN_TEXT = frozenset((Place.NOTE, Place.MARKER, Place.TITLE, Place.STYLE, Place.FONT))
CHARACTERS = {
    "tab": "\t",
    "line": "\n",
    "lbr": "\n",
    "softline": "\n",
    "emdash": "—",
    "endash": "–",
    "emspace": " ",
    "enspace": " ",
    "qmspace": " ",
    "bullet": "•",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "zwj": "\u200d",
    "zwnj": "\u200c",
    "zwbo": "\u200b",
    "nestcell": " ",
    "nestrow": " ",
}
SIGNS = {"~": "\xa0", "_": "\u2011", "-": "", "{": "{", "}": "}", "\\": "\\"}
