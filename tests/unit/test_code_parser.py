from ragstone.core.models import BlockKind
from ragstone.parsers.code import CodeParser

SOURCE = "import os\n\n\nclass A:\n    x = 1\n\n    def f(self):\n        return 'ß'\n"


def test_text_stays_as_it_is() -> None:
    assert CodeParser().parse(SOURCE.encode()).text == SOURCE


def test_blank_lines_part_blocks_and_indentation_stays() -> None:
    parsed = CodeParser().parse(SOURCE.encode())
    assert {block.kind for block in parsed.blocks} == {BlockKind.CODE}
    assert [parsed.text[block.start : block.end] for block in parsed.blocks] == [
        "import os",
        "class A:\n    x = 1",
        "    def f(self):\n        return 'ß'",
    ]
