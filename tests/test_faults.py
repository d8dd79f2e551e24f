"""What breaks, breaks alone: the right error, breakers that open and recover by a probe, nobody left behind."""

import os
import signal
import threading
import time

import httpx
import pytest

from conftest import FAULTY, TIME
from processes import descendants, is_alive, wait_until
from recording import ANSWER, Act, RecordingProvider
from router import chat_text, events, failure, success

CLOSED, OPEN = 0, 2
NO_RETRY = {"retries": 0}


def faulty(*options: str, **settings) -> dict:
    return {**FAULTY, "args": [*FAULTY["args"], *options], **settings}


def provider_config(provider: RecordingProvider, **settings) -> dict:
    return {"providers": {"mock": {"dialect": "openai", "base_url": f"{provider.url}/v1", "api_key": "x", **settings}}}


# -- MCP servers over stdio


@pytest.fixture
def broken(start):
    """One server that can break, one neighbour that must not notice."""
    router = start({"mcpServers": {"faulty": faulty(timeout="2s"), "time": TIME}})
    router.wait_for_tools("faulty__echo", "time__get_current_time")
    return router


def neighbour_is_well(router) -> None:
    began = time.monotonic()
    assert success(router.call("time__get_current_time", {"timezone": "UTC"}))
    assert time.monotonic() - began < 2


def is_back(router) -> bool:
    reply = router.call("faulty__echo", {"text": "back"})
    return "error" not in reply and not reply["result"].get("isError")


def test_a_server_killed_in_mid_call(broken):
    pid = int(success(broken.call("faulty__pid")))
    killer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    killer.start()
    began = time.monotonic()
    text = failure(broken.call("faulty__hang"))
    assert time.monotonic() - began < 1.9, "the end of the server must be noticed before the timeout"
    assert "faulty" in text
    neighbour_is_well(broken)
    wait_until("faulty is restarted", lambda: is_back(broken), 20, 0.3)
    assert int(success(broken.call("faulty__pid"))) != pid


def test_a_server_that_ends_by_itself(broken):
    assert "faulty" in failure(broken.call("faulty__die"))
    neighbour_is_well(broken)
    wait_until("faulty is restarted", lambda: is_back(broken), 20, 0.3)


def test_a_server_that_hangs(broken):
    began = time.monotonic()
    text = failure(broken.call("faulty__hang"))
    assert 1.5 < time.monotonic() - began < 8
    assert "faulty" in text and "2" in text
    assert broken.metric("mcp_timeouts_total") >= 1
    neighbour_is_well(broken)


def test_a_server_that_prints_garbage(broken):
    assert success(broken.call("faulty__garbage", {"text": "between the lines"})) == "between the lines"
    assert success(broken.call("faulty__echo", {"text": "still here"})) == "still here"


def test_the_breaker_of_a_server(start):
    config = {"mcpServers": {"faulty": faulty(timeout="500ms", breaker={"failures": 2, "recovery": "2s", "successes": 1}), "time": TIME}}
    router = start(config)
    router.wait_for_tools("faulty__echo", "time__get_current_time")
    assert router.breaker("faulty") == CLOSED
    for _ in range(2):
        failure(router.call("faulty__hang"))
    assert router.breaker("faulty") == OPEN
    assert "open" in str(router.component("faulty")).lower()
    began = time.monotonic()
    assert "faulty" in failure(router.call("faulty__echo", {"text": "x"}))
    assert time.monotonic() - began < 0.4, "an open breaker answers at once"
    neighbour_is_well(router)
    assert router.breaker("time") == CLOSED
    wait_until("one probe closes it", lambda: is_back(router), 20, 0.3)
    assert router.breaker("faulty") == CLOSED
    assert router.metric("mcp_circuit_breaker_opens_total") >= 1


def test_on_error_a_default_answers(start):
    server = faulty(timeout="500ms", on_error=[{"default": "Search is unavailable."}])
    router = start({"mcpServers": {"faulty": server}})
    router.wait_for_tools("faulty__hang")
    assert success(router.call("faulty__hang")) == "Search is unavailable."
    assert router.metric("mcp_fallbacks_total", server="faulty", strategy="default") == 1


def test_sigterm_ends_every_child(start):
    router = start({"mcpServers": {"faulty": faulty("--ignore-sigterm", "--child")}})
    router.wait_for_tools("faulty__echo")
    below = descendants(router.pid)
    assert len(below) >= 2
    router.stop()
    wait_until(f"{below} have ended", lambda: not any(map(is_alive, below)), 2)


