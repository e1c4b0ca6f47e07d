"""What one document may cost: the limits of the worker's process, and those that parsers keep themselves."""

from dataclasses import dataclass

from ragstone.core.errors import ParseLimit

DEEPEST = (
    3  # files may lie this many containers deep: in a zip, in a mail in a zip, in a zip in a mail in a zip
)
MOST_CHILDREN = 1_000  # in a container and all that are nested in it


@dataclass(frozen=True, slots=True)
class Limits:
    """For one document. The process keeps the first five, parsers the others."""

    # 50 MB on one line take 450 MB; a page of nothing but tags takes thirty times its size and is refused at 10 MB.
    memory_bytes: int = 512 * 2**20
    # 50 MB of prose take 20 to 30 s to parse and chunk.
    cpu_s: float = 60.0
    # Five times that, since this process, being nice, gets a fifth or less of a busy machine, and a document must not
    # fail because others are asked about. It also ends what waits without using the processor.
    wall_s: float = 300.0
    # A question that somebody waits for goes before a document.
    niceness: int = 10
    # 50 MB of ASCII: the largest upload cannot hold more unless it was inflated.
    characters: int = 50_000_000
    # The longest printed works have a tenth of it; 200,000 empty pages fit into 15 MB.
    pages: int = 20_000
    # Out of an archive or an office document, and out of all archives inside it; the process holds no more.
    inflated_bytes: int = 400 * 2**20
    # Of one file inside another: as much as may be uploaded by itself.
    child_bytes: int = 100 * 2**20
    # Of all of them together: held until the last one is known, beside the container, in 512 MiB.
    children_bytes: int = 128 * 2**20
    # What tesseract reads pictures in, such as `eng+deu`.
    ocr_languages: str = "eng"


class BoundedParser:
    """A parser that keeps limits itself."""

    def __init__(self, limits: Limits | None = None):
        self.limits = limits or Limits()


class Allowance:
    """Counts the text that is made, since a small file can hold a large table, and going on would only cost memory.
    Cells are not counted: empty ones cost next to nothing, and a header that is repeated with a million rows costs
    more than they do."""

    def __init__(self, characters: int):
        self._most = characters
        self._left = characters

    def take(self, text: str) -> str:
        """The text itself. Raises ParseLimit once there is too much of it."""
        self._left -= len(text)
        if self._left < 0:
            raise ParseLimit(f"the document holds more than {self._most} characters of text")
        return text
