"""How a model says that its sources do not answer: the marker that it is asked for, or words to that effect."""

import re
from collections.abc import Iterable

UNANSWERABLE = "NO_ANSWER"
"""What the prompt tells a model to write, and nothing else, where the sources do not answer."""

LONGEST_DECLINING = 600  # characters; a longer text says more than that
_MOST_OPENING = 64
_OPENING = " \t\r\n\u00a0\ufeff\"'`*_#>“”„‟‘’‚«»‹›"


class DecliningGate:
    """Holds the beginning of an answer back while it may become the marker."""

    def __init__(self) -> None:
        self._held: str | None = ""
        self.is_declined = False

    def feed(self, piece: str) -> str:
        """As much as is certainly not the marker; nothing ever after the marker was seen."""
        if self._held is None:
            return "" if self.is_declined else piece
        held = self._held + piece
        said = held.lstrip(_OPENING)
        opening = len(held) - len(said)
        said = said[: len(UNANSWERABLE) + 1].replace("\\_", "_")
        self.is_declined = opening <= _MOST_OPENING and said.startswith(UNANSWERABLE)
        if self.is_declined:
            self._held = None
            return ""
        if opening <= _MOST_OPENING and UNANSWERABLE.startswith(said.removesuffix("\\")):
            self._held = held
            return ""
        self._held = None
        return held

    def finish(self) -> str:
        """What was held back, once no more can come."""
        held, self._held = self._held or "", None
        return held


def says_it_declines(text: str) -> bool:
    """Whether a whole answer says no more than that the sources do not answer. Conservative: only its first sentence
    counts, and the sources must be named as what they are to a model (English, German, French, Spanish)."""
    if len(text) > LONGEST_DECLINING:
        return False
    plain = " ".join(text.replace("’", "'").replace("*", "").split())
    return _DECLINING.match(plain) is not None


def _one_of(words: str) -> str:
    return f"(?:{'|'.join(words.split())})"


def _forms(forms: Iterable[str]) -> str:
    return f"(?:{'|'.join(forms)})"


# What may stand in front: regrets, and what the answer says it rests on.
_REGRET = _forms(
    (
        r"(?:i'?m|i am) (?:very )?sorry|sorry|i apologi[sz]e|apologies|unfortunately|regrettably",
        r"it (?:seems|appears) that|(?:based on|according to|from) [^.,!?]{1,80}(?=,)",
        r"(?:es )?tut mir leid|leider|(?:auf )?(?:der )?(?:basis|grundlage) [^.,!?]{1,80}(?=,)",
        r"(?:je suis )?désolée?|malheureusement|(?:d'après|selon) [^.,!?]{1,80}(?=,)",
        r"lo siento|lamentablemente|desafortunadamente|(?:según|con base en) [^.,!?]{1,80}(?=,)",
    )
)
_PREAMBLE = rf"\W{{0,8}}(?:{_REGRET}\W+(?:(?:but|that|aber|dass|mais|pero|que)\W+)?){{0,4}}"

_GIVEN = _one_of("provided given available supplied retrieved above cited listed")
_PLURAL = _one_of("sources documents passages excerpts snippets context")
_SINGULAR = _one_of("source document passage text information material")
_SOURCES = (
    rf"(?:none of )?(?:the |these |those |this |your |my |any of the )?(?:{_GIVEN} )*"
    rf"(?:{_PLURAL}|{_GIVEN} {_SINGULAR})(?: (?:that (?:were|was) )?(?:provided|given|available|retrieved))?"
)
_NOT = r"(?:do|does|did)(?: not|n't)(?: (?:actually|explicitly|directly|specifically|seem to|appear to))?"
_CANNOT = r"(?:cannot|can't|can not|could not|couldn't)"
_TELL = _one_of(
    "contain mention provide answer include address say state specify discuss cover give indicate describe explain"
)
_TOLD = _one_of(
    "mentioned stated specified provided given contained covered described addressed included found discussed answered"
)
_KNOWLEDGE = r"(?:\w+ )?(?:information|details?|answers?|mention|data|evidence)\b"
_ENGLISH = (
    rf"{_SOURCES} {_NOT} {_TELL}\b",
    rf"{_SOURCES} (?:contains?|provides?|gives?|ha(?:s|ve)|makes?) (?:no|not enough|insufficient) {_KNOWLEDGE}",
    rf"{_SOURCES} {_CANNOT} answer\b",
    rf"none of (?:the|these) (?:{_GIVEN} )*{_PLURAL} {_TELL}s?\b",
    r"i (?:do not|don't) know\b",
    rf"(?:i )?(?:{_CANNOT}|am unable to) answer\b",
    rf"i (?:{_CANNOT}|did not|didn't) find (?:any |an |the )?{_KNOWLEDGE}",
    r"i (?:do not|don't) have (?:enough|any|sufficient|the) (?:\w+ )?information\b",
    rf"there (?:is|are|was) (?:no|not enough|insufficient) {_KNOWLEDGE}[^.!?]{{0,200}} (?:in|from|within) {_SOURCES}",
    rf"[^.!?]{{1,200}} (?:is|are|was|were)(?: not|n't) (?:\w+ly )?{_TOLD}"
    rf" (?:in|by|within|anywhere in) {_SOURCES}\W*(?:[.!?]|\Z)",
)

