"""MCP over streamable HTTP: tools and resources over the same services as the routes. Only `route` may be imported at
start: the others load the SDK."""
