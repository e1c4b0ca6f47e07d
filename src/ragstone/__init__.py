"""Ragstone: a RAG API whose answers point at the exact place they came from."""

__version__ = "0.3.0"
