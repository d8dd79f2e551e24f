"""Programs that only know Ollama reach every provider: its official client, and what goes over the wire."""

import base64
import json
import time

import httpx
import ollama
import pytest

from recording import ANSWER, Act

KEY = "sk-outside-tests-1234567890"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")
SCHEMA = {"type": "object", "properties": {"zeta": {"type": "string"}, "alpha": {"type": "integer"}}, "required": ["zeta", "alpha"]}
QUESTION = [{"role": "user", "content": "hello"}]
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
}


@pytest.fixture(params=["openai", "anthropic"])
def upstream(request) -> str:
    """The dialect of the provider behind the front."""
    return request.param


@pytest.fixture
def router(start, provider):
    providers = {
        "openai": {"base_url": f"{provider.url}/v1", "api_key": KEY},
        "anthropic": {"base_url": provider.url, "api_key": KEY},
        "ollama": {"base_url": provider.url},
    }
    models = {"big": ["openai/first"], "gone": ["anthropic/second"]}
    return start({"providers": providers, "models": models})


@pytest.fixture
def client(router) -> ollama.Client:
    return ollama.Client(host=router.url, timeout=30)


def sent_text(message: dict) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def test_a_chat_is_answered_whole_and_streamed(client, provider, upstream):
    options = {"num_predict": 9, "temperature": 0.5, "stop": ["END"]}
    reply = client.chat(f"{upstream}/m", QUESTION, options=options, keep_alive="5m")
    assert (reply.message.content, reply.done, reply.done_reason, reply.model) == (ANSWER, True, "stop", f"{upstream}/m")
    assert (reply.prompt_eval_count, reply.eval_count) == (7, 3)
    assert 0 < reply.total_duration < 30e9
    assert provider.last.body["max_tokens"] == 9 and provider.last.body["temperature"] == 0.5
    assert "keep_alive" not in provider.last.body and "options" not in provider.last.body
    pieces = list(client.chat(f"{upstream}/m", QUESTION, stream=True))
    assert "".join(piece.message.content for piece in pieces) == ANSWER
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True] and len(pieces) > 2
    last = pieces[-1]
    assert (last.prompt_eval_count, last.eval_count, last.done_reason) == (7, 3, "stop")
    assert last.prompt_eval_duration + last.eval_duration == last.total_duration


def test_durations_are_measured(client, provider):
    provider.script = [Act(silence=0.4, pace=0.3)]
    last = list(client.chat("openai/m", QUESTION, stream=True))[-1]
    assert 0.4e9 <= last.prompt_eval_duration < 5e9 and 0.3e9 <= last.eval_duration < 5e9


@pytest.mark.parametrize("stream", [False, True])
def test_tools_go_two_rounds(client, provider, upstream, stream):
    def ask(messages: list) -> ollama.Message:
        reply = client.chat(f"{upstream}/m", messages, tools=[WEATHER], stream=stream)
        if not stream:
            return reply.message
        pieces = list(reply)
        calls = [call for piece in pieces for call in piece.message.tool_calls or []]
        return ollama.Message(role="assistant", content="".join(piece.message.content for piece in pieces), tool_calls=calls)

    provider.script = [Act(chunks=["I look."], calls=[("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"})]), Act()]
    asked = ask(QUESTION)
    assert [(call.function.name, call.function.arguments) for call in asked.tool_calls] == [("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"})]
    results = [{"role": "tool", "tool_name": "weather", "content": text} for text in ("sun", "snow")]
    assert ask([*QUESTION, asked, *results]).content == ANSWER
    body = provider.last.body
    if upstream == "openai":
        ids = [call["id"] for call in body["messages"][1]["tool_calls"]]
        answered = [(message["tool_call_id"], message["content"]) for message in body["messages"][2:]]
        assert body["tools"][0]["function"]["name"] == "weather"
    else:
        ids = [part["id"] for part in body["messages"][1]["content"] if part["type"] == "tool_use"]
        answered = [(part["tool_use_id"], sent_text(part)) for part in body["messages"][2]["content"]]
        assert body["tools"][0]["name"] == "weather"
    assert len(set(ids)) == 2 and answered == list(zip(ids, ["sun", "snow"], strict=True))


