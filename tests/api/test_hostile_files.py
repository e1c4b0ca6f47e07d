"""Names of uploads that want to leave the data directory."""

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from fastapi import FastAPI

from ragstone.config.settings import Settings
from tests.apiclient import Api
from tests.asgi import call

NAMES = [
    b"../../x",
    b"/etc/x",
    b"..\\x",
    b"..\\..\\windows\\x",
    b"C:\\x",
    b"%2e%2e%2fx",
    b"%2e%2e%5cx",
    b"....//....//x",
    b"a\x00b.txt",
    b"a%00b.txt",
    b".",
    b"..",
    b"",
    b" ",
    b"x.txt.",
    b"x.txt ...",
    b"-rf",
    b"~/x",
    b"$HOME/x",
    b"|x",
    b"con",
    b"\xff\xfe.txt",
    b"\xed\xa0\x80.txt",
    b"\xe2\x80\xaegpj.exe",
    b"a\tb\x1b[31m.txt",
    b"x" * 4_096,
    b"x" * 300 + b".md",
    "名前 🙂.txt".encode(),
    b"ragstone.lock",
    b"manifest.db",
]


def snapshot(folder: Path, *, without: Path) -> dict[str, str]:
    """Path → hash of every file below a folder."""
    found = {}
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if Path(where, name) != without]
        for name in names:
            path = Path(where, name)
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def form(name: bytes, collection: str, *, extended: bool = False) -> bytes:
    escaped = name.replace(b'"', b"%22")
    filename = b"filename*=UTF-8''" + escaped if extended else b'filename="' + escaped + b'"'
    return (
        b'--x\r\nContent-Disposition: form-data; name="collection"\r\n\r\n' + collection.encode() + b"\r\n"
        b'--x\r\nContent-Disposition: form-data; name="file"; ' + filename + b"\r\n\r\nHi there.\r\n--x--\r\n"
    )


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("name", NAMES)
async def test_a_file_is_stored_under_its_hash_and_its_name_made_harmless(
    app: FastAPI, api: Api, app_settings: Settings, collection: str, name: bytes, extended: bool
) -> None:
    data_dir = app_settings.data_dir
    before = snapshot(data_dir.parent, without=data_dir)
    headers = [("host", "localhost"), ("content-type", "multipart/form-data; boundary=x")]

    reply = await call(
        app, "POST", "/documents", headers=headers, body=[form(name, collection, extended=extended)]
    )

    assert reply.status in (202, 400, 422)
    assert snapshot(data_dir.parent, without=data_dir) == before
    if reply.status != 202:
        return
    document = reply.json["document"]
    shown = document["filename"]
    assert document["source"] == (None if shown == "unnamed" else shown)
    assert 1 <= len(shown) <= 255
    assert shown.isprintable()
    assert not set(shown) & set("/\\\0")
    assert shown.strip(". ") or shown == "unnamed"
    response = await api.call("GET", f"/documents/{document['id']}/content")
    (quoted,) = re.findall(r"filename\*=UTF-8''([!-~]+)$", response.headers["content-disposition"])
    assert unquote(quoted) == shown
    assert response.content == b"Hi there."


async def test_blobs_are_named_by_their_hash_alone(app_settings: Settings, api: Api, collection: str) -> None:
    await api.ready(b"Some content.", "../../name.txt", collection=collection)

    names = [
        path.relative_to(app_settings.data_dir / "blobs")
        for path in (app_settings.data_dir / "blobs").rglob("*")
    ]

    assert all(re.fullmatch(r"spool|[0-9a-f]{2}|[0-9a-f]{2}/[0-9a-f]{62}", str(name)) for name in names)


async def test_the_spool_is_empty_after_every_upload(
    app_settings: Settings, api: Api, collection: str
) -> None:
    await api.ready(b"Some content.", "a.txt", collection=collection)
    await api.refused("POST", "/documents", 415, files={"file": ("a.wav", b"RIFF\x24\x08\x00\x00WAVEfmt ")})
    await api.upload(b"Some content.", "a.txt", collection=collection, status=200)

    assert list((app_settings.data_dir / "blobs" / "spool").iterdir()) == []


async def test_the_data_directory_is_its_owners_alone(
    app_settings: Settings, api: Api, collection: str
) -> None:
    await api.ready(b"Some content.", "a.txt", collection=collection)

    assert app_settings.data_dir.stat().st_mode & 0o777 == 0o700
    for path in (app_settings.data_dir / "blobs").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
