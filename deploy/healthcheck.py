"""The container's health check: exit status 0 while the API in it is ready. Not urllib, which would ask a proxy."""

import os
import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_S = 2.0


def is_ready(port: int) -> bool:
    """Whether the API on this port of the container can do its work."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(os.environ.get("RAGSTONE_PORT", "8000"))) else 1)