def test_pictures_travel(client, provider, upstream):
    client.chat(f"{upstream}/m", [{"role": "user", "content": "what is it?", "images": [PIXEL]}])
    assert base64.b64encode(PIXEL).decode() in json.dumps(provider.last.body)
    assert "image/png" in json.dumps(provider.last.body)


def test_thoughts_travel(client, provider, upstream):
    provider.always = Act(thought="hm")
    model = {"openai": "openai/gpt-5", "anthropic": "anthropic/claude-sonnet-4-5"}[upstream]
    reply = client.chat(model, QUESTION, think=True)
    assert (reply.message.thinking, reply.message.content) == ("hm", ANSWER)
    pieces = list(client.chat(model, QUESTION, think=True, stream=True))
    assert "".join(piece.message.thinking or "" for piece in pieces) == "hm"
    assert "".join(piece.message.content for piece in pieces) == ANSWER
    if upstream == "anthropic":
        assert provider.last.body["thinking"]["type"] in ("enabled", "adaptive")


def test_a_schema_travels(client, provider, upstream):
    client.chat(f"{upstream}/m", QUESTION, format=SCHEMA)
    assert '"zeta"' in json.dumps(provider.last.body)
    if upstream == "openai":
        sent = provider.last.body["response_format"]["json_schema"]["schema"]
        assert list(sent["properties"]) == ["zeta", "alpha"]
        client.chat("openai/m", QUESTION, format="json")
        assert provider.last.body["response_format"] == {"type": "json_object"}


def test_the_models_are_listed_and_shown(client, router, provider):
    listed = client.list().models
    names = [model.model for model in listed]
    assert "big:latest" in names and "openai/first:latest" in names
    assert len({model.digest for model in listed}) == len(listed)
    assert [model.digest for model in client.list().models] == [model.digest for model in listed]
    for name in ("big", "big:latest", "openai/whatever"):
        shown = client.show(name)
        assert {"completion", "tools"} <= set(shown.capabilities) and shown.modelinfo["general.architecture"]
    assert client.ps().models == []
    version = router.http.get("/api/version").json()["version"]
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)
    assert router.http.head("/").status_code == 200 and router.http.head("/api/tags").status_code == 200


def test_a_tag_that_says_nothing_is_no_part_of_a_name(client, router, provider):
    for name in ("big", "big:latest", "openai/first:latest"):
        reply = client.chat(name, QUESTION)
        assert (provider.last.body["model"], reply.model) == ("first", name)
        assert client.generate(name, "hello").model == name
    # Programs that list models here chat at the other doors too.
    assert router.chat("big:latest").json()["choices"][0]["message"]["content"] == ANSWER
    assert provider.last.body["model"] == "first"


def test_failures_are_told_as_ollama_tells_them(client, router, provider):
    for ask in (lambda: client.chat("nowhere/x", QUESTION), lambda: client.generate("nowhere/x", "hi"), lambda: client.show("nowhere/x")):
        with pytest.raises(ollama.ResponseError) as unknown:
            ask()
        assert unknown.value.status_code == 404
        assert 'model "nowhere/x" not found, try pulling it first' in unknown.value.error
    missing = router.http.post("/api/chat", json={"messages": QUESTION})
    assert (missing.status_code, missing.json()) == (400, {"error": "model is required"})
    provider.script = [Act(status=400, body={"error": {"message": "no such thing"}})]
    with pytest.raises(ollama.ResponseError) as refused:
        client.chat("openai/m", QUESTION)
    assert refused.value.status_code == 400 and "no such thing" in refused.value.error
    nowhere = router.http.get("/api/nothing")
    assert nowhere.status_code == 404 and list(nowhere.json()) == ["error"]
    wrong = router.http.get("/api/chat")
    assert wrong.status_code == 405 and list(wrong.json()) == ["error"]


@pytest.mark.parametrize("change", ["pull", "push", "create", "delete", "copy"])
def test_models_are_changed_in_the_configuration(client, change):
    changes = {"create": lambda: client.create("big", from_="x"), "copy": lambda: client.copy("big", "x")}
    with pytest.raises(ollama.ResponseError) as refused:
        changes.get(change, lambda: getattr(client, change)("big"))()
    assert refused.value.status_code == 501 and "`models` and `providers` of its configuration" in refused.value.error


