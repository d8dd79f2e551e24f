"""The built binary as a test drives it: started on a free port, asked over HTTP, ended with SIGTERM."""

import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import httpx

from processes import wait_until

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("MCP_ROUTER_BIN", ROOT / "target/release/mcp-router")).absolute()
START_SECONDS = 20
SHUTDOWN_SECONDS = 35

MODERN = "2026-07-28"


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the machine's own environment decides a test: no keys, no providers, no state."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LLVM_PROFILE_FILE") if name in os.environ}
    return {**kept, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), **more}


def run(home: Path, *args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command of the binary that ends by itself."""
    environment = clean_environment(home, **(env or {}))
    return subprocess.run([BINARY, *args], env=environment, cwd=cwd or home, text=True, capture_output=True, timeout=30)


class Router:
    """One running router. Ends with SIGTERM and must then exit with 0."""

    def __init__(self, home: Path, config: dict | str | None = None, args: tuple[str, ...] = (), env: dict[str, str] | None = None):
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.log = home / "router.log"
        command = [str(BINARY), "--listen", "127.0.0.1:0", *args]
        if config is not None:
            self.config = home / "router.yaml"
            # JSON is a subset of YAML.
            self.config.write_text(config if isinstance(config, str) else json.dumps(config, indent=2))
            command += ["--config", str(self.config)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=home, env=clean_environment(home, **(env or {})), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )
        try:
            self.url = self._address()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def _address(self) -> str:
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.append(self.process.stdout.readline().decode()), daemon=True)
        reader.start()
        reader.join(START_SECONDS)
        line = lines[0] if lines else ""
        found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
        assert found, f"first line on stdout: {line!r}; log:\n{self.log_text()}"
        return found[1]

    @property
    def pid(self) -> int:
        return self.process.pid

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)

    def stop(self) -> None:
        """Ends the router as an operator does; whatever it was doing, it must end well."""
        self.http.close()
        was_killed = self.process.returncode == -signal.SIGKILL
        if self.process.poll() is None:
            self.terminate()
        try:
            code = self.process.wait(SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {SHUTDOWN_SECONDS} s after SIGTERM; log:\n{self.log_text()}") from None
        finally:
            self.process.stdout.close()
        assert code == 0 or was_killed, f"exit code {code}; log:\n{self.log_text()}"
        assert "panicked at" not in self.log_text(), self.log_text()

    # -- LLM

    def chat(self, model: str, text: str = "hello", **more) -> httpx.Response:
        return self.http.post("/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": text}], **more})

    def messages(self, model: str, text: str = "hello", path: str = "/v1/messages", **more) -> httpx.Response:
        body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}], **more}
        return self.http.post(path, json=body, headers={"anthropic-version": "2023-06-01"})

    # -- MCP, in the stateless revision: one POST a question

    def rpc_response(self, method: str, params: dict | None = None, path: str = "/mcp", timeout: float = 30) -> httpx.Response:
        """Asks one JSON-RPC question."""
        params = dict(params or {})
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "outside-tests", "version": "1"},
        }
        headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": MODERN, "mcp-method": method}
        if name := params.get("name") or params.get("uri"):
            headers["mcp-name"] = name
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self.http.post(path, json=body, headers=headers, timeout=timeout)

    def rpc(self, method: str, params: dict | None = None, path: str = "/mcp", timeout: float = 30) -> dict:
        """The same, and returns the whole reply object."""
        response = self.rpc_response(method, params, path, timeout)
        if response.headers["content-type"].startswith("text/event-stream"):
            replies = [json.loads(event.data) for event in events(response.text)]
            return next(reply for reply in replies if reply.get("id") == 1)
        return response.json()

    def tools(self, path: str = "/mcp") -> list[str]:
        return [tool["name"] for tool in self.rpc("tools/list", path=path)["result"]["tools"]]

    def call(self, name: str, arguments: dict | None = None, path: str = "/mcp", timeout: float = 60) -> dict:
        return self.rpc("tools/call", {"name": name, "arguments": arguments or {}}, path, timeout)

    def wait_for_tools(self, *names: str, seconds: float = 30) -> None:
        """Servers start in the background: waits until the catalog lists these tools."""
        wait_until(f"tools {names}; log:\n{self.log_text()}", lambda: set(names) <= set(self.tools()), seconds, 0.2)

    # -- what operators see

    def component(self, name: str) -> dict:
        """The part of `/health` that speaks of one upstream."""
        components = self.http.get("/health").json()["components"]
        if isinstance(components, dict):
            components = [{"name": key, **value} for key, value in components.items()]
        for component in components:
            if name in re.split(r"[^\w-]+", component["name"]):
                return component
        raise AssertionError(f"no component {name} in {components}")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these label values; 0 when there are none."""
        total = 0.0
        for line in self.http.get("/metrics").text.splitlines():
            sample = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+).*", line)
            if sample and sample[1] == name:
                found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2] or ""))
                if all(found.get(key) == value for key, value in labels.items()):
                    total += float(sample[3])
        return total

    def breaker(self, upstream: str) -> float:
        """0 closed, 1 half-open, 2 open: the worst state of the breakers whose labels name this upstream."""
        states = [0.0]
        for line in self.http.get("/metrics").text.splitlines():
            sample = re.fullmatch(r"mcp_circuit_breaker_state\{(.*)\} (\S+)", line)
            if sample and any(upstream in value.split("/") for value in re.findall(r'="([^"]*)"', sample[1])):
                states.append(float(sample[2]))
        return max(states)


class Event:
    """One server-sent event."""

    def __init__(self, name: str | None, data: str):
        self.name, self.data = name, data

    def json(self) -> dict:
        return json.loads(self.data)


def events(text: str) -> list[Event]:
    """The events of a whole stream; comments are left out."""
    found = []
    for block in re.split(r"\r?\n\r?\n", text):
        name, data = None, []
        for line in block.splitlines():
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
        if data:
            found.append(Event(name, "\n".join(data)))
    return found


def chat_text(stream: str) -> str:
    """What an OpenAI stream says, which must end with [DONE]."""
    found = events(stream)
    assert found[-1].data == "[DONE]", found[-1].data
    choices = [choice for event in found[:-1] for choice in event.json().get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def messages_text(stream: str) -> str:
    """What an Anthropic stream says, which must be whole and in order."""
    found = [event for event in events(stream) if event.name != "ping"]
    names = [event.name for event in found]
    assert names[0] == "message_start" and names[-2:] == ["message_delta", "message_stop"], names
    assert all(event.json()["type"] == event.name for event in found)
    return "".join(event.json()["delta"].get("text", "") for event in found if event.name == "content_block_delta")


def failure(reply: dict) -> str:
    """The text of a call that must have failed, whether as a tool's error or as the protocol's."""
    if "error" in reply:
        return reply["error"]["message"]
    assert reply["result"].get("isError") is True, reply
    return " ".join(block.get("text", "") for block in reply["result"]["content"])


def success(reply: dict) -> str:
    """The text of a call that must have worked."""
    assert "error" not in reply and not reply["result"].get("isError"), reply
    return " ".join(block.get("text", "") for block in reply["result"]["content"])
