"""Answers that keep to a JSON schema: given to models that take one, told in words to those that do not."""

import json

import anthropic
import openai
import pytest
from pydantic import BaseModel

from recording import Act

KEY = "sk-outside-tests-1234567890"
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ADA = {"name": "Ada", "age": 36}
GOOD = Act(chunks=["Here you are:\n```json\n", json.dumps(ADA), "\n```"])
BAD = Act(chunks=['{"name": "Ada", ', '"age": "36"}'])
PLAIN = Act(chunks=[json.dumps(ADA)])
FAULT = 'at /age: "36" is not of type "integer"'

# Of each dialect a model that takes schemas, and one that does not.
STRONG = {"openai": "openai/gpt-4o", "anthropic": "anthropic/claude-sonnet-4-5"}
WEAK = {"openai": "openai/gpt-4", "anthropic": "anthropic/claude-3-haiku"}


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture
def router(start, provider):
    providers = {
        "openai": {"base_url": f"{provider.url}/v1", "api_key": KEY},
        "anthropic": {"base_url": provider.url, "api_key": KEY},
        "never": {"kind": "openai", "base_url": f"{provider.url}/v1", "api_key": KEY, "schema_retries": 0},
    }
    return start({"providers": providers, "models": {"both": [WEAK["openai"], STRONG["anthropic"]]}})


def openai_client(router) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{router.url}/v1", api_key="any", max_retries=0)


def parse(router, model: str):
    question = [{"role": "user", "content": "Who was Ada?"}]
    return openai_client(router).chat.completions.parse(model=model, messages=question, response_format=Person)


def said(recorded) -> str:
    """All that a model was told, as one text."""
    return json.dumps(recorded.body).replace('\\\\\\"', '"').replace('\\"', '"')


@pytest.mark.parametrize("vendor", WEAK)
def test_a_model_without_schemas_is_told_and_asked_once_more(router, provider, vendor):
    provider.script = [BAD, GOOD]
    completion = parse(router, WEAK[vendor])
    assert completion.choices[0].message.parsed == Person(**ADA)
    assert json.loads(completion.choices[0].message.content) == ADA
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (14, 6)
    first, second = provider.questions
    for asked in (first, second):
        assert "response_format" not in asked.body and "output_config" not in asked.body
        assert "JSON Schema below" in said(asked)
    assert FAULT not in said(first) and FAULT in said(second)


@pytest.mark.parametrize("vendor", STRONG)
def test_a_model_with_schemas_is_given_it(router, provider, vendor):
    provider.always = PLAIN
    assert parse(router, STRONG[vendor]).choices[0].message.parsed == Person(**ADA)
    (asked,) = provider.questions
    carried = asked.body["response_format"] if vendor == "openai" else asked.body["output_config"]["format"]
    assert carried["type"] == "json_schema"
    assert "JSON Schema below" not in said(asked)


@pytest.mark.parametrize("vendor", WEAK)
def test_anthropics_sdk(router, provider, vendor):
    provider.script = [BAD, GOOD]
    client = anthropic.Anthropic(base_url=router.url, api_key="any", max_retries=0)
    message = client.messages.create(
        model=WEAK[vendor], max_tokens=100, messages=[{"role": "user", "content": "Who?"}],
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
    )
    assert [json.loads(block.text) for block in message.content] == [ADA]
    assert (message.usage.input_tokens, message.usage.output_tokens) == (14, 6)


def test_a_stream_tells_the_checked_json_alone(router, provider):
    provider.script = [BAD, GOOD]
    format = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
    stream = openai_client(router).chat.completions.create(
        model=WEAK["openai"], messages=[{"role": "user", "content": "Who?"}], response_format=format, stream=True,
    )
    chunks = [chunk.choices[0] for chunk in stream if chunk.choices]
    assert json.loads("".join(choice.delta.content or "" for choice in chunks)) == ADA
    assert chunks[-1].finish_reason == "stop"
    assert all(asked.body["stream"] for asked in provider.questions)


def test_who_never_does_it_is_an_error_that_says_why(router, provider):
    provider.always = BAD
    for model, asks, told in [(WEAK["openai"], 2, "2 times"), ("never/gpt-4", 1, "once")]:
        before = len(provider.questions)
        with pytest.raises(openai.APIStatusError) as failure:
            parse(router, model)
        assert failure.value.status_code == 502
        assert f"gpt-4 was asked {told}" in failure.value.message and "/age" in failure.value.message
        assert len(provider.questions) - before == asks


def test_a_fallback_keeps_the_schema(router, provider):
    provider.script = [BAD, BAD, PLAIN]
    assert parse(router, "both").choices[0].message.parsed == Person(**ADA)
    *told, given = provider.questions
    assert given.path.startswith("/v1/messages")
    assert given.body["output_config"]["format"]["type"] == "json_schema"
    assert "JSON Schema below" not in said(given)


def test_a_call_of_a_tool_is_not_checked(router, provider):
    provider.script = [Act(chunks=[], calls=[("look", {"at": "x"})])]
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    format = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
    reply = router.chat(WEAK["openai"], tools=[tool], response_format=format).json()
    assert reply["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "look"
    assert len(provider.questions) == 1


@pytest.mark.parametrize("model", [STRONG["anthropic"], WEAK["openai"]])
def test_ask_has_data(router, provider, model):
    provider.always = PLAIN
    answer = router.http.post("/ask", json={"message": "Who?", "model": model, "response_schema": SCHEMA})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == ADA
    assert json.loads(answer.json()["answer"]) == ADA
    plain = router.http.post("/ask", json={"message": "Who?", "model": model})
    assert "data" not in plain.json()


def test_ask_streams_data(router, provider):
    provider.script = [BAD, GOOD]
    answer = router.http.post("/ask", json={"message": "Who?", "model": WEAK["openai"], "response_schema": SCHEMA, "stream": True})
    event, data = answer.text.strip().split("\n\n")[-1].split("\n")
    assert event == "event: done"
    assert json.loads(data.removeprefix("data: "))["data"] == ADA


def test_ask_never_gives_data_that_does_not_keep_to_the_schema(router, provider):
    # This one takes schemas, and does not keep to it nevertheless.
    provider.always = BAD
    question = {"message": "Who?", "model": STRONG["openai"], "response_schema": SCHEMA}
    answer = router.http.post("/ask", json=question)
    assert answer.status_code == 502 and FAULT in answer.json()["error"]["message"], answer.text
    streamed = router.http.post("/ask", json={**question, "stream": True})
    assert "event: error" in streamed.text and "event: done" not in streamed.text


@pytest.mark.parametrize("schema,told", [
    ({"type": "objekt"}, "at /type"),
    ({"properties": {"a": {"minimum": "x"}}}, "at /properties/a/minimum"),
    ({"$ref": "https://example.com/schema.json"}, "example.com"),
    ("object", "must be a JSON Schema: an object"),
])
def test_ask_names_what_is_wrong_with_a_schema(router, provider, schema, told):
    answer = router.http.post("/ask", json={"message": "Who?", "model": "openai/gpt-4o", "response_schema": schema})
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["error"]["problems"]
    assert problem["pointer"] == "/response_schema" and told in problem["message"]
    assert not provider.questions
