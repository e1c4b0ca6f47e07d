"""Fakes and conformance suites that ship with Ragstone: for its own tests and for those of adapters outside."""
