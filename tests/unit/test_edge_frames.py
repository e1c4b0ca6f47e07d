"""Frames: what goes in comes out, however the stream is cut; what is no frame is refused."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstone.vectorstores.frames import MAX_FRAME_BYTES, BrokenStream, FrameReader, pack

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.binary()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(messages=st.lists(values, max_size=5), cut=st.integers(1, 40))
def test_messages_survive_any_cut_of_the_stream(messages: list[Any], cut: int) -> None:
    stream = b"".join(map(pack, messages))
    reader = FrameReader()

    arrived = [
        message
        for start in range(0, len(stream), cut)
        for message in reader.feed(stream[start : start + cut])
    ]

    assert arrived == messages


def test_raw_bytes_stay_raw() -> None:
    vector = struct.pack("<3f", 1.0, -2.5, 1e-30)

    assert FrameReader().feed(pack(["dense", vector])) == [["dense", vector]]


def test_a_frame_of_absurd_length_breaks_the_stream() -> None:
    with pytest.raises(BrokenStream, match="bytes"):
        FrameReader().feed(struct.pack("<I", MAX_FRAME_BYTES + 1))


@pytest.mark.parametrize("body", [b"\xc1", b"", b"\x92\x01", b"\x01\x01", b"\xa2\xff\xff"])
def test_a_frame_that_is_no_message_breaks_the_stream(body: bytes) -> None:
    with pytest.raises(BrokenStream, match="msgpack"):
        FrameReader().feed(pack("first") + struct.pack("<I", len(body)) + body)
