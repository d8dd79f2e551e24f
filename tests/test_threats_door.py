"""What was done to others at their doors, tried at ours: who may do what, from where, and in whose name."""

import contextlib
import itertools
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from conftest import FAULTY
from hostile import Hostile, Visit
from processes import descendants
from router import Router, failure, success
from wire import request, statuses

USER, ROOT = "0123456789abcdef-user", "0123456789abcdef-root"
KEYS = [{"name": "user", "key": USER}, {"name": "root", "key": ROOT, "admin": True}]

# Every route, and some that others have.
OURS = [
    "/", "/ask", "/enhance", "/v1/messages", "/v1/messages/stream", "/v1/messages/count_tokens", "/v1/chat/completions", "/v1/completions",
    "/v1/embeddings", "/v1/responses", "/v1/responses/x", "/v1/models", "/v1/models/x", "/api/embed", "/api/chat", "/api/tags", "/mcp",
    "/mcp/faulty", "/mcp/v/some", "/oauth/callback", "/metrics",
]
ADMIN = ["/admin/servers", "/admin/servers/faulty/restart", "/admin/servers/new/start", "/admin/changes"]
THEIRS = [
    "/mcp-rest/test/connection", "/mcp-rest/test/tools/list", "/bridge", "/api/mcp/client", "/api/mcp/clients", "/servers", "/mcp/servers",
    "/admin", "/admin/servers/new", "/api/v1/node-load-method/customMCP", "/config", "/reload", "/debug/pprof",
]
INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
BOTH = {"accept": "application/json, text/event-stream"}


@pytest.fixture
def keyed(start: Callable[..., Router]) -> Router:
    router = start({"keys": KEYS, "mcpServers": {"faulty": FAULTY}, "views": {"some": {"servers": ["faulty"]}}})
    router.http.headers["authorization"] = f"Bearer {ROOT}"
    router.wait_for_tools("faulty__echo")
    del router.http.headers["authorization"]
    return router


def with_key(key: str | None) -> dict[str, str]:
    return {**BOTH, **({"authorization": f"Bearer {key}"} if key else {})}


# -- programs are started from the configuration alone


def test_t01_cve_2026_42271_cve_2026_30623_no_request_starts_a_program(keyed, tmp_path):
    canary = tmp_path / "executed"
    spec = {"transport": "stdio", "type": "stdio", "command": "touch", "args": [str(canary)]}
    bodies = [
        {"name": "new", **spec},
        {"mcpServers": {"new": spec}, "servers": {"new": spec}, "mcpServerConfig": json.dumps(spec), "serverPath": f"touch {canary}"},
        {**INITIALIZE, "params": {**INITIALIZE["params"], **spec, "server": spec, "_meta": {"server": spec}}},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "new__x", "arguments": spec, **spec}},
    ]
    before = {pid for pid in descendants(keyed.pid)}
    paths = [path for path in OURS + ADMIN + THEIRS if not path.endswith("/restart")]
    for path, method, key, body in itertools.product(paths, ["POST", "PUT"], [None, USER, ROOT], bodies):
        answer = keyed.http.request(method, path, json=body, headers=with_key(key))
        assert answer.status_code < 500 or answer.status_code == 501, (path, method, key, answer.text)
    assert {pid for pid in descendants(keyed.pid)} <= before and not canary.exists()


def test_t02_cve_2025_61260_cve_2026_21852_nothing_is_read_from_the_working_directory(start, tmp_path):
    home, canary = tmp_path / "router-0", tmp_path / "executed"
    servers = {"mcpServers": {"evil": {"command": "touch", "args": [str(canary)]}}}
    files = [
        "router.yaml", "router.json", "mcp-router.yaml", ".mcp.json", "mcp.json", ".cursor/mcp.json", ".vscode/mcp.json", ".codex/config.toml",
        ".claude/settings.json", "claude_desktop_config.json", "configs/mcp_servers.yaml",
    ]
    for file in files:
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text(json.dumps(servers))
    (home / ".env").write_text(f"ROUTER_PORT=1\nOPENAI_API_KEY=evil\nPATH={home}\nMCP_ROUTER_CONFIG={home}/router.yaml\n")
    router = start()
    assert router.tools() == [] and descendants(router.pid) == []
    assert "openai/" not in router.http.get("/v1/models").text
    assert not canary.exists() and "evil" not in router.log_text()


# -- pages that are not ours


