"""A scripted server that speaks OpenAI's API, and those of rerankers, over a real socket, and all the ways in which such servers fail."""

from ragstone.testing.upstream.faults import CHAT_KINDS, EMBEDDINGS_KINDS, RERANK_KINDS, Fault
from ragstone.testing.upstream.log import RecordedRequest
from ragstone.testing.upstream.server import ScriptedUpstream

__all__ = ["CHAT_KINDS", "EMBEDDINGS_KINDS", "RERANK_KINDS", "Fault", "RecordedRequest", "ScriptedUpstream"]
