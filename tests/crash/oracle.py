"""What a tester knows who trusts acknowledgements alone: it drives a server, and says afterwards what was broken."""

import hashlib
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2

from ragstone.core.errors import ChangeInDoubt
from tests.containers import zipped
from tests.crash.harness import FINAL, CrashServer, all_documents, is_in_work

MARK = re.compile(r"mark\d{6}x")
COMMON = "subject"  # a word of every text
BUSY = (429, 503)
Json = dict[str, Any]


@dataclass(frozen=True)
class Content:
    """Bytes that no other upload has: each of its texts carries the mark. `members` are what is inside a container."""

    mark: str
    raw: bytes
    members: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """As the server tells it."""
        return hashlib.sha256(self.raw).hexdigest()


@dataclass
class Known:
    """What the tester knows of one source."""

    document_id: str | None = None
    """While an acknowledged upload is not deleted."""
    allowed: list[Content] = field(default_factory=list)
    """What may be visible: what was acknowledged last, and what was sent since."""
    history: dict[str, Content] = field(default_factory=dict)
    """By hash, all that was ever sent for it."""
    may_fail: bool = False
    """Its first version may have been cancelled."""
    words: list[int | None] = field(default_factory=lambda: [None])
    """`n` of the metadata, as acknowledged last, and as sent since."""
    all_words: set[int | None] = field(default_factory=lambda: {None})
    delete_in_doubt: bool = False
    resend: Callable[[CrashServer], object] | None = None
    """A request with an idempotency key that was not answered."""

    def accept(self, content: Content) -> None:
        """It is the document's newest now."""
        self.allowed, self.may_fail = [content], False

    def doubt(self) -> None:
        """An older version may be visible again."""
        self.allowed, self.may_fail = list(self.history.values()), True