def test_t03_cve_2025_49596_cve_2026_42559_a_rebound_name_and_a_strange_page_are_refused_everywhere(start):
    router = start({"mcpServers": {"faulty": FAULTY}, "views": {"some": {"servers": ["faulty"]}}})
    here = router.url.removeprefix("http://")
    port = here.split(":")[1]
    hosts = {
        here: True, f"localhost:{port}": True, "evil.example": False, f"evil.example:{port}": False, f"127.0.0.1.evil.example:{port}": False,
        f"localhost.evil.example:{port}": False, f"evil.example@{here}": False,
    }
    origins = {None: True, f"http://{here}": True, "null": False, "http://evil.example": False, f"http://{here}.evil.example": False, "file://": False}
    body = json.dumps(INITIALIZE).encode()
    for path in [*OURS, "/health", "/health/faulty", "/nowhere"]:
        for (host, known), (origin, ours) in itertools.product(hosts.items(), origins.items()):
            if host != here and origin and ours:
                continue  # The page of one of our names at another of them.
            lines = [f"host: {host}", "content-type: text/plain", *([f"origin: {origin}"] if origin else [])]
            [status] = statuses(router.url, request("POST", path, *lines, body=body))
            assert (status == 403) == (not (known and ours)) or status == 400, (path, host, origin, status)
    for target, lines in {
        "/mcp": [f"host: {here}", "host: evil.example"],
        "/mcp ": [f"host: {here}", f"host: {here}"],
        "/mcp  ": [f"host: {here}", f"origin: http://{here}", "origin: http://evil.example"],
        "http://evil.example/mcp": [f"host: {here}"],
        "/mcp   ": [],
    }.items():
        [status] = statuses(router.url, request("POST", target.strip(), *lines, body=body))
        assert status in (400, 403), (target, lines)


# -- keys


def test_t04_cve_2026_42208_a_strange_key_is_only_a_wrong_one(keyed):
    strange = [
        "' OR '1'='1", "' OR 1=1 --", "'; DROP TABLE keys; --", "\" OR \"\"=\"", "1' UNION SELECT key FROM keys --", "admin'/*", "') OR ('a'='a",
        "%27%20OR%201=1", "*", "%", "_", "${ROOT_KEY}", "{{key}}", "$(id)", "`id`", "../../etc/passwd", "\\x00", "null", "undefined", "true", "[]",
        '{"$gt":""}', USER[:-1], USER + "x", USER.upper(), f"{USER} x", f"{USER},{ROOT}", "a" * 8_000,
    ]
    seen = set()
    for key in strange:
        for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}, {"authorization": f"Basic {key}"}, {"authorization": key}):
            answer = keyed.http.post("/mcp", json=INITIALIZE, headers={**BOTH, **headers})
            assert answer.status_code == 401, headers
            assert key not in answer.text or len(key) < 8, headers
            seen.add(answer.json()["error"]["message"])
    assert len(seen) <= 2, "missing or unknown, and nothing else"


def test_t05_t12_cve_2026_35030_keys_that_begin_alike_are_others_and_so_are_their_sessions(start):
    keys = [{"name": f"k{number}", "key": f"{'same' * 10}-{number:04}"} for number in range(40)]
    router = start({"keys": keys, "mcpServers": {"faulty": FAULTY}})
    sessions = {}
    for key in keys:
        answer = router.http.post("/mcp", json=INITIALIZE, headers=with_key(key["key"]))
        sessions[key["key"]] = answer.headers["mcp-session-id"]
    assert len(set(sessions.values())) == 40 and all(len(session) == 32 for session in sessions.values())
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for key, (owner, session) in itertools.product([key["key"] for key in keys], sessions.items()):
        answer = router.http.post("/mcp", json=ping, headers={**with_key(key), "mcp-session-id": session})
        assert answer.status_code == (200 if key == owner else 404)
    for guess in ("0" * 32, sessions[keys[0]["key"]].upper(), sessions[keys[0]["key"]][:-1], "", "../" + "0" * 29):
        answer = router.http.post("/mcp", json=ping, headers={**with_key(keys[1]["key"]), "mcp-session-id": guess})
        assert answer.status_code in (400, 404), guess