def test_a_cut_stream_is_no_clean_end(client, provider, upstream):
    provider.script = [Act(cut=True)]
    pieces = []
    with pytest.raises(ollama.ResponseError) as broken:
        for piece in client.chat(f"{upstream}/m", QUESTION, stream=True):
            pieces.append(piece)
    assert pieces and not any(piece.done for piece in pieces)
    assert "cut" in broken.value.error


def test_a_silent_upstream_leaves_no_client_in_doubt(client, router, provider):
    """A line that says nothing comes every 10 s, also before the first word, and the client takes it for a piece."""
    provider.always = Act(silence=11)
    lines, heard = [], []
    began = time.monotonic()
    body = {"model": "openai/m", "messages": QUESTION}
    with router.http.stream("POST", "/api/chat", json=body) as stream:
        for line in stream.iter_lines():
            heard.append(time.monotonic() - began)
            lines.append(json.loads(line))
    assert 9 < heard[0] < 10.9 and lines[0]["message"]["content"] == "" and lines[0]["done"] is False
    assert "".join(line["message"]["content"] for line in lines) == ANSWER and lines[-1]["done"]
    pieces = list(client.generate("openai/m", "hello", stream=True))
    assert pieces[0].response == "" and "".join(piece.response for piece in pieces) == ANSWER


def test_an_ollama_provider_reads_what_the_client_wrote(router, provider):
    body = '{"model": "ollama/m",  "stream":false, "keep_alive": -1, "zeta": {"b":1, "a":12345678901234567890123}, "options": {"mirostat": 2, "num_ctx": 512}, "messages": [{"role":"user","content":"hello","x":[1.0]}]}'
    with httpx.Client(base_url=router.url) as http:
        reply = http.post("/api/chat", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200, reply.text
    sent = json.loads(body) | {"model": "m"}
    assert json.dumps(provider.last.body) == json.dumps(sent)
    answer = reply.json()
    assert (answer["model"], answer["total_duration"], answer["message"]["content"]) == ("ollama/m", 1, ANSWER)


def test_a_text_is_generated(client, provider, upstream):
    reply = client.generate(f"{upstream}/m", "hello", system="Be terse.", options={"num_predict": 9}, images=[PIXEL])
    assert (reply.response, reply.done, reply.done_reason) == (ANSWER, True, "stop")
    assert (reply.prompt_eval_count, reply.eval_count) == (7, 3)
    assert "Be terse." in json.dumps(provider.last.body) and base64.b64encode(PIXEL).decode() in json.dumps(provider.last.body)
    assert provider.last.body["max_tokens"] == 9
    pieces = list(client.generate(f"{upstream}/m", "hello", stream=True))
    assert "".join(piece.response for piece in pieces) == ANSWER and pieces[-1].done
    client.generate(f"{upstream}/m", "fn add(", suffix="}")
    assert "fn add(" in json.dumps(provider.last.body) and "}" in json.dumps(provider.last.body)


def test_what_generates_over_the_wire(router, provider):
    def post(**more) -> httpx.Response:
        return router.http.post("/api/generate", json={"model": "openai/m", **more})

    stream = post(prompt="hello")
    assert stream.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in stream.text.splitlines()]
    assert [line["response"] for line in lines] == ["A recorded", " answer.", ""]
    assert lines[-1]["done"] and lines[-1]["done_reason"] == "stop" and lines[-1]["eval_count"] == 3
    loads = [(post(), "load"), (post(prompt="", keep_alive=0), "unload")]
    loads.append((router.http.post("/api/chat", json={"model": "openai/m", "messages": []}), "load"))
    for reply, reason in loads:
        assert reply.status_code == 200 and (reply.json()["done"], reply.json()["done_reason"]) == (True, reason)
    assert len(provider.questions) == 1
    for field in ({"raw": True}, {"template": "{{ .Prompt }}"}, {"context": [1, 2]}):
        refused = post(prompt="hello", **field)
        assert refused.status_code == 400 and refused.json()["error"].startswith(next(iter(field))), refused.text
    assert post(prompt="hello", raw=False, template="", context=[], stream=False).json()["response"] == ANSWER
