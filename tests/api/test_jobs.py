"""Jobs: listed, followed, cancelled, tried again."""

import json
from typing import Any

from tests.apiclient import Api


async def failed(api: Api, collection: str, name: str = "blank.txt") -> dict[str, Any]:
    """A document without text, and its failed job."""
    reply = await api.upload(b" \n ", name, collection=collection)
    await api.finished(reply["job"]["id"])
    return reply


def events_of(stream: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and content of each event."""
    frames = [frame for frame in stream.replace("\r\n", "\n").split("\n\n") if "event:" in frame]
    fields = [dict(line.split(": ", 1) for line in frame.split("\n")) for frame in frames]
    return [(field["event"], json.loads(field["data"])) for field in fields]


class TestList:
    async def test_jobs_come_newest_first_page_by_page(self, api: Api, collection: str) -> None:
        replies = [await api.upload_text(f"Text {n}.", collection=collection) for n in range(3)]
        made = [reply["job"]["id"] for reply in replies]

        first = await api.get("/jobs", limit=2)
        second = await api.get("/jobs", limit=2, cursor=first["next_cursor"])

        listed = [job["id"] for job in first["items"] + second["items"]]
        assert listed[:3] == made[::-1]

    async def test_they_can_be_chosen(self, api: Api, collection: str) -> None:
        bad = await failed(api, collection)
        document_id = bad["document"]["id"]

        chosen = await api.get("/jobs", document_id=document_id, state="failed", kind="ingest")

        assert [job["error"]["code"] for job in chosen["items"]] == ["no_text"]
        assert (await api.get("/jobs", document_id=document_id, state="queued"))["items"] == []
        await api.refused("GET", "/jobs?state=odd", 422)
        await api.refused("GET", "/jobs?cursor=odd", 422)


class TestFollowing:
    async def test_a_job_is_followed_to_its_end(self, api: Api, collection: str) -> None:
        text = "\n\n".join(f"Paragraph {n} speaks of refunds and of parcels." for n in range(60))
        job = (await api.upload_text(text, collection=collection))["job"]

        response = await api.call("GET", f"/jobs/{job['id']}/events")

        assert response.headers["content-type"].startswith("text/event-stream")
        events = events_of(response.text)
        assert [name for name, _ in events][-1] == "done"
        assert {name for name, _ in events[:-1]} <= {"job"}
        assert events[-1][1]["job"]["state"] == "succeeded"
        assert {"rate", "remaining_s"} <= events[-1][1].keys()

    async def test_one_that_has_ended_is_one_event(self, api: Api, collection: str) -> None:
        job = (await failed(api, collection))["job"]

        ((name, content),) = events_of((await api.call("GET", f"/jobs/{job['id']}/events")).text)

        assert (name, content["job"]["error"]["code"]) == ("done", "no_text")

    async def test_one_that_never_was_is_not_found(self, api: Api) -> None:
        error = await api.refused("GET", "/jobs/unknown/events", 404)

        assert error["code"] == "job_not_found"


class TestRetry:
    async def test_a_failed_job_is_repeated_as_a_new_one(self, api: Api, collection: str) -> None:
        bad = await failed(api, collection)

        again = await api.post(f"/jobs/{bad['job']['id']}/retry", None, 202)

        assert again["job"]["id"] != bad["job"]["id"]
        assert (await api.finished(again["job"]["id"]))["error"]["code"] == "no_text"
        assert (await api.get(f"/documents/{bad['document']['id']}"))["version"] == 2

    async def test_a_job_that_succeeded_is_not(self, api: Api, collection: str) -> None:
        document = await api.ready(b"Refunds are paid.", "a.txt", collection=collection)
        (job,) = (await api.get("/jobs", document_id=document["id"]))["items"]

        error = await api.refused("POST", f"/jobs/{job['id']}/retry", 409)

        assert error["code"] == "conflict"


class TestCancel:
    async def test_one_that_has_ended_cannot_be_cancelled(self, api: Api, collection: str) -> None:
        bad = await failed(api, collection)

        error = await api.refused("POST", f"/jobs/{bad['job']['id']}/cancel", 409)

        assert error["code"] == "conflict"
        await api.refused("POST", "/jobs/unknown/cancel", 404)