def test_kill_9_leaves_no_descendant(start):
    router = start({"mcpServers": {"faulty": faulty("--ignore-sigterm", "--child"), "time": TIME}})
    router.wait_for_tools("faulty__echo", "time__get_current_time")
    below = descendants(router.pid)
    assert len(below) >= 3
    router.kill()
    wait_until(f"{below} have ended", lambda: not any(map(is_alive, below)), 2)


# -- model providers


def test_a_provider_that_refuses(start, provider):
    router = start(provider_config(provider))
    provider.close()
    chat = router.chat("mock/m")
    assert chat.status_code in (502, 503), chat.text
    assert "mock" in chat.json()["error"]["message"]
    messages = router.messages("mock/m")
    assert messages.status_code in (502, 503, 529)
    assert messages.json()["type"] == "error" and "mock" in messages.json()["error"]["message"]
    assert router.chat("echo", "unharmed").json()["choices"][0]["message"]["content"] == "unharmed"


def test_a_provider_that_hangs(start, provider):
    router = start(provider_config(provider, timeout={"first_byte": "700ms"}, retry=NO_RETRY))
    provider.always = Act(hang=True)
    began = time.monotonic()
    chat = router.chat("mock/m")
    assert chat.status_code == 504, chat.text
    assert "mock" in chat.text and time.monotonic() - began < 5
    assert router.metric("mcp_timeouts_total") >= 1


def test_a_throttled_provider_is_waited_for(start, provider):
    """Retry-After is the least wait, and short enough to be waited out here."""
    router = start(provider_config(provider))
    provider.script = [Act(status=429, headers={"retry-after": "1"})]
    began = time.monotonic()
    reply = router.chat("mock/m")
    assert reply.status_code == 200, reply.text
    assert time.monotonic() - began >= 1
    assert reply.headers["x-mcp-router-attempts"] == "2"
    assert len(provider.questions) == 2


def test_a_long_retry_after_is_told(start, provider):
    router = start(provider_config(provider))
    provider.always = Act(status=429, headers={"retry-after": "3600"})
    began = time.monotonic()
    reply = router.chat("mock/m")
    assert reply.status_code == 429, reply.text
    assert time.monotonic() - began < 10
    assert 3500 <= int(reply.headers["retry-after"]) <= 3600


def test_a_providers_own_error_reaches_the_client(start, provider):
    router = start(provider_config(provider))
    body = {"error": {"message": "Unsupported value: 'temperature'", "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"}}
    provider.always = Act(status=400, body=body)
    reply = router.chat("mock/m")
    assert (reply.status_code, reply.json()) == (400, body)
    assert len(provider.questions) == 1, "a bad question is not repeated"
    translated = router.messages("mock/m")
    assert translated.status_code == 400
    assert translated.json()["error"]["type"] == "invalid_request_error" and "temperature" in translated.json()["error"]["message"]
    assert router.breaker("mock") == CLOSED


def test_our_own_credential_is_ours_to_tell(start, provider):
    router = start(provider_config(provider))
    provider.always = Act(status=401, body={"error": {"message": "Incorrect API key provided: x-secret"}})
    reply = router.chat("mock/m")
    assert reply.status_code >= 400
    assert "x-secret" not in reply.text and "mock" in reply.text


def test_a_fault_before_the_first_content_is_repeated(start, provider):
    router = start(provider_config(provider))
    provider.script = [Act(status=503)]
    stream = router.chat("mock/m", stream=True)
    assert stream.status_code == 200 and chat_text(stream.text) == ANSWER
    assert len(provider.questions) == 2


@pytest.mark.parametrize("door", ["chat", "messages"])
def test_a_cut_stream_ends_in_an_error(start, provider, door):
    router = start(provider_config(provider))
    provider.always = Act(cut=True)
    try:
        text = getattr(router, door)("mock/m", stream=True).text
    except httpx.RemoteProtocolError:
        pytest.fail("the client's stream was cut as well, without a word")
    assert "A recorded" in text and "[DONE]" not in text and "message_stop" not in text
    last = events(text)[-1].json()
    assert last["error"]["message"] and "mock" in last["error"]["message"]
    assert len(provider.questions) == 1, "nothing is repeated after the first content"


def test_the_breaker_of_a_provider(start, provider):
    settings = {"breaker": {"failures": 3, "recovery": "2s", "successes": 2}, "retry": NO_RETRY}
    router = start(provider_config(provider, **settings))
    provider.always = Act(status=500)
    for _ in range(3):
        assert router.chat("mock/m").status_code >= 500
    assert router.breaker("mock") == OPEN
    assert "open" in str(router.component("mock")).lower()
    asked = len(provider.questions)
    shed = router.chat("mock/m")
    assert shed.status_code == 503 and "mock" in shed.text, shed.text
    assert len(provider.questions) == asked, "an open breaker asks nobody"
    assert router.chat("mock/another-model").status_code >= 500
    assert len(provider.questions) == asked + 1, "another model of the provider has its own breaker"
    provider.always = Act()
    wait_until("a probe is let through", lambda: router.chat("mock/m").status_code == 200, 15, 0.2)
    assert router.chat("mock/m").status_code == 200
    wait_until("it closes", lambda: router.chat("mock/m").status_code == 200 and router.breaker("m") == CLOSED, 5)


