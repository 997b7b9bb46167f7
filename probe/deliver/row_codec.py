"""Floor 1. Compression and checksums of the outbox's rows: deflate with a preset dictionary.

A row holds the results that were stored together, of one kind (`blocks`): one, packed by itself; a
few, packed together; or so many that their packed text can begin a compressed envelope as it is.

Results of one kind are nearly the same text: with a dictionary of that text, 1,470 bytes of JSON
become about 300, which saves writes to the SD card. Unpacking gives the same JSON, byte for byte.

A dictionary is part of the file format: a body can only be unpacked with the dictionary that packed
it. So a new dictionary gets a new letter and the old one stays. A kind that is not in it is packed
a little worse.

By its first byte a row is: `{` an unpacked body of an old version; `a` or `b` one body; `c` bodies
with a line feed between them, packed like `b`; `d` the Adler-32 of the beginning of an envelope's
text, a record a line, and that beginning compressed (`wire.compression`). No body of several has a
line feed in it: JSON has none within, and what has is stored by itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

from wire import compression
from wire.dictionary import RESULTS

# A window of 4 KB and small tables: zlib's defaults take five times as long (80 µs a body, not
# 15) because of their memory, and save not one byte.
_LEVEL: Final = 6
_WINDOW_BITS: Final = 12
_MEMORY_LEVEL: Final = 5
# By the letter before a packed body; an unpacked body begins with `{`.
_DICTIONARIES: Final[dict[bytes, bytes]] = {
    # The most frequent text is last (zlib searches back from the end).
    b"a": (
        b'{"kind":"throughput","host":{"cpu_per_core_ratio":[0.0,0.0,0.0,0.0],"cpu_frequency_mhz'
        b'":1500.0,"load_1min":0.0,"memory_available_bytes":0,"temperature_c":48.5,"throttled":f'
        b'alse,"link_speed_bps":1000000000.0,"link_duplex":"full","interface_received_bytes":0,"'
        b'interface_sent_bytes":0,"kernel":"6.12.25+rpt-rpi-v8","machine":"Raspberry Pi 4 Model '
        b'B"},"steady_bps":0.0,"whole_bps":0.0,"steady_s":10.0,"whole_s":13.0,"transferred_bytes'
        b'":0,"congestion_control_sender":"cubic","congestion_control_receiver":"cubic","complet'
        b'e":true,"intervals":[{"started_s":0.0,"duration_s":0.5,"transferred_bytes":0,"omitted"'
        b':false,"retransmits":0},"outcome":"skipped","reason":"slot_missed","outcome":"failed",'
        b'"reason":"no_reply","reason":"timeout","detail":"validity":["clock_unsynced"],"rtt_p99'
        b'_ms":null,"address":"192.168.1.1","protocol":"ICMP echo",{"kind":"latency","outcome":"'
        b'ok","reason":null,"detail":null,"validity":[],"line":{"id":"","isp":"","interface":"et'
        b'h0","source_address":"192.168.1."},"target":"","slot_at":null,"started_at":"2026-00-00'
        b'T00:00:00.000000Z","duration_s":60.00,"clock":{"synchronised":true,"boot_id":"","boott'
        b'ime_s":0.0},"host":null,"method":{"tool":"tramdo-stamp","version":"0.1.0","settings":{'
        b'"mean_gap_s":1.5,"timeout_s":3.0}},"probe_version":"0.1.0","values":{"protocol":"STAMP'
        b' (RFC 8762)","address":"203.0.113.5","timeout_s":3.0,"mean_gap_s":1.5,"sent":40,"recei'
        b'ved":40,"lost":0,"late":0,"duplicates":0,"reordered":0,"malformed":0,"loss_ratio":0.0,'
        b'"loss_ratio_upper95":0.07,"rtt_min_ms":0.0,"rtt_mean_ms":0.0,"rtt_p50_ms":0.0,"rtt_p95'
        b'_ms":null,"rtt_p99_ms":null,"rtt_max_ms":0.0,"ipdv_abs_mean_ms":0.0,"pdv_ms":null,"pdv'
        b'_name":null,"jitter_rfc3550_ms":0.0,"timestamp_source":"SO_TIMESTAMPNS","forged":0,"rt'
        b't_samples":null}}'
    ),
    # As much as the window takes of the dictionary of compressed envelopes, which never changes.
    # Results have grown since "a": of 1,470 bytes it made 461, this makes 305 in two thirds of the
    # time.
    b"b": RESULTS[-3_800:],
}
_NEWEST: Final = b"b"
# Holds the dictionary already; copied for each body.
_PACKER: Final = zlib.compressobj(
    _LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zdict=_DICTIONARIES[_NEWEST]
)
# No body is longer; more than this was not packed by `pack`.
_MAX_BODY_BYTES: Final = 64 << 20

# Where so many results are stored at once, their packed text is made to be sent as it is. Of fewer
# an envelope is smaller that is compressed with its frame, and a burst is none of these.
MIN_SENDABLE: Final = 16
_SEVERAL, _SENDABLE = b"c", b"d"
# A newer one that packs several bodies takes a letter of its own for them too.
_DICTIONARY_OF_SEVERAL: Final = _DICTIONARIES[b"b"]
_RECORDS: Final = b'{"records":['


class UnpackError(ValueError):
    """The bytes were not made by `pack`."""


def pack(bodies: Sequence[bytes], first_seq: int) -> bytes:
    """Compress the bodies of consecutive results; of several, none may have a line feed in it.

    Args:
        bodies: in order.
        first_seq: the first one's number in its epoch.
    """
    if len(bodies) == 1:
        return _NEWEST + _packed(bodies[0])
    if len(bodies) < MIN_SENDABLE:
        return _SEVERAL + _packed(b"\n".join(bodies))
    text = records_text(bodies, first_seq)
    return _SENDABLE + zlib.adler32(text).to_bytes(4, "big") + compression.begin_stream(text)


def unpack(packed: bytes, count: int, first_seq: int) -> list[bytes]:
    """The bodies that were packed.

    Raises:
        UnpackError: the bytes were changed.
    """
    letter = packed[:1]
    if letter == _SENDABLE:
        bodies = _bodies_of_records(packed[5:], first_seq)
    elif letter == _SEVERAL:
        bodies = _unpacked(packed[1:], _DICTIONARY_OF_SEVERAL).split(b"\n")
    elif letter in _DICTIONARIES:
        bodies = [_unpacked(packed[1:], _DICTIONARIES[letter])]
    else:
        raise UnpackError("no packed body")
    if len(bodies) != count:
        raise UnpackError(f"{len(bodies)} packed bodies, not {count}")
    return bodies


def sendable(packed: bytes) -> tuple[bytes, int] | None:
    """The beginning of an envelope and its text's Adler-32, for `compression.end_stream`.

    None where these are fewer results.
    """
    if packed[:1] != _SENDABLE:
        return None
    return packed[5:], int.from_bytes(packed[1:5], "big")


def records_text(bodies: Sequence[bytes], first_seq: int) -> bytes:
    """The beginning of an envelope, up to its last record, as it is packed."""
    records = [b'{"seq":%d,"result":%b}' % one for one in enumerate(bodies, start=first_seq)]
    return _RECORDS + b",\n".join(records)


def checksum(seq: int, kind: bytes, packed: bytes, count: int = 1) -> int:
    """CRC-32 over the last row, how many there are, kind and packed bodies.

    So a body under a wrong number is found. zlib's own check (Adler-32) is of the text alone.
    """
    several = b"%d " % count if count != 1 else b""
    return zlib.crc32(packed, zlib.crc32(b"%d %b%b " % (seq, several, kind)))


def epoch_checksum(first_row: int, epoch: bytes) -> int:
    """CRC-32 over the row that an epoch begins at, and the text of its UUID."""
    return zlib.crc32(b"%d %b" % (first_row, epoch))


def _bodies_of_records(begun: bytes, first_seq: int) -> list[bytes]:
    try:
        text = compression.read_begun(begun, _MAX_BODY_BYTES)
    except compression.CompressionError as error:
        raise UnpackError(str(error)) from error
    records = text[len(_RECORDS) :].split(b",\n")
    heads = (
        len(b'{"seq":%d,"result":' % seq) for seq in range(first_seq, first_seq + len(records))
    )
    return [record[head:-1] for record, head in zip(records, heads, strict=True)]


def _packed(text: bytes) -> bytes:
    packer = _PACKER.copy()
    return packer.compress(text) + packer.flush()


def _unpacked(packed: bytes, dictionary: bytes) -> bytes:
    unpacker = zlib.decompressobj(_WINDOW_BITS, zdict=dictionary)
    try:
        text = unpacker.decompress(packed, _MAX_BODY_BYTES)
    except zlib.error as error:
        raise UnpackError(str(error)) from error
    if not unpacker.eof:
        raise UnpackError("a packed body has no end")
    return text
