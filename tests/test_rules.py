"""Client rules: how a client is found, what is done for it, and what never is."""

import json

import pytest

from recording import Act
from router import run

KEY = "sk-outside-tests-1234567890"
# Nothing listens there, and it is not this machine: TEST-NET-1 of RFC 5737.
ELSEWHERE = "http://192.0.2.1:9/v1"

RULES = {
    "raycast": {"model": "local/fast", "prompt": "Answer in under 200 words."},
    "curl": {"model": "local/product"},
    "writer": {"mode": "rewrite", "rewrite_model": "local/small", "fallback": ["local/other", "unchanged"], "prompt": "Improve it."},
    "private": {"privacy": "local_only"},
    "confined": {"model": "mixed", "privacy": "local_only"},
}


def config_of(provider, **clients) -> dict:
    local = {"base_url": f"{provider.url}/v1", "dialect": "openai", "api_key": KEY}
    anthropic = {"base_url": provider.url, "api_key": KEY}
    away = {"base_url": ELSEWHERE, "dialect": "openai", "api_key": KEY, "timeout": {"connect": "1s"}}
    return {
        "providers": {"local": local, "anthropic": anthropic, "ollama": {"base_url": provider.url}, "away": away},
        "models": {"mixed": ["away/big", "local/small"], "far": ["away/big", "away/small"]},
        "clients": {**RULES, **clients},
    }


def ask(router, path="/v1/chat/completions", model="local/asked", text="Why?", headers=None, **more):
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return router.http.post(path, json=body, headers=headers or {})


def test_each_way_to_be_found(start, provider):
    by_key = {"model": "local/keyed", "key": "laptop"}
    router = start({**config_of(provider, **{"by-key": by_key}), "keys": [{"name": "laptop", "key": "laptop-key-0123456789"}, {"name": "other", "key": "other-key-0123456789"}]})
    laptop, other = ({"authorization": f"Bearer {name}-key-0123456789"} for name in ("laptop", "other"))
    table = [
        ("/c/raycast/v1/chat/completions", {**laptop, "x-client-name": "curl"}, "fast"),
        ("/c/Raycast/v1/chat/completions", other, "fast"),
        ("/v1/chat/completions", {**laptop, "x-client-name": "raycast"}, "fast"),
        ("/v1/chat/completions", {**laptop, "x-client-name": "nobody-knows"}, "keyed"),
        ("/v1/chat/completions", {**laptop, "user-agent": "curl/8.1"}, "keyed"),
        ("/v1/chat/completions", {**other, "user-agent": "curl/8.1"}, "product"),
        ("/v1/chat/completions", other, "asked"),
    ]
    for path, headers, model in table:
        reply = ask(router, path, headers=headers)
        assert reply.status_code == 200, reply.text
        assert provider.last.body["model"] == model, (path, headers)


def test_every_front_stands_below_a_client(start, provider):
    router = start(config_of(provider))
    answer = router.http.post("/c/raycast/ask", json={"message": "Why?"})
    assert answer.status_code == 200 and answer.json()["model"] == "fast", answer.text
    assert provider.last.body["messages"][0]["content"] == "Answer in under 200 words."
    answer = router.http.post("/ask", json={"message": "Why?", "client": "raycast"})
    assert answer.status_code == 200 and answer.json()["model"] == "fast", answer.text
    reply = router.messages("local/asked", path="/c/raycast/v1/messages?beta=true")
    assert reply.status_code == 200 and provider.last.body["model"] == "fast", reply.text
    assert router.http.get("/c/raycast/v1/models").status_code == 200
    assert router.http.get("/c/raycast/health").json()["status"]
    assert isinstance(router.tools("/c/raycast/mcp"), list)


def test_an_unknown_client_on_a_path(start, provider):
    router = start(config_of(provider))
    for path, told in [("/c/raycst/v1/messages", "not_found_error"), ("/c/raycst/v1/chat/completions", "unknown_url"), ("/c/raycst/ask", "not_found")]:
        reply = router.http.post(path, json={"model": "local/x", "messages": []})
        assert reply.status_code == 404 and told in reply.text, reply.text
        assert 'did you mean \\"raycast\\"?' in reply.text
    assert not provider.questions


