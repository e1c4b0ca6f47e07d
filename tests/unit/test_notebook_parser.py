import json
from typing import Any

import pytest

from ragstone.core.errors import NoText, ParseFailed
from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.notebook import NotebookParser


def notebook(*cells: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"cells": cells, "nbformat": 4, **more}).encode()


def prose(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source.splitlines(keepends=True)}


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": [text]}


def shown(**bundle: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {k.replace("_", "/"): v for k, v in bundle.items()}}


def parse(content: bytes) -> ParsedDocument:
    return NotebookParser().parse(content)


def blocks(*cells: dict[str, Any]) -> list[tuple[str, str]]:
    parsed = parse(notebook(*cells))
    return [(block.kind.value, parsed.text[block.start : block.end]) for block in parsed.blocks]


class TestCells:
    def test_headings_hold_over_cells(self) -> None:
        parsed = parse(notebook(prose("# Title\n\nText."), prose("## Part"), code("x = 1")))
        assert parsed.title == "Title"
        assert parsed.blocks[-1].heading == ("Title", "Part")
        assert parsed.blocks[-1].kind is BlockKind.CODE

    def test_title_of_the_metadata_is_the_second_choice(self) -> None:
        assert parse(notebook(prose("Text."), metadata={"title": "Meta"})).title == "Meta"

    def test_code_keeps_its_indentation(self) -> None:
        assert blocks(code("\n    if x:\n        y()\n")) == [("code", "    if x:\n        y()")]

    def test_open_fence_ends_with_its_cell(self) -> None:
        assert blocks(prose("```\nx"), prose("after")) == [("code", "x"), ("paragraph", "after")]

    def test_raw_cells_stay_as_they_are(self) -> None:
        assert blocks({"cell_type": "raw", "source": "\\begin{x}"}) == [("code", "\\begin{x}")]

    def test_format_3(self) -> None:
        sheet = {
            "cells": [
                {"cell_type": "heading", "level": 2, "source": ["Part"]},
                {
                    "cell_type": "code",
                    "input": ["print(1)"],
                    "outputs": [{"output_type": "stream", "text": ["1"]}],
                },
            ]
        }
        parsed = parse(json.dumps({"worksheets": [sheet], "nbformat": 3}).encode())
        assert parsed.text == "Part\n\nprint(1)\n\n1"


class TestOutputs:
    def test_text_is_included(self) -> None:
        assert blocks(code("f()", printed("one\n"), shown(text_plain="42"))) == [
            ("code", "f()"),
            ("code", "one"),
            ("code", "42"),
        ]

    def test_pictures_are_not(self) -> None:
        figure = "<Figure size 640x480 with 1 Axes>"
        assert blocks(code("f()", shown(image_png="iVBORw0K", text_plain=figure))) == [("code", "f()")]
        assert blocks(code("f()", shown(text_plain="<IPython.core.display.HTML object>"))) == [
            ("code", "f()")
        ]

    def test_errors_are_their_last_line(self) -> None:
        error = {
            "output_type": "error",
            "ename": "ValueError",
            "evalue": "no",
            "traceback": ["\x1b[0;31mlong"],
        }
        assert blocks(code("f()", error))[1] == ("code", "ValueError: no")

    def test_colours_and_overwritten_progress_go(self) -> None:
        assert blocks(code("f()", printed("\x1b[1;31mred\x1b[0m\n 1%\r 50%\r100%\r\nend")))[1] == (
            "code",
            "red\n100%\nend",
        )


class TestRefusals:
    @pytest.mark.parametrize("content", [b"[]", b"{}", b'{"cells": 1}', b'{"cells": [', b"no"])
    def test_what_is_no_notebook(self, content: bytes) -> None:
        with pytest.raises(ParseFailed):
            parse(content)

    def test_nothing_to_read(self) -> None:
        with pytest.raises(NoText):
            parse(notebook(code("", printed("\n"))))

    @pytest.mark.parametrize(
        "cell", [{}, {"cell_type": [], "source": {}}, {"cell_type": "code", "outputs": {"a": 1}}]
    )
    def test_odd_cells_are_passed_over(self, cell: dict[str, Any]) -> None:
        assert blocks(cell, prose("text")) == [("paragraph", "text")]
