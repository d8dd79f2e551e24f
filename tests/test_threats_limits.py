"""Everything that has a bound, at it, one above it, and far above it; and those who never stop."""

import gzip
import json
import socket
import sys
import time
from collections.abc import Callable

import pytest

from conftest import FAULTY
from hostile import Visit, answer
from processes import resident_bytes, wait_until
from router import Router, failure, success
from wire import connected, request, statuses, until_closed

BOTH = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
MIB = 1 << 20
# What a router may have more of for a moment than a bound says, in a build that is not optimised: buffers, and what is freed late.
SLACK_BYTES = 96 * MIB


@pytest.fixture
def router(start) -> Router:
    router = start({"mcpServers": {"faulty": FAULTY}})
    router.wait_for_tools("faulty__echo")
    return router


def host(router: Router) -> str:
    return f"host: {router.url.removeprefix('http://')}"


# -- questions


@pytest.mark.parametrize(("size", "status"), [(4 * MIB, 200), (4 * MIB + 1, 413), (400 * MIB, 413)])
def test_t29_the_size_of_a_message(router, size, status):
    before = resident_bytes(router.pid)
    ping = json.dumps(PING).encode()
    with connected(router.url) as connection:
        connection.sendall(f"POST /mcp HTTP/1.1\r\n{host(router)}\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n".encode() + ping)
        left = size - len(ping)
        try:
            while left > 0:
                left -= connection.send(b" " * min(left, MIB))
        except (BrokenPipeError, ConnectionError):
            pass  # It will not have all of it.
        told = until_closed(connection)
    # Whoever goes on sending may lose the answer, but is never served.
    assert told.startswith(f"HTTP/1.1 {status}".encode()) or (size == 400 * MIB and told == b"")
    assert resident_bytes(router.pid) - before < SLACK_BYTES


HEADERS, HEADER_BYTES, ADDRESS_BYTES = 100, 64 << 10, 8 << 10


def refuses(found: list[int], status: int) -> bool:
    """Whoever sends much more than is read may lose the answer."""
    return found in ([status], [])


def test_t29_the_headers_of_a_request(router):
    line, body = host(router), json.dumps(PING).encode()
    own = len(request("POST", "/mcp", line, "x-big: ", body=body)) - len(body)
    # The host, the length and the connection are headers, too.
    for count in (HEADERS, HEADERS + 1, 100 * HEADERS):
        found = statuses(router.url, request("POST", "/mcp", line, *(f"x-{number}: y" for number in range(count - 3)), body=body), seconds=3)
        assert found == [200] if count == HEADERS else refuses(found, 431), (count, found)
    for size in (HEADER_BYTES, HEADER_BYTES + 1, 100 * HEADER_BYTES):
        found = statuses(router.url, request("POST", "/mcp", line, f"x-big: {'y' * (size - own)}", body=body), seconds=3)
        assert found == [200] if size == HEADER_BYTES else refuses(found, 431), (size, found)
    assert router.http.post("/mcp", json=PING).status_code == 200


def test_t29_the_address_of_a_request(router):
    line, body = host(router), json.dumps(PING).encode()
    for size in (ADDRESS_BYTES, ADDRESS_BYTES + 1, 100 * ADDRESS_BYTES):
        found = statuses(router.url, request("POST", f"/mcp?{'y' * (size - len('/mcp?'))}", line, body=body), seconds=3)
        # One that is as long as all headers may be is not even read.
        assert found == [200] if size == ADDRESS_BYTES else refuses(found, 414) or (size > HEADER_BYTES and refuses(found, 431)), (size, found)
    refused = router.http.post(f"/mcp?{'y' * ADDRESS_BYTES}", json=PING)
    assert (refused.status_code, refused.json()["error"]["data"]["kind"]) == (414, "too_long")
    assert "8197 bytes, more than 8192" in refused.json()["error"]["message"]
    assert router.http.post("/mcp", json=PING).status_code == 200


def test_t29_the_messages_of_a_batch(router):
    for count, status in [(100, 200), (101, 400), (10_000, 400)]:
        answer = router.http.post("/mcp", json=[PING] * count, headers=BOTH)
        assert answer.status_code == status, count
        assert status != 200 or len(answer.json()) == count


def test_t28_a_question_is_not_unpacked(router):
    bomb = gzip.compress(json.dumps(PING).encode() + b" " * (64 * MIB))
    before = resident_bytes(router.pid)
    for encoding in ("gzip", "br", "zstd", "deflate", "gzip, gzip"):
        answer = router.http.post("/mcp", content=bomb, headers={**BOTH, "content-encoding": encoding})
        assert answer.status_code in (400, 415), encoding
    assert resident_bytes(router.pid) - before < 20 * MIB


# -- answers of servers over HTTP


@pytest.fixture
def answered(start, hostile) -> Callable[[Callable[[Visit, dict], None]], Router]:
    """A router before one server that answers so."""

    def start_one(call: Callable[[Visit, dict], None], **more) -> Router:
        server = hostile(call)
        router = start({"mcpServers": {"far": {**server.config, "timeout": "20s", "retry": {"retries": 0}, **more}}})
        router.wait_for_tools("far__echo")
        return router

    return start_one


