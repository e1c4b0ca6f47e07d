"""What kind of thing a question asks for, told by how it asks: data for thirteen languages, and nothing that learns.

A question that no pattern knows asks for nothing in particular; that is no error, as a kind only shifts a preference.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

import regex


class Kind(Enum):
    """`QUANTITY` also stands for points in time, `NAME` for persons and places."""

    QUANTITY = "quantity"
    NAME = "name"
    LISTING = "listing"
    EXPLANATION = "explanation"


@dataclass(frozen=True, slots=True)
class Wording:
    """How one language asks; each entry is an alternative of regular expressions, tried in this order.

    An entry that begins with `^` has to open the question, any other may stand anywhere in it. `numbers` are words for
    numbers. In languages whose nouns all have capitals, or whose script has none, a name cannot be told: no `name`.
    """

    listing: Iterable[str] = ()
    quantity: Iterable[str] = ()
    name: Iterable[str] = ()
    explanation: Iterable[str] = ()
    numbers: str = ""


WORDINGS: Mapping[str, Wording] = MappingProxyType(
    {
        "en": Wording(
            listing=(
                "^(?:please )?(?:list|name (?:all|the)|enumerate)",
                "^(?:what|which) (?:\\w+ ){0,4}are (?:there|available|supported|included|allowed)",
                "^what (?:are|were) (?:the|all)",
                "^what (?:do|does|did) .{1,80} (?:include|contain|consist of|comprise)",
                "steps",
            ),
            quantity=(
                "^when",
                "^how (?:far|often|big|large|fast|high|tall|deep|wide|heavy)",
                "how (?:many|much|long|old)",
                "^what (?:day|month|time)",
                "(?:what|which) (?:\\w+ )?(?:year|date|century|decade|percentage|percent|number|amount)",
            ),
            name=(
                "^(?:who|whom|whose|where)",
                "^(?:by|to|for|with|from) whom",
                "(?:what|which) (?:\\w+ )?(?:person|country|city|company|name)",
            ),
            explanation=(
                "^(?:how (?:do|does|did|can|should|is|are|to)|why|explain|describe|tell me about|compare)",
            ),
            numbers="one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred"
            " thousand million billion half third quarter dozen century",
        ),
        "de": Wording(
            listing=(
                "^(?:bitte )?(?:nenne?|nennen sie|liste|listen sie|zähle?|zählen sie)",
                "^welche .{1,80} (?:gibt es|gehören|stehen|werden unterstützt|sind (?:erlaubt|möglich|verfügbar))",
                "^was (?:sind|waren) die",
                "^(?:woraus|aus was) besteht",
                "^was (?:gehört|enthält|umfasst)",
                "schritte",
            ),
            quantity=(
                "^(?:ab|bis|seit)? ?wann",
                "^wie (?:alt|weit|oft|gro(?:ß|ss)|hoch|schwer|teuer|schnell|breit|tief)",
                "wie ?(?:viele?|viel|lange)",
                "welche[mnrs]? (?:jahr|datum|tag|monat|jahrhundert|uhrzeit|preis|anzahl|zahl)",
            ),
            explanation=(
                "^(?:wie|warum|weshalb|wieso|erkläre?|erklären sie|erläutere?|beschreibe?|beschreiben sie|vergleiche)",
            ),
            numbers="zwei drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig hundert tausend"
            " million millionen halbe hälfte drittel viertel",
        ),
        "fr": Wording(
            listing=(
                "^(?:listez?|énumérez?|citez?|nommez?|donnez la liste)",
                "^(?:quels|quelles) (?:sont|étaient)",
                "^que (?:contient|comprend|comporte)",
                "étapes",
            ),
            quantity=(
                "^(?:depuis |jusqu'à )?quand",
                "combien",
                "quelle? (?:année|date|jour|mois|siècle|heure|prix|nombre|âge|durée|distance|taille)",
            ),
            name=(
                "^(?:à |de |par |avec |pour )?qui",
                "^(?:d')?où",
                "quelle? (?:pays|ville|personne|société)",
            ),
            explanation=("^(?:comment|pourquoi|expliquez?|décrivez?|décris|comparez?)",),
            numbers="deux trois quatre cinq six sept huit neuf dix onze douze vingt trente cent mille million millions"
            " moitié tiers quart",
        ),
        "es": Wording(
            listing=(
                "^(?:enumera|lista|nombra|menciona)",
                "^¿?cuáles (?:son|eran)",
                "^¿?qué .{1,80} (?:hay|existen|incluye|contiene)",
                "^¿?qué (?:incluye|contiene|comprende)",
                "pasos",
            ),
            quantity=(
                "^¿?(?:desde |hasta )?cuándo",
                "cuánt[oa]s?",
                "qué (?:año|fecha|día|mes|siglo|hora|precio|número|edad)",
            ),
            name=(
                "^¿?(?:a |de |por |con )?quién(?:es)?",
                "^¿?(?:a|de)?dónde",
                "qué (?:país|ciudad|persona|empresa)",
            ),
            explanation=("^¿?(?:cómo|por qué|explica|describe|compara)",),
            numbers="dos tres cuatro cinco seis siete ocho nueve diez once doce veinte treinta cien ciento mil millón"
            " millones mitad tercio cuarto",
        ),
        "it": Wording(
            listing=(
                "^(?:elenca|elencare|nomina)",
                "^quali (?:sono|erano)",
                "^cosa (?:include|contiene)",
                "passaggi",
            ),
            quantity=(
                "^(?:da |fino a )?quando",
                "quant[oaie]",
                "(?:che|quale) (?:anno|data|giorno|mese|secolo|ora|prezzo|numero|età)",
            ),
            name=(
                "^(?:a |di |da |con )?chi",
                "^(?:da )?dove",
                "(?:quale|che) (?:paese|città|persona|azienda)",
            ),
            explanation=("^(?:come|perché|spiega|descrivi|confronta)",),
            numbers="due tre quattro cinque sei sette otto nove dieci undici dodici venti trenta cento mille milione"
            " milioni metà terzo quarto",
        ),
        "pt": Wording(
            listing=(
                "^(?:liste|enumere|cite)",
                "^quais (?:são|eram)",
                "^o que (?:inclui|contém)",
                "passos|etapas",
            ),
            quantity=(
                "^(?:desde |até )?quando",
                "quant[oa]s?",
                "(?:que|qual) (?:ano|data|dia|mês|século|hora|preço|número|idade)",
            ),
            name=(
                "^(?:a |de |por |com )?quem",
                "^(?:a|de)?onde",
                "(?:que|qual) (?:país|cidade|pessoa|empresa)",
            ),
            explanation=("^(?:como|por ?qu[eê]|explique|descreva|compare)",),
            numbers="dois duas três quatro cinco seis sete oito nove dez onze doze vinte trinta cem cento mil milhão"
            " milhões metade terço quarto",
        ),
        "nl": Wording(
            listing=(
                "^(?:noem|geef een lijst|som)",
                "^welke .{1,80} (?:zijn er|bestaan er)",
                "^wat zijn de",
                "stappen",
            ),
            quantity=(
                "^(?:sinds |tot )?wanneer",
                "^hoe (?:oud|ver|vaak|groot|hoog|zwaar|duur|snel|breed|diep)",
                "hoe(?:veel| veel| lang)",
                "welke? (?:jaar|datum|dag|maand|eeuw|prijs|aantal)",
            ),
            name=(
                "^(?:van |met |door )?wie",
                "^waar(?:heen|vandaan)?",
                "welke? (?:land|stad|persoon|bedrijf)",
            ),
            explanation=("^(?:hoe|waarom|leg|beschrijf|vergelijk)",),
            numbers="twee drie vier vijf zes zeven acht negen tien elf twaalf twintig dertig honderd duizend miljoen"
            " helft derde kwart",
        ),
        "ru": Wording(
            listing=(
                "^(?:перечисли(?:те)?|назови(?:те)?)",
                "^какие .{1,80} (?:есть|существуют|бывают|входят)",
                "^что (?:входит|включает)",
                "(?:шаги|этапы)",
            ),
            quantity=(
                "^(?:с |до )?как(?:ого|их) (?:года|числа)|^когда",
                "сколько",
                "как(?:ой|ом|ого) (?:год|году|года|день|числа|месяце|веке|цена|срок)",
            ),
            name=("^(?:с |у |от )?(?:кто|кого|кому|кем|чей|чья)", "^(?:где|куда|откуда)"),
            explanation=("^(?:как|почему|зачем|объясни(?:те)?|опиши(?:те)?|сравни(?:те)?)",),
            numbers="два две три четыре пять шесть семь восемь девять десять одиннадцать двенадцать двадцать тридцать сто"
            " тысяча тысячи тысяч миллион половина треть четверть",
        ),
        "zh": Wording(
            listing=("(?:哪些|列出|列举|步骤)",),
            quantity=("(?:什么时候|何时|多少|多久|多长|多大|多远|多高|多重|几(?!乎)|哪一?年|哪天|哪一天)",),
            explanation=("(?:怎么|怎样|如何|为什么|为何|解释|说明|描述)",),
            numbers="[一二两三四五六七八九十百千万半]+(?=[年月日天个小时分秒元米克公里周次人台只])",
        ),
        "ja": Wording(
            listing=("(?:一覧|列挙|挙げて|手順|どんな.{1,40}ありますか)",),
            quantity=(
                "(?:いつ|何時|何年|何月|何日|何分|何人|何回|何度|何個|いくつ|いくら|どのくらい|どれくらい)",
            ),
            explanation=("(?:どうやって|どのように|どうすれば|なぜ|どうして|説明)",),
            numbers="[一二三四五六七八九十百千万半]+(?=[年月日時分秒円個人回週台])",
        ),
        "ko": Wording(
            listing=("(?:나열|목록|종류는|단계)",),
            quantity=("(?:언제|몇|얼마)",),
            explanation=("(?:어떻게|왜|설명)",),
            numbers="(?:한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|스무|백|천|만) ?(?=[개명시번살달대주])",
        ),
        "ar": Wording(
            listing=("^(?:اذكر|عدد|ما هي)", "خطوات"),
            quantity=("متى", "(?:^|\\W)كم(?:\\W|$)", "(?:أي|اي) (?:عام|سنة|يوم|شهر|تاريخ)"),
            explanation=("^(?:كيف|لماذا|اشرح|صف)",),
            numbers="(?:اثنان|اثنين|يومان|يومين|ثلاثة|ثلاث|أربعة|أربع|خمسة|خمس|ستة|ست|سبعة|سبع|ثمانية|تسعة|عشرة|عشر|مئة|ألف|نصف|ربع)",
        ),
        "hi": Wording(
            listing=("(?:सूची|कौन-कौन|कौन कौन|चरण)",),
            quantity=("(?:कब|कितन[ाेी]|किस (?:वर्ष|साल|दिन|तारीख))",),
            explanation=("(?:कैसे|क्यों|समझाइए|समझाएं|वर्णन)",),
            numbers="(?:दो|तीन|चार|पाँच|पांच|छह|सात|आठ|नौ|दस|बीस|सौ|हज़ार|हजार|लाख|आधा)",
        ),
    }
)

_LATIN = tuple(code for code in WORDINGS if code not in ("ru", "zh", "ja", "ko", "ar", "hi"))
_LONGEST_READ = 2_000  # characters; what a question asks for stands in its beginning

QUOTED_QUESTION = regex.compile(r"[?？؟]\s?[\"'“”‘’»›」』]")
"""In a sentence that only says where it is answered."""

_NAME = regex.compile(r"(?<=[\w,;] )\p{Lu}\w+")


def kind_of(text: str, language: str) -> Kind | None:
    """What a question in `language` (as a question's terms have it) asks for; in any of those in Latin letters where it is
    empty."""
    opening = text[:_LONGEST_READ]
    for code in (language,) if language else _LATIN:
        for kind, pattern in _PATTERNS.get(code, ()):
            if pattern.search(opening):
                return kind
    return None


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer to a question should hold."""

    kind: Kind | None
    language: str
    known: str
    """The question, lower-cased: a name that it holds itself is no answer to it."""
    subject: str = ""
    """What is to be defined: a sentence that does so begins with it."""

    @classmethod
    def of(cls, text: str, language: str) -> "Expected":
        """By the question's kind."""
        return cls(kind_of(text, language), language, text.lower(), subject_of(text, language))

    def is_in(self, sentence: str) -> bool:
        """Whether a sentence holds the kind of thing that is asked for."""
        if self.kind is Kind.QUANTITY:
            return _NUMBERS.get(self.language, _DIGIT).search(sentence) is not None
        if self.kind is Kind.NAME:
            return any(name.lower() not in self.known for name in _NAME.findall(sentence))
        return bool(self.subject) and self.subject in sentence[: len(self.subject) + _BEFORE_SUBJECT].lower()

    def is_foreign(self, language: str) -> bool:
        """Whether a source's language and the question's are known and differ."""
        return bool(language and self.language) and language != self.language


def subject_of(text: str, language: str) -> str:
    """What a question asks to be told the nature of, lower-cased; empty where it asks for something else."""
    definition = _DEFINITIONS.get(language)
    found = None if definition is None else definition.search(text[:_LONGEST_READ])
    subject = "" if found is None else next(filter(None, found.groups()), "").strip(" ?？؟!.").lower()
    return subject if len(subject.encode()) > 2 and len(subject) <= _LONGEST_SUBJECT else ""


def _compile(alternatives: Iterable[str]) -> "regex.Pattern[str]":
    opening = [each[1:] for each in alternatives if each.startswith("^")]
    anywhere = [each for each in alternatives if not each.startswith("^")]
    patterns = [rf"\A\W*+(?:{'|'.join(opening)})(?!\w)"] if opening else []
    return regex.compile("|".join([*patterns, *map(_as_words, anywhere)]), regex.I)


def _as_words(pattern: str) -> str:
    """Whole words, in scripts that have them."""
    return (
        rf"\b(?:{pattern})\b"
        if pattern.isascii() or regex.search(r"[\p{Latin}\p{Cyrillic}]", pattern)
        else pattern
    )


def _number_pattern(numbers: str) -> "regex.Pattern[str]":
    words = numbers if "[" in numbers or "(" in numbers else rf"\b(?:{'|'.join(numbers.split())})\b"
    return regex.compile(rf"\d|{words}", regex.I)


_LONGEST_SUBJECT, _BEFORE_SUBJECT = 40, 8  # characters; an article stands in front
_DEFINITIONS = {
    code: regex.compile(pattern, regex.I)
    for code, pattern in {
        "en": r"^\W*what(?:'s| is| are) (?:an? |the )?(.+)",
        "de": r"^\W*was (?:ist|sind) (?:ein |eine |der |die |das )?(.+)",
        "fr": r"^\W*qu['’]est[- ]ce qu(?:e |['’])(?:un |une |le |la |les |l['’])?(.+)",
        "es": r"^\W*qué (?:es|son) (?:un |una |el |la |los |las )?(.+)",
        "it": r"^\W*(?:che cos|cos)['’]?\s?(?:è|sono) (?:un |una |un['’]|il |la |lo |i |gli |le )?(.+)",
        "pt": r"^\W*o que (?:é|são) (?:um |uma |o |a |os |as )?(.+)",
        "nl": r"^\W*wat (?:is|zijn) (?:een |de |het )?(.+)",
        "ru": r"^\W*что такое (.+)",
        "zh": r"^\W*(?:什么|什麼)是(.+)|^(.+?)是(?:什么|什麼)",
        "ja": r"^(.+?)(?:とは|って)",
        "ko": r"^(.+?)(?:이란|란|은|는)? ?무엇",
        "ar": r"^\W*ما (?:هو|هي) (.+)",
        "hi": r"^(.+?) क्या (?:है|हैं|होता)",
    }.items()
}
_DIGIT = regex.compile(r"\d")
_NUMBERS = {code: _number_pattern(wording.numbers) for code, wording in WORDINGS.items()}
_PATTERNS = {
    code: tuple(
        (kind, _compile(alternatives))
        for kind, alternatives in (
            (Kind.LISTING, tuple(wording.listing)),
            (Kind.QUANTITY, tuple(wording.quantity)),
            (Kind.NAME, tuple(wording.name)),
            (Kind.EXPLANATION, tuple(wording.explanation)),
        )
        if alternatives
    )
    for code, wording in WORDINGS.items()
}
