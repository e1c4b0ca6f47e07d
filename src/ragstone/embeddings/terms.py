"""Text to the terms that the lexical leg matches: the words of any script, each in one form.

- Words are runs of letters, digits and combining marks; apostrophes and hyphens part them. Case and compatibility
  forms (NFKC) make no difference, nor do the vowel signs of Arabic. An emoji is a word; so are C++ and C#.
- Scripts that are written without spaces, and Hangul, become pairs of characters; a word of one character is found by
  that character.
- Commonest words are dropped, others stemmed: by their script, or, in Latin letters, by the language that the text
  seems to be written in (`languages`).
- Of a question the words that only ask are left out, and in Japanese what is written in Hiragana, mostly grammar.
- Other forms go with a word: the parts of a name in camelCase or snake_case, and the English stem of a word that was
  stemmed otherwise, for those whose language was told wrongly, here or in the question. A question whose language
  cannot be told has the stems of all that it may be in.

Time is linear in the length of the text: about a microsecond a word.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from threading import Lock
from typing import NamedTuple

import regex
import Stemmer

from ragstone.core.models import Terms
from ragstone.embeddings.languages import (
    LANGUAGES,
    UNKNOWN,
    Language,
    language_of_script,
    language_of_text,
    languages_of_question,
)

VERSION = 1
"""Of everything here that decides what becomes of a text; a change makes another fingerprint."""
MOST_WORDS_ASKED = 256
"""Distinct words of a question; what follows them is not looked for."""

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー々〆"
_WORD = regex.compile(
    rf"(?V1)[{_UNSPACED}][{_UNSPACED}\p{{M}}]*+"
    r"|(?<![\p{L}\p{N}_])\p{Latin}{1,2}(?:\+\+|\#)(?![\p{L}\p{N}_+\#])"
    rf"|[[\p{{L}}\p{{N}}\p{{M}}_]--[{_UNSPACED}]]++"
    r"|\p{Emoji_Presentation}"
)
_IS_UNSPACED = regex.compile(rf"[{_UNSPACED}]")
_IS_HAN = regex.compile(r"\p{Han}")
_PARTS = regex.compile(r"\p{Lu}++(?!\p{Ll})|\p{Lu}?+\p{Ll}++|\p{N}++|[^\p{L}\p{N}_]++")
_HAS_PARTS = regex.compile(r"[^_]_++[^_]|\p{Ll}\p{Lu}")
_ARABIC_SIGNS = regex.compile(r"[\u0640\u064b-\u065f\u0670]")
_HIRAGANA = regex.compile(r"\p{Hiragana}++")
_ASKING_RUNS = regex.compile(
    "|".join(
        (
            # Chinese
            "什么是|什麼是|是什么|是什麼|为什么|為什麼|什么时候|什麼時候|什么|什麼|怎么样|怎麼樣|怎么|怎麼|怎样|怎樣|如何|何时|何時|多远|为何|為何|能够|能夠|哪些|哪个|哪個|哪里|哪裡|哪儿|哪|谁|誰|多少|几个|幾個|是否"
            "|是不是|有没有|有沒有|能不能|可不可以|可以|能否|请问|請問|是谁|是誰|多长|多長|多大|多高|多久|吗|嗎|呢",
            # Japanese
            "何ですか|何でしょう|何時|何年|何人|何個|誰|何",
            # Korean
            "무엇|뭐|어떻게|언제|어디|누가|누구|왜|얼마|어떤|몇|인가요|입니까|있나요|하나요|되나요|습니까|합니까|됩니까",
            # Thai
            "อะไร|อย่างไร|ยังไง|ที่ไหน|เมื่อไหร่|เมื่อไร|ทำไม|ใคร|กี่|เท่าไหร่|เท่าไร|หรือไม่|ได้ไหม|ไหม|คือ",
        )
    )
)
_HOW_MUCH = regex.compile(
    r"\bhow (?:long|far|old|tall|high|big|large|fast|deep|wide|heavy|often|much|many|soon)\b"
    r"|\bwie (?:hoch|lange?|weit|oft|viele?|alt|teuer|groß|schnell|schwer|tief|breit)\b"
    r"|\bhoe (?:lang|ver|oud|hoog|groot|vaak|veel|duur|snel|zwaar|diep|breed)\b",
    regex.I,
)
_CHINESE_PARTICLES = regex.compile("[几幾吗嗎呢的了是有能要在]")
_ASKING_WORDS = frozenset(
    # Arabic, Hindi, Greek
    str.split(
        "ما ماذا من متى أين كيف لماذا كم هل أي أية هو هي هذا هذه في على إلى عن التي الذي يمكن يمكنني"
        " क्या कौन कब कहाँ कहां कैसे क्यों कितना कितने कितनी किस किसे किसका है हैं था थे का की के में को से पर और मैं हम"
        " τι ποιος ποια ποιο ποιοι πότε πού πως πώς γιατί πόσο πόσα είναι έχει μπορώ το η ο τα οι του της για στο στη με"
    )
)
_NO_LETTERS = regex.compile(r"[\p{N}_+#]")

_LONGEST_QUESTION = 8_000  # characters, also where compatibility forms make more of them
_LONGEST_WORD = 64  # characters; a longer run of letters is no word: it is neither stemmed nor has it parts
_LATIN_ENDS = 0x0250
_SCRIPTS: Sequence[tuple[int, int, str]] = (
    (0x0370, 0x03FF, "greek"),
    (0x0400, 0x052F, "russian"),
    (0x0530, 0x058F, "armenian"),
    (0x0600, 0x06FF, "arabic"),
    (0x0900, 0x097F, "hindi"),
    (0x0B80, 0x0BFF, "tamil"),
)
"""First and last letter of a script, and the stemmer of the language that it is taken for."""

_STEMMING = Lock()
"""A stemmer keeps the word at hand, and is not for two threads at once."""


class _Forms(NamedTuple):
    """Ids of a word: those of its first form (several for a run of characters), and of its others."""

    words: tuple[int, ...]
    others: tuple[int, ...]


_NOTHING = _Forms((), ())


def guess_language(text: str, otherwise: str = UNKNOWN) -> str:
    """The code of the language that a text seems to be written in; `otherwise` where that cannot be told."""
    return language_of_script(text) or language_of_text(text.lower().split()) or otherwise


def text_terms(text: str, language: str = UNKNOWN) -> Terms:
    """The terms of a text in `language`, in order, repeated as they are in it."""
    words: list[int] = []
    others: list[int] = []
    for found in _WORD.finditer(_plain(text)):
        forms = _forms(found[0], language)
        words += forms.words
        others += forms.others
    return Terms(tuple(words), tuple(others), language)


def query_terms(text: str) -> Terms:
    """The distinct terms of a question, in order, without the words that only ask; if it has no others, with them."""
    plain = _plain(text)[:_LONGEST_QUESTION]
    words = list(dict.fromkeys(found[0] for found in _WORD.finditer(plain)))
    script = language_of_script(plain)
    likely = [script] if script else languages_of_question(word.lower() for word in words)
    language = likely[0] if len(likely) == 1 else UNKNOWN
    further = [] if len(likely) == 1 else likely or list(LANGUAGES)
    asking = _language(language).asking
    shorter = _HOW_MUCH.sub(" ", plain if plain.isascii() else _ASKING_RUNS.sub(" ", plain))
    if script == "zh":
        shorter = _CHINESE_PARTICLES.sub(" ", shorter)
    said = dict.fromkeys(
        part
        for found in _WORD.finditer(shorter)
        for part in _meant(found[0])
        if part.lower() not in asking and part not in _ASKING_WORDS
    )
    return (
        _distinct(list(said), language, further)
        or _distinct(words, language, further)
        or Terms((), (), language)
    )


def _meant(word: str) -> Sequence[str]:
    """A run of Chinese characters, Katakana and Hiragana without the last; other words as they are."""
    if word.isascii() or _HIRAGANA.search(word) is None:
        return (word,)
    return [part for part in _HIRAGANA.sub(" ", word).split() if part.strip("ー")] or (word,)


def _distinct(words: Sequence[str], language: str, further: Sequence[str]) -> Terms | None:
    """None if no word is a term. The stems of `further` languages are other forms."""
    first: dict[int, None] = {}
    others: dict[int, None] = {}
    for word in words:
        forms = _forms(word, language, asked=True)
        first.update(dict.fromkeys(forms.words))
        others.update(dict.fromkeys(forms.others))
        for code in further:
            others.update(dict.fromkeys(_forms(word, code, asked=True).words if forms.words else ()))
        if len(first) >= MOST_WORDS_ASKED:
            break
    chosen = tuple(first)[:MOST_WORDS_ASKED]
    rest = tuple(other for other in others if other not in first)[:MOST_WORDS_ASKED]
    return Terms(chosen, rest, language) if chosen else None


def _plain(text: str) -> str:
    return text if text.isascii() else _ARABIC_SIGNS.sub("", unicodedata.normalize("NFKC", text))


def _forms(word: str, language: str, *, asked: bool = False) -> _Forms:
    if len(word) > _LONGEST_WORD or _IS_UNSPACED.match(word):
        return (
            _characters(word, asked=asked)
            if _IS_UNSPACED.match(word)
            else _Forms((_id(word.casefold()),), ())
        )
    return _known_forms(word, language)


def _characters(run: str, *, asked: bool) -> _Forms:
    """Pairs. A text's single characters are its other forms, a question's only where it has no pair."""
    if len(run) == 1:
        return _Forms((_id(run),), ())
    single = () if asked else tuple(_id(character) for character in run if _IS_HAN.match(character))
    return _Forms(tuple(_id(run[at : at + 2]) for at in range(len(run) - 1)), single)


@lru_cache(maxsize=50_000)
def _known_forms(word: str, language: str) -> _Forms:
    lower = word.casefold()
    if word.lower() in _language(language).common:
        return _NOTHING
    stemmer = _stemmer_of(lower, language)
    first = _id(_stem(lower, stemmer))
    others = [part.casefold() for part in _parts(word)]
    stems = [_stem(part, stemmer) for part in others]
    if stemmer and stemmer != "english" and ord(lower[0]) < _LATIN_ENDS:
        stems.append(_stem(lower, "english"))
    if lower.endswith(("+", "#")):
        stems.append(lower.rstrip("+#"))
    return _Forms((first,), tuple(dict.fromkeys(id_ for stem in stems if (id_ := _id(stem)) != first)))


def _parts(word: str) -> Iterator[str]:
    if _HAS_PARTS.search(word):
        yield from _PARTS.findall(word)


def _stemmer_of(word: str, language: str) -> str:
    """By the first letter's script; empty where there is none."""
    first = ord(word[0])
    if first < _LATIN_ENDS:
        chosen = _language(language).stemmer
        return chosen if chosen != "russian" else "english"
    return next((stemmer for start, end, stemmer in _SCRIPTS if start <= first <= end), "")


def _language(code: str) -> Language:
    """English for those that no list is kept of."""
    return LANGUAGES.get(code) or LANGUAGES["en"]


def _stem(word: str, stemmer: str) -> str:
    if not stemmer or _NO_LETTERS.search(word):
        return word
    with _STEMMING:
        stem: str = _load_stemmer(stemmer).stemWord(word)
    return stem


@cache
def _load_stemmer(name: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(name, 0)  # the forms are remembered here


def _id(term: str) -> int:
    """32 bits."""
    return int.from_bytes(blake2b(term.encode("utf-8", "replace"), digest_size=4).digest(), "little")
