"""HTTP byte by byte, for what no client library would send."""

import re
import socket
from urllib.parse import urlsplit

SECONDS = 10


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=SECONDS)


def until_closed(connection: socket.socket) -> bytes:
    """All that comes until the other side closes, or says nothing for a while."""
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except (TimeoutError, ConnectionError):
        pass
    return b"".join(pieces)


def statuses(url: str, request: bytes, seconds: float = SECONDS) -> list[int]:
    """The status of each answer to these bytes."""
    with connected(url) as connection:
        connection.settimeout(seconds)
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionError):
            pass  # It has heard enough.
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", until_closed(connection))]


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    """A request with exactly these header lines, and the length of its body."""
    lines = [f"{method} {target} HTTP/1.1", *headers, f"content-length: {len(body)}", "connection: close", "", ""]
    return "\r\n".join(lines).encode() + body
