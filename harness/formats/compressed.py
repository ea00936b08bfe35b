"""Unpacks `.gz` and `.zst`, and refuses what would unpack to far more than any history does."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from ..errors import MalformedHistory

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"

ALWAYS: Final = 64 * 2**20
"""Bytes that any file may unpack to ..."""
TIMES: Final = 100
"""... and how many times its own size on top of that. Histories shrink ten- to fiftyfold."""

_PIECE: Final = 2**18
_ZSTD_PIECE: Final = 512
"""Four bytes of zstd can stand for 128 kB: small pieces keep a bomb from going off at once."""


def unpack(data: bytes, *, source: str) -> bytes:
    """What a file holds, unpacked if it is packed; raise `MalformedHistory` where that fails."""
    if data.startswith(GZIP):
        pieces = _gzip(data)
    elif data.startswith(ZSTD):
        pieces = _zstd(data)
    else:
        return data
    most = ALWAYS + TIMES * len(data)
    whole = bytearray()
    try:
        for piece in pieces:
            whole += piece
            if len(whole) > most:
                raise MalformedHistory(
                    f"{len(data):,} packed bytes unpack to more than {most // 2**20} MB; "
                    "unpack the file first if it is meant",
                    source=source,
                )
    except (zlib.error, EOFError) as error:
        raise MalformedHistory(f"it cannot be unpacked: {error}", source=source) from None
    return bytes(whole)


def _gzip(data: bytes) -> Iterator[bytes]:
    """Every member of a gzip file, piece by piece."""
    while data.startswith(GZIP):
        unpacker = zlib.decompressobj(wbits=31)
        while not unpacker.eof:
            piece = unpacker.decompress(data, _PIECE)
            data = unpacker.unconsumed_tail
            yield piece
            if not piece and not data and not unpacker.eof:
                raise EOFError("the file ends early")
        data = unpacker.unused_data


def _zstd(data: bytes) -> Iterator[bytes]:
    """Every frame of a zstd file, piece by piece."""
    import zstandard

    view = memoryview(data)
    at = 0
    try:
        while bytes(view[at : at + 4]) == ZSTD:
            # A window of up to 128 MB, as the zstd command has it by itself.
            unpacker = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
            while not unpacker.eof:
                if at >= len(data):
                    raise EOFError("the file ends early")
                yield unpacker.decompress(view[at : at + _ZSTD_PIECE])
                at += _ZSTD_PIECE
            at = min(at, len(data)) - len(unpacker.unused_data)
    except zstandard.ZstdError as error:
        raise EOFError(error) from None
