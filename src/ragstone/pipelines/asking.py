"""What an answer is asked for, of whom, and with how much patience."""

from collections.abc import Sequence
from dataclasses import dataclass

from ragstone.core.deadline import Deadline
from ragstone.core.models import Turn
from ragstone.core.ports import LLM
from ragstone.core.retry import Dependency
from ragstone.pipelines.searching import Search

CHARACTERS_PER_TOKEN = 8  # far above any language's mean: a model that goes on beyond its limit is cut here


@dataclass(frozen=True, slots=True)
class Answerer:
    """A configured answerer, the limits of calling it, and its model's window in tokens."""

    llm: LLM
    dependency: Dependency
    context_tokens: int = 8192


@dataclass(frozen=True, slots=True)
class Answerers:
    """Who answers this request, and who does when that one is down. Links to `link_hosts` stay alive."""

    chosen: Answerer
    fallback: LLM
    link_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, the conversation before it, and how it is to be answered."""

    search: Search
    history: Sequence[Turn] = ()
    model: str | None = None
    temperature: float | None = None
    max_tokens: int = 1024

    @property
    def is_strict(self) -> bool:
        """Fail rather than answer with a part missing."""
        return self.search.strict


@dataclass(frozen=True, slots=True)
class Patience:
    """`deadline` bounds everything up to the first piece of the answer, and the whole answer where `whole_s` is None;
    a started stream has `whole_s` seconds for the rest, and `idle_s` between two pieces."""

    deadline: Deadline
    idle_s: float = 20.0
    whole_s: float | None = None

    def once_begun(self) -> Deadline:
        """What bounds the rest, from now."""
        return self.deadline if self.whole_s is None else Deadline.after(self.whole_s)