def test_t06_t40_every_route_wants_its_key_and_admin_wants_more(keyed):
    for path, key in itertools.product(OURS + ADMIN + THEIRS, [None, "wrong-key-0123456789", USER, ROOT]):
        for method in ("GET", "POST"):
            status = keyed.http.request(method, path, headers=with_key(key), json={}).status_code
            known = key in (USER, ROOT)
            open_to_all = path == "/oauth/callback"
            if not known and not open_to_all:
                assert status == 401, (path, method, key, status)
            elif path.startswith("/admin") and key == USER:
                assert status == 403, (path, method, status)
            else:
                assert status not in (401, 403) or open_to_all, (path, method, key, status)
    random = ["/mcp/v/6f1c", "/mcp/6f1c", "/mcp/v/some%2f..%2fother", "/mcp/%2e%2e/admin/servers", "/mcp/v/", "/health/6f1c"]
    for path in random:
        assert keyed.http.post(path, json=INITIALIZE, headers=with_key(USER)).status_code in (404, 405), path


def test_t40_one_address_is_listened_on_and_it_is_this_machine(start):
    router = start({"mcpServers": {"faulty": FAULTY}})
    own = set()
    for entry in Path(f"/proc/{router.pid}/fd").iterdir():
        try:
            own.add(str(entry.readlink()))
        except OSError:
            continue
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            row = line.split()
            if row[3] == "0A" and f"socket:[{row[9]}]" in own:
                listening.append(row[1].split(":")[0])
    assert listening == ["0100007F"], "127.0.0.1, once"


# -- in whose name


def test_t07_t08_what_a_client_shows_to_us_stays_here(start, hostile):
    def call(visit: Visit, message: dict) -> None:
        visit.result(message, {"content": [{"type": "text", "text": "done"}]})

    server: Hostile = hostile(call)
    router = start({"keys": KEYS, "mcpServers": {"far": {**server.config, "headers": {"X-Theirs": "for-the-server"}}}})
    router.http.headers["authorization"] = f"Bearer {USER}"
    router.wait_for_tools("far__echo")
    forged = {
        "x-mcp-router-caller": "root", "x-mcp-router-upstream": "forged-canary", "x-mcp-router-source": "forged-canary", "mcp-init-host": "canary.example",
        "router-key": "canary", "forwarded": "for=canary", "x-forwarded-for": "10.0.0.1, canary", "x-forwarded-host": "canary.example",
        "via": "1.1 canary", "cookie": "session=canary", "x-api-key": USER, "proxy-authorization": "Basic canary", "x-secret": "canary",
        "mcp-session-id": "", "connection": "keep-alive, x-hop", "x-hop": "canary",
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "far__echo", "arguments": {}}}
    headers = {key: value for key, value in forged.items() if value}
    answer = router.http.post("/mcp", json=body, headers={**BOTH, **headers})
    assert answer.status_code == 200 and answer.headers["x-mcp-router-upstream"] == "far" and "canary" not in str(answer.headers)
    everything = str(server.seen)
    assert len(server.seen) >= 3 and everything.count("for-the-server") == len(server.seen)
    assert "canary" not in everything and USER not in everything and "x-mcp-router" not in everything.lower()


def test_t36_what_is_secret_is_told_to_nobody(start, hostile, tmp_path):
    """A canary in every place where the configuration of MCP takes a secret; servers that repeat what they were given."""
    secrets = {name: f"canary-{name}-0123456789abcdef" for name in ("key", "root", "header", "bearer", "env", "state")}

    def call(visit: Visit, message: dict) -> None:
        visit.whole(json.dumps({"error": f"bad token {visit.headers['authorization']} {visit.headers['x-token']}"}).encode(), status=message["params"]["arguments"]["status"])

    server = hostile(call)
    complains = (
        "import os, sys, time\n"
        "print('starting with', os.environ['TOKEN'], file=sys.stderr, flush=True)\n"
        "sys.exit('cannot sign in with ' + os.environ['TOKEN'])\n"
    )
    (tmp_path / "complains.py").write_text(complains)
    config = {
        "keys": [{"name": "user", "key": secrets["key"]}, {"name": "root", "key": secrets["root"], "admin": True}],
        "state_key": secrets["state"] + secrets["state"],
        "log": {"level": "trace"},
        "mcpServers": {
            "far": {**server.config, "headers": {"Authorization": f"Bearer {secrets['bearer']}", "X-Token": secrets["header"]}, "retry": {"retries": 0}},
            "near": {"command": "python3", "args": [str(tmp_path / "complains.py")], "env": {"TOKEN": secrets["env"]}},
        },
    }
    router = start(config)
    told = []
    router.http.headers["authorization"] = f"Bearer {secrets['root']}"
    router.wait_for_tools("far__echo")
    for status in (400, 401, 403, 404, 409, 429, 500, 502):
        told.append(json.dumps(router.call("far__echo", {"status": status})))
    told.append(failure(router.call("near__anything")))
    for path in ("/health", "/health/near", "/metrics", "/admin/servers", "/admin/servers/near/logs", "/mcp", "/nowhere"):
        told.append(router.http.get(path).text)
    wrong = router.http.post("/mcp", json=INITIALIZE, headers={"authorization": f"Bearer {secrets['key']}x"})
    assert wrong.status_code == 401
    told.append(wrong.text)
    everything = "\n".join(told) + router.log_text()
    assert "sign in with ****" in everything, "the complaint itself is told"
    assert [name for name, secret in secrets.items() if secret in everything] == []
    # Nobody else on the machine reads them from the list of processes either.
    for pid in [router.pid, *descendants(router.pid)]:
        with contextlib.suppress(FileNotFoundError):  # One that complains ends all the time.
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            assert not any(secret in line for secret in secrets.values())


