"""Every setting, with its default and the reason for it. Read once, in `create_app` or the CLI; services get values."""

import difflib
import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ragstone.core.errors import InvalidSetting

PREFIX = "RAGSTONE_"
ENV_FILE = ".env"
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
        description="Address that `ragstone serve` listens on. Only loopback is accepted while there are no API keys.",
    )
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        validation_alias="RAGSTONE_PORT",
        description="Port of `ragstone serve`; 0 picks one.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias="RAGSTONE_ALLOWED_HOSTS",
        description="Host names besides loopback that requests may carry, separated by commas.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias="CORS_ORIGINS",
        description="Origins of other sites whose pages may call the API, separated by commas.",
    )
    embedding_provider: Literal["minilm"] = Field(
        "minilm",
        validation_alias="RAGSTONE_EMBEDDING_PROVIDER",
        description="Which encoder makes the vectors.",
    )
    embedding_precision: Literal["int8", "fp32"] = Field(
        "int8",
        validation_alias="RAGSTONE_EMBEDDING_PRECISION",
        description="Arithmetic of the packaged encoder; int8 takes about half the CPU at equal ranking quality.",
    )
    request_timeout: timedelta = Field(
        timedelta(seconds=60),
        gt=timedelta(0),
        validation_alias="RAGSTONE_REQUEST_TIMEOUT_SECONDS",
        description="Time a query may take, queueing included; the body's `timeout_s` may lower it.",
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

    @field_validator("allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _any_case(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        return value.upper() if info.field_name == "log_level" else value.lower()

    @field_validator("request_timeout", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        if not isinstance(value, str | int | float):
            return value
        try:
            return timedelta(seconds=float(value))
        except OverflowError as error:
            raise ValueError("not a number of seconds") from error


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, with overrides by field name on top. Raises InvalidSetting."""
    _refuse_unknown_names()
    try:
        return Settings(**{_ENVIRONMENT_NAMES[name]: value for name, value in overrides.items()})
    except (ValidationError, ValueError) as error:
        raise InvalidSetting(_describe(error)) from error


def setting_names() -> dict[str, str]:
    """Environment name → field name, of every setting."""
    return {str(field.validation_alias): name for name, field in Settings.model_fields.items()}


_ENVIRONMENT_NAMES = {field: name for name, field in setting_names().items()}


def _refuse_unknown_names() -> None:
    known = setting_names()
    given = [*os.environ, *dotenv_values(ENV_FILE)]
    for name in given:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            nearest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)
            raise InvalidSetting(f"unknown setting {name}; the nearest known one is {nearest[0]}")


def _describe(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"settings cannot be read: {error}"
    problems = (
        f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False)
    )
    return "settings are not valid: " + "; ".join(problems)
