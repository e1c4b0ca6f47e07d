"""A made-up corpus: the same seed always gives the same documents, and questions that they answer."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

SECTIONS = 10
SENTENCES = (4, 6)  # of a section: about 150 tokens, so that one makes about one chunk


def _words(text: str) -> list[str]:
    return text.split()


_SYLLABLES = _words("ba del kor mi tan ves lu ra pen dor si gal tho mar en vi zo hal ner qui")

_PLACES = _words(
    "harbour workshop archive greenhouse observatory depot station laboratory market tower quarry mill"
)
_THINGS = _words(
    "pump turbine ledger sensor valve furnace antenna bridge conveyor filter boiler pipeline gauge "
    "relay rudder lens battery mould cable shutter winch tank mirror engine"
)
_QUALITIES = _words(
    "copper brass narrow portable sealed heavy early modular quiet steady spare automatic coastal "
    "twin hollow curved shallow northern second provisional"
)
_DEEDS = _words(
    "inspected replaced measured calibrated repaired painted tested moved extended ordered shipped rebuilt"
)
_REASONS = (
    "frost",
    "rust",
    "vibration",
    "salt",
    "dust",
    "leakage",
    "overheating",
    "a shortage of oil",
    "a change of supplier",
    "the new regulation",
    "a crack in the housing",
    "an unexpected flood",
)
_REMARKS = (
    "The crew noted that the work took longer than planned and asked for two more people.",
    "A second visit was agreed, since the first readings differed from those in the manual.",
    "Nobody had kept the drawings, so the dimensions were taken again on site.",
    "The committee accepted the report without changes and filed it with the annual accounts.",
    "Visitors may see the result on the first weekend of each month, weather permitting.",
    "Costs stayed within the budget because most of the parts were already in store.",
)


@dataclass(frozen=True, slots=True)
class MadeUpDocument:
    """A Markdown text and, for each of its sections, a question that a sentence of it answers."""

    title: str
    text: str
    questions: tuple[str, ...]


def make_documents(count: int, *, seed: int = 7, sections: int = SECTIONS) -> list[MadeUpDocument]:
    """`count` documents of about `sections` chunks each."""
    source = random.Random(seed)
    return [_document(source, sections) for _ in range(count)]


def make_paragraphs(seed: int = 7) -> Iterator[str]:
    """Endless paragraphs of the same kind."""
    source = random.Random(seed)
    while True:
        yield _section(source, _name(source))[0]


def _document(source: random.Random, sections: int) -> MadeUpDocument:
    town = _name(source)
    title = f"The {source.choice(_PLACES)} of {town}"
    parts, questions = [f"# {title}"], []
    for _ in range(sections):
        person = _name(source)
        text, question = _section(source, person)
        parts += [f"## Report of {person}", text]
        questions.append(question)
    return MadeUpDocument(title, "\n\n".join(parts) + "\n", tuple(questions))


def _section(source: random.Random, person: str) -> tuple[str, str]:
    facts = [_fact(source, person) for _ in range(source.randint(*SENTENCES))]
    sentences = [sentence for sentence, _ in facts]
    sentences.insert(source.randrange(len(sentences)), source.choice(_REMARKS))
    return " ".join(sentences), source.choice(facts)[1]


def _fact(source: random.Random, person: str) -> tuple[str, str]:
    """A sentence and the question that it answers."""
    thing = f"{source.choice(_QUALITIES)} {source.choice(_THINGS)}"
    place, deed, reason = source.choice(_PLACES), source.choice(_DEEDS), source.choice(_REASONS)
    year, amount = source.randint(1880, 2020), source.randint(3, 900)
    sentence = f"In {year} {person} {deed} the {thing} of the {place} because of {reason}, which took {amount} hours."
    return sentence, f"Why was the {thing} of the {place} {deed} by {person}?"


def _name(source: random.Random) -> str:
    return "".join(source.choice(_SYLLABLES) for _ in range(3)).capitalize()
