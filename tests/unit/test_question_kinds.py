"""What kind of thing a question asks for, and in which language."""

import time

import pytest

from ragstone.core.question_kinds import (
    WORDINGS,
    Expected,
    Kind,
    kind_of,
    subject_of,
)

ASKED: dict[Kind, dict[str, tuple[str, ...]]] = {
    Kind.QUANTITY: {
        "en": ("When was it built?", "In what year did it open?", "How many doors are there?"),
        "de": ("Wann öffnet der Laden?", "In welchem Jahr war das?", "Wie viele Türen hat es?"),
        "fr": ("Quand ouvre la boutique ?", "En quelle année ?", "Combien de portes y a-t-il ?"),
        "es": ("¿Cuándo abre la tienda?", "¿En qué año fue?", "¿Cuántas puertas tiene?"),
        "it": ("Quando apre il negozio?", "In che anno?", "Quante porte ha?"),
        "pt": ("Quando abre a loja?", "Em que ano?", "Quantas portas tem?"),
        "nl": ("Wanneer gaat de winkel open?", "In welk jaar was dat?", "Hoeveel deuren zijn er?"),
        "ru": ("Когда открывается магазин?", "В каком году это было?", "Сколько там дверей?"),
        "zh": ("商店什么时候开门？", "保修期多久？"),
        "ja": ("店はいつ開きますか。", "保証は何年ですか。"),
        "ko": ("가게는 언제 열어요?", "문이 몇 개예요?"),
        "ar": ("متى يفتح المتجر؟", "كم عدد الأبواب؟"),
        "hi": ("दुकान कब खुलती है?", "कितने दरवाज़े हैं?"),
    },
    Kind.NAME: {
        "en": ("Who wrote it?", "Where is it made?", "In which city was it made?"),
        "fr": ("Qui l'a écrit ?", "Où est la boutique ?"),
        "es": ("¿Quién lo escribió?", "¿Dónde está?"),
        "it": ("Chi lo ha scritto?", "Dove si trova?"),
        "pt": ("Quem escreveu isso?", "Onde fica?"),
        "nl": ("Wie heeft het geschreven?", "Waar is het?"),
        "ru": ("Кто это написал?", "Где находится магазин?"),
    },
    Kind.LISTING: {
        "en": ("List the colours.", "Which colours are available?", "What are the steps of a reset?"),
        "de": ("Nenne die Farben.", "Welche Farben gibt es?"),
        "fr": ("Quelles sont les couleurs ?", "Listez les étapes."),
        "es": ("¿Cuáles son los colores?", "¿Qué colores hay?"),
        "it": ("Quali sono i colori?", "Elenca i colori."),
        "pt": ("Quais são as cores?", "Liste as cores."),
        "nl": ("Noem de kleuren.", "Welke kleuren zijn er?"),
        "ru": ("Перечислите цвета.", "Какие цвета есть?"),
        "zh": ("有哪些颜色？",),
        "ja": ("色の一覧を見せて。",),
        "ko": ("색을 나열해 주세요.",),
        "ar": ("اذكر الألوان.",),
        "hi": ("रंगों की सूची दें।",),
    },
    Kind.EXPLANATION: {
        "en": ("Why is it red?", "How do I reset it?"),
        "de": ("Warum ist es rot?", "Wie setze ich es zurück?"),
        "fr": ("Pourquoi est-ce rouge ?", "Comment le réparer ?"),
        "es": ("¿Por qué es rojo?", "¿Cómo se repara?"),
        "it": ("Perché è rosso?", "Come si ripara?"),
        "pt": ("Por que é vermelho?", "Como se repara?"),
        "nl": ("Waarom is het rood?", "Hoe zet ik het terug?"),
        "ru": ("Почему он красный?", "Как его сбросить?"),
        "zh": ("为什么是红色的？", "怎么重置？"),
        "ja": ("なぜ赤いですか。", "どうやって戻しますか。"),
        "ko": ("왜 빨간가요?", "어떻게 초기화하나요?"),
        "ar": ("لماذا هو أحمر؟", "كيف أعيد ضبطه؟"),
        "hi": ("यह लाल क्यों है?", "इसे कैसे ठीक करें?"),
    },
}
ROWS = [
    (kind, code, text) for kind, codes in ASKED.items() for code, texts in codes.items() for text in texts
]


