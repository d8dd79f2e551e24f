"""An MCP server over HTTP whose answers a test writes, byte by byte where it has to; it remembers what reached it."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOL = {"name": "echo", "description": "Says what it is told.", "inputSchema": {"type": "object"}}


class Visit(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: "Served"

    def log_message(self, *_) -> None:
        """Nobody reads that."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        message = json.loads(raw)
        self.server.seen.append((dict(self.headers.items()), raw))
        answers = {
            "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "hostile", "version": "1"}},
            "tools/list": {"tools": self.server.tools},
        }
        method = message.get("method")
        if "id" not in message or method is None:
            self.whole(b"", status=202)
        elif method == "tools/call":
            self.server.call(self, message)
        elif method in answers:
            self.result(message, answers[method])
        else:
            self.whole(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}).encode(), status=400)

    def do_GET(self) -> None:
        self.whole(b"", status=405)

    def do_DELETE(self) -> None:
        self.whole(b"")

    def result(self, message: dict, result: dict) -> None:
        self.whole(answer(message, json.dumps(result).encode()))

    def whole(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.head(status, **{"content-type": "application/json", "content-length": str(len(body)), **headers})
        self.wfile.write(body)

    def head(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def stream(self) -> None:
        """Begins events that end with the connection."""
        self.head(content_type="text/event-stream", connection="close")
        self.close_connection = True

    def write(self, piece: bytes) -> bool:
        """Whether somebody still reads."""
        try:
            self.wfile.write(piece)
        except OSError:
            return False
        return True


def answer(message: dict, result: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (message["id"], result)


class Served(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, call: Callable[[Visit, dict], None], tools: list[dict]):
        super().__init__(("127.0.0.1", 0), Visit)
        self.call, self.tools = call, tools
        self.seen: list[tuple[dict, bytes]] = []

    def handle_error(self, *_) -> None:
        """Whoever leaves in the middle of an answer is the test's business."""


class Hostile:
    """A running server; `call` answers each call of a tool."""

    def __init__(self, call: Callable[[Visit, dict], None], tools: list[dict] | None = None):
        self._server = Served(call, tools or [TOOL])
        self.url = f"http://127.0.0.1:{self._server.server_port}/mcp"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def config(self) -> dict:
        return {"url": self.url, "protocol": "legacy"}

    @property
    def seen(self) -> list[tuple[dict, bytes]]:
        return self._server.seen

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
