"""The prompt cache from outside: what is given again, to whom, and what never is."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from processes import wait_until
from recording import Act, RecordingProvider
from router import Router

KEYS = {"alice": "alice-key-0123456789", "bob": "bob-key-0123456789"}
TOOL = {"type": "function", "function": {"name": "now", "description": "The time.", "parameters": {"type": "object"}}}


def config(provider: RecordingProvider, cache: dict | None = None, **more) -> dict:
    alias = {"candidates": ["house/m"], "cache": cache or {"exact": True}}
    address = {"base_url": f"http://127.0.0.1:{provider.port}", "dialect": "openai"}
    return {"providers": {"house": address}, "models": {"big": alias, "plain": ["house/m"]}, **more}


def ask(router: Router, text: str = "hello", model: str = "big", key: str = "", headers: dict | None = None, **more) -> httpx.Response:
    bearer = {"authorization": f"Bearer {key}"} if key else {}
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    answer = router.http.post("/v1/chat/completions", json=body, headers={**bearer, **(headers or {})})
    assert answer.status_code == 200, answer.text
    return answer


def told(answer: httpx.Response) -> tuple[str, str]:
    return answer.headers["x-mcp-router-cache"], answer.headers.get("x-mcp-router-source", "")


def test_the_same_question_is_asked_once(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(config(provider))
    first, second = ask(router), ask(router)
    assert (told(first), told(second)) == (("miss", "live"), ("hit", "cache"))
    assert first.content == second.content
    assert int(second.headers["age"]) >= 0
    assert len(provider.questions) == 1
    assert told(ask(router, "another"))[0] == "miss"
    assert told(ask(router, model="plain"))[0] == "none", "nothing is kept where nobody wants it"
    metrics = router.http.get("/metrics").text
    assert 'mcp_cache_hits_total{server="prompt_cache/big"} 1' in metrics
    assert 'mcp_cache_saved_tokens_total{server="prompt_cache/big",kind="output"}' in metrics


def test_a_stream_is_replayed_as_it_was(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(config(provider))
    first, second = ask(router, stream=True), ask(router, stream=True)
    assert (told(first)[0], told(second)[0]) == ("miss", "hit")
    assert first.content == second.content and first.content.rstrip().endswith(b"data: [DONE]")
    assert len(provider.questions) == 1


def test_what_a_request_says_is_honoured(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(config(provider))
    ask(router)
    table = [
        ({"cache-control": "no-store"}, "none"),
        ({"cache-control": "no-cache"}, "miss"),
        ({"cache-control": "max-age=0"}, "miss"),
        ({"cache-control": "max-age=60"}, "hit"),
        ({"x-mcp-router-cache": "off"}, "none"),
    ]
    for headers, expected in table:
        assert told(ask(router, headers=headers))[0] == expected, headers
    assert told(ask(router, model="plain", headers={"x-mcp-router-cache": "exact"}))[0] == "miss"
    assert told(ask(router, model="plain", headers={"x-mcp-router-cache": "exact"}))[0] == "hit"
    assert all("x-mcp-router-cache" not in question.headers for question in provider.questions)


def test_one_tenant_is_never_answered_with_anothers_answer(start: Callable[..., Router], provider: RecordingProvider) -> None:
    keys = [{"name": name, "key": key} for name, key in KEYS.items()]
    router = start(config(provider, keys=keys))
    assert [told(ask(router, key=KEYS[name]))[0] for name in ("alice", "bob", "alice", "bob")] == ["miss", "miss", "hit", "hit"]
    assert len(provider.questions) == 2


def test_many_who_ask_the_same_at_once_are_one_question(start: Callable[..., Router], provider: RecordingProvider) -> None:
    provider.always = Act(pace=0.3)
    router = start(config(provider))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(router, stream=True), range(20)))
    assert len({answer.content for answer in answers}) == 1
    assert sorted(told(answer)[0] for answer in answers) == ["hit"] * 19 + ["miss"]
    assert len(provider.questions) == 1


def test_errors_and_broken_streams_are_not_kept(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(config(provider))
    provider.script = [Act(status=400, body={"error": {"message": "no"}}), Act(cut=True)]
    body = {"model": "big", "messages": [{"role": "user", "content": "hello"}]}
    assert router.http.post("/v1/chat/completions", json=body).status_code == 400
    assert b'"error"' in router.http.post("/v1/chat/completions", json={**body, "stream": True}).content
    assert told(ask(router))[0] == "miss"
    assert told(ask(router, stream=True))[0] == "miss"


def test_a_client_of_a_rule(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(config(provider, clients={"raycast": {"cache": {"exact": True}}}))
    headers = {"x-client-name": "raycast"}
    assert [told(ask(router, model="plain", headers=headers))[0] for _ in range(2)] == ["miss", "hit"]


@pytest.fixture
def redis(tmp_path) -> Iterator[tuple[str, subprocess.Popen]]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], cwd=tmp_path, stdout=subprocess.DEVNULL)

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until("redis answers", answers)
    yield f"redis://127.0.0.1:{port}", server
    server.kill()
    server.wait(5)


def test_two_routers_share_what_they_keep(start: Callable[..., Router], provider: RecordingProvider, redis) -> None:
    address, _ = redis
    one, other = start(config(provider, redis=address)), start(config(provider, redis=address))
    first = ask(one, stream=True)
    found = []
    wait_until("the other router finds it", lambda: found.append(ask(other, stream=True)) or told(found[-1])[0] == "hit")
    assert found[-1].content == first.content


def test_no_call_fails_when_the_redis_does(start: Callable[..., Router], provider: RecordingProvider, redis) -> None:
    address, server = redis
    router = start(config(provider, redis=address))
    ask(router, "before")
    server.kill()
    server.wait(5)
    began = time.monotonic()
    assert [told(ask(router, f"after {number}"))[0] for number in range(10)] == ["miss"] * 10
    assert time.monotonic() - began < 10
    assert told(ask(router, "before"))[0] == "hit", "from the memory of the process"


def test_a_redis_that_is_away_at_the_start_is_no_obstacle(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(config(provider, redis="redis://127.0.0.1:9"))
    assert [told(ask(router))[0] for _ in range(2)] == ["miss", "hit"]
