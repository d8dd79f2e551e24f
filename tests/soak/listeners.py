"""Many who only listen: what each of them costs, whether all of them hear, and what is left when they have gone.

    tests/.venv/bin/python tests/soak/listeners.py [LISTENERS]      10000; MCP_ROUTER_BIN names the binary

Half are standing streams of legacy sessions, half `subscriptions/listen` of modern clients. Ends with 1 on a miss: more than
350 MB with all of them, a keep-alive that costs more than 5 MB, somebody who does not hear of a change, files that are not
back after 2 s, memory that is not back (1.5 times the base and 64 MB) after 60 s.
"""

import contextlib
import json
import resource
import selectors
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx  # noqa: E402

from processes import open_files, resident_bytes, wait_until  # noqa: E402
from router import MODERN, Router  # noqa: E402
from wire import connected  # noqa: E402

LISTED = Path(__file__).resolve().parent.parent / "servers/listed.py"
MB = 1_000_000
KEEP_ALIVE_SECONDS = 16
# A caller may have a thousand sessions.
KEYS = [{"name": f"k{number}", "key": f"0123456789abcdef-{number:03}"} for number in range(20)]


class Ear:
    """One open stream."""

    def __init__(self, router: Router, head: list[str], body: bytes = b""):
        host = router.url.removeprefix("http://")
        lines = [*head, f"host: {host}", "accept: text/event-stream, application/json", f"content-length: {len(body)}", "", ""]
        self.socket = connected(router.url)
        self.socket.sendall("\r\n".join(lines).encode() + body)
        self.heard = b""
        self.session: dict[str, str] = {}

    def wait_for(self, part: bytes) -> None:
        while part not in self.heard:
            piece = self.socket.recv(4096)
            assert piece, self.heard
            self.heard += piece


def standing(router: Router, key: str) -> Ear:
    body = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "soak", "version": "1"}}
    asked = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": body}
    answer = router.http.post("/mcp", json=asked, headers={"accept": "application/json, text/event-stream", "x-api-key": key})
    ear = Ear(router, ["GET /mcp HTTP/1.1", f"x-api-key: {key}", f"mcp-session-id: {answer.headers['mcp-session-id']}"])
    ear.wait_for(b"text/event-stream")
    ear.session = {"x-api-key": key, "mcp-session-id": answer.headers["mcp-session-id"]}
    return ear


def subscribed(router: Router, key: str) -> Ear:
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
    params = {"notifications": {"toolsListChanged": True}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}).encode()
    head = ["POST /mcp HTTP/1.1", f"x-api-key: {key}", f"mcp-protocol-version: {MODERN}", "mcp-method: subscriptions/listen", "content-type: application/json"]
    ear = Ear(router, head, body)
    ear.wait_for(b"acknowledged")
    return ear


def all_hear(ears: list[Ear], part: bytes, seconds: float) -> int:
    """How many hear something within a time."""
    chosen = selectors.DefaultSelector()
    for ear in ears:
        ear.socket.setblocking(False)
        chosen.register(ear.socket, selectors.EVENT_READ, ear)
    hears, end = 0, time.monotonic() + seconds
    while hears < len(ears) and time.monotonic() < end:
        for key, _ in chosen.select(0.2):
            key.data.heard += key.data.socket.recv(65536)
            if part in key.data.heard:
                hears += 1
                chosen.unregister(key.data.socket)
    chosen.close()
    for ear in ears:
        ear.socket.setblocking(True)
        ear.heard = b""
    return hears


def measure(home: Path, count: int) -> tuple[dict, list[str]]:
    """The figures, and what is wrong with them."""
    wanted = count + 1_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    has = home / "has.json"
    has.write_text(json.dumps({"tools": [{"name": "again", "inputSchema": {"type": "object"}}]}))
    server = {"command": sys.executable, "args": [str(LISTED), str(has)]}
    room = {"max_connections": count + 100} if count > 4_000 else {}
    router = Router(home / "router", {**room, "keys": KEYS, "log": {"level": "warn"}, "mcpServers": {"s": server}})
    try:
        router.http.headers["x-api-key"] = KEYS[0]["key"]
        router.wait_for_tools("s__again")
        return figures(router, count)
    finally:
        router.stop()


def figures(router: Router, count: int) -> tuple[dict, list[str]]:
    ears: list[Ear] = []
    # The first few set up what is needed once.
    for key in KEYS[:2]:
        ears += [standing(router, key["key"]), subscribed(router, key["key"])]
    close(ears)
    files = settled_files(router)
    found = {"listeners": count, "base_bytes": resident_bytes(router.pid), "base_files": files}
    ears = []
    for number in range(count // 2):
        key = KEYS[number % len(KEYS)]["key"]
        ears += [standing(router, key), subscribed(router, key)]
    found |= {"open_bytes": resident_bytes(router.pid), "open_files": open_files(router.pid)}
    router.call("s__again")
    found["heard"] = all_hear(ears, b"list_changed", 60)
    before = resident_bytes(router.pid)
    all_hear(ears, b"\n:\n", KEEP_ALIVE_SECONDS)
    found["keep_alive_bytes"] = resident_bytes(router.pid) - before
    found["most_bytes"] = max(found["open_bytes"], resident_bytes(router.pid))
    close(ears)
    misses = []
    with contextlib.suppress(AssertionError):
        wait_until("files are back", lambda: open_files(router.pid) <= files + 4, 2)
    found["files_after_2_s"] = open_files(router.pid)
    found["left_in_sessions_bytes"] = resident_bytes(router.pid)
    end_sessions(router, ears)
    bound = found["base_bytes"] * 1.5 + 64 * MB
    with contextlib.suppress(AssertionError):
        wait_until("memory is back", lambda: resident_bytes(router.pid) <= bound, 60, 0.5)
    found["left_bytes"] = resident_bytes(router.pid)
    if found["heard"] != len(ears):
        misses.append(f"{found['heard']} of {len(ears)} heard of a change")
    # Of few, what is there without them must not count.
    if found["most_bytes"] > 35_000 * count + (found["base_bytes"] if count < 10_000 else 0):
        misses.append(f"{found['most_bytes'] // MB} MB with all of them")
    if found["keep_alive_bytes"] > 5 * MB:
        misses.append(f"a keep-alive costs {found['keep_alive_bytes'] // MB} MB")
    if found["files_after_2_s"] > files + 4:
        misses.append(f"{found['files_after_2_s']} files are open, {files} before")
    if found["left_bytes"] > bound:
        misses.append(f"{found['left_bytes'] // MB} MB are left, {found['base_bytes'] // MB} before")
    return found, misses


def close(ears: list[Ear]) -> None:
    for ear in ears:
        ear.socket.close()


def end_sessions(router: Router, ears: list[Ear]) -> None:
    """A session outlives its streams; it is the client's to end."""
    for ear in ears:
        if ear.session:
            assert router.http.delete("/mcp", headers=ear.session).status_code == 204


def settled_files(router: Router) -> int:
    """Files once what was open has been closed."""
    router.http.close()
    router.http = httpx.Client(base_url=router.url, timeout=30, headers={"x-api-key": KEYS[0]["key"]})
    time.sleep(1)
    return open_files(router.pid)


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as home:
        found, misses = measure(Path(home), count)
    print(json.dumps({**found, "misses": misses}))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
