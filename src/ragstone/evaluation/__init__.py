"""A user's own questions: read, asked, judged, compared and reported. Whoever calls brings the way to a server."""
