"""How a model says that its sources do not answer, and what only sounds like it."""

import time

import pytest

from ragstone.pipelines.declining import LONGEST_DECLINING, DecliningGate, says_it_declines

DECLINING = [
    "I don't know.",
    "I do not know the answer to that question.",
    "The sources do not contain information about refunds.",
    "The provided documents don't mention a warranty.",
    "I'm sorry, but the provided sources do not contain any information about this.",
    "Unfortunately, I cannot answer this question based on the documents.",
    "Based on the provided passages, I cannot answer that.",
    "Based on the provided context, there is no information about prices in the sources.",
    "The context does not answer the question.",
    "None of the sources mention the price of shipping.",
    "None of the provided documents discuss this.",
    "I could not find any information about that in the documents.",
    "The provided information does not specify a date.",
    "The answer is not contained in the provided sources.",
    "The warranty period is not explicitly mentioned in the documents.",
    "There is no mention of refunds in the provided passages.",
    "**The sources do not say** who signed it.",
    "The sources provided do not include this.",
    "The documents have no information on that topic.",
    "I don’t have enough information to answer.",
    "Die Quellen enthalten keine Informationen zu diesem Thema.",
    "Leider enthalten die Quellen keine Angaben dazu.",
    "Ich weiß es nicht.",
    "Das weiß ich nicht.",
    "Ich kann diese Frage anhand der Quellen nicht beantworten.",
    "Leider kann ich diese Frage nicht beantworten.",
    "Die bereitgestellten Dokumente erwähnen den Preis nicht.",
    "In den Quellen gibt es keine Informationen dazu.",
    "In den Dokumenten wird der Preis nicht erwähnt.",
    "Les sources ne contiennent pas d'information à ce sujet.",
    "Les documents fournis ne mentionnent pas le prix.",
    "Le contexte ne permet pas de répondre.",
    "Je ne sais pas.",
    "Désolé, je ne peux pas répondre à cette question.",
    "Il n'y a aucune information sur le prix dans les sources.",
    "Las fuentes no contienen información sobre el precio.",
    "Los documentos proporcionados no mencionan el precio.",
    "Lo siento, no puedo responder a esta pregunta.",
    "No lo sé.",
    "No hay información sobre ello en las fuentes.",
]
ANSWERS = [
    "The policy does not provide refunds.",
    "The document does not contain a signature page.",
    "The power source does not provide enough current.",
    "Refunds take 14 days. The sources do not mention exceptions.",
    "The manual says that the documents do not contain the serial number.",
    "Sources of protein include beans.",
    "The law does not mention cats.",
    "You do not know what you have until it is gone.",
    "He said: I don't know.",
    "The plan does not cover dental care.",
    "No answer is needed.",
    "The context menu does not contain the entry.",
    "Documents are kept for ten years and are not provided to third parties.",
    "Refunds are not provided in the sale.",
    "Your password is not stored in the documents folder.",
    "Die Garantie enthält keine Angaben zur Dauer.",
    "Der Vertrag erwähnt die Frist nicht.",
    "Die Quelle liegt im Schwarzwald.",
    "Das Gerät kann Fragen nicht beantworten.",
    "Le contrat ne mentionne pas le prix.",
    "Les sources du Nil sont en Afrique.",
    "El contrato no menciona el precio.",
    "No hay reembolsos en las rebajas.",
    "Las fuentes de energía no contaminan.",
]
LONG_BAITS = [
    "a ",
    "sorry ",
    "sorry, but ",
    "i'm sorry..",
    "from a ",
    "leider ",
    "ich kann x ",
    "die quellen ",
]
LONG_BAITS += [
    " ",
    ".",
    "the provided ",
    "x is not given in ",
    "there is no data in ",
    "in den quellen wird ",
]


@pytest.mark.parametrize("text", DECLINING)
def test_an_answer_that_says_the_sources_do_not_answer_declines(text: str) -> None:
    assert says_it_declines(text)
    assert says_it_declines(f"\n **{text.upper()}** Please ask somebody else.")


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_that_only_sounds_like_it_does_not(text: str) -> None:
    assert not says_it_declines(text)


def test_a_long_text_says_more_than_that() -> None:
    refusal = "I don't know. "

    assert says_it_declines(refusal.ljust(LONGEST_DECLINING, "x"))
    assert not says_it_declines(refusal.ljust(LONGEST_DECLINING + 1, "x"))


@pytest.mark.parametrize("bait", LONG_BAITS)
def test_no_text_takes_long_to_judge(bait: str) -> None:
    text = (bait * LONGEST_DECLINING)[:LONGEST_DECLINING]
    begin = time.process_time()

    says_it_declines(text)

    assert time.process_time() - begin < 0.05


@pytest.mark.parametrize("opening", ["", " \n", "**", '"', "`", "\n> ", "„", "# "])
@pytest.mark.parametrize("marker", ["NO_ANSWER", "NO\\_ANSWER"])
@pytest.mark.parametrize("rest", ["", ".", "** because the sources are silent. [1]"])
def test_the_marker_is_seen_in_any_dress_and_split(opening: str, marker: str, rest: str) -> None:
    text = opening + marker + rest
    for size in (1, 4, len(text)):
        gate = DecliningGate()
        shown = [gate.feed(text[at : at + size]) for at in range(0, len(text), size)]

        assert ("".join(shown), gate.finish(), gate.is_declined) == ("", "", True)


@pytest.mark.parametrize(
    "text", ["No answer is needed.", "NO_ANSWE", "x NO_ANSWER", "no_answer", "NO_ ANSWER", "**"]
)
def test_anything_else_passes_whole(text: str) -> None:
    for size in (1, len(text)):
        gate = DecliningGate()
        shown = [gate.feed(text[at : at + size]) for at in range(0, len(text), size)]

        assert "".join([*shown, gate.finish()]) == text
        assert not gate.is_declined


def test_text_is_held_back_only_while_it_may_become_the_marker() -> None:
    gate = DecliningGate()

    assert [gate.feed(piece) for piece in ("*", "NO", "_A", "B", "C")] == ["", "", "", "*NO_AB", "C"]


def test_an_endless_opening_is_not_held_back() -> None:
    gate = DecliningGate()

    shown = [gate.feed(" ") for _ in range(100)]

    assert "".join(shown) == " " * 100
    assert gate.feed("NO_ANSWER") == "NO_ANSWER"
