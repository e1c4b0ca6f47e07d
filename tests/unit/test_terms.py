"""Which words of a text a question finds: scripts, languages, names of code, and texts that nobody would write."""

import time
from collections.abc import Callable

import pytest

from ragstone.embeddings.languages import LANGUAGES
from ragstone.embeddings.terms import MOST_WORDS_ASKED, guess_language, query_terms, text_terms

GERMAN = "Die Verträge werden mit einer Frist von drei Monaten gekündigt. Das gilt nicht für den Mietvertrag."
FRENCH = "Les contrats sont résiliés avec un préavis de trois mois. Cela ne vaut pas pour les baux."
SPANISH = "Los contratos se cancelan con tres meses de antelación. Esto no es válido para los alquileres."
ITALIAN = "I contratti si disdicono con un preavviso di tre mesi. Questo non vale per gli affitti della casa."
PORTUGUESE = "Os contratos são cancelados com três meses de antecedência. Isso não vale para os aluguéis."
DUTCH = (
    "De contracten worden met een termijn van drie maanden opgezegd. Dit geldt niet voor het huurcontract."
)
RUSSIAN = "Договоры расторгаются с уведомлением за три месяца. Это не относится к договору аренды."
ENGLISH = "The contracts are cancelled with a notice of three months. This is not true for the lease."
TEXTS = {
    "de": GERMAN,
    "fr": FRENCH,
    "es": SPANISH,
    "it": ITALIAN,
    "pt": PORTUGUESE,
    "nl": DUTCH,
    "ru": RUSSIAN,
    "en": ENGLISH,
}


def finds(question: str, text: str, language: str | None = None) -> bool:
    """Whether a word of the question, or a further form of one, is a term of the text."""
    terms = text_terms(text, guess_language(text) if language is None else language)
    asked = query_terms(question)
    return bool({*asked.words, *asked.others} & {*terms.words, *terms.others})


class TestLanguages:
    @pytest.mark.parametrize("language", TEXTS)
    def test_prose_is_told(self, language: str) -> None:
        assert guess_language(TEXTS[language]) == language

    @pytest.mark.parametrize(
        "text",
        ["", "CPU 3.4 GHz, RAM 16 GB", "Jøran og Åse bor på gården", "def f(x): return x"],
    )
    def test_what_cannot_be_told_takes_the_languages_of_what_is_around_it(self, text: str) -> None:
        assert guess_language(text) == ""
        assert guess_language(text, "de") == "de"

    @pytest.mark.parametrize(
        ("text", "language"),
        [
            ("重要なお知らせ", "ja"),
            ("我们在北京学习中文", "zh"),
            ("계약을 해지하려면", "ko"),
            ("สัญญา", "th"),
            ("عقد الإيجار", "ar"),
            ("अनुबंध", "hi"),
            ("Το συμβόλαιο", "el"),
            ("Debian 支持哪些硬件架构", "zh"),
        ],
    )
    def test_other_scripts_are_told_by_themselves(self, text: str, language: str) -> None:
        assert guess_language(text) == query_terms(text).language == language

    @pytest.mark.parametrize(
        ("question", "language"),
        [
            ("Wie kündige ich den Vertrag?", "de"),
            ("Comment résilier un contrat ?", "fr"),
            ("¿Cómo cancelo el contrato?", "es"),
            ("Come si disdice il contratto?", "it"),
            ("Como posso cancelar o contrato?", "pt"),
            ("Hoe zeg ik het contract op?", "nl"),
            ("Как расторгнуть договор?", "ru"),
            ("How do I cancel in the app?", "en"),
            ("Vertrag Kündigung", ""),
            ("What does 契約 mean?", "en"),
        ],
    )
    def test_one_word_of_a_question_is_enough(self, question: str, language: str) -> None:
        assert query_terms(question).language == language

    def test_no_common_word_is_one_that_only_asks(self) -> None:
        assert not [code for code, each in LANGUAGES.items() if each.common & each.asking]


class TestInflections:
    @pytest.mark.parametrize(
        ("question", "text"),
        [
            ("Run running RUNS", "He runs."),
            ("Kündigung des Vertrages", GERMAN),
            ("annuler les contrats", FRENCH),
            ("¿Cómo puedo cancelar?", SPANISH),
            ("un contratto", ITALIAN),
            ("Como posso cancelar?", PORTUGUESE),
            ("huurcontracten", DUTCH),
            ("расторгнуть договора", RUSSIAN),
            ("كتاب", "قرأت الكتاب أمس"),
            ("كِتَاب", "كتاب"),
            ("किताबों", "मेरी किताब यहाँ है"),
            ("συμβόλαια", "Το συμβόλαιο λήγει"),
        ],
    )
    def test_another_form_of_a_word_is_found(self, question: str, text: str) -> None:
        assert finds(question, text)

    def test_a_language_that_was_told_wrongly_costs_only_the_inflections(self) -> None:
        assert finds("Wie gehen Verträge?", GERMAN, language="")
        assert finds("Verträge", GERMAN, language="de")

    def test_hindi_vowel_signs_stay_in_their_words(self) -> None:
        assert len(text_terms("हिन्दी भाषा").words) == 2


