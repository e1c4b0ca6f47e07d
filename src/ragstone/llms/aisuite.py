"""Answers from the vendors that aisuite knows, in its own way: vendors' libraries, and keys from their environment
variables (OPENAI_API_KEY, ANTHROPIC_API_KEY …)."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from inspect import isawaitable
from typing import Any

from ragstone.core.errors import (
    ExternalServiceError,
    InvalidSetting,
    UpstreamGarbled,
    UpstreamInterrupted,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.core.models import Ending, Prompt
from ragstone.core.threads import in_executor
from ragstone.vendors.protocol import ProtocolViolation, Reply, as_sent
from ragstone.vendors.statuses import failure_of_status, requested_wait_s

MAX_THREADS = 16
USAGE_WITHIN_S = 2.0  # after the finish reason: the answer is complete, only its token counts are missing
_STREAM = "achat_completions_create_stream"
_OPENAI_CLIENT = frozenset({"openai", "ollama", "lmstudio"})
_CLIENTS_THAT_RETRY = _OPENAI_CLIENT | {
    *("anthropic", "cerebras", "crusoe", "deepseek", "edenai", "groq"),
    *("inception", "nebius", "openrouter", "requesty", "sambanova", "tongyi"),
}
_OTHERS_WITH_TIMEOUT = frozenset({"cohere", "fireworks", "huggingface", "together", "xai"})
_WRONG_SHAPE = (ProtocolViolation, AttributeError, LookupError, TypeError, ValueError)

Chunk = dict[str, Any]


class AisuiteLLM:
    """An LLM over aisuite; models are named `vendor:model`. One attempt a call, as far as the vendor's library lets us.

    Where aisuite streams (anthropic, gemini, openai and the two built on it), closing the generator cancels the
    request. All others answer in one piece from at most MAX_THREADS threads, which nothing can stop: such a request
    ends on its own, and its answer is dropped. `timeout_s` bounds each wait for a piece. What bounds the bytes of an
    answer, follows redirects and reads the environment is the vendor's library.
    """

    is_generative = True

    def __init__(self, *, models: Sequence[str], timeout_s: float) -> None:
        """Loads the vendors' libraries: call it off the event loop. Raises InvalidSetting."""
        if not models or not all(all(model.partition(":")) for model in models):
            raise InvalidSetting(f"models for aisuite are named vendor:model, not {list(models)}")
        self.models = tuple(models)
        self._timeout_s = timeout_s
        self._client = _load_client(dict.fromkeys(map(_vendor_of, models)), timeout_s)
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="aisuite")
        self._is_closed = False

    async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Ending, None]:
        """See the port."""
        model = prompt.model or self.models[0]
        if self._is_closed or _vendor_of(model) not in self._client.providers:
            raise UpstreamUnavailable(f"aisuite is closed, or not set up for the vendor of {model!r}")
        reply, chunks = Reply(), self._ask(model, prompt)
        try:
            while (chunk := await self._next(chunks, reply)) is not None:
                if piece := reply.read(chunk):
                    yield piece
            if piece := reply.rest():
                yield piece
            reply.require_end()
        except Exception as error:  # noqa: BLE001 - each library has errors of its own, without a base
            raise _translate(error, service=_vendor_of(model), has_begun=reply.has_begun) from None
        finally:
            await _cancel(chunks)
        yield reply.ending()

    async def close(self) -> None:
        """Ask nothing more; threads end when their requests do. Idempotent."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for provider in self._client.providers.values():
            await _close_clients(provider)

    def _ask(self, model: str, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        vendor = _vendor_of(model)
        limit_name = "max_completion_tokens" if vendor == "openai" else "max_tokens"
        wanted = {"temperature": prompt.temperature, limit_name: prompt.max_tokens}
        request: Chunk = {name: value for name, value in wanted.items() if value is not None}
        request |= {"model": model, "messages": as_sent(prompt.messages)}
        if not _can_stream(self._client.providers[vendor]):
            return self._ask_once(request)
        if vendor in _OPENAI_CLIENT:
            request["stream_options"] = {"include_usage": True}
        return self._ask_for_stream(request)

    async def _ask_for_stream(self, request: Chunk) -> AsyncGenerator[Chunk, None]:
        async for chunk in await self._client.chat.completions.acreate(stream=True, **request):
            yield chunk.model_dump()

    async def _ask_once(self, request: Chunk) -> AsyncGenerator[Chunk, None]:
        call = partial(self._client.chat.completions.create, **request)
        yield _as_chunk(await in_executor(self._threads, call))

    async def _next(self, chunks: AsyncGenerator[Chunk, None], reply: Reply) -> Chunk | None:
        """None at the end, and once the answer is complete also for whatever goes wrong after it."""
        is_complete = reply.finish_reason is not None
        try:
            async with asyncio.timeout(USAGE_WITHIN_S if is_complete else self._timeout_s):
                return await anext(chunks)
        except StopAsyncIteration:
            return None
        except Exception:  # see generate
            if is_complete:
                return None
            raise


def _vendor_of(model: str) -> str:
    return model.partition(":")[0]


def _load_client(vendors: Iterable[str], timeout_s: float) -> Any:
    """aisuite's client with all its vendors made at once, which it is not safe to do while threads ask."""
    try:
        aisuite = import_module("aisuite.client")
        factory = import_module("aisuite.provider").ProviderFactory
    except ModuleNotFoundError:
        raise InvalidSetting('aisuite is not installed: pip install "ragstone[aisuite]"') from None
    client = aisuite.Client()
    for vendor in vendors:
        if vendor not in factory.get_supported_providers():
            known = ", ".join(sorted(factory.get_supported_providers()))
            raise InvalidSetting(f"aisuite knows no vendor {vendor!r}; known: {known}")
        client.providers[vendor] = _load_vendor(factory, vendor, timeout_s)
    return client


