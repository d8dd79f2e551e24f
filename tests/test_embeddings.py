"""Vectors of texts: at OpenAI's door and at Ollama's, from upstreams of both dialects and from a folder."""

import base64
import json
import struct

import openai
import pytest

from folders import model2vec
from recording import Act, vector_of
from router import run

KEY = "sk-outside-tests-1234567890"
# name: settings under `providers`, path of a question, credential.
SIDES = {
    "openai": ({"base_url": "{url}/v1", "api_key": KEY}, "/v1/embeddings", f"Bearer {KEY}"),
    "lmstudio": ({"base_url": "{url}"}, "/v1/embeddings", None),
    "openrouter": ({"base_url": "{url}/api/v1", "api_key": KEY}, "/api/v1/embeddings", f"Bearer {KEY}"),
    "azure": ({"endpoint": "{url}", "api_key": KEY}, "/openai/v1/embeddings", None),
    "classic": ({"kind": "azure", "endpoint": "{url}?api-version=2024-10-21", "api_key": KEY}, "/openai/deployments/m/embeddings?api-version=2024-10-21", None),
    "ollama": ({"base_url": "{url}"}, "/api/embed", None),
}
BRIEF = {"retries": 0}


def config_of(provider, **more) -> dict:
    providers = {name: {key: value.replace("{url}", provider.url) for key, value in settings.items()} for name, (settings, _, _) in SIDES.items()}
    return {"providers": {name: {**settings, "retry": BRIEF} for name, settings in providers.items()}, **more}


def client_of(router) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{router.url}/v1", api_key="unused", max_retries=0)


@pytest.mark.parametrize("name", SIDES)
def test_the_official_client_gets_its_vectors(start, provider, name):
    """It asks for base64 by default, and reads what it gets as numbers."""
    router = start(config_of(provider))
    reply = client_of(router).embeddings.create(model=f"{name}/m", input=["a", "bcd"])
    assert {item.index: item.embedding for item in reply.data} == {0: vector_of("a"), 1: vector_of("bcd")}
    assert (reply.model, reply.usage.prompt_tokens, reply.usage.total_tokens) == (f"{name}/m", 7, 7)
    sent = provider.embeddings[-1]
    assert (sent.path, sent.body["model"]) == (SIDES[name][1], "m")
    assert sent.headers.get("authorization") == SIDES[name][2]
    assert sent.headers.get("api-key") == (KEY if "azure" in (name, SIDES[name][0].get("kind")) else None)


@pytest.mark.parametrize("name", ["openai", "ollama"])
@pytest.mark.parametrize("form", ["float", "base64"])
def test_every_option_of_openais_door(start, provider, name, form):
    router = start(config_of(provider))
    body = {"model": f"{name}/m", "input": "hé", "encoding_format": form, "dimensions": 3, "user": "u"}
    reply = router.http.post("/v1/embeddings", json=body)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert (told["object"], told["model"], told["usage"]) == ("list", f"{name}/m", {"prompt_tokens": 7, "total_tokens": 7})
    [item] = told["data"]
    vector = list(struct.unpack("<3f", base64.b64decode(item["embedding"]))) if form == "base64" else item["embedding"]
    assert (item["object"], item["index"], vector) == ("embedding", 0, vector_of("hé"))
    assert provider.embeddings[-1].body["dimensions"] == 3
    assert reply.headers["x-mcp-router-upstream"] == f"{name}/m"
    assert reply.headers.get("x-mcp-router-dropped") == (None if name == "openai" else "user")


@pytest.mark.parametrize("name", ["openai", "ollama"])
def test_ollamas_doors(start, provider, name):
    router = start(config_of(provider))
    reply = router.http.post("/api/embed", json={"model": f"{name}/m", "input": ["a", "bcd"], "truncate": False, "dimensions": 3})
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert (told["model"], told["embeddings"], told["prompt_eval_count"]) == (f"{name}/m", [vector_of("a"), vector_of("bcd")], 7)
    assert told["total_duration"] > 0
    assert provider.embeddings[-1].body["dimensions"] == 3
    assert router.http.post("/api/embed", json={"model": f"{name}/m", "input": "a"}).json()["embeddings"] == [vector_of("a")]
    older = router.http.post("/api/embeddings", json={"model": f"{name}/m", "prompt": "bcd"})
    assert older.json() == {"embedding": vector_of("bcd")}
    assert provider.embeddings[-1].path == SIDES[name][1]


