"""A question inside a conversation, made to stand alone: by the model, or by a rule where there is none."""

import logging
import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from ragstone.core.deadline import Deadline
from ragstone.core.errors import RagstoneError, UpstreamInterrupted, UpstreamUnavailable
from ragstone.core.models import Ending, Message, Prompt, Turn, Usage
from ragstone.core.ports import LLM
from ragstone.core.retry import is_outage
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.asking import CHARACTERS_PER_TOKEN, Answerer, Answerers, Ask
from ragstone.pipelines.prompting import plain
from ragstone.pipelines.thinking import without_thinking

log = logging.getLogger(__name__)

MAX_CHARACTERS = 8_000  # of a stand-alone question, as of any question
TURN_CHARACTERS = 2_000  # of each turn that the model is shown; what matters stands at the beginning
MAX_TOKENS = 256
FEW_WORDS = 3  # "And in winter?" says nothing alone

INSTRUCTIONS = """You rewrite the last question of a conversation as one stand-alone question that can be understood \
without the conversation: names instead of pronouns, and what is left out filled in. Keep its language. If it stands \
alone already, repeat it unchanged. Do not answer it. Write the question on one line and nothing else."""

SEARCH_INSTRUCTIONS = """You rewrite a question as a search query: the words that a passage with the answer would hold, \
in the question's language. Do not answer it. Write the query on one line and nothing else."""

# By language: words that mean something said before, and words that go on from it at the beginning of a question.
# Articles that are pronouns too (German "das", French "la") are left out: most questions have them.
_WORDS_BACK = {
    "en": (
        "it its they them their this that these those he she his her him one ones there then same else instead",
        "and but or so|what about|how about|why not",
    ),
    "de": (
        "er es ihn ihm ihnen ihre ihren davon dazu dafür damit daran darauf darüber dabei darin dort dieser dieses diesem",
        "und aber oder sonst also|wie ist es mit|was ist mit",
    ),
    "fr": ("il elle ils elles lui leur celui celle ceux celles cela ça y", "et mais ou alors|qu'en est-il"),
    "es": ("él ella ellos ellas eso esto ese esa esos esas aquello allí", "y pero o entonces|qué tal"),
    "it": ("esso essa essi esse lei loro quello quella questo questa ciò", "e ma o allora"),
    "pt": ("ele ela eles elas isso isto aquilo dele dela", "e mas ou então"),
    "nl": ("hij zij ze hem hun ervan daarvan daarmee daarvoor daarbij daar deze", "en maar of dus"),
    "ru": ("он она оно они его её ее их ему ей им это этот эта эти там", "а и но или"),
}
_SCRIPTS_BACK = (
    r"[它他她这那其]|[こそあ]れ|[こそあ]の|그것|이것|그럼|\b(?:هو|هي|هم|ذلك|هذا|هذه|यह|वह|उस|इस|उसका|इसका)\b"
)


def _back(meaning: str, going_on: str) -> re.Pattern[str]:
    words, *phrases = going_on.split("|")
    begins = "|".join((*words.split(), *phrases))
    return re.compile(
        rf"\b(?:{'|'.join(meaning.split())})\b|^\W*(?:{begins})\b|{_SCRIPTS_BACK}", re.IGNORECASE
    )


