"""Which of a few languages a text is written in, told by its script or its commonest words; and those words."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

import regex

UNKNOWN = ""
"""A list of names, code, a language of no list: such a text is stemmed as if it were English."""


@dataclass(frozen=True, slots=True)
class Language:
    """`stemmer` is its name at Snowball. `common` words are no terms at all; `asking` words say nothing about what is
    asked for, and are left out of questions only. All are lower-cased."""

    stemmer: str
    common: frozenset[str]
    asking: frozenset[str]


def _language(stemmer: str, common: str, asking: str) -> Language:
    return Language(stemmer, frozenset(common.split()), frozenset(asking.split()))


LANGUAGES: Mapping[str, Language] = MappingProxyType(
    {
        "en": _language(
            "english",
            "a an and are as at be but by for if in into is it no not of on or such that the their then there these they"
            " this to was will with",
            "what which who whom whose how when where why does do did done doing can could i you he she we me my mine our"
            " ours your yours his her hers its us should would may might am any has have had having been being were from"
            " about than them so some also",
        ),
        "de": _language(
            "german",
            "aber als am an auch auf aus bei bin bis das dass dem den der des die dies diese dieser dieses doch du durch"
            " ein eine einem einen einer eines er es für hat haben ich ihr im in ist ja mit nach nicht noch nur oder sein"
            " sich sie sind so über um und uns vom von vor war wenn werden wir wird zu zum zur",
            "was wer wen wem wessen wo wohin woher wann warum weshalb wieso wie welche welcher welches welchen welchem"
            " kann kannst können könnte muss müssen darf dürfen soll sollen mein meine meinen meinem meiner unser unsere"
            " man mir mich gibt gab wurde wurden hatte hatten mehr bitte macht machen mache machst tut tun heißt heißen bedeutet",
        ),
        "fr": _language(
            "french",
            "à au aux avec c ce ces cette d dans de des du elle elles en est et être eux il ils j je l la le les leur lui"
            " m mais me même n ne nos notre nous on ont ou où par pas plus pour qu que qui s sa sans se ses si son sont"
            " sur t ta te tes tu un une votre vous y",
            "quel quelle quels quelles quoi quand comment pourquoi combien dont peut peux pouvez puis dois doit"
            " devez faut mon ma mes avez ai a était étaient été fait font faire sert servent signifie veut dire",
        ),
        "es": _language(
            "spanish",
            "a al como con de del e el ella ellas ellos en entre era es esta este esto fue ha han hay la las le les lo"
            " los más me mi muy no nos o para pero por que se ser si sin sobre son su sus también un una uno unos y ya",
            "qué quién quiénes cuál cuáles cuándo cuánto cuánta cuántos cuántas cómo dónde adónde puede puedo pueden"
            " podría debe debo deben mis tu tus tiene tengo tienen estaba estaban fueron hace hacen hacer sirve sirven significa quiere decir",
        ),
        "it": _language(
            "italian",
            "a ai al alla alle anche c che chi ci col con d da dal dalla dei del della delle di e è ed era essere fra gli"
            " ha hanno i il in io l la le lei lo loro lui ma mi nel nella nelle noi non o per più se si sono su sua suo"
            " sul sulla tra un una uno vi",
            "cosa quale quali quando quanto quanta quanti quante come dove perché può posso possono potrebbe deve devo"
            " devono mio mia miei mie questo questa questi queste ho hai furono erano stato stata fa fanno fare serve servono significa vuol dire",
        ),
        "pt": _language(
            "portuguese",
            "a à ao aos as às até com como da das de dela dele do dos e é ela elas ele eles em entre era esta este eu foi"
            " há isso isto já lhe mais mas me na nas não nem no nos o os ou para pela pelas pelo pelos por que se sem ser"
            " seu sua são também te tem um uma umas uns você",
            "quê quem qual quais quando quanto quanta quantos quantas onde porquê porque pode posso podem poderia deve"
            " devo devem meu minha meus minhas foram eram tinha tinham está estão faz fazem fazer serve servem significa quer dizer",
        ),
        "nl": _language(
            "dutch",
            "aan al als bij daar dan dat de deze die dit door een en er geen haar had heb hebben heeft het hij hun ik in"
            " is je maar me met mij na naar niet nog nu of om onder ons ook op over te tot uit van veel voor want we wel"
            " ze zich zij zijn zo",
            "wat wie wiens waar waarom wanneer hoe hoeveel welke welk kan kun kunnen kunt mag moet moeten zal zullen zou"
            " mijn onze jouw uw was waren werd werden wordt worden meer doet doen betekent heet heten",
        ),
        "ru": _language(
            "russian",
            "а без более бы был была были было быть в вам вас вы где для до его ее если есть ещё еще же за и из или им их"
            " к как ко когда ли либо мне мы на над нам не него нее нет ни но о об он она они оно от по под при с со так"
            " также там то того только у уже чтобы эта эти это этот я",
            "что кто кого кому чем какой какая какое какие каких сколько куда откуда почему зачем можно может могу могут"
            " нужно надо должен должна мой моя мои моего наш ваш такое такой такая такие делает делать означает значит",
        ),
    }
)

_OF_SCRIPT = {
    "zh": regex.compile(r"\p{Han}"),
    "ja": regex.compile(r"[\p{Hiragana}\p{Katakana}]"),
    "ko": regex.compile(r"\p{Hangul}"),
    "th": regex.compile(r"\p{Thai}"),
    "ar": regex.compile(r"(?V1)[\p{Arabic}--[پچژگکیٹڈڑے]]"),
    "hi": regex.compile(r"\p{Devanagari}"),
    "el": regex.compile(r"\p{Greek}"),
}
_KANA_SHARE = 10  # Japanese has a kana at least for so many Chinese characters
_LEAST_LETTERS = 0.2  # of all characters: names and code stand in Latin letters everywhere
_LEAST_WORDS = 3
_LEAST_SHARE = 0.12
_AHEAD = 1.15  # times as many words as the next language

_OF_COMMON = {
    word: tuple(code for code, language in LANGUAGES.items() if word in language.common)
    for word in frozenset[str]().union(*(language.common for language in LANGUAGES.values()))
}
_OF_ASKING = {
    word: tuple(code for code, language in LANGUAGES.items() if word in language.asking | language.common)
    for word in frozenset[str]().union(
        *(language.asking | language.common for language in LANGUAGES.values())
    )
}


def language_of_text(words: Iterable[str]) -> str:
    """The language whose commonest words make up the largest part of the lower-cased `words`.

    In prose they are a third of all words. `UNKNOWN` where they are rare, or two languages as likely as each other.
    """
    total, counts = _count(words, _OF_COMMON)
    if not counts:
        return UNKNOWN
    (first, most), *others = counts.most_common(2)
    is_frequent = most >= max(_LEAST_WORDS, total * _LEAST_SHARE)
    is_ahead = not others or most >= others[0][1] * _AHEAD
    return first if is_frequent and is_ahead else UNKNOWN


def language_of_script(text: str) -> str:
    """The language that a script is taken for which most letters of the text are in; `UNKNOWN` for Latin letters."""
    if text.isascii():
        return UNKNOWN
    counts = {code: len(script.findall(text)) for code, script in _OF_SCRIPT.items()}
    if counts["ja"] * _KANA_SHARE > counts["zh"]:
        counts["ja"] += counts.pop("zh")
    code = max(counts, key=counts.__getitem__)
    return code if counts[code] >= len(text) * _LEAST_LETTERS else UNKNOWN


def languages_of_question(words: Iterable[str]) -> list[str]:
    """The same for a few words, of which one is enough: all languages that are as likely; only English if it is one of
    them, since names and words of other languages stand in English questions; none where no word tells."""
    _, counts = _count(words, _OF_ASKING)
    most = max(counts.values(), default=0)
    likely = [code for code, count in counts.items() if count == most]
    return ["en"] if "en" in likely else likely


def _count(words: Iterable[str], languages_of: Mapping[str, tuple[str, ...]]) -> tuple[int, Counter[str]]:
    known = list(words)
    return len(known), Counter(
        chain.from_iterable(languages_of[word] for word in known if word in languages_of)
    )
