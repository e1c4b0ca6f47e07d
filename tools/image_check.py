"""Runs the image as an operator would, read-only and without capabilities, and checks what the documentation promises of
it: size, readiness, an answer with a citation, data that outlive the container, an end in order.

`python -m tools.image_check IMAGE` needs a `docker` command and an image that is built; it removes what it starts.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

MAX_BYTES = 450_000_000  # all layers but the encoder's weights
MODEL_LAYER = "/opt/model"
HEALTHY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 10.0
HARDENED = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=none",
)
DOCUMENT = "Refunds\n\nRefunds are paid within 14 days.\n"
QUESTION = "Within how many days are refunds paid?"


def main(image: str) -> None:
    """Check all; the first promise that does not hold ends the program."""
    size, model = sizes(image)
    require(size - model < MAX_BYTES, f"{size - model:,} bytes beside {model:,} bytes of weights")
    volume = f"ragstone-check-{uuid4().hex[:12]}"
    try:
        check_running(image, volume)
    finally:
        docker("volume", "rm", "--force", volume)


def check_running(image: str, volume: str) -> None:
    """Two containers, one after the other, on one volume."""
    with started(image, volume) as container:
        require(docker("exec", container, "id", "-u") == "10001", "runs as appuser")
        docker("exec", "-i", container, "sh", "-c", "cat > /tmp/refunds.txt", text=DOCUMENT)
        docker("exec", container, "ragstone", "ingest", "/tmp/refunds.txt")  # noqa: S108 - of the container
        require("14 days. [1]" in answer(container), "answers from a document")
        stop(container)
    with started(image, volume) as container:
        require("14 days. [1]" in answer(container), "answers from it in the next container")
        stop(container)


def sizes(image: str) -> tuple[int, int]:
    """Bytes of all layers, and of those that hold the encoder's weights."""
    lines = docker("history", "--human=false", "--no-trunc", "--format={{json .}}", image).splitlines()
    layers = [json.loads(line) for line in lines]
    model = sum(int(layer["Size"]) for layer in layers if f" {MODEL_LAYER}" in layer["CreatedBy"])
    return sum(int(layer["Size"]) for layer in layers), model


@contextmanager
def started(image: str, volume: str) -> Iterator[str]:
    """A healthy container of the image; removed at the end."""
    container = docker("run", "--detach", *HARDENED, f"--volume={volume}:/data", image)
    try:
        wait_until_healthy(container)
        yield container
    finally:
        docker("rm", "--force", container)


def wait_until_healthy(container: str) -> None:
    """Its health check decides; the log of one that ends or stays unhealthy is shown."""
    begun = time.monotonic()
    while state(container)["Health"]["Status"] != "healthy":
        if time.monotonic() - begun > HEALTHY_WITHIN_S or not state(container)["Running"]:
            require(None, f"becomes healthy\n{docker('logs', container)}")
        time.sleep(0.2)
    say("ok", f"healthy after {time.monotonic() - begun:.1f} s")


def stop(container: str) -> None:
    """SIGTERM, and the end in order that follows."""
    begun = time.monotonic()
    docker("stop", "--time=60", container)
    took_s = time.monotonic() - begun
    require(took_s < STOPPED_WITHIN_S, f"stopped after {took_s:.1f} s")
    require(state(container)["ExitCode"] == 0, "ended with status 0")


def answer(container: str) -> str:
    """What the image's own command line prints."""
    return docker("exec", container, "ragstone", "ask", QUESTION)


def state(container: str) -> Any:
    """What docker knows of it."""
    return json.loads(docker("inspect", "--format={{json .State}}", container))


def docker(*arguments: str, text: str | None = None) -> str:
    """The output of a docker command. Raises CalledProcessError."""
    ran = subprocess.run(  # noqa: S603 - the commands are ours
        ["docker", *arguments],  # noqa: S607 - wherever docker is installed
        input=text,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


def require(holds: object, promise: str) -> None:
    """Say whether a promise holds; the first that does not ends the program."""
    say("ok" if holds else "FAIL", promise)
    if not holds:
        raise SystemExit(1)


def say(outcome: str, promise: str) -> None:
    """A line a promise."""
    sys.stdout.write(f"{outcome:4} {promise}\n")


if __name__ == "__main__":
    main(sys.argv[1])
