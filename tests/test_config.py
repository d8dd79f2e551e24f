"""The configuration: complete with very little, all problems at once, and nothing open that was not asked for."""

import json

import httpx
import pytest

from conftest import FAULTY, TIME
from processes import wait_until
from router import run, success

BAD = """\
listen: 127.0.0.1:4100
providers:
  openai: { api_key: "${NO_SUCH_VARIABLE}" }
  other: { base_url: "http://127.0.0.1:1", colour: blue }
mcpServers:
  slow: { command: x, timeout: banana }
  v: { command: x }
models:
  big: [nobody/model]
"""


def check(home, text: str, **more):
    file = home / "router.yaml"
    file.write_text(text)
    return run(home, "check", "--config", str(file), **more)


def test_a_good_file(tmp_path):
    done = check(tmp_path, "providers:\n  ollama: { base_url: http://localhost:11434 }\nmodels:\n  fast: [ollama/llama3]\n")
    assert done.returncode == 0, done.stderr


def test_all_problems_at_once(tmp_path):
    done = check(tmp_path, BAD)
    told = done.stdout + done.stderr
    assert done.returncode == 2, told
    for line, word in ((3, "NO_SUCH_VARIABLE"), (4, "colour"), (6, "banana"), (7, "reserved"), (9, "nobody")):
        assert f"router.yaml:{line}:" in told, f"line {line} is not named in\n{told}"
        assert word in told, f"{word} is not named in\n{told}"


def test_a_number_without_its_unit(tmp_path):
    done = check(tmp_path, "mcpServers:\n  a:\n    url: http://127.0.0.1:1/mcp\n    breaker: { recovery: 30 }\n")
    told = done.stdout + done.stderr
    assert done.returncode == 2 and "30s" in told, told


def test_a_misspelt_key_is_guessed(tmp_path):
    done = check(tmp_path, "provider:\n  openai: { api_key: x }\n")
    assert done.returncode == 2 and "providers" in done.stdout + done.stderr


def test_serve_refuses_a_bad_file(tmp_path):
    file = tmp_path / "router.yaml"
    file.write_text(BAD)
    done = run(tmp_path, "--config", str(file), "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert "listening" not in done.stdout
    assert "colour" in done.stderr


def test_a_missing_file_is_named(tmp_path):
    done = run(tmp_path, "check", "--config", "no-such-file.yaml")
    assert done.returncode in (1, 2) and "no-such-file.yaml" in done.stdout + done.stderr


def test_values_from_the_environment_and_files(start, provider, tmp_path):
    (tmp_path / "key").write_text("key-from-a-file\n")
    config = f"""
providers:
  one: {{ dialect: openai, base_url: "${{BASE}}/v1", api_key: "${{file:{tmp_path}/key}}" }}
  two: {{ dialect: openai, base_url: "${{NOT_SET:-{provider.url}}}/v1", api_key: x }}
"""
    router = start(config, env={"BASE": provider.url})
    assert router.chat("one/m").status_code == 200
    assert provider.last.headers["authorization"] == "Bearer key-from-a-file"
    assert router.chat("two/m").status_code == 200


def test_the_schema(tmp_path):
    done = run(tmp_path, "schema")
    assert done.returncode == 0, done.stderr
    schema = json.loads(done.stdout)
    assert {"listen", "providers", "models", "mcpServers", "clients", "keys", "log"} <= schema["properties"].keys()


def test_usage_errors(tmp_path):
    assert run(tmp_path, "--no-such-flag").returncode == 2
    assert run(tmp_path, "no-such-command").returncode == 2


def test_a_clients_block_is_a_whole_configuration(start):
    """As copied from a client, with the keys that clients keep there."""
    server = {**TIME, "type": "stdio", "disabled": False, "timeout": 60, "autoApprove": ["get_current_time"], "alwaysAllow": []}
    router = start({"mcpServers": {"time": server, "off": {"command": "/no/such/command", "disabled": True}}})
    router.wait_for_tools("time__get_current_time")
    assert success(router.call("time__get_current_time", {"timezone": "UTC"}))
    assert router.chat("echo", "and echo").json()["choices"][0]["message"]["content"] == "and echo"


def test_an_unknown_key_of_a_client_is_a_warning(tmp_path):
    done = check(tmp_path, json.dumps({"mcpServers": {"a": {"command": "x", "someClientsOwnKey": 1}}}))
    told = done.stdout + done.stderr
    assert done.returncode == 0 and "someClientsOwnKey" in told, told


def test_a_servers_environment_is_what_is_declared(start, tmp_path):
    probe = tmp_path / "environment.json"
    code = f"import os, json; json.dump(dict(os.environ), open({str(probe)!r}, 'w'))"
    server = {"command": FAULTY["command"], "args": ["-c", code], "env": {"DECLARED": "yes"}}
    start({"mcpServers": {"probe": server}}, env={"SECRET_OF_THE_ROUTER": "x"})
    wait_until("the server has started", lambda: probe.exists() and probe.read_text().endswith("}"))
    found = json.loads(probe.read_text())
    assert found["DECLARED"] == "yes" and "PATH" in found
    assert "SECRET_OF_THE_ROUTER" not in found


def test_another_address_needs_a_key(tmp_path):
    done = run(tmp_path, "--listen", "0.0.0.0:0")
    assert done.returncode == 2
    assert "key" in done.stderr and "listening" not in done.stdout


@pytest.fixture
def locked(start):
    return start({"keys": [{"name": "me", "key": "correct-horse-1"}]})


@pytest.mark.parametrize("headers", [{"authorization": "Bearer correct-horse-1"}, {"x-api-key": "correct-horse-1"}])
def test_a_key_opens(locked, headers):
    assert locked.http.post("/ask", json={"message": "x"}, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "correct-horse-"}, {"authorization": "correct-horse-1"}])
