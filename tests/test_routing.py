"""Who answers for a name: patterns, abilities, windows, losses; and what the answer cost."""

import json

import anthropic
import openai
import pytest

from recording import ANSWER, Act, RecordingProvider

KEY = "sk-outside-tests-1234567890"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def second():
    recording = RecordingProvider()
    yield recording
    recording.close()


def config_of(provider: RecordingProvider, second: RecordingProvider, **models) -> dict:
    """Two accounts in OpenAI's dialect and one in Anthropic's, of kinds whose models are known by their names."""
    return {
        "providers": {
            "openai": {"base_url": f"{provider.url}/v1", "api_key": KEY},
            "azure": {"base_url": f"{second.url}/v1", "api_key": KEY},
            "anthropic": {"base_url": second.url, "api_key": KEY},
        },
        "models": models,
    }


def refusal(message: str) -> Act:
    error = {"message": message, "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}
    return Act(status=400, body={"error": error})


def anthropic_client(router) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=router.url, api_key="any", max_retries=0)


def openai_client(router) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{router.url}/v1", api_key="any", max_retries=0)


def test_a_pattern_leads_to_the_model_of_the_asked_name(start, provider, second):
    models = {"claude-*": ["openai/*"], "claude-opus-*": "anthropic/opus", "gpt-4*": {"candidates": ["azure/g"]}}
    router = start(config_of(provider, second, **models))
    for asked, upstream, model in [
        ("claude-sonnet-5", provider, "claude-sonnet-5"),
        ("claude-opus-5", second, "opus"),
        ("gpt-4.1", second, "g"),
        ("gpt-3.5-turbo", provider, "gpt-3.5-turbo"),
    ]:
        reply = router.chat(asked)
        assert reply.status_code == 200, reply.text
        assert upstream.last.body["model"] == model
        # An alias is told as it was asked for; a model that was asked for by its own name may tell a more exact one.
        assert reply.json()["model"] == ("recorded-model" if asked == model else asked)
    listed = [model["id"] for model in router.http.get("/v1/models").json()["data"]]
    assert not [name for name in listed if "*" in name]


