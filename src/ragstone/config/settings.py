"""Every setting, with its default and the reason for it. Read once, in `create_app` or the CLI; services get values."""

import difflib
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ragstone.config.api_keys import ConfiguredKey, parse_keys
from ragstone.core.answers import MAX_ANSWER_TOKENS
from ragstone.core.errors import InvalidSetting
from ragstone.core.hosts import is_loopback

PREFIX = "RAGSTONE_"
ENV_FILE = ".env"
OPENAI = "https://api.openai.com/v1"
MIB = 1024 * 1024


class Settings(BaseSettings):
    """Environment variables and `.env`; the environment wins. Foreign names are ignored, unknown RAGSTONE_* refused."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, extra="ignore", frozen=True)

    data_dir: Path = Field(
        Path("ragstone-data"),
        validation_alias="RAGSTONE_DATA_DIR",
        description="Folder that holds everything: manifest, originals, vectors. Created with mode 0700.",
    )
    host: str = Field(
        "127.0.0.1",
        validation_alias="RAGSTONE_HOST",
        min_length=1,
        description="Address that `ragstone serve` listens on. Beyond loopback every caller needs an API key.",
    )
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        validation_alias="RAGSTONE_PORT",
        description="Port of `ragstone serve`; 0 picks one.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        validation_alias="RAGSTONE_WORKERS",
        description="Processes of `ragstone serve` that answer requests: one for every two cores, which one keeps busy. Each "
        "further one takes about 130 MB.",
    )
    api_keys: Annotated[tuple[ConfiguredKey, ...], NoDecode] = Field(
        (),
        validation_alias="RAGSTONE_API_KEYS",
        description="Keys that callers may have, as `label:key`, separated by commas; at least 16 characters each. Logs "
        "show the label. Without any, none is needed on loopback, and one is made in the data directory elsewhere.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias="RAGSTONE_ALLOWED_HOSTS",
        description="Host names besides loopback that requests may carry while no API key is needed, separated by "
        "commas.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias="CORS_ORIGINS",
        description="Origins of other sites whose pages may call the API, separated by commas.",
    )
    mcp_writes: bool = Field(
        default=False,
        validation_alias="RAGSTONE_MCP_WRITES",
        description="Whether MCP offers the tools that change something: `add_document` and `delete_document`. A model "
        "calls them of its own accord.",
    )
    llm_provider: Literal["extractive", "openai", "aisuite"] | None = Field(
        None,
        validation_alias="RAGSTONE_LLM_PROVIDER",
        description="Who answers by default. Left out: `openai` if a key or a base URL is set, else `extractive`.",
    )
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias="OPENAI_API_KEY",
        description="Key of OpenAI, or of the server at `OPENAI_BASE_URL`; many local ones need none.",
    )
    openai_base_url: str | None = Field(
        None,
        validation_alias="OPENAI_BASE_URL",
        description="Base URL of any server that speaks OpenAI's protocol, such as `http://127.0.0.1:11434/v1`.",
    )
    openai_model: str | None = Field(
        None,
        validation_alias="OPENAI_MODEL",
        description="The model that answers; required once a key or a base URL is set.",
    )
    openai_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias="RAGSTONE_OPENAI_MODELS",
        description="Further models that a request may name, separated by commas.",
    )
    aisuite_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias="RAGSTONE_AISUITE_MODELS",
        description="Models reached through aisuite, as `vendor:model`, separated by commas; the first is its default.",
    )
    llm_timeout: timedelta = Field(
        timedelta(seconds=60),
        gt=timedelta(0),
        validation_alias="LLM_TIMEOUT_SECONDS",
        description="Longest wait for one attempt's first token, or for one call of an embedder over the network.",
    )
    llm_temperature: float | None = Field(
        0.0,
        ge=0,
        le=2,
        allow_inf_nan=False,
        validation_alias="LLM_TEMPERATURE",
        description="Temperature where a request names none; empty sends none, for models that refuse the parameter.",
    )
    llm_max_tokens: int = Field(
        1024,
        ge=1,
        le=MAX_ANSWER_TOKENS,
        validation_alias="RAGSTONE_LLM_MAX_TOKENS",
        description="Longest answer in tokens where a request names none; a model that goes on is cut.",
    )
    llm_context_tokens: int = Field(
        8192,
        ge=2048,
        validation_alias="RAGSTONE_LLM_CONTEXT_TOKENS",
        description="The model's window: sources that do not fit into it beside the answer are not sent.",
    )
    openai_max_retries: int = Field(
        3,
        ge=1,
        le=10,
        validation_alias="OPENAI_MAX_RETRIES",
        description="Attempts in all at a model, an embedder or a reranker over the network.",
    )
    qdrant_url: str | None = Field(
        None,
        validation_alias="QDRANT_URL",
        description="Qdrant server or cluster that keeps the vectors, such as `http://127.0.0.1:6333`. Left out, the "
        "engine inside of Ragstone keeps them in the data directory.",
    )
    qdrant_api_key: SecretStr | None = Field(
        None, validation_alias="QDRANT_API_KEY", description="Key of that server, if it asks for one."
    )
    qdrant_timeout: timedelta = Field(
        timedelta(seconds=10),
        ge=timedelta(seconds=1),
        validation_alias="RAGSTONE_QDRANT_TIMEOUT_SECONDS",
        description="Longest wait for one answer of that server. A search takes milliseconds, a batch of points a "
        "second on a busy one.",
    )
    qdrant_shard_number: int = Field(
        1,
        ge=1,
        validation_alias="RAGSTONE_QDRANT_SHARD_NUMBER",
        description="Parts into which a new collection is cut. BM25 counts words within a part, so one is exact, and "
        "enough for a million chunks.",
    )
    qdrant_replication_factor: int = Field(
        1,
        ge=1,
        validation_alias="RAGSTONE_QDRANT_REPLICATION_FACTOR",
        description="Copies of each part of a new collection, on different nodes of a cluster; 2 outlives one node.",
    )
    qdrant_write_consistency_factor: int | None = Field(
        None,
        ge=1,
        validation_alias="RAGSTONE_QDRANT_WRITE_CONSISTENCY_FACTOR",
        description="Copies that must have a change before it counts. Left out: all, so that a document that is ready "
        "is found on every node; less lets changes go on while a node is down.",
    )
    qdrant_quantization: Literal["none", "int8"] = Field(
        "none",
        validation_alias="RAGSTONE_QDRANT_QUANTIZATION",
        description="`int8` searches a new collection over vectors of half the size, and scores twice the hits by the "
        "full ones; it pays from about a million chunks.",
    )
    qdrant_on_disk: bool = Field(
        default=False,
        validation_alias="RAGSTONE_QDRANT_ON_DISK",
        description="Whether a new collection's vectors are read from disk, where memory does not hold them.",
    )
    qdrant_max_retries: int = Field(
        2,
        ge=1,
        le=10,
        validation_alias="QDRANT_MAX_RETRIES",
        description="Attempts in all at a search of the vector store.",
    )
    retry_min_wait: timedelta = Field(
        timedelta(seconds=1),
        ge=timedelta(0),
        validation_alias="RETRY_MIN_WAIT_SECONDS",
        description="Shortest wait before another attempt.",
    )
    retry_max_wait: timedelta = Field(
        timedelta(seconds=10),
        ge=timedelta(0),
        validation_alias="RETRY_MAX_WAIT_SECONDS",
        description="Longest wait before another attempt, unless the other side asks for a longer one.",
    )
    stream_idle: timedelta = Field(
        timedelta(seconds=20),
        gt=timedelta(0),
        validation_alias="RAGSTONE_STREAM_IDLE_SECONDS",
        description="Longest pause between two pieces of a model's answer.",
    )
    stream_total: timedelta = Field(
        timedelta(seconds=600),
        gt=timedelta(0),
        validation_alias="RAGSTONE_STREAM_TOTAL_SECONDS",
        description="Longest time that a streamed answer may take after its first token.",
    )
    link_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias="RAGSTONE_LINK_HOSTS",
        description="Hosts to which an answer may hold Markdown links and images, separated by commas; others are "
        "made inactive.",
    )
    embedding_provider: Literal["minilm", "openai"] = Field(
        "minilm",
        validation_alias="RAGSTONE_EMBEDDING_PROVIDER",
        description="Which encoder makes the vectors: the packaged one, or one behind OpenAI's protocol.",
    )
    embedding_model: str | None = Field(
        None,
        validation_alias="RAGSTONE_EMBEDDING_MODEL",
        description="Model of the embedder over the network; required there.",
    )
    embedding_dimension: int | None = Field(
        None,
        ge=1,
        le=65536,
        validation_alias="RAGSTONE_EMBEDDING_DIMENSION",
        description="Length of that model's vectors; required there, since the data are laid out for it.",
    )
    embedding_base_url: str | None = Field(
        None,
        validation_alias="RAGSTONE_EMBEDDING_BASE_URL",
        description="Base URL of that embedder, where it is not `OPENAI_BASE_URL`.",
    )
    embedding_api_key: SecretStr | None = Field(
        None,
        validation_alias="RAGSTONE_EMBEDDING_API_KEY",
        description="Its key. Left out, `OPENAI_API_KEY` is used, but only where the base URL is that one's too.",
    )
    embedding_precision: Literal["int8", "fp32"] = Field(
        "int8",
        validation_alias="RAGSTONE_EMBEDDING_PRECISION",
        description="Arithmetic of the packaged encoder; int8 takes about half the CPU at equal ranking quality.",
    )
    ranking: Literal["full", "fused"] = Field(
        "full",
        validation_alias="RAGSTONE_RANKING",
        description="How hybrid searches are ranked: `full` looks at the sentences of the best hits, `fused` only at the "
        "two scores of each, for a few milliseconds less.",
    )
    rerank_url: str | None = Field(
        None,
        validation_alias="RAGSTONE_RERANK_URL",
        description="Server of a reranker, such as `http://127.0.0.1:8080`, which puts the best passages of a search in "
        "order once more. Left out, there is none. `/rerank` is added to its path, `/v2/rerank` where it has none and "
        "the provider is `cohere`.",
    )
    rerank_provider: Literal["tei", "cohere"] = Field(
        "tei",
        validation_alias="RAGSTONE_RERANK_PROVIDER",
        description="The protocol that it speaks: that of TEI, or that of Cohere, as Jina, vLLM, Infinity and llama.cpp "
        "do.",
    )
    rerank_model: str | None = Field(
        None,
        validation_alias="RAGSTONE_RERANK_MODEL",
        description="Its model; required for `cohere`. TEI serves one, so there it is only a name for traces.",
    )
    rerank_api_key: SecretStr | None = Field(
        None, validation_alias="RAGSTONE_RERANK_API_KEY", description="Its key, if it asks for one."
    )
    rerank_top_n: int = Field(
        30,
        ge=1,
        le=200,
        validation_alias="RAGSTONE_RERANK_TOP_N",
        description="How many of the best passages are sent to it; TEI takes at most 32 unless it is told otherwise.",
    )
    rerank_timeout: timedelta = Field(
        timedelta(seconds=5),
        gt=timedelta(0),
        validation_alias="RAGSTONE_RERANK_TIMEOUT_SECONDS",
        description="Longest wait for one attempt at it. Half of the request's remaining time bounds all of them.",
    )
    request_timeout: timedelta = Field(
        timedelta(seconds=60),
        gt=timedelta(0),
        validation_alias="RAGSTONE_REQUEST_TIMEOUT_SECONDS",
        description="Time a query may take, retries included, up to its first token where it is streamed; the body's "
        "`timeout_s` may lower it.",
    )
    max_upload_bytes: int = Field(
        100 * MIB,
        ge=1,
        validation_alias="RAGSTONE_MAX_UPLOAD_BYTES",
        description="Largest body of a file upload, in bytes.",
    )
    max_queued_jobs: int = Field(
        10_000,
        ge=1,
        validation_alias="RAGSTONE_MAX_QUEUED_JOBS",
        description="Ingest jobs that may wait; beyond it uploads answer 429.",
    )
    parse_workers: int = Field(
        1,
        ge=1,
        le=64,
        validation_alias="RAGSTONE_PARSE_WORKERS",
        description="Processes that read documents at the same time. One reads faster than two cores embed.",
    )
    parse_memory_bytes: int = Field(
        512 * MIB,
        ge=256 * MIB,
        validation_alias="RAGSTONE_PARSE_MEMORY_BYTES",
        description="Memory of such a process, its address space in fact. 50 MB on one line take 450 MB; raise it with "
        "`RAGSTONE_MAX_UPLOAD_BYTES`.",
    )
    parse_cpu: timedelta = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=1),
        validation_alias="RAGSTONE_PARSE_CPU_SECONDS",
        description="Processor time for one document. 50 MB of prose take 20 to 30 s; a page that is read from its "
        "picture takes 1 to 5 s, so raise it for long scans.",
    )
    parse_wall: timedelta = Field(
        timedelta(seconds=300),
        ge=timedelta(seconds=1),
        validation_alias="RAGSTONE_PARSE_WALL_SECONDS",
        description="Time for one document by the clock. Questions go first, so on a busy machine it takes five times "
        "its processor time.",
    )
    parse_max_characters: int = Field(
        50_000_000,
        ge=1,
        validation_alias="RAGSTONE_PARSE_MAX_CHARACTERS",
        description="Longest text of one document. Half of the largest upload, since more was inflated.",
    )
    parse_max_pages: int = Field(
        20_000,
        ge=1,
        validation_alias="RAGSTONE_PARSE_MAX_PAGES",
        description="Most pages of a PDF or a picture. The longest books have a tenth of it; a page tree of a few MB "
        "can claim 200,000.",
    )
    parse_max_inflated_bytes: int = Field(
        400 * MIB,
        ge=1,
        validation_alias="RAGSTONE_PARSE_MAX_INFLATED_BYTES",
        description="Most that may come out of an archive or an office document, and out of archives inside it. The "
        "process that reads it has 512 MiB.",
    )
    ocr_languages: str = Field(
        "eng",
        pattern=r"^[A-Za-z0-9_]+(?:\+[A-Za-z0-9_]+)*$",
        validation_alias="RAGSTONE_OCR_LANGUAGES",
        description="Languages that tesseract reads pictures in, such as `eng+deu`; each needs its Debian package "
        "`tesseract-ocr-…`. Without tesseract on the `PATH` pictures are not read.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias="LOG_LEVEL", description="Least severe level that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        "json",
        validation_alias="LOG_FORMAT",
        description="One JSON object a line, or text for reading along.",
    )
    log_requests: bool = Field(
        default=True,
        validation_alias="LOG_REQUESTS",
        description="Whether each request is logged with its stage timings.",
    )
    otlp_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Where traces are sent to, such as `http://127.0.0.1:4318` (OTLP over HTTP); needs the extra `otel`. "
        "Left out, none are recorded.",
    )

    @field_validator(
        "allowed_hosts", "cors_origins", "openai_models", "aisuite_models", "link_hosts", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("api_keys", mode="before")
    @classmethod
    def _keys(cls, value: Any) -> Any:
        return parse_keys(value) if isinstance(value, str) else value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _any_case(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        return value.upper() if info.field_name == "log_level" else value.lower()

    @field_validator(
        "llm_provider",
        "openai_api_key",
        "openai_base_url",
        "openai_model",
        "qdrant_url",
        "qdrant_api_key",
        "qdrant_write_consistency_factor",
        "llm_temperature",
        "embedding_model",
        "embedding_dimension",
        "embedding_base_url",
        "embedding_api_key",
        "rerank_url",
        "rerank_model",
        "rerank_api_key",
        "otlp_endpoint",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        """`NAME=` in a file of settings means: not set."""
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("openai_base_url", "embedding_base_url", "rerank_url", "otlp_endpoint", "qdrant_url")
    @classmethod
    def _is_url(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not (
            urlsplit(value).scheme in {"http", "https"} and urlsplit(value).hostname
        ):
            examples = {"qdrant_url": "http://127.0.0.1:6333", "rerank_url": "http://127.0.0.1:8080"}
            example = examples.get(str(info.field_name), "http://127.0.0.1:11434/v1")
            raise ValueError(f"expected a URL such as {example}")
        return value

    @field_validator(
        "request_timeout",
        "llm_timeout",
        "retry_min_wait",
        "retry_max_wait",
        "stream_idle",
        "stream_total",
        "qdrant_timeout",
        "rerank_timeout",
        "parse_cpu",
        "parse_wall",
        mode="before",
    )
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        if not isinstance(value, str | int | float):
            return value
        try:
            return timedelta(seconds=float(value))
        except OverflowError as error:
            raise ValueError("not a number of seconds") from error

    @model_validator(mode="after")
    def _is_complete(self) -> "Settings":
        """What belongs together is set together."""
        if self.retry_max_wait < self.retry_min_wait:
            raise ValueError("RETRY_MAX_WAIT_SECONDS is less than RETRY_MIN_WAIT_SECONDS")
        if (self.qdrant_write_consistency_factor or 1) > self.qdrant_replication_factor:
            raise ValueError(
                "RAGSTONE_QDRANT_WRITE_CONSISTENCY_FACTOR is more than RAGSTONE_QDRANT_REPLICATION_FACTOR"
            )
        if self.answers_by_default == "openai" and not self.has_openai:
            raise ValueError("RAGSTONE_LLM_PROVIDER=openai needs OPENAI_API_KEY or OPENAI_BASE_URL")
        if self.answers_by_default == "openai" and not self.openai_model:
            raise ValueError("OPENAI_MODEL is required where OPENAI_API_KEY or OPENAI_BASE_URL is set")
        if self.answers_by_default == "aisuite" and not self.aisuite_models:
            raise ValueError("RAGSTONE_LLM_PROVIDER=aisuite needs RAGSTONE_AISUITE_MODELS")
        if self.embedding_provider == "openai" and not (self.embedding_model and self.embedding_dimension):
            raise ValueError(
                "RAGSTONE_EMBEDDING_PROVIDER=openai needs RAGSTONE_EMBEDDING_MODEL and RAGSTONE_EMBEDDING_DIMENSION"
            )
        if self.rerank_url and self.rerank_provider == "cohere" and not self.rerank_model:
            raise ValueError("RAGSTONE_RERANK_PROVIDER=cohere needs RAGSTONE_RERANK_MODEL")
        return self

    @property
    def needs_keys(self) -> bool:
        """Whether callers need an API key, be it one that has to be made."""
        return bool(self.api_keys) or not is_loopback(self.host)

    @property
    def qdrant_key(self) -> str | None:
        """The key in clear."""
        return _revealed(self.qdrant_api_key)

    @property
    def has_openai(self) -> bool:
        """Whether a server that speaks OpenAI's protocol is known."""
        return bool(self.openai_api_key or self.openai_base_url)

    @property
    def answers_by_default(self) -> str:
        """The provider that answers where a request names none."""
        return self.llm_provider or ("openai" if self.has_openai else "extractive")

    def llm_options(self) -> dict[str, dict[str, Any]]:
        """What each configured provider's constructor is given, the default provider first."""
        silence_s = max(self.llm_timeout, self.stream_idle).total_seconds() + 1  # callers are told first
        found: dict[str, dict[str, Any]] = {"extractive": {}}
        if self.has_openai and self.openai_model:
            models = tuple(dict.fromkeys((self.openai_model, *self.openai_models)))
            found["openai"] = {
                "api_key": _revealed(self.openai_api_key),
                "base_url": self.openai_base_url,
                "models": models,
                "timeout_s": silence_s,
            }
        if self.aisuite_models:
            found["aisuite"] = {"models": self.aisuite_models, "timeout_s": silence_s}
        default = self.answers_by_default
        return {default: found[default], **found}

    def embedder_options(self) -> dict[str, Any]:
        """What the chosen embedder's constructor is given."""
        if self.embedding_provider == "minilm":
            return {"precision": self.embedding_precision}
        key = self.embedding_api_key  # OpenAI's key never goes to another server
        if key is None and self.embedding_base_url is None:
            key = self.openai_api_key
        return {
            "api_key": _revealed(key),
            "base_url": self.embedding_base_url or self.openai_base_url,
            "model": self.embedding_model,
            "dimension": self.embedding_dimension,
            "timeout_s": self.llm_timeout.total_seconds(),
        }

    def reranker_options(self) -> dict[str, Any] | None:
        """What the reranker's constructor is given; None where there is none."""
        if self.rerank_url is None:
            return None
        return {
            "url": self.rerank_url,
            "api_key": _revealed(self.rerank_api_key),
            "model": self.rerank_model,
            "timeout_s": self.rerank_timeout.total_seconds(),
        }

    def log_options(self) -> dict[str, Any]:
        """What the log of a process is set up with."""
        return {"level": self.log_level, "log_format": self.log_format, "secrets": self.secret_values()}

    def secret_values(self) -> tuple[str, ...]:
        """All that must never be written anywhere: keys, and what URLs hold of credentials."""
        found: list[str] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, SecretStr):
                    found.append(each.get_secret_value())
                elif name.endswith(("_url", "_endpoint")) and each:
                    parts = urlsplit(each)
                    found.append(parts.password or parts.username or "")
        return tuple(filter(None, found))

    def qdrant_layout(self) -> dict[str, Any]:
        """What a new collection of the server is laid out with, besides the dimension."""
        return {
            "shard_number": self.qdrant_shard_number,
            "replication_factor": self.qdrant_replication_factor,
            "write_consistency_factor": self.qdrant_write_consistency_factor
            or self.qdrant_replication_factor,
            "quantization": self.qdrant_quantization,
            "is_on_disk": self.qdrant_on_disk,
        }

    def parse_limits(self) -> dict[str, Any]:
        """What the limits of the document reader are built from."""
        return {
            "memory_bytes": self.parse_memory_bytes,
            "cpu_s": self.parse_cpu.total_seconds(),
            "wall_s": self.parse_wall.total_seconds(),
            "characters": self.parse_max_characters,
            "pages": self.parse_max_pages,
            "inflated_bytes": self.parse_max_inflated_bytes,
            "ocr_languages": self.ocr_languages,
        }

    def embedder_record(self) -> dict[str, Any]:
        """`embedder_options` as they may be written down: without the key and what a URL may hold of one."""
        options = {name: value for name, value in self.embedder_options().items() if name != "api_key"}
        if url := options.get("base_url"):
            parts = urlsplit(url)
            options["base_url"] = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return options

    def embedder_key(self, provider: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The key for an embedder that was configured earlier, if one is configured now for the same server."""
        if provider == "minilm":
            return {}
        url = options.get("base_url")
        if url == self.openai_base_url and self.embedding_base_url is None and self.embedding_api_key:
            return {"api_key": _revealed(self.embedding_api_key)}
        if url == self.embedding_base_url and url is not None:
            return {"api_key": _revealed(self.embedding_api_key)}
        return {"api_key": _revealed(self.openai_api_key) if url == self.openai_base_url else None}

    def receivers(self) -> tuple[str, ...]:
        """Where text is sent to: hosts, and vendors that are reached through aisuite."""
        urls: list[str] = []
        if "openai" in self.llm_options():
            urls.append(self.openai_base_url or OPENAI)
        if self.embedding_provider == "openai":
            urls.append(self.embedder_options()["base_url"] or OPENAI)
        if self.rerank_url:
            urls.append(self.rerank_url)
        if self.qdrant_url:
            urls.append(self.qdrant_url)
        hosts = [urlsplit(url).hostname or url for url in urls]
        vendors = [name.partition(":")[0] for name in self.aisuite_models]
        return tuple(dict.fromkeys((*hosts, *vendors)))


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, with overrides by field name on top. Raises InvalidSetting."""
    _refuse_unknown_names()
    try:
        return Settings(**{_ENVIRONMENT_NAMES[name]: value for name, value in overrides.items()})
    except (ValidationError, ValueError) as error:
        raise InvalidSetting(_describe(error)) from error


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def setting_names() -> dict[str, str]:
    """Environment name → field name, of every setting."""
    return {str(field.validation_alias): name for name, field in Settings.model_fields.items()}


_ENVIRONMENT_NAMES = {field: name for name, field in setting_names().items()}


def _refuse_unknown_names() -> None:
    known = setting_names()
    given = [*os.environ, *dotenv_values(ENV_FILE)]
    for name in given:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            bare = name.upper().removeprefix(PREFIX)
            nearest = (
                bare if bare in known else difflib.get_close_matches(name.upper(), known, 1, cutoff=0.0)[0]
            )
            raise InvalidSetting(f"unknown setting {name}; the nearest known one is {nearest}")


def _describe(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"settings cannot be read: {error}"
    problems = (
        ": ".join([*map(str, item["loc"]), item["msg"].removeprefix("Value error, ")])
        for item in error.errors(include_input=False, include_url=False)
    )
    return "settings are not valid: " + "; ".join(problems)