def test_half_open_lets_one_probe_through(start, provider):
    settings = {"breaker": {"failures": 1, "recovery": "1s", "successes": 1}, "retry": NO_RETRY, "timeout": {"first_byte": "5s"}}
    router = start(provider_config(provider, **settings))
    provider.script = [Act(status=500)]
    assert router.chat("mock/m").status_code >= 500
    assert router.breaker("mock") == OPEN
    # The probe is slow: while it runs, everybody else is turned away.
    provider.always = Act(hang=True)
    time.sleep(2.5)
    asked = len(provider.questions)
    answers: list[int] = []
    askers = [threading.Thread(target=lambda: answers.append(router.chat("mock/m").status_code)) for _ in range(8)]
    for asker in askers:
        asker.start()
    wait_until("seven are turned away", lambda: len(answers) >= 7, 4)
    assert len(provider.questions) == asked + 1
    assert set(answers) == {503}
    for asker in askers:
        asker.join(15)
    assert not any(asker.is_alive() for asker in askers)


def test_a_client_that_leaves_frees_the_upstream(start, provider):
    """The upstream's stream is given up within a second."""
    router = start(provider_config(provider))
    provider.always = Act(pace=0.2, chunks=["tick "] * 200)
    body = {"model": "mock/m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    with router.http.stream("POST", "/v1/chat/completions", json=body) as stream:
        lines = stream.iter_lines()  # dropped too early, it would close the stream
        assert "data:" in next(lines)
        assert established_to(router.pid, provider.port)
    wait_until("the upstream's connection is closed", lambda: not established_to(router.pid, provider.port), 2)


def test_a_client_that_leaves_before_its_answer_is_written_down(start, provider):
    router = start(provider_config(provider))
    provider.always = Act(hang=True)
    with pytest.raises(httpx.ReadTimeout):
        router.http.post("/ask", json={"model": "mock/m", "message": "x"}, timeout=0.5)
    wait_until("it is counted", lambda: router.metric("mcp_http_requests_total", route="/ask", status="499") == 1, 2)
    wait_until("it is written down", lambda: 'route="/ask" status=499' in router.log_text(), 2)


def established_to(pid: int, port: int) -> bool:
    """Whether a process has an open TCP connection to a port of loopback."""
    sockets = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            sockets.add(os.readlink(entry.path))
        except OSError:
            continue
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return any(row[2].endswith(f":{port:04X}") and row[3] == "01" and f"socket:[{row[9]}]" in sockets for row in rows)


def test_sigterm_under_a_hundred_open_streams(start, provider):
    router = start(provider_config(provider))
    provider.always = Act(pace=0.2, chunks=["tick "] * 15)
    texts: list[str] = []
    problems: list[Exception] = []
    begun = threading.Barrier(101, timeout=20)

    def read_one() -> None:
        try:
            body = {"model": "mock/m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
            with httpx.stream("POST", f"{router.url}/v1/chat/completions", json=body, timeout=30) as stream:
                lines = stream.iter_lines()
                first = next(lines)
                begun.wait()
                texts.append(first + "\n" + "\n".join(lines))
        except Exception as problem:  # told below, with its number
            problems.append(problem)

    readers = [threading.Thread(target=read_one) for _ in range(100)]
    for reader in readers:
        reader.start()
    begun.wait()
    router.terminate()
    for reader in readers:
        reader.join(30)
    assert not problems, f"{len(problems)} of 100, the first: {problems[0]!r}"
    assert [chat_text(text) for text in texts] == ["tick " * 15] * 100
    assert router.process.wait(15) == 0


def test_new_connections_are_refused_while_it_ends(start, provider):
    router = start(provider_config(provider))
    provider.always = Act(pace=0.3, chunks=["tick "] * 10)
    body = {"model": "mock/m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    with httpx.stream("POST", f"{router.url}/v1/chat/completions", json=body, timeout=30) as stream:
        lines = stream.iter_lines()
        next(lines)
        router.terminate()
        time.sleep(0.5)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{router.url}/health/live", timeout=2)
        assert chat_text("\n".join(lines)).endswith("tick ")
    assert router.process.wait(15) == 0
