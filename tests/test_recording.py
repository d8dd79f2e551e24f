"""The tests' own instruments, held against the official clients: a mock that lies would prove nothing."""

import anthropic
import openai
import pytest
from mcp import StdioServerParameters

from conftest import EVERYTHING, FAULTY
from mcp_visit import visit
from recording import ANSWER, Act

QUESTION = [{"role": "user", "content": "hello"}]


def test_the_provider_satisfies_openais_sdk(provider):
    client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k", max_retries=0, timeout=5)
    assert client.chat.completions.create(model="m", messages=QUESTION).choices[0].message.content == ANSWER
    with client.chat.completions.stream(model="m", messages=QUESTION) as stream:
        assert stream.get_final_completion().choices[0].message.content == ANSWER
    assert provider.last.headers["authorization"] == "Bearer k"


def test_the_provider_satisfies_openais_sdk_by_responses(provider):
    client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k", max_retries=0, timeout=5)
    provider.always = Act(calls=[("look", {"at": 1})])
    whole = client.responses.create(model="m", input="hello")
    with client.responses.stream(model="m", input="hello") as stream:
        streamed = stream.get_final_response()
    for reply in (whole, streamed):
        assert reply.output_text == ANSWER and reply.output[2].name == "look"


def test_the_provider_satisfies_anthropics_sdk(provider):
    client = anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=0, timeout=5)
    assert client.messages.create(model="m", max_tokens=5, messages=QUESTION).content[0].text == ANSWER
    with client.messages.stream(model="m", max_tokens=5, messages=QUESTION) as stream:
        assert "".join(stream.text_stream) == ANSWER


def test_the_provider_does_as_it_is_told(provider):
    client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k", max_retries=0, timeout=5)
    provider.script = [Act(status=429, headers={"retry-after": "7"}), Act(cut=True)]
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(model="m", messages=QUESTION)
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.APIConnectionError):
        list(client.chat.completions.create(model="m", messages=QUESTION, stream=True))
    provider.close()
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="m", messages=QUESTION)


def test_the_faulty_server_is_a_server():
    plan = {"calls": [{"name": "echo", "arguments": {"text": "x"}}]}
    found = visit(StdioServerParameters(**FAULTY), "legacy", plan)
    assert found["results"] == [{"text": "x", "failed": False}]
    assert "hang" in found["tools"]


@pytest.mark.parametrize("script,more", [("mcp_v1.mjs", {}), ("mcp_v2.mjs", {"mode": "auto"})])
def test_the_javascript_clients_visit(javascript, script, more):
    plan = {"calls": [{"name": "echo", "arguments": {"message": "x"}}], "resource": "features.md", "prompt": "simple-prompt"}
    found = javascript(script, stdio=EVERYTHING, plan=plan, **more)
    assert found["results"] == [{"text": "Echo: x", "failed": False}]
    assert "simple-prompt" in found["prompts"] and "#" in found["resource"]
