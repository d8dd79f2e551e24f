"""HTTP/2 frame by frame, for what no client library would send."""

import struct

from wire import connected

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
REFUSED_STREAM, ENHANCE_YOUR_CALM = 7, 11
# A status of 200, as every server writes it: the static table has it.
OK = b"\x88"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value: str) -> bytes:
    rest, length = len(value), bytearray()
    if rest < 127:
        return bytes([rest]) + value.encode()
    rest -= 127
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    return bytes([127, *length, rest]) + value.encode()


def field(name: str, value: str, kind: int = 0x00) -> bytes:
    """A header, written out; of kind 0x40 the other side remembers it under the number 62."""
    return bytes([kind]) + text(name) + text(value)


def asked(host: str, method: str = "POST", path: str = "/mcp") -> list[tuple[str, str]]:
    return [(":method", method), (":scheme", "http"), (":authority", host), (":path", path)]


def listed(pairs: list[tuple[str, str]]) -> int:
    """How long a list of headers is, as the protocol counts it."""
    return sum(len(name) + len(value) + 32 for name, value in pairs)


def block(pairs: list[tuple[str, str]]) -> bytes:
    return b"".join(field(*pair) for pair in pairs)


def headers(stream: int, packed: bytes, flags: int = END_STREAM) -> bytes:
    """A request's headers, in as many frames as they need."""
    pieces = [packed[start : start + 16384] for start in range(0, len(packed), 16384)]
    kinds = [HEADERS] + [CONTINUATION] * (len(pieces) - 1)
    ends = [0] * (len(pieces) - 1) + [END_HEADERS]
    framed = zip(kinds, ends, pieces, strict=True)
    return b"".join(frame(kind, end | (flags if kind == HEADERS else 0), stream, piece) for kind, end, piece in framed)


class Http2:
    """One connection."""

    def __init__(self, url: str):
        self.host = url.removeprefix("http://")
        self.socket = connected(url)
        self.came = b""
        self.send(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, frames: bytes) -> bool:
        """Whether the other side takes all of it."""
        try:
            self.socket.sendall(frames)
        except (TimeoutError, ConnectionError):
            return False
        return True

    def read(self, kind: int | None, seconds: float = 10) -> tuple[int, int, int, bytes] | None:
        """The next frame of that kind; `None` when the connection ends, or no such frame comes."""
        self.socket.settimeout(seconds)
        try:
            while True:
                while len(self.came) < 9 or len(self.came) < 9 + int.from_bytes(self.came[:3]):
                    piece = self.socket.recv(65536)
                    if not piece:
                        return None
                    self.came += piece
                size, (found, flags, stream) = int.from_bytes(self.came[:3]), struct.unpack(">BBI", self.came[3:9])
                payload, self.came = self.came[9 : 9 + size], self.came[9 + size :]
                if found == kind:
                    return found, flags, stream, payload
        except (TimeoutError, ConnectionError):
            return None

    def is_over(self, seconds: float = 20) -> bool:
        """Whether the other side ends the connection."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def __enter__(self) -> "Http2":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