def _load_vendor(factory: Any, vendor: str, timeout_s: float) -> Any:
    options: dict[str, Any] = {"max_retries": 0} if vendor in _CLIENTS_THAT_RETRY else {}
    if vendor in _CLIENTS_THAT_RETRY | _OTHERS_WITH_TIMEOUT:
        options["timeout"] = timeout_s
    try:
        return factory.create_provider(vendor, options)
    except ImportError:
        raise InvalidSetting(f"aisuite's vendor {vendor!r} needs its own library: install it") from None
    except Exception as error:  # noqa: BLE001 - what is missing, each library says in a way of its own
        raise InvalidSetting(
            f"aisuite's vendor {vendor!r} cannot be set up ({type(error).__name__}): are its key and address in the"
            " environment?"
        ) from None


async def _close_clients(provider: Any) -> None:
    """aisuite closes nothing itself; these are the names under which its vendors keep what can be closed."""
    for name in ("client", "aclient", "async_client"):
        close = getattr(getattr(provider, name, None), "close", None)
        closing = close() if callable(close) else None
        if isawaitable(closing):
            await closing


def _can_stream(provider: Any) -> bool:
    base: Any = import_module("aisuite.provider").Provider
    return getattr(type(provider), _STREAM) is not getattr(base, _STREAM)


def _as_chunk(response: Any) -> Chunk:
    """A whole answer as the only chunk of one. It came in one piece, so it is complete without a reason."""
    choice = response.choices[0]
    usage = getattr(response, "usage", None)
    counts = {name: getattr(usage, name, 0) for name in ("prompt_tokens", "completion_tokens")}
    delta = {"content": choice.message.content}
    return {
        "choices": [{"delta": delta, "finish_reason": choice.finish_reason or "stop"}],
        "usage": counts,
    }


async def _cancel(chunks: AsyncGenerator[Chunk, None]) -> None:
    """Cancel a read: closing a generator inside of vendors' libraries leaves the connection to the garbage collector,
    while a cancelled read closes it. One that has ended is not asked again."""
    with suppress(Exception):  # nobody waits for this answer any more
        async with asyncio.timeout(0):
            async for _ in chunks:
                pass


def _translate(error: Exception, *, service: str, has_begun: bool) -> ExternalServiceError:
    """From what aisuite hides: its own errors are text, the vendor's stands behind them."""
    if has_begun:
        return UpstreamInterrupted(f"{service} broke off in the middle of its answer")
    chain = list(_causes(error))
    for each in chain:
        if (status := _status_of(each)) is not None:
            wait_s = requested_wait_s(getattr(getattr(each, "response", None), "headers", {}))
            return failure_of_status(status, service=service, retry_after_s=wait_s)
    if any("Timeout" in type(each).__name__ for each in chain):
        return UpstreamTimeout(f"{service} did not answer in time")
    if isinstance(chain[-1], _WRONG_SHAPE):
        return UpstreamGarbled(f"{service} gave an answer that aisuite cannot read")
    return UpstreamUnavailable(f"{service} cannot be reached, or broke off before it answered")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _status_of(error: BaseException) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "code"):
            status = getattr(holder, name, None)
            if type(status) is int and 300 <= status <= 599:
                return status
    return None
