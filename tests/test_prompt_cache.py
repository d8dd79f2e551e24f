"""The prompt cache from outside: what is given again, to whom, and what never is."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from folders import model2vec
from processes import wait_until
from recording import Act, RecordingProvider
from redis_server import Redis
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


CAPITAL = ("What is the capital of France?", "Tell me France's capital.")
HAMLET = ("Who wrote Hamlet?", "Who is the author of Hamlet?")
MOON = ("How large is the moon?", "How big is the moon?")


def by_meaning(provider: RecordingProvider, cache: dict | None = None, **more) -> dict:
    """The vectors of the recording provider are near one another whatever is said, so only the gate tells questions apart."""
    settings = config(provider, {"semantic": True}, prompt_cache={"embed_timeout": "5s", **(cache or {})}, **more)
    settings["models"]["embed"] = ["house/vectors"]
    return settings


def asked(router: Router, *texts: str, **more) -> list[str]:
    return [told(ask(router, text, **more))[0] for text in texts]


def test_a_question_that_means_the_same_is_not_asked_again(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(by_meaning(provider, known_models={"m": {"price": {"input": 1, "output": 10}}}))
    first, second = (ask(router, text) for text in CAPITAL)
    assert (told(first), told(second)) == (("miss", "live"), ("semantic", "cache"))
    assert first.content == second.content and 0 <= int(second.headers["age"]) < 60
    assert asked(router, CAPITAL[0], CAPITAL[1]) == ["hit", "semantic"], "it stays the answer to the other question"
    assert [told(ask(router, text, stream=True))[0] for text in CAPITAL] == ["miss", "semantic"]
    assert len(provider.questions) == 2
    label = {"server": "prompt_cache/big"}
    assert router.metric("mcp_cache_semantic_hits_total", **label) == 3
    assert router.metric("mcp_cache_hits_total", **label) == 1
    # Four times 7 tokens read at a dollar a million, and 3 written at ten.
    assert router.metric("mcp_cache_saved_cost_usd_total", **label) == pytest.approx(4 * 37e-6)
    assert router.metric("mcp_cache_saved_tokens_total", **label, kind="output") == 12


def test_what_a_model_in_a_folder_tells(start: Callable[..., Router], provider: RecordingProvider, tmp_path) -> None:
    """No network for the vectors; and what is far is not taken, though the gate would let it pass."""
    words = {"capital": [1, 0, 0], "france": [0, 1, 0], "germany": [0, 0.9, 0.3], "wrote": [1, 0, 0], "author": [-1, 0.2, 0], "hamlet": [0, 0.1, 0]}
    settings = by_meaning(provider)
    settings["providers"]["folder"] = {"kind": "model2vec", "path": str(model2vec(tmp_path / "tiny", words))}
    settings["models"]["embed"] = "folder/tiny"
    router = start(settings)
    assert asked(router, *CAPITAL, "What is the capital of Germany?") == ["miss", "semantic", "miss"]
    assert asked(router, *HAMLET) == ["miss", "miss"]
    assert asked(router, *MOON) == ["miss", "miss"], "none of these words is known, and what means nothing means nothing the same"
    assert not provider.embeddings


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("how to enable dark mode", "how to disable dark mode"),
        ("is it safe to eat raw salmon", "is it not safe to eat raw salmon"),
        ("what is 15 percent of 80", "what is 15 percent of 90"),
        ("when did the war of 1914 end", "when did the war of 1941 end"),
        ("What is the capital of France?", "What is the capital of Germany?"),
        ("What is the capital of France?", "Quelle est la capitale de la France ?"),
        ("what does foo_bar() return", "what does foo_baz() return"),
    ],
)
def test_what_is_only_near_is_asked(start: Callable[..., Router], provider: RecordingProvider, one: str, other: str) -> None:
    router = start(by_meaning(provider))
    assert asked(router, one, other, one) == ["miss", "miss", "hit"]


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}


@pytest.mark.parametrize("more", [{"tools": [TOOL]}, {"temperature": 0.31}, {"web_search_options": {}}, {"before": IMAGE}, {"before": FILE}])
def test_what_is_never_compared(start: Callable[..., Router], provider: RecordingProvider, more: dict) -> None:
    router = start(by_meaning(provider))
    more = dict(more)
    before = [more.pop("before")] if "before" in more else []

    def put(text: str) -> str:
        content = [*before, {"type": "text", "text": text}] if before else text
        return told(ask(router, messages=[{"role": "user", "content": content}], **more))[0]

    assert [put(text) for text in (*CAPITAL, CAPITAL[0])] == ["miss", "miss", "hit"]
    assert not provider.embeddings, "nobody is told what must not be compared"


def test_a_temperature_up_to_the_limit_is_compared(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(by_meaning(provider, {"max_temperature": 1.2}))
    assert asked(router, *CAPITAL, temperature=1.2) == ["miss", "semantic"]
    assert asked(router, *CAPITAL, temperature=1.3) == ["miss", "miss"]


def test_only_what_all_else_is_the_same_of_is_compared(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(by_meaning(provider))
    assert asked(router, CAPITAL[0]) == ["miss"]
    assert asked(router, CAPITAL[1], seed=1) == ["miss"]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": CAPITAL[1]}]
    assert told(ask(router, messages=turns))[0] == "miss"
    assert told(ask(router, messages=[turns[0], {"role": "user", "content": CAPITAL[0]}]))[0] == "semantic"


def test_what_a_request_says_is_honoured_by_meaning_too(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(by_meaning(provider))
    assert asked(router, *MOON, model="plain", headers={"x-mcp-router-cache": "semantic"}) == ["miss", "semantic"]
    assert asked(router, HAMLET[0], headers={"cache-control": "no-store"}) == ["none"]
    assert asked(router, HAMLET[1]) == ["miss"], "what was to leave no trace left none"
    assert asked(router, CAPITAL[0]) == ["miss"]
    for headers, expected in [
        ({"cache-control": "no-store"}, "none"),
        ({"cache-control": "max-age=60"}, "semantic"),
        ({"x-mcp-router-cache": "off"}, "none"),
        ({"x-mcp-router-cache": "exact"}, "miss"),
    ]:
        assert asked(router, CAPITAL[1], headers=headers) == [expected], headers
    assert asked(router, "What's the capital of France?", headers={"cache-control": "no-cache"}) == ["miss"]


def test_no_tenant_is_answered_with_what_another_meant(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(by_meaning(provider, keys=[{"name": name, "key": key} for name, key in KEYS.items()]))
    by = [(CAPITAL[0], "alice"), (CAPITAL[1], "bob"), (CAPITAL[1], "alice"), (CAPITAL[0], "bob")]
    assert [told(ask(router, text, key=KEYS[name]))[0] for text, name in by] == ["miss", "miss", "semantic", "semantic"]


def test_what_was_not_used_for_the_longest_time_is_forgotten(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(by_meaning(provider, {"max_questions": 2}))
    assert asked(router, CAPITAL[0], HAMLET[0], CAPITAL[1], MOON[0]) == ["miss", "miss", "semantic", "miss"]
    assert asked(router, CAPITAL[1], MOON[1]) == ["semantic", "semantic"]
    assert asked(router, HAMLET[1]) == ["miss"]


def test_an_answer_that_is_too_old_does_not_answer_another_question(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(by_meaning(provider, {"ttl": "2s", "stale": "1m"}))
    assert asked(router, *CAPITAL) == ["miss", "semantic"]
    time.sleep(2.1)
    assert asked(router, CAPITAL[1]) == ["miss"]


def test_nobody_who_tells_meanings_is_no_obstacle(start: Callable[..., Router], provider: RecordingProvider) -> None:
    settings = by_meaning(provider)
    settings["providers"]["away"] = {"base_url": "http://127.0.0.1:9", "dialect": "openai"}
    settings["models"]["embed"] = ["away/vectors"]
    settings["prompt_cache"]["embed_timeout"] = "500ms"
    router = start(settings)
    began = time.monotonic()
    assert asked(router, *CAPITAL, CAPITAL[0]) == ["miss", "miss", "hit"]
    assert time.monotonic() - began < 5


def test_two_routers_share_what_they_keep(start: Callable[..., Router], provider: RecordingProvider, redis: Redis) -> None:
    one, other = start(config(provider, redis=redis.address)), start(config(provider, redis=redis.address))
    first = ask(one, stream=True)
    found = []
    wait_until("the other router finds it", lambda: found.append(ask(other, stream=True)) or told(found[-1])[0] == "hit")
    assert found[-1].content == first.content


def test_two_routers_share_what_was_meant(start: Callable[..., Router], provider: RecordingProvider, redis: Redis) -> None:
    one, other = (start(by_meaning(provider, redis=redis.address)) for _ in range(2))
    first = ask(one, CAPITAL[0])
    wait_until("the answer and the question are there", lambda: len(redis.values()) == 2)
    second = ask(other, CAPITAL[1])
    assert told(second) == ("semantic", "cache") and second.content == first.content and "age" in second.headers
    assert asked(other, "What is the capital of Germany?") == ["miss"]
    assert len(provider.questions) == 2


def test_what_must_not_leave_this_machine_is_not_told_to_a_redis(start: Callable[..., Router], provider: RecordingProvider, redis: Redis) -> None:
    clients = {"raycast": {"privacy": "local_only"}}
    router = start(by_meaning(provider, redis=redis.address, clients=clients))
    assert asked(router, *CAPITAL, CAPITAL[0], headers={"x-client-name": "raycast"}) == ["miss", "semantic", "hit"]
    assert asked(router, MOON[0]) == ["miss"]
    wait_until("what may be told is", lambda: any(b"moon" in value for value in redis.values()))
    values = redis.values()
    assert len(values) == 2 and not any(b"France" in value for value in values)


def test_no_call_fails_when_the_redis_does(start: Callable[..., Router], provider: RecordingProvider, redis: Redis) -> None:
    router = start(config(provider, redis=redis.address))
    ask(router, "before")
    redis.kill()
    began = time.monotonic()
    assert [told(ask(router, f"after {number}"))[0] for number in range(10)] == ["miss"] * 10
    assert time.monotonic() - began < 10
    assert told(ask(router, "before"))[0] == "hit", "from the memory of the process"


def test_a_redis_that_is_away_at_the_start_is_no_obstacle(start: Callable[..., Router], provider: RecordingProvider) -> None:
    router = start(config(provider, redis="redis://127.0.0.1:9"))
    assert [told(ask(router))[0] for _ in range(2)] == ["miss", "hit"]