def test_a_picture_passes_the_model_over_that_sees_none(start, provider, second):
    router = start(config_of(provider, second, big=["openai/gpt-3.5-turbo", "anthropic/claude-sonnet-4-5"]))
    assert router.chat("big").status_code == 200
    assert provider.last.body["model"] == "gpt-3.5-turbo"
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    body = {"model": "big", "messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}]}
    reply = router.http.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    assert (second.last.body["model"], len(provider.questions)) == ("claude-sonnet-4-5", 1)


def test_too_long_moves_to_the_roomier_one(start, provider, second):
    router = start(config_of(provider, second, big=["openai/gpt-3.5-turbo", "azure/gpt-3.5-turbo", "anthropic/claude-sonnet-4-5"]))
    provider.script = [refusal("This model's maximum context length is 16385 tokens. However, your messages resulted in 17000 tokens.")]
    reply = router.chat("big")
    assert reply.status_code == 200, reply.text
    assert [sent.body["model"] for sent in second.questions] == ["claude-sonnet-4-5"], "one that is no roomier is not asked"


def test_a_question_goes_at_once_to_whoever_has_room(start, provider, second):
    router = start(config_of(provider, second, big=["openai/gpt-3.5-turbo", "anthropic/claude-sonnet-4-5"]))
    assert router.chat("big", "seven words that say very little indeed " * 4000).status_code == 200
    assert (len(provider.questions), len(second.questions)) == (0, 1)


def test_what_fits_nobody_is_told_in_the_words_that_clients_act_on(start, provider, second):
    router = start(config_of(provider, second, big=["openai/gpt-3.5-turbo"]))
    text = "seven words that say very little indeed " * 10000
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 16385 maximum") as told:
        anthropic_client(router).messages.create(model="big", max_tokens=100, messages=[{"role": "user", "content": text}])
    assert told.value.body["error"]["type"] == "invalid_request_error"
    with pytest.raises(openai.BadRequestError, match=r"This model's maximum context length is 16385 tokens\. However, your messages") as told:
        openai_client(router).chat.completions.create(model="big", messages=[{"role": "user", "content": text}])
    assert (told.value.code, told.value.param) == ("context_length_exceeded", "messages")
    assert provider.questions == [] and second.questions == []


def test_an_upstreams_own_words_reach_the_other_dialects_client(start, provider, second):
    gone = "http://127.0.0.1:1/v1"
    config = config_of(provider, second, big=["gone/m", "openai/m", "gone/n"])
    config["providers"]["gone"] = {"dialect": "openai", "base_url": gone, "api_key": KEY}
    router = start(config)
    provider.always = refusal("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (5000 in the messages, 4000 in the completion).")
    with pytest.raises(anthropic.BadRequestError) as told:
        anthropic_client(router).messages.create(model="big", max_tokens=4000, messages=[{"role": "user", "content": "hi"}])
    assert "input length and `max_tokens` exceed context limit: 5000 + 4000 > 8192" in told.value.body["error"]["message"]
    with pytest.raises(openai.BadRequestError) as told:
        openai_client(router).chat.completions.create(model="big", messages=[{"role": "user", "content": "hi"}])
    assert told.value.code == "context_length_exceeded"


def test_a_limit_above_the_models_is_lowered_and_nothing_else_changes(start, provider, second):
    router = start(config_of(provider, second, big=["anthropic/claude-3-haiku-20240307"]))
    body = '{"max_tokens": 128000,  "zeta": {"b": 1, "a": 2.50}, "model": "big", "messages": [{"role":"user","content":"hello"}]}'
    reply = router.http.post("/v1/messages", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200, reply.text
    sent = second.last.body
    assert sent["max_tokens"] == 4096
    assert second.last.raw.decode() == body.replace("128000", "4096").replace('"big"', '"claude-3-haiku-20240307"')
    reply = router.http.post("/v1/messages", content=body.replace("128000", "4000"), headers={"content-type": "application/json"})
    assert second.last.body["max_tokens"] == 4000


def test_a_loss_is_taken_or_refused(start, provider, second):
    candidates = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"]
    router = start(config_of(provider, second, lax=candidates, strict={"candidates": candidates, "on_loss": "reject"}))
    body = {"max_tokens": 10, "top_k": 5, "messages": [{"role": "user", "content": "hello"}]}

    def ask(model: str, **headers: str):
        named = {f"x-mcp-router-{name.replace('_', '-')}": value for name, value in headers.items()}
        return router.http.post("/v1/messages", json={"model": model, **body}, headers=named)

    reply = ask("lax")
    assert (reply.status_code, reply.headers["x-mcp-router-dropped"], len(provider.questions)) == (200, "top_k", 1)
    assert router.metric("mcp_llm_dropped_total", upstream="openai/gpt-4o") == 1
    for reply in [ask("strict"), ask("lax", on_loss="reject")]:
        assert reply.status_code == 200, reply.text
        assert "x-mcp-router-dropped" not in reply.headers
        assert reply.headers["x-mcp-router-upstream"].startswith("anthropic/")
    assert ask("strict", on_loss="degrade").headers["x-mcp-router-dropped"] == "top_k"
    alone = ask("openai/gpt-4o", on_loss="reject")
    assert alone.status_code == 400 and "top_k" in alone.json()["error"]["message"]
    assert ask("lax", on_loss="perhaps").status_code == 400


def test_an_answer_says_what_it_cost(start, provider, second):
    router = start({**config_of(provider, second, big=["openai/gpt-4o"]), "keys": [{"name": "me", "key": "client-key-1"}]})
    router.http.headers["authorization"] = "Bearer client-key-1"
    reply = router.chat("big")
    # 7 tokens in at 2.5 dollars a million, 3 out at 10.
    assert float(reply.headers["x-mcp-router-cost"]) == pytest.approx(7 * 2.5e-6 + 3 * 10e-6)
    assert "e" not in reply.headers["x-mcp-router-cost"]
    labels = {"upstream": "openai/gpt-4o", "alias": "big", "caller": "me"}
    assert router.metric("mcp_llm_cost_dollars_total", **labels) == pytest.approx(4.75e-5)
    assert router.metric("mcp_llm_tokens_total", **labels, kind="input") == 7
    assert router.metric("mcp_llm_tokens_total", **labels, kind="output") == 3
    unknown = router.chat("openai/nobody-knows-me")
    assert unknown.status_code == 200 and "x-mcp-router-cost" not in unknown.headers
    assert router.metric("mcp_llm_tokens_total", upstream="openai", alias="", caller="me", kind="input") == 7
    assert router.metric("mcp_llm_cost_dollars_total", upstream="openai") == 0


def test_where_all_breakers_are_open_somebody_is_tried(start, provider, second):
    config = config_of(provider, second, big=["openai/m", "azure/m"])
    for settings in config["providers"].values():
        settings |= {"breaker": {"failures": 1, "recovery": "60s"}, "retry": {"retries": 0}}
    router = start(config)
    provider.always = second.always = Act(status=500)
    assert router.chat("big").status_code >= 500
    provider.always = second.always = Act()
    assert json.loads(router.chat("big").text)["choices"][0]["message"]["content"] == ANSWER
    assert router.chat("openai/m").status_code == 503 or router.chat("azure/m").status_code == 503, "alone, a breaker keeps its word"
