"""The providers' own ways, seen from outside: what each is sent, and what becomes of what only it says."""

import json

import pytest

from recording import Act, vector_of
from router import wait_until

KEY = "sk-outside-tests-1234567890"
HI = [{"role": "user", "content": "hi"}]
# Nothing listens there, and it is not this machine: TEST-NET-1 of RFC 5737.
ELSEWHERE = "http://192.0.2.1:9"


def openrouter(provider, **more) -> dict:
    return {"base_url": f"{provider.url}/api/v1", "api_key": KEY, "retry": {"retries": 0}, **more}


ROUTING = {
    "provider": {"order": ["a", "b"], "allow_fallbacks": False},
    "models": ["x/one", "y/two"],
    "route": "fallback",
    "transforms": ["middle-out"],
    "plugins": [{"id": "web"}],
}


def test_openrouters_fields_arrive_as_they_were_written(start, provider):
    router = start({"providers": {"openrouter": openrouter(provider)}})
    body = {"model": "openrouter/x/one", "messages": HI, **ROUTING, "usage": {"include": True}}
    headers = {"http-referer": "https://app.example", "x-title": "App"}
    assert router.http.post("/v1/chat/completions", json=body, headers=headers).status_code == 200
    assert provider.last.body == {**body, "model": "x/one"}
    assert (provider.last.headers["http-referer"], provider.last.headers["x-title"]) == ("https://app.example", "App")


def test_what_another_dialect_cannot_tell_openrouter_is_named(start, provider):
    router = start({"providers": {"openrouter": openrouter(provider)}})
    reply = router.messages("openrouter/x/one", **ROUTING)
    assert reply.status_code == 200, reply.text
    assert set(ROUTING) <= set(reply.headers["x-mcp-router-dropped"].split(", "))
    assert not set(ROUTING) & set(provider.last.body)


@pytest.mark.parametrize("door", ["chat", "messages"])
def test_an_error_within_openrouters_success_is_an_error(start, provider, door):
    """It tells that somebody behind it failed in the choice itself."""
    router = start({"providers": {"openrouter": openrouter(provider)}})
    failed = {"index": 0, "message": {"role": "assistant", "content": "half"}, "finish_reason": "error", "error": {"code": 502, "message": "Provider disconnected"}}
    provider.answers[("POST", "/api/v1/chat/completions")] = {"id": "gen-1", "object": "chat.completion", "model": "x", "choices": [failed]}
    reply = getattr(router, door)("openrouter/x/one")
    assert reply.status_code == 502 and "Provider disconnected" in reply.text, reply.text


def test_a_program_that_asks_for_vectors_of_the_latest_model(start, provider):
    router = start({"providers": {"ollama": {"base_url": provider.url}}, "models": {"embed": "ollama/nomic"}})
    for path, field in [("/api/embed", "input"), ("/api/embeddings", "prompt")]:
        for name in ["embed", "embed:latest", "ollama/nomic:latest", "ollama/nomic"]:
            reply = router.http.post(path, json={"model": name, field: "a"})
            assert reply.status_code == 200, (path, name, reply.text)
            assert provider.embeddings[-1].body["model"] == "nomic", (path, name)
            assert reply.json().get("model", name) == name, "the client reads the name it asked for"


@pytest.mark.parametrize("inputs", [[f"text {number}" * (number % 3) for number in range(5000)], [[number] * (1 + number % 3) for number in range(5000)]], ids=["texts", "tokens"])
def test_more_inputs_than_openai_takes(start, provider, inputs):
    router = start({"providers": {"openai": {"base_url": f"{provider.url}/v1", "api_key": KEY}}})
    reply = router.http.post("/v1/embeddings", json={"model": "openai/m", "input": inputs, "user": "u"}, timeout=60)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert [item["embedding"] for item in told["data"]] == [vector_of(text) for text in inputs]
    assert [item["index"] for item in told["data"]] == list(range(5000))
    assert (told["model"], told["usage"]) == ("openai/m", {"prompt_tokens": 21, "total_tokens": 21})
    assert sorted(len(sent.body["input"]) for sent in provider.embeddings) == [904, 2048, 2048]
    assert all((sent.body["model"], sent.body["user"]) == ("m", "u") for sent in provider.embeddings)


def test_what_must_stay_is_neither_embedded_nor_counted_elsewhere(start, provider):
    away = {"base_url": f"{ELSEWHERE}/v1", "dialect": "openai", "api_key": KEY, "timeout": {"connect": "1s"}}
    counts = {"kind": "anthropic", "base_url": ELSEWHERE, "api_key": KEY, "timeout": {"connect": "1s"}}
    config = {
        "providers": {"away": away, "counts": counts, "ollama": {"base_url": provider.url}},
        "models": {"embed": ["away/m", "ollama/nomic"], "far": ["away/m"], "big": ["counts/claude-x"]},
        "clients": {"private": {"privacy": "local_only"}},
    }
    router = start(config)
    for path in ["/v1/embeddings", "/api/embed"]:
        for model in ["away/m", "far", "ollama/nomic-cloud"]:
            refused = router.http.post(f"/c/private{path}", json={"model": model, "input": "secret"})
            assert refused.status_code == 403 and "privacy: any" in refused.text, refused.text
        assert not provider.embeddings
        assert router.http.post(f"/c/private{path}", json={"model": "ollama/nomic", "input": "secret"}).status_code == 200
        provider.recorded.clear()
    counted = router.http.post("/c/private/v1/messages/count_tokens", json={"model": "big", "messages": HI}, timeout=2)
    assert counted.status_code == 200 and counted.json()["input_tokens"] > 0, counted.text
    for name in ["away", "counts"]:
        assert router.component(name)["latency_ms"] is None, "nobody dialled it"