def text_of(size: int) -> bytes:
    """A result of so many bytes."""
    frame = b'{"content":[{"type":"text","text":"%b"}]}'
    return frame % (b"x" * (size - len(frame) + 2))


def test_t29_the_size_of_an_answer(answered):
    def call(visit: Visit, message: dict) -> None:
        size, way = message["params"]["arguments"]["size"], message["params"]["arguments"]["way"]
        whole = answer(message, b"{}")
        body = answer(message, text_of(size - len(whole) + 2))
        if way == "json":
            visit.head(content_type="application/json", connection="close")
            visit.close_connection = True
            return drip(visit, body)
        visit.stream()
        drip(visit, b"data: " + body + b"\n\n")

    def drip(visit: Visit, body: bytes) -> None:
        for start in range(0, len(body), MIB):
            if not visit.write(body[start : start + MIB]):
                return

    router = answered(call)
    before = resident_bytes(router.pid)
    for way, most in [("json", 16 * MIB), ("events", 4 * MIB)]:
        assert len(success(router.call("far__echo", {"size": most, "way": way}))) > most - 200, way
        for size in (most + 1, 20 * most):
            assert "above" in failure(router.call("far__echo", {"size": size, "way": way})), (way, size)
    assert resident_bytes(router.pid) - before < SLACK_BYTES


def test_t28_an_answer_is_not_unpacked(answered):
    def call(visit: Visit, message: dict) -> None:
        packed = gzip.compress(answer(message, text_of(64 * MIB)))
        visit.whole(packed, content_encoding="gzip")

    router = answered(call)
    before = resident_bytes(router.pid)
    assert failure(router.call("far__echo"))
    assert resident_bytes(router.pid) - before < 20 * MIB


ENDLESS = {
    "an event": b"data: " + b"x" * 65536,
    "comments": b": x\n\n",
    "events": b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n\n',
    "strange answers": b'data: {"jsonrpc":"2.0","id":999999,"result":{}}\n\n',
    "questions": b'data: {"jsonrpc":"2.0","id":"q","method":"ping"}\n\ndata: {"jsonrpc":"2.0","id":"r","method":"elicitation/create","params":{}}\n\n',
}


@pytest.mark.parametrize("what", ENDLESS)
def test_t29_a_stream_without_end_is_left_at_the_deadline(answered, what):
    def call(visit: Visit, message: dict) -> None:
        if message["params"]["arguments"].get("quick"):
            return visit.result(message, {"content": [{"type": "text", "text": "quick"}]})
        visit.stream()
        piece = ENDLESS[what] * (1 if what == "an event" else 200)
        while visit.write(piece):
            time.sleep(0.02)

    # Whatever shows that somebody is there begins the silence anew; the whole call has its end all the same.
    router = answered(call, timeout={"first_byte": "3s", "total": "5s"})
    before = resident_bytes(router.pid)
    began = time.monotonic()
    assert "far" in failure(router.call("far__echo"))
    assert time.monotonic() - began < 15
    assert success(router.call("far__echo", {"quick": True})) == "quick", "the next one does not suffer"
    assert resident_bytes(router.pid) - before < SLACK_BYTES


# -- servers over a pipe

FLOODING = '''
import json, sys, threading, time
def say(text):
    sys.stdout.write(text + "\\n")
tool = lambda name: {"name": name, "inputSchema": {"type": "object"}}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked or "method" not in asked:
        continue
    method, result = asked["method"], None
    params = asked.get("params") or {}
    if method == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": True}, "logging": {}}, "serverInfo": {"name": "f", "version": "1"}}
    elif method == "tools/list" and sys.argv[1] == "pages":
        cursor = int(params.get("cursor", 0))
        result = {"tools": [tool(f"t{cursor}")], "nextCursor": str(cursor + 1)}
    elif method == "tools/list" and sys.argv[1] == "circle":
        result = {"tools": [tool("t")], "nextCursor": {"a": "b", "b": "a"}.get(params.get("cursor"), "a")}
    elif method == "tools/list" and sys.argv[1] == "heavy":
        cursor = int(params.get("cursor", 0))
        result = {"tools": [tool(f"t{cursor}")], "padding": "x" * (8 << 20), "nextCursor": str(cursor + 1)}
    elif method == "tools/list":
        result = {"tools": [tool("flood"), tool("echo")]}
    elif method == "tools/call":
        arguments = params.get("arguments") or {}
        for number in range(arguments.get("count", 0)):
            message = arguments["message"]
            if "params" in message and "token" in arguments:
                message["params"]["progressToken"] = params["_meta"]["progressToken"]
            say(json.dumps({"jsonrpc": "2.0", **message}))
        result = {"content": [{"type": "text", "text": "done"}]}
    answer = {"result": result} if result else {"error": {"code": -32601, "message": "no"}}
    say(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}))
    sys.stdout.flush()
'''


