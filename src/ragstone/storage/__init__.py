"""What is kept on disk: the manifest (`manifest.open_manifest`, SQL) and the original bytes (`blobs.FileBlobStore`).

Nothing is imported here: SQLAlchemy costs most of a second of CPU, and only a process that opens a manifest pays it.
"""
