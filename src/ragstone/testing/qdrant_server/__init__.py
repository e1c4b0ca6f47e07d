"""A stand-in for a Qdrant server: the part of its REST interface that Ragstone uses, over shards of the real engine
(Qdrant Edge) on disk. It can be told to fail: late, silent, broken off, refused."""

from ragstone.testing.qdrant_server.faults import Fault
from ragstone.testing.qdrant_server.server import QdrantServer

__all__ = ["Fault", "QdrantServer"]
