"""What every vector store promises. Subclass `VectorStoreContract` with a fixture `store`, which may be shared between
tests and hold anything else: each test works in scopes of its own. Its dimension is `scenes.DIMENSION`. A fixture
`open_copy` opens what `snapshot` wrote."""

from ragstone.testing.vector_store_contract.corpora import CorpusPromises
from ragstone.testing.vector_store_contract.filters import FilterPromises
from ragstone.testing.vector_store_contract.reads import ReadPromises
from ragstone.testing.vector_store_contract.searches import SearchPromises
from ragstone.testing.vector_store_contract.snapshots import SnapshotPromises
from ragstone.testing.vector_store_contract.writes import WritePromises


class VectorStoreContract(
    WritePromises, ReadPromises, SearchPromises, CorpusPromises, FilterPromises, SnapshotPromises
):
    """All promises of `core.ports.VectorStore`."""
