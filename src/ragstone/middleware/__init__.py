"""Pure ASGI middleware and logging."""
