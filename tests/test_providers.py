"""`LLM_PROVIDER` moves traffic among the six, and each gets its own path, credential and body."""

from pathlib import Path

import pytest

from recording import ANSWER
from router import chat_text, messages_text

KEY = "sk-outside-tests-1234567890"

# name: settings under `providers`, path of a chat, header of the credential.
SIX = {
    "openai": ({"base_url": "{url}/v1", "api_key": KEY}, "/v1/chat/completions", ("authorization", f"Bearer {KEY}")),
    "lmstudio": ({"base_url": "{url}"}, "/v1/chat/completions", ("authorization", None)),
    "openrouter": ({"base_url": "{url}/api/v1", "api_key": KEY}, "/api/v1/chat/completions", ("authorization", f"Bearer {KEY}")),
    "ollama": ({"base_url": "{url}"}, "/api/chat", ("authorization", None)),
    "anthropic": ({"base_url": "{url}", "api_key": KEY}, "/v1/messages", ("x-api-key", KEY)),
    "azure": ({"endpoint": "{url}", "api_key": KEY}, "/openai/v1/chat/completions", ("api-key", KEY)),
}


def config_of(provider) -> dict:
    def filled(settings: dict) -> dict:
        return {key: value.replace("{url}", provider.url) for key, value in settings.items()}

    return {"providers": {name: filled(settings) for name, (settings, _, _) in SIX.items()}}


def check_sent(name: str, sent, model: str, streamed: bool) -> None:
    """The request that a provider got is one of its own language."""
    _, path, (header, credential) = SIX[name]
    assert sent.path.split("?")[0] == path
    assert sent.headers.get(header) == credential
    if header != "authorization":
        assert KEY not in sent.headers.get("authorization", "")
    assert sent.headers["content-type"].startswith("application/json")
    assert sent.body["model"] == model
    told = sent.body["messages"][-1]
    assert told["role"] == "user"
    text = told["content"] if isinstance(told["content"], str) else "".join(part["text"] for part in told["content"])
    assert text == "hello"
    assert bool(sent.body.get("stream")) is streamed
    if name == "anthropic":
        assert sent.headers["anthropic-version"] and sent.body["max_tokens"] > 0
    if name == "ollama" and not streamed:
        assert sent.body["stream"] is False


@pytest.mark.parametrize("name", SIX)
def test_the_environment_chooses(start, provider, name):
    router = start(config_of(provider), env={"LLM_PROVIDER": name})
    reply = router.chat("some-model")
    assert reply.status_code == 200, reply.text
    assert reply.json()["choices"][0]["message"]["content"] == ANSWER
    usage = reply.json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (7, 3)
    check_sent(name, provider.last, "some-model", streamed=False)
    assert len(provider.questions) == 1
    assert name in reply.headers["x-mcp-router-upstream"]


@pytest.mark.parametrize("name", SIX)
def test_streamed_through_both_doors(start, provider, name):
    router = start(config_of(provider), env={"LLM_PROVIDER": name})
    stream = router.chat("some-model", stream=True)
    assert stream.status_code == 200 and chat_text(stream.text) == ANSWER
    check_sent(name, provider.last, "some-model", streamed=True)
    stream = router.messages("some-model", stream=True)
    assert stream.status_code == 200 and messages_text(stream.text) == ANSWER
    check_sent(name, provider.last, "some-model", streamed=True)


@pytest.mark.parametrize("name", SIX)
def test_a_name_chooses_without_the_environment(start, provider, name):
    router = start(config_of(provider), env={"LLM_PROVIDER": "openai"})
    reply = router.messages(f"{name}/vendor/model:tag")
    assert reply.status_code == 200, reply.text
    assert reply.json()["content"][0]["text"] == ANSWER
    check_sent(name, provider.last, "vendor/model:tag", streamed=False)