def test_local_only_counts_here_what_others_count_at_anthropic(start, provider):
    """The one who could be asked listens, so that a question that left would be seen."""
    counts = {"kind": "anthropic", "base_url": provider.url, "api_key": KEY}
    provider.answers[("POST", "/v1/messages/count_tokens")] = {"input_tokens": 4242}
    router = start({"providers": {"counts": counts}, "clients": {"private": {"privacy": "local_only"}}})

    def count(path: str) -> int:
        return router.http.post(path, json={"model": "counts/claude-x", "messages": HI}).json()["input_tokens"]

    assert count("/v1/messages/count_tokens") == 4242
    provider.recorded.clear()
    assert count("/c/private/v1/messages/count_tokens") < 100
    assert not [recorded for recorded in provider.recorded if recorded.path.endswith("count_tokens")]


def test_a_broken_stream_of_responses_goes_on_counting_its_events(start, provider):
    providers = {name: {"kind": "openai", "base_url": f"{provider.url}/v1", "api_key": KEY, "dialect": dialect} for name, dialect in [("same", "responses"), ("other", "openai")]}
    router = start({"providers": providers})
    provider.always = Act(cut=True)
    for name in providers:
        text = router.http.post("/v1/responses", json={"model": f"{name}/m", "input": "hi", "stream": True}).text
        events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
        assert [event["type"] for event in events[-2:]] == ["error", "response.failed"], text
        assert [event["sequence_number"] for event in events] == list(range(len(events))) and len(events) > 4


def test_what_was_used_of_a_cut_answer_is_counted(start, provider):
    router = start({"providers": {"anthropic": {"base_url": provider.url, "api_key": KEY, "retry": {"retries": 0}}}, "models": {"big": ["anthropic/claude-sonnet-4-5"]}})

    def read(kind: str) -> float:
        return router.metric("mcp_llm_tokens_total", alias="big", kind=kind) or 0

    provider.script = [Act(cut=True)]
    assert "error" in router.messages("big", stream=True).text
    wait_until("what was read is on the bill", lambda: read("input") == 7, 5)
    provider.script = [Act(pace=0.1, chunks=["tick "] * 100)]
    body = {"model": "big", "max_tokens": 9, "stream": True, "messages": HI}
    with router.http.stream("POST", "/v1/messages", json=body) as stream:
        lines = stream.iter_lines()
        assert any("tick" in line for line in lines)
    wait_until("of who went away, too", lambda: read("input") == 14, 5)
    assert router.metric("mcp_llm_cost_dollars_total", alias="big") > 0


def test_lm_studio_tells_of_its_models_before_its_version_0_4(start, provider):
    """What it does not know it answers with a status of success."""
    told = {"data": [{"id": "own", "type": "vlm", "state": "loaded", "max_context_length": 131072, "loaded_context_length": 5000}]}
    provider.answers = {("GET", "/api/v1/models"): {"error": "Unexpected endpoint or method. (GET /api/v1/models)"}, ("GET", "/api/v0/models"): told}
    for dialect in ["openai", "responses"]:
        router = start({"providers": {"lmstudio": {"base_url": provider.url, "dialect": dialect}}, "models": {"local": ["lmstudio/own"]}})
        wait_until("it has told", lambda: router.http.get("/v1/models/local").json().get("context_window") == 5000, 10)


@pytest.mark.parametrize("front", ["responses", "messages"])
def test_an_encrypted_thought_goes_back_to_its_own_account_alone(start, provider, front):
    """OpenAI's is no other account's: Azure would refuse the whole question for it."""
    common = {"api_key": KEY, "dialect": "responses", "retry": {"retries": 0}, "breaker": {"failures": 100}}
    providers = {
        "openai": {"base_url": f"{provider.url}/v1", **common},
        "azure": {"endpoint": f"{provider.url}/openai/v1", **common},
    }
    router = start({"providers": providers, "models": {"big": ["openai/m", "azure/m"]}})

    def ask(history: list) -> tuple[list, dict]:
        if front == "messages":
            reply = router.messages("big", messages=[*history, *HI], thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2048)
            said = [{"role": "assistant", "content": reply.json()["content"]}]
        else:
            reply = router.http.post("/v1/responses", json={"model": "big", "input": [*history, *HI], "store": False})
            said = reply.json()["output"]
        assert reply.status_code == 200, reply.text
        return [*history, *HI, *said], reply.headers

    def sent() -> tuple[str, bool]:
        last = provider.last
        return ("azure" if last.path.startswith("/openai") else "openai", "gAAA" in last.raw.decode())

    history, _ = ask([])
    assert ask(history)[1].get("x-mcp-router-dropped") is None and sent() == ("openai", True)
    provider.script = [Act(status=503)]
    _, headers = ask(history)
    assert sent() == ("azure", False)
    assert "reasoning.encrypted_content" in headers["x-mcp-router-dropped"]
