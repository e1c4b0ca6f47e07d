"""HTTP, and nothing else: thin routes over services."""