_QUELLEN = (
    r"(?:(?:den|die|der|diesen?|meinen?) )?(?:\w+en )?"
    r"(?:quellen|dokumenten?|textstellen|abschnitten?|auszügen?|kontext)"
)
_DAZU = r"(?:(?:dazu|darüber|hierzu|leider) )*"
_ENTHALTEN = _one_of("enthalten enthält nennen nennt bieten bietet liefern liefert geben gibt machen macht")
_ANGABEN = r"(?:\w+ )?(?:informationen|angaben?|antwort|hinweise?|auskunft)\b"
_GERMAN = (
    r"(?:das |die antwort )?(?:wei(?:ß|ss) ich|ich wei(?:ß|ss)) (?:(?:es|das|leider) )*nicht\b",
    r"(?:diese|die|ihre|deine) frage (?:kann ich|lässt sich) [^.!?]{0,80}nicht beantworten\b",
    r"(?:das )?(?:kann ich|ich kann) [^.!?]{0,80}nicht (?:beantworten|sagen)\b",
    rf"{_QUELLEN} {_ENTHALTEN} {_DAZU}(?:keine|nicht genügend) {_ANGABEN}",
    rf"{_ENTHALTEN} {_QUELLEN} {_DAZU}keine {_ANGABEN}",
    rf"{_QUELLEN} (?:erwähnen|erwähnt|beantworten|beantwortet) [^.!?]{{1,200}} nicht\b",
    rf"(?:in|aus) {_QUELLEN} (?:gibt es|finde[nt] sich|stehen|steht|sind|ist) {_DAZU}(?:keine|nichts)\b",
    rf"in {_QUELLEN} (?:wird|werden) [^.!?]{{1,200}} nicht (?:erwähnt|genannt|beantwortet|behandelt)\b",
)

_LES_SOURCES = r"(?:les|ces|le|ce|aucun des|aucune des) (?:sources|documents|passages|extraits|contexte)"
_FOURNIES = r"(?: (?:fournie?s?|donnée?s?|disponibles?|ci-dessus))?"
_CONTIENNENT = _one_of(
    "contient contiennent mentionne mentionnent fournit fournissent répond répondent précise précisent"
    " indique indiquent permet permettent disent"
)
_FRENCH = (
    rf"{_LES_SOURCES}{_FOURNIES} ne {_CONTIENNENT}\b",
    r"je ne (?:le )?sais pas\b",
    r"je ne (?:peux|puis|suis pas en mesure de) (?:pas )?répondre\b",
    rf"il n'y a (?:pas|aucune?) [^.!?]{{1,200}} dans {_LES_SOURCES}\b",
)

_LAS_FUENTES = r"(?:las|los|el|estas|estos|este) (?:fuentes|documentos|pasajes|fragmentos|contexto)"
_DADAS = r"(?: (?:proporcionad[oa]s?|dad[oa]s?|disponibles?|facilitad[oa]s?))?"
_CONTIENEN = r"(?:contiene|menciona|proporciona|responde|incluye|indica|ofrece|dice|especifica)n?"
_SPANISH = (
    rf"(?:ningun[oa] de )?{_LAS_FUENTES}{_DADAS} no {_CONTIENEN}\b",
    r"no (?:lo )?sé\b",
    r"no puedo (?:responder|contestar)\b",
    r"no tengo (?:suficiente )?información\b",
    rf"no hay (?:ninguna )?(?:información|respuesta|mención)\b[^.!?]{{0,200}} en {_LAS_FUENTES}\b",
)

_DECLINING = re.compile(_PREAMBLE + _forms((*_ENGLISH, *_GERMAN, *_FRENCH, *_SPANISH)), re.I)