class TestScriptsWithoutSpaces:
    @pytest.mark.parametrize(
        ("word", "text"),
        [
            ("北京", "我们在北京学习中文"),
            ("契約", "この契約は三か月前に解約できます。"),
            ("キャンセル", "注文をキャンセルするには設定を開きます。"),
            ("해지", "계약을 해지하려면 세 달 전에 알려야 합니다."),
            ("สัญญา", "การยกเลิกสัญญาต้องแจ้งล่วงหน้าสามเดือน"),
            ("ຍົກເລີກ", "ການຍົກເລີກສັນຍາ"),
            ("猫", "家里的猫在睡觉"),
        ],
    )
    def test_a_word_inside_a_run_is_found(self, word: str, text: str) -> None:
        assert finds(word, text)

    @pytest.mark.parametrize(
        ("word", "text"),
        [
            ("東京", "この契約は三か月前に解約できます。"),
            ("배송", "계약을 해지하려면"),
            ("แมว", "การยกเลิกสัญญา"),
        ],
    )
    def test_other_words_are_not(self, word: str, text: str) -> None:
        assert not finds(word, text)

    def test_full_width_letters_and_ligatures_are_plain_ones(self) -> None:
        assert finds("office ABC", "ｏﬃｃｅ ＡＢＣ")

    def test_several_scripts_in_one_text(self) -> None:
        text = "Das Wort 契約 heißt договор, عقد oder contract."

        assert all(finds(word, text) for word in ("契約", "договоры", "عقد", "contracts"))


class TestCode:
    @pytest.mark.parametrize("question", ["getUserName", "user name", "get", "GETUSERNAME"])
    def test_a_camel_case_name_is_found_whole_and_by_its_parts(self, question: str) -> None:
        assert finds(question, "call getUserName() first")

    @pytest.mark.parametrize("question", ["max_tokens", "max tokens", "token", "MAX_TOKENS"])
    def test_a_snake_case_name_too(self, question: str) -> None:
        assert finds(question, "set max_tokens=5")

    def test_a_name_in_a_question_finds_its_words(self) -> None:
        assert finds("HTTPServerError", "an error of the server")

    def test_c_plus_plus_is_not_c_sharp(self) -> None:
        plus, sharp = (query_terms(name).words for name in ("C++", "C#"))

        assert plus != sharp
        assert {*plus} <= {*text_terms("written in C++, partly").words}
        assert finds("c", "written in C++")

    def test_an_emoji_is_a_word(self) -> None:
        assert finds("🚀", "We are live 🚀🎉!")
        assert not finds("🦊", "We are live 🚀🎉!")


class TestQuestions:
    def test_words_that_only_ask_are_left_out(self) -> None:
        assert query_terms("What is the refund policy?").words == query_terms("refund policy").words
        assert query_terms("Was ist eine Kaution?").words == text_terms("Kaution", "de").words

    @pytest.mark.parametrize(
        ("question", "subject"),
        [
            ("如何报告错误？", "报告错误"),
            ("什么是虚拟软件包？", "虚拟软件包"),
            ("バグを報告するにはどうすればよいですか？", "バグ 報告"),
            ("仮想パッケージとは何ですか？", "仮想パッケージ"),
            ("サーバーの設定は？", "サーバー 設定"),
            ("환불은 언제 되나요?", "환불은"),
            ("สัญญาคืออะไร", "สัญญา"),
            ("كيف ألغي العقد؟", "ألغي العقد"),
            ("अनुबंध क्या है?", "अनुबंध"),
            ("Что такое договор?", "договор"),
            ("Was macht dpkg?", "dpkg"),
        ],
    )
    def test_they_are_known_in_other_scripts_too(self, question: str, subject: str) -> None:
        words = query_terms(question).words

        assert {*words} == {*query_terms(subject).words}

    def test_they_are_kept_where_there_are_no_others(self) -> None:
        assert query_terms("Who are you?").words

    def test_terms_are_distinct_and_in_order(self) -> None:
        terms = query_terms("beta alpha beta gamma")

        assert terms.words == (*query_terms("beta").words, *query_terms("alpha gamma").words)

    def test_ten_thousand_words_are_bounded(self) -> None:
        terms = query_terms(" ".join(f"word{number}" for number in range(10_000)))

        assert len(terms.words) == MOST_WORDS_ASKED


class TestHardTexts:
    @pytest.mark.parametrize(
        "text", ["", "   ", "\n\t\u200b", "...!?", " " * 300_000, "\ufdd0", "\u202e\u200f"]
    )
    def test_text_without_words_has_no_terms(self, text: str) -> None:
        assert text_terms(text).words == query_terms(text).words == ()

    def test_commonest_words_are_no_terms(self) -> None:
        assert text_terms("the of and").words == ()

    def test_lone_surrogates_do_no_harm(self) -> None:
        assert text_terms("alpha \ud800 beta").words == text_terms("alpha beta").words

    @pytest.mark.parametrize(
        "unit",
        [
            "a",
            "a_",
            "aB",
            "e\u0301",
            "é",
            "[x](",
            "🦊",
            "ภาษา",
            "漢",
            "ا\u064b",
            "の",
            "x++",
            "_" * 7,
            "\u0300",
            "ß1",
        ],
    )
    def test_time_is_linear(self, unit: str) -> None:
        def run(characters: int) -> float:
            text = unit * (characters // len(unit))
            return min(timed(lambda: text_terms(text)) for _ in range(3))

        assert run(100_000) < 40 * max(run(10_000), 0.001)

    def test_a_language_that_nothing_knows_falls_back_to_its_words(self) -> None:
        assert finds("ᓄᓇᕗᑦ", "ᐃᓄᒃᑎᑐᑦ ᓄᓇᕗᑦ")
        assert finds("gården", "Jøran og Åse bor på gården")


def timed(work: Callable[[], object]) -> float:
    """CPU seconds."""
    begun = time.process_time()
    work()
    return time.process_time() - begun
