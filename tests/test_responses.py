"""`/v1/responses` as the official SDK asks it, onto providers of three dialects."""

import json

import openai
import pydantic
import pytest

from recording import ANSWER, Act

KEY = "sk-outside-tests-1234567890"
DIALECTS = ["openai", "anthropic", "responses"]
TOOL = {
    "type": "function", "name": "weather", "description": "Tells it.", "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def config_of(provider, *dialects: str) -> dict:
    return {"providers": {name: {"kind": "compatible", "dialect": name, "base_url": provider.url, "api_key": KEY} for name in dialects or DIALECTS}}


def client_of(router, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{router.url}/v1", api_key=key, max_retries=0, timeout=10)


def texts_of(sent) -> str:
    """All that a provider was told, in whichever dialect."""
    return json.dumps(sent.body.get("messages") or sent.body.get("input"))


@pytest.fixture
def router(start, provider):
    return start(config_of(provider))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_whole_and_streamed(router, provider, dialect):
    client = client_of(router)
    reply = client.responses.create(model=f"{dialect}/m", input="hello", instructions="Be terse.", max_output_tokens=64, metadata={"a": "b"})
    assert (reply.status, reply.output_text, reply.model) == ("completed", ANSWER, f"{dialect}/m")
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (7, 3, 10)
    assert "Be terse." in json.dumps(provider.last.body) and reply.id.startswith("resp_")
    if dialect != "responses":
        assert (reply.instructions, reply.metadata, reply.max_output_tokens) == ("Be terse.", {"a": "b"}, 64)
    with client.responses.stream(model=f"{dialect}/m", input=[{"role": "user", "content": "hello"}]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == ANSWER
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER
    assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_tools_in_two_rounds(router, provider, dialect, streamed):
    client = client_of(router)
    provider.script = [Act(calls=[("weather", {"city": "Bern"}), ("weather", {"city": "Rome"})])]
    conversation = [{"role": "user", "content": "hello"}]

    def ask():
        if not streamed:
            return client.responses.create(model=f"{dialect}/m", input=conversation, tools=[TOOL], store=False)
        with client.responses.stream(model=f"{dialect}/m", input=conversation, tools=[TOOL], store=False) as stream:
            return stream.get_final_response()

    first = ask()
    calls = [item for item in first.output if item.type == "function_call"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("weather", {"city": "Bern"}), ("weather", {"city": "Rome"})]
    conversation += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    conversation += [{"type": "function_call_output", "call_id": call.call_id, "output": f"rain {number}"} for number, call in enumerate(calls)]
    assert ask().output_text == ANSWER
    sent = texts_of(provider.last)
    assert sent.index("Bern") < sent.index("Rome") < sent.index("rain 0") < sent.index("rain 1")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_conversation_goes_on_by_its_id(router, provider, dialect):
    client = client_of(router)
    first = client.responses.create(model=f"{dialect}/m", input="my name is Ann")
    second = client.responses.create(model=f"{dialect}/m", input="and now?", previous_response_id=first.id)
    sent = texts_of(provider.last)
    assert sent.index("my name is Ann") < sent.index(ANSWER) < sent.index("and now?")
    assert "previous_response_id" not in provider.last.body and "gAAA" not in sent
    with client.responses.stream(model="openai/m", input="third", previous_response_id=second.id) as stream:
        third = stream.get_final_response()
    sent = texts_of(provider.last)
    assert [sent.count(text) for text in ("my name is Ann", "and now?", "third")] == [1, 1, 1]
    items = client.responses.input_items.list(third.id, order="asc", limit=2)
    assert items.data[0].content[0].text == "my name is Ann" and items.has_more
    assert client.responses.retrieve(third.id).output_text == ANSWER
    client.responses.delete(third.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(third.id)


def test_who_keeps_his_replies_is_asked_by_their_ids(start, provider):
    kept = {"kind": "openai", "dialect": "responses", "base_url": provider.url, "api_key": KEY}
    router = start({"providers": {"home": kept, "other": {**kept}, "chat": {**kept, "dialect": "openai"}}})
    client = client_of(router)
    first = client.responses.create(model="home/m", input="my name is Ann")
    assert first.id == "resp_recorded"
    client.responses.create(model="home/m", input="again", previous_response_id=first.id)
    assert provider.last.body["previous_response_id"] == "resp_recorded" and "Ann" not in texts_of(provider.last)
    first = client.responses.create(model="home/m", input="my name is Ann")
    for other in ("other", "chat"):
        client.responses.create(model=f"{other}/m", input="again", previous_response_id=first.id, store=False)
        assert "previous_response_id" not in provider.last.body and "Ann" in texts_of(provider.last)


def test_a_reply_is_its_tenants_own(start, provider):
    keys = [{"name": "ann", "key": "key-ann-1"}, {"name": "bob", "key": "key-bob-1"}]
    router = start({**config_of(provider), "keys": keys})
    ann, bob = client_of(router, "key-ann-1"), client_of(router, "key-bob-1")
    reply = ann.responses.create(model="openai/m", input="secret")
    with pytest.raises(openai.BadRequestError) as refused:
        bob.responses.create(model="openai/m", input="go on", previous_response_id=reply.id)
    assert refused.value.code == "previous_response_not_found" and refused.value.param == "previous_response_id"
    for ask in (bob.responses.retrieve, bob.responses.delete, bob.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            ask(reply.id)
    assert ann.responses.retrieve(reply.id).output_text == ANSWER


def test_what_is_not_kept_and_what_is_not_done(router, provider):
    client = client_of(router)
    unkept = client.responses.create(model="openai/m", input="hello", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(unkept.id)
    provider.script = [Act(cut=True)]
    begun = None
    with pytest.raises(openai.APIError):
        for event in client.responses.create(model="openai/m", input="hello", stream=True):
            begun = begun or event.response.id
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(begun)
    for wish in ({"background": True}, {"conversation": "conv_1"}, {"previous_response_id": "resp_unknown"}):
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model="openai/m", input="hello", **wish)
        field = next(iter(wish))
        assert refused.value.param == field or field in refused.value.message
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.cancel("resp_1")


def test_structured_output(router, provider):
    class City(pydantic.BaseModel):
        name: str

    provider.always = Act(chunks=['{"name": ', '"Bern"}'])
    client = client_of(router)
    for dialect in DIALECTS:
        assert client.responses.parse(model=f"{dialect}/m", input="hello", text_format=City).output_parsed == City(name="Bern")
        assert '"additionalProperties": false' in json.dumps(provider.last.body)


def test_thoughts_are_told_and_go_back_to_their_maker(router, provider):
    client = client_of(router)
    reply = client.responses.create(model="responses/m", input="hello", reasoning={"effort": "low"}, store=False)
    assert reply.output[0].summary[0].text == "Recorded thought."
    said = [item.model_dump(exclude_none=True) for item in reply.output]
    again = [{"role": "user", "content": "hello"}, *said, {"role": "user", "content": "more"}]
    client.responses.create(model="responses/m", input=again, store=False)
    assert "gAAA" in texts_of(provider.last)
    client.responses.create(model="anthropic/m", input=again, store=False)
    assert "gAAA" not in texts_of(provider.last)


def test_errors_in_openais_shape(router, provider):
    client = client_of(router)
    cases = [(429, openai.RateLimitError), (400, openai.BadRequestError), (500, openai.InternalServerError)]
    for dialect in DIALECTS:
        for status, kind in cases:
            provider.always = Act(status=status, body={"error": {"message": "scripted", "type": "t", "code": "c"}})
            for stream in (False, True):
                with pytest.raises(kind):
                    client.responses.create(model=f"{dialect}/m", input="hello", stream=stream)


def test_other_clients_reach_a_provider_of_responses(router, provider):
    reply = router.messages("responses/m", thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2048)
    blocks = reply.json()["content"]
    assert [block["type"] for block in blocks] == ["thinking", "text"] and blocks[1]["text"] == ANSWER
    assert provider.last.path == "/v1/responses" and provider.last.body["store"] is False
    again = {"role": "user", "content": "more"}
    router.messages("responses/m", messages=[{"role": "user", "content": "hello"}, {"role": "assistant", "content": blocks}, again])
    assert provider.last.body["input"][1]["encrypted_content"] == "gAAA"
    assert router.chat("responses/m").json()["choices"][0]["message"]["content"] == ANSWER
