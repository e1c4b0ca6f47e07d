"""Vector stores: adapters of the port `VectorStore`. `edge` keeps points in Qdrant Edge, in a process of its own.

Nothing is imported here, since the engine's process starts through this package and must stay small.
"""
