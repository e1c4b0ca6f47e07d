"""Embedders and the sparse encoder, one file each. Import them from their modules: each loads its own engine."""
