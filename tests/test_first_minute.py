"""Nothing configured: the embedded echo answers on every door, to plain HTTP and to the official SDKs."""

import anthropic
import openai
import pytest

from router import Router, chat_text, events, messages_text

SAID = 'Say exactly this: "ñ – 漢字"\nand  keep   the spaces. 😀'


@pytest.fixture
def openai_client(router: Router) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{router.url}/v1", api_key="none", max_retries=0, timeout=20)


@pytest.fixture
def anthropic_client(router: Router) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=router.url, api_key="none", max_retries=0, timeout=20)


def test_ask(router):
    answer = router.http.post("/ask", json={"message": SAID, "model": "echo"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["answer"] == SAID
    assert answer.json()["provider"] == "echo"
    assert answer.headers["x-mcp-router-source"] == "live"
    assert answer.headers["x-mcp-router-attempts"] == "1"


def test_ask_needs_no_model(router):
    answer = router.http.post("/ask", json={"message": SAID})
    assert answer.status_code == 200 and answer.json()["answer"] == SAID, answer.text


def test_ask_streamed(router):
    answer = router.http.post("/ask", json={"message": SAID, "model": "echo", "stream": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(events(answer.text)) >= 2


def test_chat_completions(router):
    whole = router.chat("echo", SAID)
    assert whole.status_code == 200, whole.text
    reply = whole.json()
    assert reply["object"] == "chat.completion"
    assert reply["choices"][0]["message"] == {**reply["choices"][0]["message"], "role": "assistant", "content": SAID}
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"]["total_tokens"] == reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]


def test_chat_completions_streamed(router):
    stream = router.chat("echo", SAID, stream=True)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert chat_text(stream.text) == SAID


def test_the_last_user_text_is_repeated(router):
    conversation = [
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "second"},
        {"role": "user", "content": [{"type": "text", "text": "third"}]},
    ]
    reply = router.http.post("/v1/chat/completions", json={"model": "echo", "messages": conversation}).json()
    assert reply["choices"][0]["message"]["content"] == "third"


def test_messages(router):
    whole = router.messages("echo", SAID)
    assert whole.status_code == 200, whole.text
    reply = whole.json()
    assert reply["type"] == "message" and reply["role"] == "assistant"
    assert [block["text"] for block in reply["content"]] == [SAID]
    assert reply["stop_reason"] == "end_turn"
    assert reply["usage"]["output_tokens"] > 0
    assert whole.headers["request-id"]


@pytest.mark.parametrize("path,more", [("/v1/messages", {"stream": True}), ("/v1/messages?beta=true", {"stream": True}), ("/v1/messages/stream", {})])
def test_messages_streamed(router, path, more):
    stream = router.messages("echo", SAID, path=path, **more)
    assert stream.status_code == 200, stream.text
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert messages_text(stream.text) == SAID


def test_openai_python(openai_client):
    question = {"model": "echo", "messages": [{"role": "user", "content": SAID}]}
    whole = openai_client.chat.completions.create(**question)
    assert whole.choices[0].message.content == SAID
    with openai_client.chat.completions.stream(**question) as stream:
        assert stream.get_final_completion().choices[0].message.content == SAID
    assert "echo" in [model.id for model in openai_client.models.list()]
    assert openai_client.models.retrieve("echo").id == "echo"


def test_openai_python_reads_errors(openai_client):
    with pytest.raises(openai.NotFoundError) as error:
        openai_client.chat.completions.create(model="nobody/nothing", messages=[{"role": "user", "content": "x"}])
    assert "nobody" in str(error.value)


def test_anthropic_python(anthropic_client):
    question = {"model": "echo", "max_tokens": 64, "messages": [{"role": "user", "content": SAID}]}
    assert anthropic_client.messages.create(**question).content[0].text == SAID
    with anthropic_client.messages.stream(**question) as stream:
        assert "".join(stream.text_stream) == SAID
        assert stream.get_final_message().stop_reason == "end_turn"
    assert "echo" in [model.id for model in anthropic_client.models.list()]


def test_anthropic_python_reads_errors(anthropic_client):
    with pytest.raises(anthropic.NotFoundError) as error:
        anthropic_client.messages.create(model="nobody/nothing", max_tokens=5, messages=[{"role": "user", "content": "x"}])
    assert error.value.body["error"]["type"] == "not_found_error"


def test_openai_javascript(router, javascript):
    found = javascript("openai.mjs", url=router.url, model="echo", text=SAID)
    assert found["whole"] == found["streamed"] == SAID
    assert found["finish"] == "stop"
    assert found["usage"]["completion_tokens"] > 0
    assert "echo" in found["models"]


def test_anthropic_javascript(router, javascript):
    found = javascript("anthropic.mjs", url=router.url, model="echo", text=SAID)
    assert found["whole"] == found["streamed"] == SAID
    assert found["stop"] == "end_turn"
    assert found["usage"]["output_tokens"] > 0
    assert "echo" in found["models"]


def test_models_in_both_shapes(router):
    openai_list = router.http.get("/v1/models").json()
    assert openai_list["object"] == "list"
    card = next(model for model in openai_list["data"] if model["id"] == "echo")
    assert card["object"] == "model"
    anthropic_list = router.http.get("/v1/models", headers={"anthropic-version": "2023-06-01"}).json()
    assert {"has_more", "first_id", "last_id"} <= anthropic_list.keys()
    assert {"type": "model", "id": "echo"}.items() <= next(model for model in anthropic_list["data"] if model["id"] == "echo").items()


def test_the_echo_says_that_it_is_one(router):
    card = router.http.get("/v1/models/echo")
    assert card.status_code == 200
    assert "echo" in (card.json().get("description", "") + card.json().get("owned_by", "")).lower(), card.text
    assert "echo" in router.chat("echo", "x").json()["system_fingerprint"]


def test_an_unknown_model_is_404_in_each_shape(router):
    assert router.http.get("/v1/models/no-such-model").status_code == 404
    chat = router.chat("nobody/nothing")
    assert chat.status_code == 404 and chat.json()["error"]["message"], chat.text
    messages = router.messages("nobody/nothing")
    assert messages.status_code == 404, messages.text
    assert messages.json()["type"] == "error" and messages.json()["error"]["type"] == "not_found_error"


def test_head_of_the_root(router):
    answer = router.http.head("/")
    assert answer.status_code == 200 and answer.content == b""


def test_health(router):
    health = router.http.get("/health")
    assert health.status_code == 200
    assert health.json()["status"] == "healthy"
    assert health.json()["components"]
    assert health.elapsed.total_seconds() < 0.1
    for path in ("/health?ready=true", "/health/live", "/health/ready"):
        assert router.http.get(path).status_code == 200, path


def test_metrics(router):
    router.chat("echo")
    text = router.http.get("/metrics")
    assert text.status_code == 200 and text.headers["content-type"].startswith(("text/plain", "application/openmetrics-text"))
    assert router.metric("mcp_http_requests_total") >= 1
    assert router.metric("mcp_http_request_duration_seconds_count") >= 1


def test_request_ids_are_told(router):
    first, second = router.chat("echo"), router.chat("echo")
    assert first.headers["request-id"] != second.headers["request-id"]
    assert first.headers["x-mcp-router-upstream"]
    assert first.headers["x-mcp-router-cache"] in ("none", "miss")
