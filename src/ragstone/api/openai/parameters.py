"""What becomes of each parameter that OpenAI publishes: honoured, ignored or refused. docs/openai.md is made of this, and
a test holds it against the types of the official SDK."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ragstone.core.errors import UnsupportedParameter

Value = Any


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one operation, by name: what is said about the honoured ones; why others do not matter; and, of the refused
    ones, which values say nothing that a client would miss."""

    operation: str
    sdk_type: str
    """The SDK's type that lists them, `module:name`; empty where there is none."""
    honoured: Mapping[str, str]
    ignored: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def kept(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """The honoured ones, and those that OpenAI does not know. Raises UnsupportedParameter."""
        for name, harmless in self.refused.items():
            value = given.get(name)
            if value is not None and value not in harmless:
                raise unsupported(name, f"{name} is not supported by {self.operation}; leave it out")
        return {
            name: value
            for name, value in given.items()
            if name not in self.refused and name not in self.ignored
        }


def unsupported(name: str, message: str) -> UnsupportedParameter:
    """The refusal of a parameter, which `error.param` then names."""
    return UnsupportedParameter(
        message, details=[{"loc": ["body", name], "type": "unsupported", "msg": "not supported"}]
    )


_SAMPLING = "answers are taken from documents, and sampled only by `temperature`"
_HINT = "a hint for OpenAI's own service"
_COMMON_IGNORED = {
    "metadata": "not kept",
    "parallel_tool_calls": "there are no tools of the client's",
    "prompt_cache_key": _HINT,
    "prompt_cache_options": _HINT,
    "prompt_cache_retention": _HINT,
    "safety_identifier": _HINT,
    "service_tier": _HINT,
    "top_p": _SAMPLING,
    "user": _HINT,
}
EXTENSION = "the server's own: `collection`, `top_k`, `filter`, `mode`, `strict`, `context_window`, \
`max_chunks_per_document`, `provider`, `timeout_s`, as in `POST /query`"

CHAT = Parameters(
    "POST /v1/chat/completions",
    "openai.types.chat.completion_create_params:CompletionCreateParamsStreaming",
    honoured={
        "messages": "the last one, of the user, is the question; user and assistant before it are the conversation (the "
        "newest 20 turns, 8,000 characters of each); system and developer messages are ignored, since answers follow "
        "the documents alone; parts that are not text are refused",
        "model": "`ragstone/<collection>`, or a configured model over the collection `default`",
        "stream": "with citations as they are checked, in `delta.annotations`",
        "stream_options": "`include_usage`",
        "temperature": "for models that write",
        "max_tokens": "for models that write",
        "max_completion_tokens": "as `max_tokens`, and before it",
        "ragstone": EXTENSION,
    },
    ignored={
        **_COMMON_IGNORED,
        "frequency_penalty": _SAMPLING,
        "logit_bias": _SAMPLING,
        "prediction": _HINT,
        "presence_penalty": _SAMPLING,
        "reasoning_effort": _SAMPLING,
        "seed": _SAMPLING,
        "store": "nothing is stored",
        "verbosity": _SAMPLING,
    },
    refused={
        "audio": (),
        "function_call": ("none", "auto"),
        "functions": ([],),
        "logprobs": (False,),
        "modalities": (["text"],),
        "moderation": (),
        "n": (1,),
        "response_format": ({"type": "text"},),
        "stop": ([],),
        "tool_choice": ("none", "auto"),
        "tools": ([],),
        "top_logprobs": (0,),
        "web_search_options": (),
    },
)
RESPONSES = Parameters(
    "POST /v1/responses",
    "openai.types.responses.response_create_params:ResponseCreateParamsStreaming",
    honoured={
        "include": "`file_search_call.results`, where the tool is asked for; others are ignored",
        "input": "a text, or messages of which the last, of the user, is the question; outputs of earlier responses may "
        "stand between them; parts that are not text are refused",
        "max_output_tokens": "for models that write",
        "metadata": "given back",
        "model": "`ragstone/<collection>`, or a configured model over the collection `default`",
        "previous_response_id": "the conversation before, if it was stored and no document that it quotes was deleted",
        "store": "kept for 30 days, or until a document that it quotes is deleted; `true` where left out",
        "stream": "with the published events in their order",
        "temperature": "for models that write",
        "tools": "one `file_search` of one vector store, which goes before the collection that `model` names, with "
        "`filters`, `max_num_results` and `ranking_options`; others are refused",
        "ragstone": EXTENSION,
    },
    ignored={
        **{name: why for name, why in _COMMON_IGNORED.items() if name != "metadata"},
        "access_programs": _HINT,
        "context_management": _HINT,
        "image": _HINT,
        "instructions": "answers follow the documents alone",
        "max_tool_calls": "a question is searched once",
        "reasoning": _SAMPLING,
        "stream_options": "nothing is obfuscated",
        "truncation": "the newest turns are kept",
    },
    refused={
        "background": (False,),
        "conversation": (),
        "moderation": (),
        "prompt": (),
        "text": ({}, {"format": {"type": "text"}}),
        "tool_choice": ("auto", "required", {"type": "file_search"}),
        "top_logprobs": (0,),
    },
)
EMBEDDINGS = Parameters(
    "POST /v1/embeddings",
    "openai.types.embedding_create_params:EmbeddingCreateParams",
    honoured={
        "input": "a text or up to 2,048, of 100,000 tokens in all; token ids are refused, and a text longer than the encoder reads",
        "model": "the encoder's name, as in `GET /v1/models`",
        "dimensions": "only the encoder's own number",
        "encoding_format": "`float` and `base64`",
    },
    ignored={"user": _HINT},
)
FILES = Parameters(
    "POST /v1/files",
    "openai.types.file_create_params:FileCreateParams",
    honoured={
        "file": "a document of the collection `default`; the same name and bytes are the same file",
        "purpose": "`assistants` and `user_data`",
        "expires_after": "becomes the document's `expires_at`",
    },
)
_STATIC = (
    "`auto` and `static`: chunks of at most `max_chunk_size_tokens`, and never more than the encoder reads; \
`chunk_overlap_tokens` is ignored, since chunks do not overlap, and a search can widen them"
)
_ATTRIBUTES = "the document's metadata"
STORE = Parameters(
    "POST /v1/vector_stores",
    "openai.types.vector_store_create_params:VectorStoreCreateParams",
    honoured={
        "chunking_strategy": _STATIC,
        "description": "the collection's",
        "file_ids": "are attached",
        "metadata": "kept with the collection",
        "name": "kept as the collection's title; its id is made of it",
    },
    refused={"expires_after": ()},
)
STORE_UPDATE = Parameters(
    "POST /v1/vector_stores/{id}",
    "openai.types.vector_store_update_params:VectorStoreUpdateParams",
    honoured={"metadata": "replaced as a whole", "name": "the title; the id stays"},
    refused={"expires_after": ()},
)
STORE_SEARCH = Parameters(
    "POST /v1/vector_stores/{id}/search",
    "openai.types.vector_store_search_params:VectorStoreSearchParams",
    honoured={
        "filters": "over attributes; a missing attribute passes `ne` and `nin` only",
        "max_num_results": "1 to 50, 10 where left out",
        "query": "a text, or several: the best results of any",
        "ranking_options": "`score_threshold`; `ranker: none` leaves the order to the scores of words and vectors",
        "rewrite_query": "`search_query` says what was searched: with `true` a configured model rewrites the question",
    },
)
STORE_FILE = Parameters(
    "POST /v1/vector_stores/{id}/files",
    "openai.types.vector_stores.file_create_params:FileCreateParams",
    honoured={
        "attributes": _ATTRIBUTES,
        "chunking_strategy": _STATIC,
        "file_id": "attached as a copy, of which nothing is embedded twice",
    },
)
STORE_BATCH = Parameters(
    "POST /v1/vector_stores/{id}/file_batches",
    "openai.types.vector_stores.file_batch_create_params:FileBatchCreateParams",
    honoured={
        "attributes": _ATTRIBUTES,
        "chunking_strategy": _STATIC,
        "file_ids": "up to 500",
        "files": "up to 500, each with its own `attributes` and `chunking_strategy`",
    },
)
FILE_SEARCH = Parameters(
    "the tool `file_search`",
    "openai.types.responses.file_search_tool_param:FileSearchToolParam",
    honoured={
        "type": "`file_search`",
        "vector_store_ids": "one",
        "filters": "as in a search of the vector store",
        "max_num_results": "1 to 50, 5 where left out",
        "ranking_options": "`ranker` as in a search; a `score_threshold` above 0 is refused, since the server decides itself whether "
        "passages suffice, and so is `hybrid_search`",
    },
)
ALL = (
    CHAT,
    RESPONSES,
    FILE_SEARCH,
    EMBEDDINGS,
    FILES,
    STORE,
    STORE_UPDATE,
    STORE_SEARCH,
    STORE_FILE,
    STORE_BATCH,
)
