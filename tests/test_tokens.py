"""What is known of models and how tokens are counted, as clients and providers see it."""

import time
from concurrent.futures import ThreadPoolExecutor

import anthropic
import pytest

from processes import wait_until
from recording import RecordingProvider

PNG = "iVBORw0KGgoAAAANSUhEUgAABAAAAAMA" + "A" * 200_000


def count(router, content="foo", model="echo", path="/v1/messages/count_tokens", **more) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": content}], "tools": [], **more}
    answer = router.http.post(path, json=body, headers={"anthropic-version": "2023-06-01"})
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["input_tokens"]
    return answer.json()["input_tokens"]


def test_counting_grows_with_text_tools_and_pictures(router):
    foo = count(router)
    assert 0 < foo < 30
    assert count(router, path="/v1/messages/count_tokens?beta=true") == foo
    texts = [count(router, "word " * times) for times in (1, 10, 100, 10_000)]
    assert texts == sorted(set(texts)) and 8_000 < texts[-1] < 15_000
    tool = {"name": "read", "description": "Reads a file.", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}
    assert foo < count(router, tools=[tool]) < count(router, tools=[tool, {**tool, "name": "write"}])
    picture = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]
    assert 700 < count(router, picture) < 2_000


def test_the_sdk_counts_and_errors_are_anthropics(router):
    client = anthropic.Anthropic(base_url=router.url, api_key="none", max_retries=0)
    told = client.messages.count_tokens(model="echo", system="Be brief.", messages=[{"role": "user", "content": "foo"}])
    assert told.input_tokens > count(router)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="nobody/m", messages=[{"role": "user", "content": "foo"}])
    broken = router.http.post("/v1/messages/count_tokens", content="{")
    assert broken.status_code == 400 and broken.json()["error"]["type"] == "invalid_request_error"


def test_many_counts_at_once_are_quick(router):
    text = "def add(a, b):\n    return a + b\n\n" * 3_000
    count(router, text)
    started = time.perf_counter()
    count(router, text)
    print(f"{len(text) / 1000:.0f} KB counted in {(time.perf_counter() - started) * 1000:.1f} ms")
    with ThreadPoolExecutor(25) as pool:
        assert len(set(pool.map(lambda _: count(router, text), range(25)))) == 1


def test_the_family_of_the_model_counts(start, provider):
    router = start({"providers": {"openai": {"base_url": f"{provider.url}/v1", "api_key": "k"}, "openrouter": {"base_url": f"{provider.url}/api/v1", "api_key": "k"}}, "models": {"big": ["openrouter/anthropic/claude-opus-5-5"]}})
    text = "The quick brown fox jumps over the lazy dog. " * 200
    openai, claude = count(router, text, model="openai/gpt-5"), count(router, text, model="openrouter/anthropic/claude-opus-5-5")
    assert 1.5 < claude / openai < 1.7 and count(router, text, model="big") == claude


@pytest.fixture
def vendor():
    """An Anthropic that counts, an Ollama that shows its models."""
    recording = RecordingProvider()
    yield recording
    recording.close()


def test_ollama_is_asked_for_the_window_that_is_needed(start, provider):
    config = {"providers": {"ollama": {"base_url": provider.url, "num_ctx_max": 32768}}, "known_models": {"small": {"window": 8192}}}
    router = start(config)

    def window(text: str, model: str = "own", **more) -> int | None:
        assert router.chat(f"ollama/{model}", text, **more).status_code == 200
        return provider.last.body.get("options", {}).get("num_ctx")

    assert window("hello") is None
    assert window("word " * 5_000) == 8192
    assert window("word " * 20_000) == 32768
    assert window("word " * 90_000) == 32768
    assert window("hello") == 32768, "the model stays as it is loaded"
    assert window("word " * 6_000, "small") == 8192
    refused = router.chat("ollama/small", "word " * 20_000)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert window("word " * 20_000, "own", options={"num_ctx": 2048}) == 2048


def test_a_cut_question_is_told(start, provider):
    router = start({"providers": {"ollama": {"base_url": provider.url, "num_ctx_max": 4096}}})
    assert "context" not in router.chat("ollama/own").headers.get("x-mcp-router-dropped", "")
    provider.prompt_eval_count = 4096
    answer = router.chat("ollama/own", "word " * 20_000)
    assert "context" in answer.headers["x-mcp-router-dropped"]
    router.chat("ollama/own", "word " * 20_000, stream=True)
    wait_until("the metric", lambda: router.metric("mcp_context_truncated_total") == 2, 5)
    assert "cut to the context window" in router.log_text()


def test_models_are_listed_with_their_windows(start, provider):
    config = {"providers": {"openai": {"base_url": f"{provider.url}/v1", "api_key": "k"}}, "models": {"big": ["openai/gpt-4o"]}, "known_models": {"gpt-4o-mini": {"window": 1234}}}
    config["models"]["small"] = ["openai/gpt-4o-mini"]
    router = start(config)
    cards = {card["id"]: card for card in router.http.get("/v1/models").json()["data"]}
    assert (cards["big"]["context_window"], cards["big"]["max_output_tokens"]) == (128_000, 16_384)
    assert cards["openai/gpt-4o"]["context_window"] == 128_000 and cards["small"]["context_window"] == 1234
    one = router.http.get("/v1/models/big", headers={"anthropic-version": "2023-06-01"}).json()
    assert (one["max_input_tokens"], one["max_tokens"]) == (128_000, 16_384)


def test_what_providers_tell_is_shown(start, vendor):
    vendor.answers = {
        ("GET", "/v1/models?limit=1000"): {"data": [{"id": "claude-x", "max_input_tokens": 777_000, "max_tokens": 55_000}]},
        ("POST", "/v1/messages/count_tokens"): {"input_tokens": 4242},
        ("GET", "/api/tags"): {"models": [{"name": "own:latest"}]},
        ("POST", "/api/show"): {"model_info": {"llama.context_length": 6_000}, "capabilities": ["completion"]},
    }
    config = {"providers": {"anthropic": {"base_url": vendor.url, "api_key": "k"}, "ollama": {"base_url": vendor.url}}, "models": {"big": ["anthropic/claude-x"], "local": ["ollama/own"]}}
    router = start(config)

    def card(name: str) -> dict:
        return router.http.get(f"/v1/models/{name}").json()

    wait_until("both have told", lambda: card("big").get("context_window") == 777_000 and card("local").get("context_window") == 6_000, 10)
    assert card("big")["max_output_tokens"] == 55_000
    assert count(router, model="big") == 4242
    asked = [recorded for recorded in vendor.recorded if recorded.path == "/v1/messages/count_tokens"]
    assert asked[0].body["model"] == "claude-x" and asked[0].headers["x-api-key"] == "k"
    vendor.close()
    assert 0 < count(router, model="big") < 30