def test_no_key_no_answer(locked, headers):
    for path, body in (
        ("/ask", {"message": "x"}),
        ("/v1/chat/completions", {"model": "echo", "messages": [{"role": "user", "content": "x"}]}),
        ("/v1/messages", {"model": "echo", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}),
        ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    ):
        answer = locked.http.post(path, json=body, headers={"accept": "application/json, text/event-stream", **headers})
        assert answer.status_code == 401, (path, answer.text)
    assert locked.http.get("/v1/models", headers=headers).status_code == 401


def test_probes_need_no_key(locked):
    assert locked.http.get("/health/live").status_code == 200
    assert locked.http.get("/health/ready").status_code == 200


PAGES = ["/", "/v1/models", "/health", "/metrics"]


@pytest.mark.parametrize("path", PAGES)
def test_a_foreign_origin_is_refused(router, path):
    assert router.http.get(path, headers={"origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/v1/models", "/metrics"])
def test_a_foreign_host_is_refused(router, path):
    """A page whose name was pointed at loopback."""
    assert router.http.get(path, headers={"host": "evil.example"}).status_code in (403, 421)
    assert router.http.post("/mcp", json={}, headers={"host": "evil.example:4100"}).status_code in (403, 421)


def test_listed_hosts_and_origins_are_let_in(start):
    router = start({"allowed_hosts": ["router.example"], "allowed_origins": ["https://app.example"]})
    assert router.http.get("/v1/models", headers={"host": "router.example"}).status_code == 200
    answer = router.http.get("/v1/models", headers={"origin": "https://app.example"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    asked = {"origin": "https://app.example", "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    assert router.http.options("/v1/chat/completions", headers=asked).status_code in (200, 204)


def test_loopback_has_several_names(router):
    port = httpx.URL(router.url).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert router.http.get("/v1/models", headers={"host": host}).status_code == 200, host
    assert "access-control-allow-origin" not in router.http.get("/v1/models").headers


def test_a_log_in_json(start):
    router = start({"log": {"format": "json", "level": "info"}})
    request_id = router.chat("echo").headers["request-id"]
    wait_until("the request is logged", lambda: request_id in router.log_text(), 5)
    for line in router.log_text().splitlines():
        assert isinstance(json.loads(line), dict)