class Oracle:
    """Every operation notes what it will do, does it, and notes that it was acknowledged."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self.sources: dict[str, Known] = {}
        self.serial = 0
        self.done: dict[str, int] = {}
        """Operations by name, as far as they were acknowledged."""
        self._chance = chance or random.Random(1)

    # ---- operations ----

    def upload(self, server: CrashServer, source: str) -> str | None:
        """A new version, with an idempotency key; returns the document's id if it was acknowledged. A source that
        begins with `zip` is a container."""
        known, content, key = self._known(source), self._content(source), uuid4().hex

        def send(to: CrashServer) -> httpx2.Response:
            headers, fields = {"Idempotency-Key": key}, {"source": source}
            return to.http.post("/documents", headers=headers, data=fields, **_file(source, content))

        return self._sent("upload", server, known, content, send)

    def put(self, server: CrashServer, source: str) -> str | None:
        """The same by its id, without a key."""
        known, content = self._known(source), self._content(source)
        if known.document_id is None:
            return None
        path = f"/documents/{known.document_id}"
        return self._sent(
            "put", server, known, content, lambda to: to.http.put(path, **_file(source, content)), keyed=False
        )

    def delete(self, server: CrashServer, source: str) -> None:
        """With all that is inside it."""
        known = self._known(source)
        if known.document_id is not None:
            known.delete_in_doubt = True
            reply = server.http.delete(f"/documents/{known.document_id}")
            if self._took("delete", reply, 200, 202, 404):
                self.sources[source] = Known()

    def delete_by_filter(self, server: CrashServer, source: str) -> None:
        """It and its neighbour at once."""
        doomed = [source, *self._chance.sample(sorted(self.sources), k=min(1, len(self.sources)))]
        for each in doomed:
            self._known(each).delete_in_doubt = True
        params = {"filter": json.dumps({"field": "source", "in": doomed})}
        if self._took("delete_by_filter", server.http.delete("/documents", params=params), 200, 202):
            self.sources |= {each: Known() for each in doomed}

    def patch(self, server: CrashServer, source: str) -> None:
        """Other metadata, and the same as title."""
        known = self._known(source)
        if known.document_id is None:
            return
        self.serial += 1
        number = self.serial
        known.words.append(number)
        known.all_words.add(number)
        body = {"title": f"Title {number}", "metadata": {"n": number}}
        if self._took("patch", server.http.patch(f"/documents/{known.document_id}", json=body), 200):
            known.words = [number]

    def restore(self, server: CrashServer, source: str) -> None:
        """Bytes and words of an earlier version."""
        known = self._known(source)
        versions = self._versions(server, known)
        if not versions:
            return
        chosen = self._chance.choice(versions)
        content = known.history[chosen["sha256"]]
        known.allowed.append(content)
        known.words = list(known.all_words)
        path = f"/documents/{known.document_id}/versions/{chosen['version']}/restore"
        if self._took("restore", server.http.post(path), 200, 202, 404):
            self._learn(server, known)

    def reindex(self, server: CrashServer, source: str) -> None:
        """A new version from the same bytes; after a version was cancelled, from those."""
        known = self._known(source)
        if known.document_id is not None:
            known.doubt()
            self._took("reindex", server.http.post(f"/documents/{known.document_id}/reindex"), 202, 409)
            self._learn(server, known)

    def cancel(self, server: CrashServer, source: str) -> None:
        """The newest job, if it is not too late; what was visible before stays."""
        self._on_job(server, source, "cancel", 200, 409)

    def retry(self, server: CrashServer, source: str) -> None:
        """The newest job, if it failed or was cancelled."""
        self._on_job(server, source, "retry", 202, 409)

    def resend(self, server: CrashServer) -> None:
        """What was sent with a key when the server died is sent again: it is done once, or now."""
        for known in self.sources.values():
            if known.resend is not None:
                known.resend(server)

    def learn(self, server: CrashServer) -> None:
        """After a check nothing is in doubt: what is there is what the next checks go by."""
        listed = {item["source"]: item for item in all_documents(server)}
        for source, known in list(self.sources.items()):
            if source not in listed:
                self.sources[source] = Known()
                continue
            known.document_id, known.delete_in_doubt = listed[source]["id"], False
            known.words = [listed[source]["metadata"].get("n")]
            self._learn(server, known)

    def _known(self, source: str) -> Known:
        return self.sources.setdefault(source, Known())

    def _content(self, source: str) -> Content:
        self.serial += 1
        mark = f"mark{self.serial:06d}x"
        if not source.startswith("zip"):
            return Content(mark, _text(source, mark).encode())
        members = {
            f"{COMMON} {mark}.txt": _text("a member", mark),
            "changing.txt": _text("a changing member", mark),
            "same.txt": f"What stays the same is a {COMMON} of {source}.",
        }
        return Content(mark, zipped(members), members)

    def _sent(
        self,
        name: str,
        server: CrashServer,
        known: Known,
        content: Content,
        send: Callable[[CrashServer], httpx2.Response],
        *,
        keyed: bool = True,
    ) -> str | None:
        """`keyed` requests are sent again if they are not answered, and one in four times also if they are."""

        def deliver(to: CrashServer) -> str | None:
            reply = send(to)
            known.resend = None
            if not self._took(name, reply, 200, 202):
                known.allowed.remove(content)
                return None
            known.accept(content)
            known.document_id = reply.json()["document"]["id"]
            if keyed and self._chance.random() < 0.25:
                again = send(to)
                assert again.status_code in (200, 202), again.text
                same = again.json()
                assert same["document"]["id"] == known.document_id, again.text
                assert same["job"]["id"] == reply.json()["job"]["id"], again.text
            return known.document_id

        known.allowed.append(content)
        known.history[content.sha256] = content
        known.resend = deliver if keyed else None
        return deliver(server)

    def _on_job(self, server: CrashServer, source: str, verb: str, *expected: int) -> None:
        known = self._known(source)
        versions = self._versions(server, known)
        if versions:
            known.doubt()
            self._took(verb, server.http.post(f"/jobs/{versions[0]['job_id']}/{verb}"), *expected)
            self._learn(server, known)

    def _learn(self, server: CrashServer, known: Known) -> None:
        """The newest version is or will be visible; if it was cancelled, the one that is."""
        versions = self._versions(server, known)
        coming = [each for each in versions[:1] if each["state"] in ("pending", "visible")]
        shown = coming or [each for each in versions if each["state"] == "visible"]
        known.allowed = [known.history[each["sha256"]] for each in shown]
        known.may_fail = not shown

    def _versions(self, server: CrashServer, known: Known) -> list[Json]:
        if known.document_id is None:
            return []
        found: list[Json] = server.http.get(f"/documents/{known.document_id}/versions").json()["items"]
        return found

    def _took(self, name: str, reply: httpx2.Response, *expected: int) -> bool:
        """False where the server was busy or its engine away. Raises where it died over the request."""
        if reply.status_code in BUSY:
            if reply.json()["error"]["code"] == ChangeInDoubt.code:
                raise httpx2.ReadError(f"{name}: {reply.text}")
            return False
        assert reply.status_code in expected, f"{name}: {reply.status_code} {reply.text}"
        self.done[name] = self.done.get(name, 0) + (reply.status_code != 409)
        return True

    # ---- judging ----

    def violations(self, server: CrashServer) -> list[str]:
        """After everything has settled: what contradicts the acknowledgements (I1 to I3)."""
        everything = list(all_documents(server))
        listed = {item["source"]: item for item in everything if item["parent_id"] is None}
        shown = set[str]()
        problems = [f"{source}: nobody uploaded it" for source in listed.keys() - self.sources.keys()]
        for source, known in self.sources.items():
            found, mark = self._judge(server, source, known, listed.get(source))
            problems += found
            shown |= mark
        members = sum(len(item["children"]) for item in everything)
        if members != len(everything) - len(listed):
            problems.append(f"{len(everything) - len(listed)} parts are listed, {members} have a container")
        found_marks = _marks_found(server)
        problems += [f"{mark} is visible and not found" for mark in shown - found_marks]
        return problems + [f"{mark} is a ghost" for mark in found_marks - shown]

    def _judge(
        self, server: CrashServer, source: str, known: Known, document: Json | None
    ) -> tuple[list[str], set[str]]:
        """What is wrong with a document, and the mark that it shows."""
        if document is None:
            is_lost = known.document_id is not None and not known.delete_in_doubt
            return ([f"{source}: acknowledged and gone"] if is_lost else []), set()
        if document["status"] not in FINAL or is_in_work(document):
            return [f"{source}: not settled: {document['status']}"], set()
        if document["metadata"].get("n") not in known.words:
            return [f"{source}: says {document['metadata']}, acknowledged was {known.words}"], set()
        if document["status"] == "failed":
            return ([] if known.may_fail else [f"{source}: failed: {document['error']}"]), set()
        content = next((each for each in known.allowed if each.sha256 == document["sha256"]), None)
        if content is None:
            marks = [each.mark for each in known.allowed]
            return [f"{source}: shows {_shown(known, document)}, acknowledged was {marks}"], set()
        problems = [*_text_problems(server, document, content), *_word_problems(server, document, content)]
        return [f"{source}: {problem}" for problem in problems], {content.mark}


def _text(source: str, mark: str) -> str:
    """Three paragraphs that each carry the mark."""
    return "\n\n".join(
        f"Part {part} of {source} says {mark} about its {COMMON}." for part in ("one", "two", "three")
    )


def _shown(known: Known, document: Json) -> str:
    found = known.history.get(document["sha256"])
    return f"version {document['version']} with {found.mark if found else 'unknown bytes'}"


def _file(source: str, content: Content) -> Json:
    name = f"{source}.zip" if content.members else f"{source}.txt"
    return {"files": {"file": (name, content.raw)}}


def _text_problems(server: CrashServer, document: Json, content: Content) -> list[str]:
    """Its text is whole, and the parts are exactly those that it holds."""
    if not content.members:
        text = _read_text(server, document["id"])
        return [] if text == content.raw.decode() else [f"its text is {text[:60]!r}"]
    texts = {child["member"]: _read_text(server, child["id"]) for child in document["children"]}
    return [] if texts == content.members else [f"its parts are {texts}"]


def _word_problems(server: CrashServer, document: Json, content: Content) -> list[str]:
    """A filter finds it by what it says of itself."""
    number = document["metadata"].get("n")
    if number is None:
        return []
    found = _marks_found(
        server, {"field": "metadata.n", "eq": number}, {"field": "title", "eq": document["title"]}
    )
    return [] if content.mark in found else [f"the filter n = {number} finds {found}"]


def _read_text(server: CrashServer, document_id: str) -> str:
    return server.http.get(f"/documents/{document_id}/text").text


def _marks_found(server: CrashServer, *filters: Json) -> set[str]:
    """Marks of all passages that can be found; fewer than 100 are there."""
    body: Json = {"query": COMMON, "mode": "sparse", "top_k": 100}
    reply = server.http.post("/search", json={**body, **({"filter": {"and": filters}} if filters else {})})
    assert reply.status_code == 200, reply.text
    results: Sequence[Json] = reply.json()["results"]
    assert len(results) < 100, "too many passages to see them all"
    return {mark for result in results for mark in MARK.findall(result["text"])}