@pytest.fixture
def flooding(tmp_path) -> Callable[[str], dict]:
    script = tmp_path / "flooding.py"
    script.write_text(FLOODING)
    return lambda what: {"command": sys.executable, "args": [str(script), what]}


@pytest.mark.parametrize("what", ["pages", "circle", "heavy"])
def test_t29_a_list_without_end_ends(start, flooding, what):
    router = start({"mcpServers": {"endless": flooding(what), "faulty": FAULTY}})
    router.wait_for_tools("faulty__echo", "endless__t" if what == "circle" else "endless__t0", seconds=60)
    count = sum(name.startswith("endless") for name in router.tools())
    assert count == {"pages": 100, "circle": 1, "heavy": 8}[what]
    if what == "heavy":
        wait_until("it is told", lambda: "the list is above 64 MiB" in router.log_text())
    assert success(router.call("faulty__echo", {"text": "well"})) == "well"


FLOODS = {
    "changes": {"method": "notifications/tools/list_changed"},
    "log lines": {"method": "notifications/message", "params": {"level": "info", "data": "x" * 200}},
    "progress": {"method": "notifications/progress", "params": {"progress": 1}},
    "updates": {"method": "notifications/resources/updated", "params": {"uri": "x:y"}},
    "what nobody knows": {"method": "notifications/of/nothing", "params": {"x": 1}},
    "strange answers": {"id": 424242, "result": {}},
    "questions": {"id": "q", "method": "ping"},
    "questions to nobody": {"id": "q", "method": "sampling/createMessage", "params": {}},
}


@pytest.mark.parametrize("what", FLOODS)
def test_t29_a_flood_of_a_server_drowns_nobody(start, flooding, what):
    router = start({"mcpServers": {"flood": flooding("call"), "faulty": FAULTY}})
    router.wait_for_tools("flood__flood", "faulty__echo")
    session = router.http.post("/mcp", json={
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }, headers=BOTH).headers["mcp-session-id"]
    before = resident_bytes(router.pid)
    deaf = []
    for _ in range(20):
        connection = connected(router.url)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET /mcp HTTP/1.1\r\n{host(router)}\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\r\n".encode())
        deaf.append(connection)
    flood = {"count": 30_000, "message": FLOODS[what], **({"token": True} if what == "progress" else {})}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "flood__flood", "arguments": flood, "_meta": {"progressToken": 7}}}
    text = router.http.post("/mcp", json=body, headers={**BOTH, "mcp-session-id": session}, timeout=60).text
    assert '"done"' in text
    assert success(router.call("faulty__echo", {"text": "well"})) == "well"
    assert success(router.call("flood__echo")) == "done"
    assert resident_bytes(router.pid) - before < SLACK_BYTES
    for connection in deaf:
        connection.close()


def test_t30_who_never_reads_holds_up_nobody(start, flooding):
    router = start({"mcpServers": {"flood": flooding("call"), "faulty": FAULTY}})
    router.wait_for_tools("flood__flood", "faulty__echo")
    before = resident_bytes(router.pid)
    flood = {"count": 3_000, "token": True, "message": {"method": "notifications/progress", "params": {"progress": 1, "message": "x" * 1_000}}}
    deaf = []
    for number in range(30):
        body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "flood__flood", "arguments": flood, "_meta": {"progressToken": number}}}
        connection = connected(router.url)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request("POST", "/mcp", host(router), "accept: application/json, text/event-stream", body=json.dumps(body).encode()))
        deaf.append(connection)
    for _ in range(20):
        began = time.monotonic()
        assert success(router.call("faulty__echo", {"text": "well"})) == "well"
        assert time.monotonic() - began < 2
    wait_until("the flood is over", lambda: success(router.call("flood__echo")) == "done", 30)
    assert resident_bytes(router.pid) - before < SLACK_BYTES
    for connection in deaf:
        connection.close()


def test_t33_a_line_without_end_fails_its_own_call_only(start, tmp_path):
    script = tmp_path / "line.py"
    script.write_text(FLOODING.replace('        arguments = params.get("arguments") or {}\n', '''        arguments = params.get("arguments") or {}
        if arguments.get("mib"):
            sys.stdout.write('{"jsonrpc":"2.0","id":%d,"result":{"x":"' % asked["id"])
            for _ in range(arguments["mib"]): sys.stdout.write("x" * (1 << 20))
            say('"}}')
            sys.stdout.flush()
            continue
'''))
    router = start({"mcpServers": {"line": {"command": sys.executable, "args": [str(script), "call"], "timeout": "20s"}}})
    router.wait_for_tools("line__echo")
    before = resident_bytes(router.pid)
    for mebibytes in (20, 200):
        assert "longer than 16 MiB" in failure(router.call("line__echo", {"mib": mebibytes}))
        assert success(router.call("line__echo")) == "done", "and the next line is whole again"
    assert resident_bytes(router.pid) - before < SLACK_BYTES