def test_the_same_dialect_keeps_its_bytes(start, provider):
    router = start(config_of(provider))
    body = '{"input":[[1,2],[3]],  "model": "openai/m", "zeta": {"b": 1, "a": 12345678901234567890123}}'
    reply = router.http.post("/v1/embeddings", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200, reply.text
    sent = provider.embeddings[-1].body
    assert (sent["input"], list(sent["zeta"]), sent["zeta"]["a"], sent["model"]) == ([[1, 2], [3]], ["b", "a"], 12345678901234567890123, "m")
    assert [item["index"] for item in reply.json()["data"]] == [1, 0], "as the provider wrote it"
    assert reply.json()["model"] == "openai/m"


def test_tokens_mean_nothing_to_another_dialect(start, provider):
    router = start(config_of(provider))
    reply = router.http.post("/v1/embeddings", json={"model": "ollama/m", "input": [1, 2, 3]})
    assert reply.status_code == 400 and "tokens" in reply.json()["error"]["message"]
    assert not provider.embeddings


def test_an_alias_falls_back(start, provider):
    gone = {"kind": "ollama", "base_url": "http://127.0.0.1:1", "retry": BRIEF}
    config = config_of(provider, models={"embed": ["gone/m", "echo/echo", "ollama/nomic"]})
    config["providers"]["gone"] = gone
    router = start(config)
    reply = client_of(router).embeddings.with_raw_response.create(model="embed", input="abc")
    assert reply.parse().data[0].embedding == vector_of("abc") and reply.parse().model == "embed"
    assert reply.headers["x-mcp-router-upstream"] == "ollama/nomic"
    assert router.metric("mcp_tokens_total", server="ollama/nomic", kind="input") == 7
    assert router.metric("mcp_external_api_calls_total", server="ollama/nomic", operation="embeddings") == 1
    assert router.metric("mcp_external_api_calls_total", server="gone/m", operation="embeddings", error_type="unavailable") == 1
    assert router.metric("mcp_fallbacks_total", server="gone") == 1


@pytest.mark.parametrize(
    ("act", "error", "status"),
    [
        (Act(status=429, headers={"retry-after": "3"}), openai.RateLimitError, 429),
        (Act(status=500), openai.InternalServerError, 500),
        (Act(status=400), openai.BadRequestError, 400),
        (Act(status=404), openai.NotFoundError, 404),
        (Act(body={"data": [], "object": "list", "model": "m"}), openai.InternalServerError, 502),
        (Act(body={"choices": []}), openai.InternalServerError, 502),
    ],
    ids=["429", "500", "400", "404", "wrong count", "no answer"],
)
def test_what_fails_is_told_in_the_doors_own_shape(start, provider, act, error, status):
    router = start(config_of(provider))
    provider.always = act
    with pytest.raises(error) as caught:
        client_of(router).embeddings.create(model="openai/m", input="a")
    assert caught.value.status_code == status
    if act.status == 429:
        assert caught.value.response.headers["retry-after"] == "3"
    translated = router.http.post("/api/embed", json={"model": "lmstudio/m", "input": "a"})
    assert translated.status_code >= 400 and isinstance(translated.json()["error"], str)


def test_a_fault_is_put_again(start, provider):
    config = config_of(provider)
    del config["providers"]["openai"]["retry"]
    router = start(config)
    provider.script = [Act(status=503)]
    reply = router.http.post("/v1/embeddings", json={"model": "openai/m", "input": "a"})
    assert (reply.status_code, reply.headers["x-mcp-router-attempts"]) == (200, "2")


def test_who_has_no_embeddings_says_what_to_do(start, provider):
    config = config_of(provider)
    config["providers"]["anthropic"] = {"base_url": provider.url, "api_key": KEY}
    router = start(config)
    for model in ["echo", "anthropic/claude", "nobody/m"]:
        told = router.http.post("/v1/embeddings", json={"model": model, "input": "a"})
        assert told.status_code == 404, told.text
        assert model == "nobody/m" or "models: { embed: [ollama/nomic-embed-text] }" in told.json()["error"]["message"]
    told = router.http.post("/api/embed", json={"model": "echo", "input": "a"})
    assert told.status_code == 404 and "echo has no embeddings" in told.json()["error"]
    assert not provider.embeddings and not provider.questions


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"model":"openai/m","input":"a","input":"b"}', '{"model":"openai/m","input":"a","encoding_format":"int8"}'])
def test_what_is_no_question_is_refused(start, provider, body):
    router = start(config_of(provider))
    reply = router.http.post("/v1/embeddings", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400 and reply.json()["error"]["type"] == "invalid_request_error"
    assert not provider.embeddings


def test_a_model_in_a_folder(start, tmp_path):
    """No network: the vectors come from this process."""
    folder = model2vec(tmp_path / "tiny", {"red": [3, 0], "blue": [0, 3]})
    router = start({"providers": {"local": {"kind": "model2vec", "path": str(folder)}}, "models": {"embed": "local/tiny"}})
    reply = client_of(router).embeddings.create(model="embed", input=["red", "Blue", "red blue", "unheard-of"])
    vectors = [item.embedding for item in reply.data]
    assert vectors[:2] == [[1, 0], [0, 1]] and vectors[2] == pytest.approx([0.5**0.5] * 2) and vectors[3] == [0, 0]
    assert reply.usage.prompt_tokens == 7
    short = router.http.post("/api/embed", json={"model": "embed", "input": "red", "dimensions": 1}).json()
    assert short["embeddings"] == [[1]]
    assert router.http.post("/api/embed", json={"model": "embed", "input": []}).json()["embeddings"] == []
    assert router.metric("mcp_tokens_total", server="local/tiny", kind="input") == 8
    assert router.chat("local/tiny").status_code == 404
    (folder / "model.safetensors").unlink()
    assert router.http.post("/v1/embeddings", json={"model": "embed", "input": "red"}).status_code == 200, "it is in memory"


def test_a_folder_that_is_not_there_is_told_with_its_line(tmp_path):
    config = tmp_path / "router.yaml"
    config.write_text("providers:\n  local:\n    kind: model2vec\n    path: ./nowhere\n")
    done = run(tmp_path, "--config", str(config))
    assert done.returncode != 0
    assert "router.yaml:4:11: providers.local.path: there is no such folder" in done.stderr and "hf download" in done.stderr
