"""Rounds of connect, call and kill, and what is left of them: no orphan, no zombie, no file, no memory.

    tests/.venv/bin/python tests/soak/leaks.py [ROUNDS]      1000; MCP_ROUTER_BIN names the binary

Three kinds of rounds take turns: a server is killed in the middle of a call; a client over HTTP goes away in the middle of
one, with its stream open; a router on a pipe is killed together with whoever held its other end. Ends with 1 on a miss.
"""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from processes import open_files, resident_bytes, wait_until  # noqa: E402
from router import BINARY, Router, clean_environment  # noqa: E402
from wire import connected, request  # noqa: E402

FAULTY = Path(__file__).resolve().parent.parent / "servers/faulty.py"
BOTH = {"accept": "application/json, text/event-stream"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "soak", "version": "1"}}
AT_ONCE = 4
# Rounds before the base is taken: what is set up once is no leak.
WARM_UP = 12
MEMORY_BYTES = 32 << 20


def message(number: int, method: str, params: dict) -> dict:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def tool(number: int, name: str, **arguments: object) -> dict:
    return message(number, "tools/call", {"name": f"faulty__{name}", "arguments": arguments})


class Soak:
    """A router whose every session has a server to itself."""

    def __init__(self, home: Path):
        # The name of the server's file marks each of its processes, whoever its parent is.
        self.script = home / "soaked.py"
        self.script.write_text(FAULTY.read_text())
        server = {"command": sys.executable, "args": ["-I", str(self.script), "--child"], "isolation": "per_session", "instances": {"max": 16, "idle": "1s"}}
        self.config = home / "pipe.json"
        self.config.write_text(json.dumps({"mcpServers": {"faulty": {**server, "isolation": "shared"}}}))
        self.home = home
        self.router = Router(home / "router", {"mcpServers": {"faulty": server}})
        self.router.wait_for_tools("faulty__pid")
        self.rounds = itertools.cycle([self.server_dies, self.client_goes, self.pipe_dies])

    # -- the kinds of rounds

    def post(self, session: dict, body: dict) -> dict:
        answer = self.router.http.post("/mcp", json=body, headers={**BOTH, **session}, timeout=60)
        text = answer.text
        return json.loads(text if text.startswith("{") else text.split("data: ")[-1])

    def session(self) -> dict:
        answer = self.router.http.post("/mcp", json=message(0, "initialize", HELLO), headers=BOTH)
        return {"mcp-session-id": answer.headers["mcp-session-id"]}

    def server_dies(self) -> None:
        session = self.session()
        pid = int(self.post(session, tool(1, "pid"))["result"]["content"][0]["text"])
        threading.Timer(0.05, os.kill, (pid, signal.SIGKILL)).start()
        died = self.post(session, tool(2, "hang"))
        assert "faulty" in json.dumps(died) and died["result"]["isError"], died
        self.router.http.delete("/mcp", headers=session)

    def client_goes(self) -> None:
        session = self.session()
        own = self.post(session, tool(1, "echo", text="own"))
        assert own["result"]["content"][0]["text"] == "own", own
        lines = [f"host: {self.router.url.removeprefix('http://')}", f"mcp-session-id: {session['mcp-session-id']}", "accept: application/json, text/event-stream"]
        with connected(self.router.url) as stream, connected(self.router.url) as call:
            stream.sendall(request("GET", "/mcp", *lines))
            call.sendall(request("POST", "/mcp", *lines, body=json.dumps(tool(2, "hang")).encode()))
            time.sleep(0.05)
            for connection in (stream, call):
                # It is cut off, not closed.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.router.http.delete("/mcp", headers=session)

    def pipe_dies(self) -> None:
        command = [BINARY, "stdio", "--config", self.config]
        pipe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean_environment(self.home), text=True)
        try:
            for body in (message(0, "initialize", HELLO), tool(1, "pid"), tool(2, "hang")):
                print(json.dumps(body), file=pipe.stdin, flush=True)
                reply = json.loads(pipe.stdout.readline()) if body["id"] < 2 else {"result": "never"}
                assert "result" in reply, reply
        finally:
            pipe.kill()
            pipe.communicate()

    def run(self, count: int) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done in [pool.submit(kind) for kind in itertools.islice(self.rounds, count)]:
                done.result()

    # -- what is left

    def servers(self) -> int:
        """Processes of servers, and what those started, wherever they hang."""
        found = 0
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes()
                found += str(self.script).encode() in line and b"guard" not in line
        return found

    def zombies(self) -> int:
        found = 0
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                found += fields[0] == "Z" and int(fields[1]) in (self.router.pid, 1, os.getpid())
        return found

    def figures(self) -> dict[str, int]:
        router = self.router
        return {"servers": self.servers(), "zombies": self.zombies(), "files": open_files(router.pid), "bytes": resident_bytes(router.pid)}


def measure(home: Path, rounds: int) -> tuple[dict, dict, list[str]]:
    """The figures before and after so many rounds, and what is wrong with them."""
    soak = Soak(home)
    try:
        zombies = soak.zombies()
        soak.run(WARM_UP)
        soak.router.http.close()  # Its connections are files of the router, too.
        settled(soak)
        base = {**soak.figures(), "zombies": zombies}
        soak.router.http = type(soak.router.http)(base_url=soak.router.url, timeout=30)
        soak.run(rounds)
        soak.router.http.close()
        settled(soak)
        after = soak.figures()
    finally:
        soak.router.stop()
    misses = [f"{name}: {base[name]} before, {after[name]} after" for name in ("servers", "zombies", "files") if after[name] > base[name]]
    if after["bytes"] > base["bytes"] + MEMORY_BYTES:
        misses.append(f"bytes: {base['bytes']} before, {after['bytes']} after")
    wait_until("the last servers end", lambda: soak.servers() == 0, 10)
    return base, after, misses


def settled(soak: Soak) -> None:
    """Idle servers end after a second; the shared one stays."""
    with contextlib.suppress(AssertionError):
        wait_until("only the shared server is left", lambda: soak.servers() <= 1 and soak.zombies() == 0, 30, 0.25)
    time.sleep(2)


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        base, after, misses = measure(Path(home), rounds)
    print(json.dumps({"rounds": rounds, "seconds": round(time.monotonic() - began), "base": base, "after": after, "misses": misses}))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
