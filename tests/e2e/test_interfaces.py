"""One question, every interface: the same answer word for word, with the same citations."""

from typing import Any

import openai
import pytest
from mcp import Client

from ragstone.client import AsyncRagstone
from tests.servers import Server

COLLECTION = "interfaces"
TEXT = (
    "# Lighthouse\n\nThe lamp 🙂 is lit at dusk. The keeper winds the clockwork every four hours.\n\n"
    "# Fog\n\nThe horn sounds twice a minute while there is fog.\n"
)
QUESTIONS = ["How often does the keeper wind the clockwork?", "Who is the king of Atlantis?"]


@pytest.fixture
async def client(server: Server) -> Any:
    """With the document that is asked about."""
    async with AsyncRagstone(server.url) as opened:
        names = [each.name async for each in opened.collections.list()]
        if COLLECTION not in names:
            await opened.collections.create(COLLECTION)
            await opened.upload(TEXT.encode(), filename="lighthouse.md", collection=COLLECTION, wait=True)
        yield opened


def said(answer: dict[str, Any]) -> dict[str, Any]:
    """All of a native answer but its times."""
    return {name: value for name, value in answer.items() if name != "metadata"}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_every_interface_gives_the_same_answer(
    client: AsyncRagstone, server: Server, question: str
) -> None:
    expected = said((await client.query(question, collection=COLLECTION)).model_dump(mode="json"))

    async with client.stream(question, collection=COLLECTION) as events:
        async for _ in events:
            pass
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as sdk:
        completion: Any = await sdk.chat.completions.create(
            model=f"ragstone/{COLLECTION}", messages=[{"role": "user", "content": question}]
        )
        response: Any = await sdk.responses.create(model=f"ragstone/{COLLECTION}", input=question)
    async with Client(f"{server.url}/mcp") as mcp:
        result = await mcp.call_tool("ask", {"query": question, "collection": COLLECTION})

    assert result.structured_content is not None
    answers = {
        "stream": events.answer.model_dump(mode="json"),
        "chat": completion.ragstone,
        "response": response.ragstone,
        "mcp": result.structured_content,
    }
    assert {name: said(answer) for name, answer in answers.items()} == dict.fromkeys(answers, expected)
    assert completion.choices[0].message.content == response.output_text == expected["answer"]


async def test_every_citation_points_at_the_same_words(client: AsyncRagstone, server: Server) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as sdk:
        completion: Any = await sdk.chat.completions.create(
            model=f"ragstone/{COLLECTION}", messages=[{"role": "user", "content": QUESTIONS[0]}]
        )
        cited = completion.choices[0].message.annotations[0].url_citation
        text = completion.choices[0].message.content[cited.start_index : cited.end_index]
        places = dict(part.split("=") for part in cited.url.partition("#")[2].split("&"))
        read = await client.documents.text(places["document"], version=int(places["version"]))

    assert text == read[int(places["start"]) : int(places["end"])]
