"""What a point carries: written at ingest, read back at search."""

import json
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest

from ragstone.core.models import Chunk, IngestTask, Location, Scope, Vector, VisibleDocument
from ragstone.pipelines.features import Packed, decode, pack_features
from ragstone.pipelines.fusion import Candidate
from ragstone.pipelines.payload import (
    chunk_payload,
    document_version,
    embedding_key,
    point_id,
    sentence_texts,
    source_of,
)
from tests.words import WordEncoder, tokens

NO_VECTORS = np.zeros((0, 8), np.float32)
CHUNK = Chunk(
    index=3,
    start=10,
    end=31,
    text="One sentence. Two 🙂.",
    context="Guide › Start",
    heading=("Guide", "Start"),
    location=Location(page=2),
    sentences=((10, 23), (24, 31)),
)


def task(**changes: Any) -> IngestTask:
    fields: dict[str, Any] = {
        "job": cast("Any", None),
        "scope": Scope("t", "c"),
        "document_id": "d",
        "version": 2,
        "sha256": "0" * 64,
        "filename": "a.md",
        "media_type": "text/markdown",
        "title": None,
        "source": "docs/a.md",
        "metadata": {"team": "x", "dotted.key": [1, 2]},
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return IngestTask(**{**fields, **changes})


TEXTS = sentence_texts(CHUNK)


def features(vectors: Vector) -> str:
    return pack_features(
        [WordEncoder().terms(text) for text in TEXTS], [len(text) for text in TEXTS], vectors
    )


def unpacked(vectors: Vector) -> Packed:
    return decode(features(vectors))


def payload() -> dict[str, Any]:
    return chunk_payload(
        task(), CHUNK, title="The guide", key="k", gap="\n\n", language="en", features=features(NO_VECTORS)
    )


class TestIds:
    def test_a_point_id_depends_on_document_version_and_index_alone(self) -> None:
        assert point_id("d", 1, 0) == point_id("d", 1, 0)
        assert len({point_id("d", 1, 0), point_id("d", 2, 0), point_id("d", 1, 1), point_id("e", 1, 0)}) == 4

    def test_versions_are_keyed_by_document_and_number(self) -> None:
        assert document_version("d", 2) == "d:2"

    @pytest.mark.parametrize(
        "change", [{"text": "Other text here here."}, {"context": ""}, {"sentences": ((10, 31),)}]
    )
    def test_an_embedding_is_reused_only_for_the_same_text_context_and_sentences(
        self, change: dict[str, Any]
    ) -> None:
        from dataclasses import replace

        assert embedding_key(CHUNK, "m") != embedding_key(replace(CHUNK, **change), "m")

    def test_an_embedding_key_depends_on_the_embedder_but_not_on_the_place_in_the_document(self) -> None:
        from dataclasses import replace

        moved = replace(
            CHUNK, index=9, start=110, end=131, sentences=((110, 123), (124, 131)), location=Location()
        )

        assert embedding_key(moved, "m") == embedding_key(CHUNK, "m")
        assert embedding_key(CHUNK, "m") != embedding_key(CHUNK, "n")

    def test_a_lone_surrogate_has_a_key_too(self) -> None:
        from dataclasses import replace

        assert embedding_key(replace(CHUNK, text="\ud800"), "m")


class TestSource:
    def test_a_payload_is_plain_json_and_comes_back_as_a_source(self) -> None:
        stored = json.loads(json.dumps(payload()))
        document = VisibleDocument("d", 2, "A newer title", {"team": "y"})

        found = source_of(stored, Candidate("p", 0.123456789, 0.5, None), document, unpacked(NO_VECTORS))

        assert (found.n, found.title, found.metadata) == (0, "A newer title", {"team": "y"})
        assert (found.start, found.end, found.text) == (10, 31, CHUNK.text)
        assert found.location == Location(page=2)
        assert (found.score, found.scores) == (0.123457, {"dense": 0.5, "sparse": None})
        assert [part.text for part in found.sentences] == ["One sentence.", "Two 🙂."]
        assert all(len(part.vector) == 0 for part in found.sentences)

    def test_sentences_are_left_out_where_nobody_weighs_them(self) -> None:
        document = VisibleDocument("d", 2, "T", {})

        found = source_of(payload(), Candidate("p", 1.0, 1.0, 1.0), document, None)

        assert found.sentences == ()

    def test_sentences_get_their_stored_vectors(self) -> None:
        vectors = np.eye(2, 4, dtype=np.float32)
        document = VisibleDocument("d", 2, "T", {})

        found = source_of(payload(), Candidate("p", 1.0, 1.0, 1.0), document, unpacked(vectors))

        assert np.allclose(np.stack([part.vector for part in found.sentences]), vectors)
        assert found.sentences[0].tokens == frozenset(tokens(TEXTS[0]))

    def test_further_terms_of_the_score_are_shown(self) -> None:
        candidate = Candidate("p", 0.5, 0.5, 1.0, {"proximity": 0.25})

        found = source_of(payload(), candidate, VisibleDocument("d", 2, "T", {}), None)

        assert found.scores == {"dense": 0.5, "sparse": 1.0, "proximity": 0.25}