def test_t35_what_is_kept_of_an_answer_is_kept_for_its_caller(start, hostile):
    answered = itertools.count()

    def call(visit: Visit, message: dict) -> None:
        visit.result(message, {"content": [{"type": "text", "text": f"answer {next(answered)}"}]})

    tool = {"name": "echo", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
    server = hostile(call, [tool])
    keys = [{"name": f"k{number}", "key": f"0123456789abcdef-{number}"} for number in range(10)]
    router = start({"keys": keys, "mcpServers": {"far": {**server.config, "trusted": True, "cache": {"fresh": "1h", "tools": ["*"]}}}})
    router.http.headers["authorization"] = f"Bearer {keys[0]['key']}"
    router.wait_for_tools("far__echo")
    heard: dict[str, str] = {}
    for round_, key, question in itertools.product(range(2), keys, range(5)):
        router.http.headers["authorization"] = f"Bearer {key['key']}"
        text = success(router.call("far__echo", {"question": question}))
        known = heard.setdefault(f"{key['name']} {question}", text)
        assert known == text, "kept for who asked"
    assert len(set(heard.values())) == len(heard) == 50, "and for nobody else"


def test_t26_the_slow_do_not_hold_up_the_quick(start):
    router = start({"mcpServers": {"faulty": FAULTY}})
    router.wait_for_tools("faulty__echo")
    host, port = router.url.removeprefix("http://").split(":")
    slow = []
    for number in range(300):
        connection = socket.create_connection((host, int(port)), timeout=5)
        begun = b"POST /mcp HTTP/1.1\r\nhost: " if number % 2 else request("POST", "/mcp", f"host: {host}:{port}", body=b"{" + b" " * 1000)[:-900]
        connection.sendall(begun)
        slow.append(connection)
    for _ in range(50):
        answer = router.http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, timeout=httpx.Timeout(2))
        assert answer.status_code == 200
    for connection in slow:
        connection.close()


def test_t26_a_request_has_ten_seconds_and_a_connection_that_waits_has_more(start):
    router = start()
    host, port = router.url.removeprefix("http://").split(":")
    head = f"GET /health/live HTTP/1.1\r\nhost: {host}:{port}\r\n".encode()
    places = {name: socket.create_connection((host, int(port)), timeout=5) for name in ("silent", "slow", "slow at the second", "kept")}
    for name in ("slow at the second", "kept"):
        assert asks(places[name], head)
    began, ended = time.monotonic(), {}
    while time.monotonic() - began < 14:
        for name in ("slow", "slow at the second"):
            # One byte now and then: of a line that has no end.
            if name not in ended and not says(places[name], b"G" if name == "slow" else head[:1]):
                ended[name] = time.monotonic() - began
        time.sleep(0.5)
    assert set(ended) == {"slow", "slow at the second"} and min(ended.values()) > 9, ended
    assert asks(places["silent"], head) and asks(places["kept"], head)
    for connection in places.values():
        connection.close()


def asks(connection: socket.socket, head: bytes) -> bool:
    connection.sendall(head + b"\r\n")
    return connection.recv(4096).startswith(b"HTTP/1.1 200")


def says(connection: socket.socket, byte: bytes) -> bool:
    """Whether the other side still listens."""
    connection.settimeout(0.01)
    try:
        connection.sendall(byte)
        return connection.recv(4096) != b""
    except TimeoutError:
        return True
    except OSError:
        return False
