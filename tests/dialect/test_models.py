"""`/v1/models` and `/v1/embeddings`."""

import base64
import time
from typing import Any

import numpy as np
import openai
import pytest
from openai.types import CreateEmbeddingResponse, Model

from ragstone.testing.embedders import HashingEmbedder
from tests.live import Live

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def encoder(live: Live) -> str:
    """The encoder's name."""
    return live.container.query.embedding_model.split(":")[1]


class TestModels:
    async def test_collections_and_configured_models_are_listed(
        self, sdk: openai.AsyncOpenAI, encoder: str
    ) -> None:
        owners = {model.id: model.owned_by async for model in sdk.models.list()}

        assert owners["ragstone/default"] == "ragstone"
        assert owners["scripted"] == "openai"
        assert owners["extractive"] == "extractive"
        assert encoder in owners

    @pytest.mark.parametrize("name", ["ragstone/default", "scripted", "extractive"])
    async def test_each_is_found_by_its_name(self, sdk: openai.AsyncOpenAI, live: Live, name: str) -> None:
        assert (await sdk.models.retrieve(name)).id == name
        Model.model_validate(await live.api.get(f"/v1/models/{name}"), strict=True)

    @pytest.mark.parametrize("name", ["ragstone/unknown", "gpt-5", "ragstone/../default"])
    async def test_any_other_is_not(self, sdk: openai.AsyncOpenAI, name: str) -> None:
        with pytest.raises(openai.NotFoundError) as refusal:
            await sdk.models.retrieve(name)

        assert refusal.value.code == "model_not_found"


class TestEmbeddings:
    async def test_vectors_are_those_of_the_encoder_in_both_encodings(
        self, sdk: openai.AsyncOpenAI, live: Live, encoder: str
    ) -> None:
        """The SDK asks for base64 unless it is told otherwise."""
        packed = await sdk.embeddings.create(model=encoder, input=["lanterns at dusk", "parcels"])
        plain = await sdk.embeddings.create(
            model=encoder, input=["lanterns at dusk", "parcels"], encoding_format="float"
        )

        expected = await HashingEmbedder(dimension=64).embed_query("lanterns at dusk")
        assert np.allclose(packed.data[0].embedding, expected, atol=1e-6)
        assert np.allclose(plain.data[0].embedding, expected, atol=1e-6)
        assert [each.index for each in plain.data] == [0, 1]
        assert plain.usage.prompt_tokens == 4

    async def test_the_wire_is_of_the_published_type(self, live: Live, encoder: str) -> None:
        body = {"model": encoder, "input": "lanterns", "encoding_format": "base64"}
        reply = await live.api.post("/v1/embeddings", body)

        assert len(base64.b64decode(reply["data"][0]["embedding"])) == 4 * 64
        plain = await live.api.post("/v1/embeddings", {**body, "encoding_format": "float"})
        CreateEmbeddingResponse.model_validate(plain, strict=True)

    @pytest.mark.parametrize(
        "said", [{"input": [1, 2]}, {"input": [[1, 2]]}, {"input": "x", "dimensions": 3}]
    )
    async def test_what_cannot_be_honoured_is_refused(
        self, sdk: openai.AsyncOpenAI, encoder: str, said: dict[str, Any]
    ) -> None:
        with pytest.raises(openai.BadRequestError):
            await sdk.embeddings.create(model=encoder, **said)

    async def test_another_encoder_is_not_found(self, sdk: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.NotFoundError):
            await sdk.embeddings.create(model="text-embedding-3-small", input="x")

    async def test_more_than_a_caller_may_ask_for_is_refused_at_once(
        self, sdk: openai.AsyncOpenAI, encoder: str
    ) -> None:
        with pytest.raises(openai.UnprocessableEntityError, match="tokens"):
            await sdk.embeddings.create(model=encoder, input=["one two three " * 100] * 400)

    async def test_a_million_wrong_inputs_are_refused_as_quickly_as_one(
        self, live: Live, encoder: str
    ) -> None:
        """Each would be an error of each branch of a union: gigabytes, and seconds of the event loop."""
        body = b'{"model":"x","input":[' + b"{}," * 300_000 + b"{}]}"
        began = time.process_time()

        response = await live.http.post(
            "/v1/embeddings", content=body, headers={"content-type": "application/json"}
        )

        assert time.process_time() - began < 1.0
        (detail,) = response.json()["error"]["details"]
        assert (response.status_code, detail["loc"]) == (422, ["body", "input"])

    @pytest.mark.parametrize("nothing", ["", [], [""]])
    async def test_nothing_is_not_valid(self, sdk: openai.AsyncOpenAI, encoder: str, nothing: Any) -> None:
        with pytest.raises(openai.UnprocessableEntityError):
            await sdk.embeddings.create(model=encoder, input=nothing)
