"""Answerers: one file per provider, each implementing the LLM port."""