def test_what_is_chosen_where(start, provider, tmp_path):
    """The environment beats `--env-file`, which beats nothing; a file beside the configuration is read unasked."""
    (tmp_path / "my.env").write_text("LLM_PROVIDER=ollama\n")
    by_file = start(config_of(provider), args=("--env-file", str(tmp_path / "my.env")))
    assert by_file.chat("m").status_code == 200
    assert provider.last.path == "/api/chat"
    both = start(config_of(provider), args=("--env-file", str(tmp_path / "my.env")), env={"LLM_PROVIDER": "anthropic"})
    assert both.chat("m").status_code == 200
    assert provider.last.path == "/v1/messages"


def test_a_file_beside_the_configuration(start, provider, tmp_path):
    home = tmp_path / "router-0"
    home.mkdir()
    (home / ".env").write_text("# which one answers\nexport LLM_PROVIDER=\"ollama\"\n")
    router = start(config_of(provider))
    assert router.chat("m").status_code == 200
    assert provider.last.path == "/api/chat"


def test_the_working_directory_is_not_read_unasked(start, tmp_path: Path):
    home = tmp_path / "router-0"
    home.mkdir()
    (home / ".env").write_text("LLM_PROVIDER=nonsense\n")
    (home / "mcp-router.yaml").write_text("nonsense: true\n")
    router = start()
    assert router.chat("echo", "still here").json()["choices"][0]["message"]["content"] == "still here"


def test_an_alias_falls_back_in_order(start, provider):
    config = config_of(provider)
    config["providers"]["gone"] = {"dialect": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": KEY}
    config["models"] = {"big": ["gone/first", "anthropic/second"]}
    router = start(config)
    reply = router.chat("big")
    assert reply.status_code == 200, reply.text
    assert provider.last.body["model"] == "second"
    assert "anthropic" in reply.headers["x-mcp-router-upstream"]
    assert int(reply.headers["x-mcp-router-attempts"]) >= 2


def test_unknown_fields_travel_untouched(start, provider):
    """The same dialect on both sides: what we do not understand arrives as it was sent."""
    router = start(config_of(provider))
    body = '{"model": "openai/m",  "zeta": {"b": 1, "a": 12345678901234567890123}, "messages": [{"role":"user","content":"hello","x":[1.0]}]}'
    reply = router.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200, reply.text
    assert list(provider.last.body["zeta"]) == ["b", "a"]
    assert provider.last.body["zeta"]["a"] == 12345678901234567890123
    assert provider.last.body["messages"][0]["x"] == [1.0]
    assert provider.last.body["model"] == "m"


def test_a_clients_key_is_never_passed_on(start, provider):
    router = start({**config_of(provider), "keys": [{"name": "me", "key": "client-key-1"}]})
    router.http.headers["authorization"] = "Bearer client-key-1"
    assert router.chat("openai/m").status_code == 200
    assert router.chat("ollama/m").status_code == 200
    for sent in provider.recorded:
        assert "client-key-1" not in str(sent.headers)
    assert KEY not in router.log_text()


def test_our_own_headers_are_not_passed_on(start, provider):
    router = start(config_of(provider))
    body = {"model": "openai/m", "messages": [{"role": "user", "content": "hello"}]}
    reply = router.http.post("/v1/chat/completions", json=body, headers={"x-mcp-router-upstream": "forged"})
    assert reply.status_code == 200
    assert not [name for name in provider.last.headers if name.startswith("x-mcp-router-")]
    assert reply.headers["x-mcp-router-upstream"] != "forged"


def test_tools_are_translated(start, provider):
    router = start(config_of(provider))
    tool = {"name": "weather", "description": "Tells it.", "input_schema": {"type": "object", "properties": {"zeta": {"type": "string"}, "alpha": {"type": "string"}}}}
    assert router.messages("openai/m", tools=[tool], system="Be terse.").status_code == 200
    sent = provider.last.body
    function = sent["tools"][0]["function"]
    assert (function["name"], list(function["parameters"]["properties"])) == ("weather", ["zeta", "alpha"])
    assert sent["messages"][0]["role"] in ("system", "developer") and "Be terse." in str(sent["messages"][0]["content"])