@pytest.mark.parametrize(("kind", "code", "text"), ROWS)
def test_a_question_asks_for_its_kind_of_thing(kind: Kind, code: str, text: str) -> None:
    assert kind_of(text, code) is kind


@pytest.mark.parametrize("text", ["What is a compass?", "Compass", "", "Was ist das?", "¿Qué es eso?"])
def test_other_questions_ask_for_nothing_in_particular(text: str) -> None:
    assert kind_of(text, "") is None


def test_where_the_language_is_unknown_those_in_latin_letters_are_tried() -> None:
    assert kind_of("Quanti giorni?", "") is Kind.QUANTITY


@pytest.mark.parametrize(
    ("question", "code", "sentence", "is_expected"),
    [
        ("When?", "en", "It opened in 1902.", True),
        ("How many doors?", "en", "It has four doors.", True),
        ("How many doors?", "en", "It has doors.", False),
        ("Wie viele Türen?", "de", "Es hat vier Türen.", True),
        ("多少扇门？", "zh", "它有四个门。", True),
        ("कितने दरवाज़े?", "hi", "दरवाज़े १२ हैं।", True),
        ("Who met Ada?", "en", "Then Ada met Émile there.", True),
        ("Who met Ada?", "en", "Then Ada met him there.", False),
        ("Кто это?", "ru", "Это написала Ольга.", True),
        ("Wo ist es?", "de", "Dort steht das Haus.", False),
        ("What is it?", "en", "It is 12 Names.", False),
    ],
)
def test_a_sentence_holds_what_is_expected_or_not(
    question: str, code: str, sentence: str, is_expected: bool
) -> None:
    assert Expected.of(question, code).is_in(sentence) is is_expected


def test_hostile_questions_take_linear_time() -> None:
    started = time.process_time()
    for code in (*WORDINGS, ""):
        for text in ("¿ " * 4_000, "what are the " * 600, "which " * 1_300, "welche a " * 900):
            kind_of(text, code)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("question", "code", "definition", "other"),
    [
        (
            "What is a virtual package?",
            "en",
            "A virtual package is a name.",
            "It provides the virtual package.",
        ),
        ("Was ist Debian?", "de", "Debian ist ein System.", "Viele Leute nutzen seit langem Debian."),
        ("Qu'est-ce que Debian ?", "fr", "Debian est un système.", "Beaucoup de gens utilisent Debian."),
        ("¿Qué es un paquete?", "es", "Un paquete es un archivo.", "Se instala con otro paquete."),
        ("Что такое пакет?", "ru", "Пакет — это архив.", "Он устанавливает новый пакет."),
        ("什么是软件包？", "zh", "软件包是一个文件。", "它提供了其他一些东西和软件包。"),
        (
            "パッケージとは何ですか？",
            "ja",
            "パッケージはファイルです。",
            "それは新しいものをたくさん含むパッケージです。",
        ),
    ],
)
def test_a_definition_begins_with_what_it_defines(
    question: str, code: str, definition: str, other: str
) -> None:
    expected = Expected.of(question, code)

    assert expected.is_in(definition)
    assert not expected.is_in(other)


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("What is it?", "en"),
        ("What is the difference between the packages in contrib and those in non-free?", "en"),
        ("Wie ist das?", "de"),
        ("What is Debian?", ""),
    ],
)
def test_other_questions_ask_for_no_definition(question: str, code: str) -> None:
    assert subject_of(question, code) == ""


def test_a_source_is_foreign_only_where_both_languages_are_known() -> None:
    expected = Expected.of("Was ist das?", "de")

    assert [expected.is_foreign(code) for code in ("de", "fr", "")] == [False, True, False]