_REFERS_BACK = {language: _back(*words) for language, words in _WORDS_BACK.items()}
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The question as it is searched, what rewriting it cost, and whether the model was missed."""

    question: str
    usage: Usage = field(default_factory=Usage)
    is_degraded: bool = False


async def stand_alone_question(
    answerers: Answerers, ask: Ask, language: str, deadline: Deadline, stopwatch: Stopwatch
) -> Rewritten:
    """A question that needs its conversation, rewritten by the model, or by the rule where there is none; `language` is
    the code of what the question seems to be written in. Raises as `LLM.generate`, DeadlineExceeded."""
    question = ask.search.question
    if not ask.history:
        return Rewritten(question)
    if not answerers.chosen.llm.is_generative:
        return Rewritten(rewrite_by_rule(question, ask.history, language))
    prompt = Prompt(
        question,
        messages=condense_prompt(question, ask.history),
        model=ask.model,
        temperature=ask.temperature,
        max_tokens=MAX_TOKENS,
    )
    stopwatch.tell("condense", provider=answerers.chosen.dependency.provider, model=prompt.model)
    try:
        with stopwatch.stage("condense"):
            reply, ending = await answerers.chosen.dependency.call(
                lambda: _whole(answerers.chosen.llm, prompt), deadline=deadline, stopwatch=stopwatch
            )
    except RagstoneError as error:
        if ask.is_strict or not is_outage(error):
            raise
        log.warning("rewriting without the model", extra={"code": error.code})
        return Rewritten(rewrite_by_rule(question, ask.history, language), is_degraded=True)
    return Rewritten(
        question if ending.finish_reason == "length" else condensed(reply, question), ending.usage
    )


async def query_for_search(
    answerer: Answerer, question: str, *, deadline: Deadline, stopwatch: Stopwatch
) -> str:
    """What a model would search for to answer a question; the question itself where there is no model, or it is down.
    Raises UpstreamRefused, DeadlineExceeded."""
    if not answerer.llm.is_generative:
        return question
    messages = (Message("system", SEARCH_INSTRUCTIONS), Message("user", " ".join(plain(question).split())))
    prompt = Prompt(question, messages=messages, temperature=0.0, max_tokens=MAX_TOKENS)
    try:
        with stopwatch.stage("condense"):
            reply, ending = await answerer.dependency.call(
                lambda: _whole(answerer.llm, prompt), deadline=deadline, stopwatch=stopwatch
            )
    except RagstoneError as error:
        if not is_outage(error):
            raise
        log.warning("searching without rewriting", extra={"code": error.code})
        return question
    return question if ending.finish_reason == "length" else condensed(reply, question)


def rewrite_by_rule(question: str, history: Sequence[Turn], language: str = "") -> str:
    """A question that refers back, or has at most three words, is searched together with the question before it;
    any other is left as it is. What refers back depends on the `language`, English where it is not known."""
    previous = next((turn.content for turn in reversed(history) if turn.role == "user"), "").strip()
    is_short = len(_WORD.findall(question)) <= FEW_WORDS
    if not previous or not (is_short or _REFERS_BACK.get(language, _REFERS_BACK["en"]).search(question)):
        return question
    room = MAX_CHARACTERS - len(question) - 1
    return f"{previous[-room:]} {question}" if room > 0 else question


def condense_prompt(question: str, history: Sequence[Turn]) -> tuple[Message, ...]:
    """Ask the model to rewrite."""
    turns = [
        f"{turn.role}: {' '.join(plain(turn.content).split())[:TURN_CHARACTERS]}"
        for turn in history
        if turn.content.strip()
    ]
    conversation = "\n".join([*turns, f"Last question: {' '.join(plain(question).split())}"])
    return Message("system", INSTRUCTIONS), Message("user", conversation)


def condensed(reply: str, question: str) -> str:
    """The rewritten question out of a model's reply; the original where the reply is of no use."""
    lines = without_thinking(reply).splitlines()
    line = next((line.strip() for line in lines if line.strip()), "")
    line = line.removeprefix("Last question:").strip().strip('"').strip()
    return line if 0 < len(line) <= MAX_CHARACTERS else question


async def _whole(llm: LLM, prompt: Prompt) -> tuple[str, Ending]:
    """A short answer in one piece. As nobody has seen any of it, one that breaks off may be asked for again."""
    text, most = "", (prompt.max_tokens or MAX_TOKENS) * CHARACTERS_PER_TOKEN
    try:
        async with aclosing(llm.generate(prompt)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Ending):
                    return text, piece
                text += piece
                if len(text) > most:
                    return text[:most], Ending("length")
    except UpstreamInterrupted as error:
        raise UpstreamUnavailable(error.message) from error
    raise UpstreamUnavailable("the model's answer ended without saying why")
