"""The one shape of an error reply."""

import json
from typing import Any

import orjson

from ragstone.core.errors import (
    DeadlineExceeded,
    DocumentNotFound,
    EngineUnavailable,
    InvalidRequest,
    RagstoneError,
    UpstreamRefused,
)
from ragstone.middleware.errors import MAX_DETAILS, error_response


def body_of(error: RagstoneError) -> dict[str, Any]:
    info: dict[str, Any] = json.loads(bytes(error_response(error, {"state": {"request_id": "r-1"}}).body))[
        "error"
    ]
    return info


def test_an_error_has_code_message_retryable_request_id_and_details() -> None:
    assert body_of(DocumentNotFound("no document 'x'")) == {
        "code": "document_not_found",
        "message": "no document 'x'",
        "retryable": False,
        "request_id": "r-1",
        "details": [],
    }


def test_whatever_may_pass_says_when_to_come_back() -> None:
    assert error_response(DeadlineExceeded("late"), {}).headers["retry-after"] == "1"
    assert "retry-after" not in error_response(UpstreamRefused("401"), {}).headers


def test_a_failure_that_passes_carries_retry_after_in_whole_seconds() -> None:
    response = error_response(EngineUnavailable("restarting", retry_after_s=0.2), {})

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


def test_any_text_renders_as_strict_json() -> None:
    error = InvalidRequest("odd \ud800", details=[{"loc": ["body", "\udfff"], "type": "x", "msg": "é"}])

    body = orjson.loads(error_response(error, {"state": {"request_id": "r-1"}}).body)

    assert body["error"]["message"] == "odd ?"
    assert body["error"]["details"] == [{"loc": ["body", "?"], "type": "x", "msg": "é"}]


def test_the_number_of_details_is_bounded() -> None:
    details = [{"loc": [], "type": "x", "msg": str(number)} for number in range(1000)]

    assert len(body_of(InvalidRequest("all wrong", details=details))["details"]) == MAX_DETAILS