def test_words_are_put_into_the_bytes_that_came(start, provider):
    router = start(config_of(provider, raycast={"prompt": "Be short."}))
    body = '{"model": "anthropic/m",  "max_tokens": 5, "zeta": {"b": 1, "a": 12345678901234567890123}, "messages": [{"role":"user","content":"Why?","x":[1.0]}]}'
    reply = router.http.post("/c/raycast/v1/messages", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200, reply.text
    sent = provider.last.body
    assert sent == {**json.loads(body), "model": "m", "system": "Be short."}
    assert list(sent["zeta"]) == ["b", "a"]


def test_questions_with_tools_are_left_alone(start, provider):
    rule = {"model": "local/fast", "prompt": "Be short.", "temperature": 0.1}
    tool = {"type": "function", "function": {"name": "a", "parameters": {"type": "object"}}}
    router = start(config_of(provider, raycast=rule, told={**rule, "touch_tools": True}))
    body = {"model": "local/asked", "messages": [{"role": "user", "content": "Why?"}], "tools": [tool], "zeta": [1]}
    assert router.http.post("/c/raycast/v1/chat/completions", json=body).status_code == 200
    assert provider.last.body == {**body, "model": "fast"}
    assert router.http.post("/c/told/v1/chat/completions", json=body).status_code == 200
    sent = provider.last.body
    assert (sent["messages"][0]["content"], sent["temperature"], len(sent["tools"])) == ("Be short.", 0.1, 1)


def test_what_the_client_says_of_sampling_counts(start, provider):
    router = start(config_of(provider, raycast={"temperature": 0.1, "max_tokens": 50}))
    for said, expected in [({}, (0.1, 50)), ({"temperature": 1.5}, (1.5, 50)), ({"temperature": 1, "max_tokens": 9}, (1, 9))]:
        assert ask(router, "/c/raycast/v1/chat/completions", **said).status_code == 200
        assert (provider.last.body["temperature"], provider.last.body["max_tokens"]) == expected


def test_a_small_model_rewrites(start, provider):
    router = start(config_of(provider))
    provider.script = [Act(chunks=["A better ", "prompt."])]
    reply = ask(router, "/c/writer/v1/chat/completions")
    assert reply.status_code == 200, reply.text
    small, asked = provider.questions
    assert small.body["model"] == "small"
    assert [message["content"] for message in small.body["messages"]] == ["Improve it.", "Why?"]
    assert (asked.body["model"], asked.body["messages"][-1]["content"]) == ("asked", "A better prompt.")
    assert reply.headers["x-mcp-router-attempts"] == "1"


def test_what_cannot_be_rewritten_passes_as_it_is(start, provider):
    router = start(config_of(provider))
    provider.script = [Act(status=400), Act(status=400)]
    assert ask(router, "/c/writer/v1/chat/completions", zeta=1).status_code == 200
    assert [question.body["model"] for question in provider.questions] == ["small", "other", "asked"]
    assert provider.last.body == {"model": "asked", "messages": [{"role": "user", "content": "Why?"}], "zeta": 1}
    assert ask(router, "/c/writer/v1/chat/completions", text="x" * 14_337).status_code == 200
    assert len(provider.questions) == 4, "too long to be rewritten"


@pytest.mark.parametrize("model", ["away/big", "far", "ollama/gpt-oss:120b-cloud"])
def test_what_must_stay_is_not_sent_away(start, provider, model):
    router = start(config_of(provider))
    reply = ask(router, "/c/private/v1/chat/completions", model=model)
    assert reply.status_code == 403, reply.text
    assert "privacy: any" in reply.text
    assert reply.headers["x-mcp-router-attempts"] == "0"
    assert not provider.questions
    assert router.component("away")["latency_ms"] is None


def test_what_must_stay_goes_to_whoever_is_here(start, provider):
    rewrites = {"mode": "rewrite", "rewrite_model": "away/small", "privacy": "local_only", "prompt": "Improve it."}
    router = start(config_of(provider, rewrites=rewrites))
    reply = ask(router, "/c/confined/v1/chat/completions")
    assert reply.status_code == 200, reply.text
    assert provider.last.body["model"] == "small"
    assert reply.headers["x-mcp-router-attempts"] == "1", "nobody else was tried"
    assert ask(router, "/c/rewrites/v1/chat/completions").status_code == 200
    assert provider.last.body["messages"][-1]["content"] == "Why?"
    answer = router.http.post("/enhance", json={"prompt": "Why?", "client": "rewrites"}).json()
    assert (answer["enhanced"], answer["prompt"]) == (False, "Why?") and "this machine" in answer["reason"]


def test_a_prompt_by_itself(start, provider):
    router = start(config_of(provider))
    provider.script = [Act(chunks=["Better."]), Act(status=400), Act(status=400), Act(chunks=["Best."])]
    better = {"prompt": "Better.", "client": "writer", "model": "local/small", "enhanced": True, "reason": None}
    assert router.http.post("/enhance", json={"prompt": "Why?", "client": "writer"}).json() == better
    answer = router.http.post("/c/writer/enhance", json={"prompt": "Why?"}).json()
    assert (answer["prompt"], answer["enhanced"]) == ("Why?", False) and answer["reason"]
    theirs = router.http.post("/ollama/enhance", json={"prompt": "Why?"}, headers={"x-client-name": "writer"}).json()
    assert theirs == {"original": "Why?", "enhanced": "Best.", "model": "local/small", "cached": False, "was_enhanced": True, "error": None}
    answer = router.http.post("/enhance", json={"prompt": "Why?", "client": "raycast"}).json()
    assert answer["prompt"] == "Answer in under 200 words.\n\nWhy?"
    answer = router.http.post("/enhance", json={"prompt": "Why?", "client": "nobody"}).json()
    assert (answer["prompt"], answer["enhanced"]) == ("Why?", False)
    for body, pointer in [({}, "/prompt"), ({"prompt": 3}, "/prompt"), ({"prompt": "x", "clinet": "y"}, "/clinet")]:
        refused = router.http.post("/enhance", json=body)
        assert refused.status_code == 422 and refused.json()["error"]["problems"][0]["pointer"] == pointer
    assert router.http.post("/enhance", content=b"{").status_code in (400, 422)


def test_a_prompt_that_cannot_be_filled_in_is_told_at_the_start(tmp_path):
    path = tmp_path / "router.yaml"
    path.write_text("clients:\n  raycast:\n    prompt: You are {{ clientt }}.\n")
    done = run(tmp_path, "check", "--config", str(path))
    assert done.returncode == 2 and 'router.yaml:3:13: clients.raycast.prompt: there is no variable "clientt"' in done.stderr, done.stderr


OLD = {
    "default": {"enabled": True, "model": "llama3.2:latest", "system_prompt": "Improve it.", "privacy_level": "free_ok"},
    "clients": {
        "raycast": {"enabled": True, "model": "small", "system_prompt": "Under 200 words.\n{{ not ours }} ${HOME}", "temperature": 0.3, "max_tokens": 300, "privacy_level": "local_only", "icon": "x"},
        "off": {"enabled": False},
    },
    "fallback_chain": ["llama3.2:latest", None],
}


def test_what_is_imported_can_be_used(start, provider, tmp_path):
    path = tmp_path / "enhancement-rules.json"
    path.write_text(json.dumps(OLD))
    done = run(tmp_path, "import", str(path))
    assert done.returncode == 0, done.stderr
    assert "clients.raycast.icon: left out" in done.stderr and "default.privacy_level" in done.stderr
    (tmp_path / "router.yaml").write_text(done.stdout)
    checked = run(tmp_path, "check", "--config", str(tmp_path / "router.yaml"))
    assert checked.returncode == 0, checked.stderr
    router = start(done.stdout.replace("http://localhost:11434", provider.url))
    provider.script = [Act(chunks=["Better."])]
    answer = router.http.post("/ollama/enhance", json={"prompt": "Why?", "client": "raycast"}).json()
    assert answer["enhanced"] == "Better.", answer
    sent = provider.last
    assert (sent.path, sent.body["model"], sent.body["options"]["temperature"], sent.body["options"]["num_predict"]) == ("/api/chat", "small", 0.3, 300)
    assert sent.body["messages"][0]["content"] == OLD["clients"]["raycast"]["system_prompt"]
    answer = router.http.post("/ollama/enhance", json={"prompt": "Why?", "client": "anybody"}).json()
    assert answer["model"] == "ollama/llama3.2:latest"
    assert router.http.post("/ollama/enhance", json={"prompt": "Why?", "client": "off"}).json()["was_enhanced"] is False


def test_what_is_not_known_is_not_imported(tmp_path):
    (tmp_path / "servers.json").write_text("{}")
    done = run(tmp_path, "import", str(tmp_path / "servers.json"))
    assert done.returncode == 1 and "enhancement-rules.json" in done.stderr and not done.stdout
