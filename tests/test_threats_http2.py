"""What HTTP/2 lets a client ask for that costs it little and a server much."""

import itertools
import struct

import pytest

from conftest import FAULTY
from http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    ENHANCE_YOUR_CALM,
    GOAWAY,
    HEADERS,
    OK,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Http2,
    asked,
    block,
    field,
    frame,
    headers,
    listed,
)
from processes import resident_bytes
from router import Router

MIB = 1 << 20
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
STREAMS, LISTED_BYTES, TAKEN_BACK = 100, 32 << 10, 20


@pytest.fixture
def router(start) -> Router:
    router = start({"mcpServers": {"faulty": FAULTY}})
    router.wait_for_tools("faulty__echo")
    return router


def serves(router: Router) -> bool:
    return router.http.post("/mcp", json=PING, timeout=5).status_code == 200


def answers(connection: Http2, stream: int) -> bool:
    connection.send(headers(stream, block(asked(connection.host, "GET", "/health/live"))))
    while found := connection.read(HEADERS, 5):
        if found[2] == stream:
            return found[3].startswith(OK)
    return False


def test_t27_http2_says_what_it_allows(router):
    with Http2(router.url) as connection:
        _, _, _, payload = connection.read(SETTINGS)
        allowed = dict(struct.unpack(">HI", payload[start : start + 6]) for start in range(0, len(payload), 6))
    assert (allowed[3], allowed[6]) == (STREAMS, LISTED_BYTES)


def opened(connection: Http2, count: int) -> range:
    """Begins requests whose bodies do not come."""
    packed, numbers = block(asked(connection.host)), range(1, 2 * count, 2)
    connection.send(b"".join(headers(number, packed, flags=0) for number in numbers))
    return numbers


@pytest.mark.parametrize("streams", [STREAMS, STREAMS + 1, STREAMS + 50])
def test_t27_http2_streams(router, streams):
    with Http2(router.url) as connection:
        refused = opened(connection, streams)[STREAMS:]
        resets = [connection.read(RST_STREAM, 5) for _ in refused]
        assert resets == [(RST_STREAM, 0, number, struct.pack(">I", REFUSED_STREAM)) for number in refused]
        # One that is given up makes room.
        connection.send(frame(RST_STREAM, 0, 1, struct.pack(">I", 8)))
        assert answers(connection, 2 * streams + 1)


def test_t27_http2_streams_without_end(router):
    with Http2(router.url) as connection:
        opened(connection, 100 * STREAMS)
        assert connection.is_over() and serves(router)


# The library takes what is below the bound that it tells.
@pytest.mark.parametrize(("size", "good"), [(LISTED_BYTES - 1, True), (LISTED_BYTES, False), (LISTED_BYTES + 1, False), (100 * LISTED_BYTES, False)])
def test_t27_http2_headers(router, size, good):
    before = resident_bytes(router.pid)
    with Http2(router.url) as connection:
        pairs = asked(connection.host, "GET", "/health/live")
        pairs.append(("x-big", "y" * (size - listed(pairs) - 32 - len("x-big"))))
        connection.send(headers(1, block(pairs)))
        found = connection.read(HEADERS, 5)
        assert (found is not None and found[3].startswith(OK)) == good
    assert resident_bytes(router.pid) - before < 20 * MIB and serves(router)


def resets(host: str):
    packed = block(asked(host))
    for number in itertools.count(1, 2):
        yield headers(number, packed, flags=0) + frame(RST_STREAM, 0, number, struct.pack(">I", 8))


def provoked_resets(host: str):
    packed = block(asked(host))
    for number in itertools.count(1, 2):
        yield headers(number, packed, flags=0) + frame(WINDOW_UPDATE, 0, number, struct.pack(">I", 0))


def repeated_header(host: str):
    """One header of 4 kB, and 40,000 times its number: 160 MB."""
    yield headers(1, block(asked(host)) + field("x-bomb", "y" * 4000, 0x40) + b"\xbe" * 40_000)


def headers_without_end(host: str):
    yield frame(HEADERS, 0, 1, block(asked(host)))
    yield from itertools.repeat(frame(CONTINUATION, 0, 1, field("x-more", "y" * 8000)))


def nothing_without_end(host: str):
    yield frame(HEADERS, END_HEADERS, 1, block(asked(host)))
    yield from itertools.repeat(frame(DATA, 0, 1) * 100)


ATTACKS = {
    "rapid reset (CVE-2023-44487)": (resets, True),
    "MadeYouReset (CVE-2025-8671)": (provoked_resets, True),
    "an HPACK bomb": (repeated_header, False),
    "endless continuation (CVE-2024-27316)": (headers_without_end, True),
    "empty data (RUSTSEC-2026-0258)": (nothing_without_end, False),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_t27_http2_attacks_end_their_own_connection_only(router, name):
    attack, is_ended = ATTACKS[name]
    before = resident_bytes(router.pid)
    with Http2(router.url) as connection:
        for piece in itertools.islice(attack(connection.host), 20_000):
            if not connection.send(piece):
                break
        assert serves(router), "while it lasts"
        assert not is_ended or connection.is_over()
    assert resident_bytes(router.pid) - before < 20 * MIB and serves(router)


def test_t27_http2_a_few_resets_are_no_attack(router):
    with Http2(router.url) as connection:
        for piece in itertools.islice(resets(connection.host), TAKEN_BACK):
            connection.send(piece)
        assert answers(connection, 2 * TAKEN_BACK + 1)


def test_t27_http2_says_why_it_ends(router):
    with Http2(router.url) as connection:
        connection.send(b"".join(itertools.islice(resets(connection.host), 2_000)))
        found = connection.read(GOAWAY)
    assert found is not None and struct.unpack(">I", found[3][4:8]) == (ENHANCE_YOUR_CALM,)
