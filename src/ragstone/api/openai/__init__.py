"""OpenAI's dialect under `/v1`: another encoding of the same services and events. A vector store is a collection, a file
a document, and an answer carries the native one in its field `ragstone`."""
