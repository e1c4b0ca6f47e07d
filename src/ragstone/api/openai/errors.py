"""The error shape of `/v1` in the OpenAPI document; middleware/errors.py writes it."""

from typing import Any

from ragstone.api.errors import MEANINGS
from ragstone.api.openai.base import OpenAIErrorReply


def openai_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses answer in OpenAI's shape."""
    return {status: {"model": OpenAIErrorReply, "description": MEANINGS[status]} for status in statuses}
