"""The engine's process from inside: its loop, its lock, its socket, its owner's last word."""

import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragstone.core import owner as owners
from ragstone.core import sockets
from ragstone.core.sockets import remove_socket
from ragstone.testing.vector_store_contract.scenes import DIMENSION
from ragstone.vectorstores import edge_engine, edge_server
from ragstone.vectorstores.edge_engine import Engine
from ragstone.vectorstores.edge_lock import DirectoryLock, listen
from ragstone.vectorstores.edge_server import EngineServer, watch_owner
from ragstone.vectorstores.edge_shard import EngineRefusal
from ragstone.vectorstores.frames import CLOSE, FrameReader, pack
from tests.engines import open_engine, quick_folder


class Peer:
    """A client that says exactly what it is told to."""

    def __init__(self, path: Path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.reader = FrameReader()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def replies(self, count: int) -> list[list[object]]:
        replies: list[list[object]] = []
        while len(replies) < count:
            piece = self.socket.recv(1 << 16)
            assert piece, "the server closed the connection"
            replies += self.reader.feed(piece)
        return replies

    def is_refused(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def connect() -> Iterator[Callable[[], Peer]]:
    """Opens connections to a server that runs in a thread."""
    with quick_folder() as folder, open_engine(folder, dimension=DIMENSION) as engine:
        listener, path = listen()
        server = EngineServer(engine, listener)
        thread = threading.Thread(target=server.serve)
        thread.start()
        peers: list[Peer] = []

        def new_peer() -> Peer:
            peers.append(Peer(path))
            return peers[-1]

        yield new_peer
        server.stop()
        thread.join(timeout=20)
        remove_socket(path)
        for peer in peers:
            peer.socket.close()
        assert not thread.is_alive()


def test_requests_are_answered_by_number_and_in_order(connect: Callable[[], Peer]) -> None:
    peer = connect()
    peer.send(pack([7, "ping"]) + pack([3, "count", "scope", None]) + pack([9, "unheard"]))

    assert peer.replies(3) == [[7, True, True], [3, True, 0], [9, False, ["internal_error", "'unheard'"]]]


def test_a_request_may_arrive_in_pieces(connect: Callable[[], Peer]) -> None:
    peer, frame = connect(), pack([1, "ping"])
    peer.send(*(frame[start : start + 1] for start in range(len(frame))))

    assert peer.replies(1) == [[1, True, True]]


def test_peers_do_not_see_each_others_replies(connect: Callable[[], Peer]) -> None:
    first, second = connect(), connect()
    first.send(pack([1, "ping"]))
    second.send(pack([2, "ping"]))

    assert first.replies(1) == [[1, True, True]]
    assert second.replies(1) == [[2, True, True]]


def test_a_peer_that_talks_nonsense_loses_only_its_own_connection(connect: Callable[[], Peer]) -> None:
    nonsense, gone, other = connect(), connect(), connect()
    nonsense.send(b"GET / HTTP/1.1\r\n\r\n")
    gone.send(pack([1, "ping"])[:5])
    gone.socket.close()

    assert nonsense.is_refused()
    other.send(pack([1, "ping"]))
    assert other.replies(1) == [[1, True, True]]


def test_a_peer_that_does_not_read_is_not_read_from(connect: Callable[[], Peer]) -> None:
    slow, other, number = connect(), connect(), 20_000
    name = "unheard" * 30
    writer = threading.Thread(target=slow.send, args=(pack([1, name]) * number,))
    writer.start()
    other.send(pack([1, "ping"]))

    assert other.replies(1) == [[1, True, True]]
    assert len(slow.replies(number)) == number
    writer.join(timeout=20)


def test_the_socket_is_for_this_user_and_its_path_is_short() -> None:
    listener, path = listen()
    with listener:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert len(str(path)) <= 103
    remove_socket(path)
    assert not path.parent.exists()


def test_a_temporary_folder_that_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/tmp/" + "x" * 100)
    listener, path = listen()
    with listener:
        assert str(path).startswith("/tmp/ragstone-")
    remove_socket(path)


def test_without_any_temporary_folder_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_MAX_PATH_BYTES", 5)
    with pytest.raises(EngineRefusal, match="TMPDIR"):
        listen()


def test_a_held_directory_is_refused_with_the_holder(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path, wait_s=0)
    with pytest.raises(EngineRefusal, match="process unknown"):
        DirectoryLock(tmp_path, wait_s=0)
    lock.publish(tmp_path / "engine.sock")
    with pytest.raises(EngineRefusal, match=str(os.getpid())) as refusal:
        DirectoryLock(tmp_path, wait_s=0.06)
    assert refusal.value.code == "data_directory_in_use"
    assert json.loads((tmp_path / "lock").read_text())["socket"] == str(tmp_path / "engine.sock")
    lock.release()


def test_a_lock_is_taken_as_soon_as_it_is_free(tmp_path: Path) -> None:
    held = DirectoryLock(tmp_path, wait_s=0)
    threading.Timer(0.1, held.release).start()

    DirectoryLock(tmp_path, wait_s=20).release()


def test_a_killed_predecessors_socket_is_cleared_away(tmp_path: Path) -> None:
    listener, path = listen()
    listener.close()
    dead = DirectoryLock(tmp_path, wait_s=0)
    dead.publish(path)
    dead.release()

    heir = DirectoryLock(tmp_path, wait_s=0)
    heir.clear_away_predecessor()
    heir.release()

    assert not path.parent.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"socket": "/etc/passwd"}', '{"socket": 5}', "\0"])
def test_a_strange_lock_file_does_no_harm(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock").write_text(content)

    heir = DirectoryLock(tmp_path, wait_s=0)
    heir.clear_away_predecessor()
    heir.release()

    assert Path("/etc/passwd").exists()


@pytest.mark.parametrize(("last_word", "expected"), [(CLOSE, "close"), (b"", "death")])
def test_the_owners_last_word_is_heeded(last_word: bytes, expected: str) -> None:
    heard: list[str] = []
    reading, writing = os.pipe()
    os.write(writing, last_word) if last_word else os.close(writing)

    watch_owner(
        reading,
        os.getppid(),
        on_close=lambda: heard.append("close"),
        on_death=lambda: heard.append("death"),
    )

    assert heard == [expected]
    os.close(reading)
    if last_word:
        os.close(writing)


def test_an_owner_is_dead_even_if_another_holds_its_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "_POLL_S", 0.01)
    heard: list[str] = []
    reading, writing = os.pipe()

    watch_owner(reading, -1, on_close=lambda: heard.append("close"), on_death=lambda: heard.append("death"))

    assert heard == ["death"]
    os.close(reading)
    os.close(writing)


def run_to_the_end(folder: Path, *, dimension: int) -> tuple[dict[str, object], list[list[object]], int]:
    """What an engine announces, what it replies to a ping, and how it ends."""
    owner, life = os.pipe(), os.pipe()
    codes: list[int] = []
    thread = threading.Thread(
        target=lambda: codes.append(
            edge_server.run(folder, dimension=dimension, wait_s=0, owner_pipe=owner[0], announcements=life[1])
        )
    )
    thread.start()
    announced = json.loads(os.read(life[0], 4096))
    replies: list[list[object]] = []
    if "socket" in announced:
        peer = Peer(Path(announced["socket"]))
        peer.send(pack([1, "ping"]))
        replies = peer.replies(1)
        peer.socket.close()
        os.write(owner[1], CLOSE)
    thread.join(timeout=20)
    for descriptor in (*owner, *life):
        os.close(descriptor)
    return announced, replies, codes[0]


def test_an_engine_lives_until_its_owner_closes_it() -> None:
    with quick_folder() as folder:
        for _ in range(2):
            announced, replies, code = run_to_the_end(folder, dimension=DIMENSION)
            assert (replies, code) == ([[1, True, True]], 0)
            assert not Path(str(announced["socket"])).exists()


def test_a_server_that_is_probed_all_the_time_still_looks_after_its_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edge_engine, "IDLE_S", 0.2)
    looked_after = threading.Event()

    class Watched(Engine):
        def upkeep(self) -> None:
            super().upkeep()
            if self.upkeep_in_s() is None:
                looked_after.set()

    with quick_folder() as folder:
        engine = Watched(folder, dimension=DIMENSION)
        listener, path = listen()
        server = EngineServer(engine, listener)
        thread = threading.Thread(target=server.serve)
        thread.start()
        peer = Peer(path)
        for number in range(1_000):
            peer.send(pack([number, "state"]))
            peer.replies(1)
            if looked_after.wait(0.02):
                break
        server.stop()
        thread.join(timeout=20)
        server.stop()  # again, when it has ended: nothing happens
        peer.socket.close()
        remove_socket(path)
        engine.close()

    assert looked_after.is_set()
