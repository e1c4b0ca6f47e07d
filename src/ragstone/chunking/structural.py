"""The chunker: spans of about 200 word pieces that follow the document's structure, each within the encoder's limit."""

from collections.abc import Iterable, Iterator, Sequence

from ragstone.chunking.context import ContextBuilder
from ragstone.chunking.known import KnownChunks
from ragstone.chunking.packing import Limits, Packer
from ragstone.chunking.pieces import Cut, Piece, PieceCutter
from ragstone.chunking.tokens import DocumentTokens, TokenCounter, Tokenizer
from ragstone.core.models import Chunk, KnownChunk, ParsedDocument

TARGET_TOKENS = 200
MAX_TOKENS = 254  # the encoder's 256 less [CLS] and [SEP]; what is beyond them it does not see
CONTEXT_TOKENS = 48  # a fifth: enough for a title and three headings, and the text stays the larger part
MAX_CHARACTERS = 4_000  # a word of a million characters is one unknown token; a quote must stay readable

_RUN = 2_000  # pieces that are packed together: bounds memory, and a section's end is soon found


def build_chunker() -> "StructuralChunker":
    """The chunker with the packaged encoder's tokenizer. Raises ModelMissing."""
    from ragstone.core.tokenizer import WordPieceTokenizer

    return StructuralChunker(WordPieceTokenizer.load())


class StructuralChunker:
    """Divides parsed documents into chunks.

    The chunks' spans are in order, do not overlap and cover all blocks but for white space; `text` is
    `parsed.text[start:end]`; `embedding_text` has at most `max_tokens` word pieces; no cut tears a grapheme cluster of
    up to 64 code points. The same document and known chunks give the same chunks. Linear in the length of the text.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        target_tokens: int = TARGET_TOKENS,
        max_tokens: int = MAX_TOKENS,
        context_tokens: int = CONTEXT_TOKENS,
        max_characters: int = MAX_CHARACTERS,
    ):
        self._counter = TokenCounter(tokenizer)
        self._context_tokens = context_tokens
        self._limits = Limits(target_tokens, max_tokens, max_characters)

    def chunk(
        self,
        parsed: ParsedDocument,
        title: str | None,
        known: Iterable[KnownChunk] = (),
        *,
        most_tokens: int | None = None,
    ) -> list[Chunk]:
        """All chunks, in order. `title` opens their contexts. `known` are those of an earlier version: what is
        unchanged is divided as it was. `most_tokens` (100 or more) makes the chunks of this document smaller.
        """
        limits = self._limits.within(most_tokens)
        packer = Packer(limits)
        cutter = PieceCutter(
            parsed.text,
            DocumentTokens(self._counter, parsed.text),
            max_tokens=min(limits.target, limits.most - self._context_tokens),
            max_characters=limits.characters,
        )
        contexts = ContextBuilder(self._counter, title, max_tokens=self._context_tokens)
        known_chunks = KnownChunks(known)
        chunks: list[Chunk] = []
        for run in _runs(cutter.pieces(parsed.blocks)):
            most = [contexts.most_tokens(piece.path) for piece in run]
            for first, stop in packer.pack(run, most, known_chunks.runs(parsed.text, run)):
                chunks.append(_chunk(len(chunks), parsed.text, run[first:stop], contexts))
        return chunks


def _runs(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """The pieces in runs that end with a section, or, if sections are very long, with a block."""
    run: list[Piece] = []
    for piece in pieces:
        if len(run) >= _RUN and piece.cut <= (Cut.SECTION if len(run) < 2 * _RUN else Cut.PART):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _chunk(index: int, text: str, pieces: Sequence[Piece], contexts: ContextBuilder) -> Chunk:
    first, last = pieces[0], pieces[-1]
    path = _common_path(pieces)
    shown = first.path[len(first.path) - first.headings :]
    return Chunk(
        index=index,
        start=first.start,
        end=last.end,
        text=text[first.start : last.end],
        context=contexts.line(path, shown=shown),
        heading=path,
        location=first.location.through(last.location),
        sentences=tuple(sentence for piece in pieces for sentence in piece.sentences),
    )


def _common_path(pieces: Sequence[Piece]) -> tuple[str, ...]:
    path = pieces[0].path
    for piece in pieces:
        while path != piece.path[: len(path)]:
            path = path[:-1]
    return path
