"""The Qdrant server that whoever runs the tests offers. Taken out of the environment, since all other tests keep their
vectors in their own folders."""

import os

URL = os.environ.pop("QDRANT_URL", None)
KEY = os.environ.pop("QDRANT_API_KEY", None)
NOTE = "QDRANT_URL is not set: no real Qdrant server to try"
