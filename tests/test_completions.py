"""OpenAI's legacy completions, through its official client, onto providers that only chat."""

import openai
import pytest

from recording import ANSWER, Act

KEY = "sk-outside-tests-1234567890"


@pytest.fixture
def client(start, provider) -> openai.OpenAI:
    providers = {"openai": {"base_url": f"{provider.url}/v1", "api_key": KEY}, "anthropic": {"base_url": provider.url, "api_key": KEY}}
    router = start({"providers": providers})
    return openai.OpenAI(base_url=f"{router.url}/v1", api_key="k", max_retries=0, timeout=10)


@pytest.mark.parametrize("model", ["openai/m", "anthropic/m"])
def test_a_prompt_is_completed(client, provider, model):
    whole = client.completions.create(model=model, prompt="hello", max_tokens=9, stop=["END"], temperature=0.5)
    assert (whole.object, whole.model, whole.choices[0].text, whole.choices[0].finish_reason) == ("text_completion", model, ANSWER, "stop")
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (7, 3)
    sent = provider.last.body
    assert len(sent["messages"]) == 1 and sent["messages"][0]["role"] == "user" and sent["max_tokens"] == 9
    assert client.completions.create(model=model, prompt=["hello"], echo=True).choices[0].text == f"hello{ANSWER}"


@pytest.mark.parametrize("model", ["openai/m", "anthropic/m"])
def test_and_streamed(client, provider, model):
    chunks = list(client.completions.create(model=model, prompt="hello", stream=True, stream_options={"include_usage": True}))
    assert all(chunk.object == "text_completion" for chunk in chunks)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == ANSWER
    assert chunks[-2].choices[0].finish_reason == "stop" and chunks[-1].usage.completion_tokens == 3
    provider.script = [Act(cut=True)]
    with pytest.raises(openai.APIError, match="cut"):
        list(client.completions.create(model=model, prompt="hello", stream=True))


def test_a_gap_is_filled(client, provider):
    client.completions.create(model="openai/m", prompt="fn add(", suffix=") {}")
    assert "fn add(" in str(provider.last.body["messages"]) and ") {}" in str(provider.last.body["messages"])


@pytest.mark.parametrize("field,more", [("n", {"n": 2}), ("best_of", {"best_of": 2}), ("logprobs", {"logprobs": 1}), ("prompt", {"prompt": [1, 2]}), ("prompt", {"prompt": ["a", "b"]})])
def test_what_no_chat_can_give_is_refused_by_name(client, provider, field, more):
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(**{"model": "openai/m", "prompt": "hello", **more})
    assert refused.value.body["message"].startswith(field)
    assert provider.questions == []
