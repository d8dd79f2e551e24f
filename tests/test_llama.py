"""A llama.cpp server that nobody here wrote, as an OpenAI upstream and as an Anthropic one, through both doors."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx
import openai
import pytest

from processes import wait_until

TESTS = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("llama")
    subprocess.run([sys.executable, TESTS / "make_model.py", folder / "tiny.gguf"], check=True, timeout=60)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, TESTS / "serve_llama.py", folder / "tiny.gguf"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )
    url = server.stdout.readline().strip().removeprefix("listening on ")

    def is_up() -> bool:
        try:
            return httpx.get(f"{url}/health").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until("llama.cpp answers", is_up, 30)
        yield url
    finally:
        server.stdin.close()
        server.kill()
        server.wait(10)


@pytest.fixture
def llama_router(start, llama):
    providers = {
        "completions": {"dialect": "openai", "base_url": f"{llama}/v1", "api_key": "none"},
        "messages": {"dialect": "anthropic", "base_url": llama, "api_key": "none"},
    }
    return start({"providers": providers})


@pytest.mark.parametrize("upstream", ["completions", "messages"])
def test_through_the_openai_door(llama_router, upstream):
    client = openai.OpenAI(base_url=f"{llama_router.url}/v1", api_key="none", max_retries=0, timeout=30)
    question = {"model": f"{upstream}/tiny", "max_tokens": 48, "messages": [{"role": "user", "content": "Tell me a story."}]}
    whole = client.chat.completions.create(**question)
    assert whole.choices[0].finish_reason in ("length", "stop")
    assert whole.usage.prompt_tokens > 0 and 0 < whole.usage.completion_tokens <= 48
    chunks = list(client.chat.completions.create(**question, stream=True, stream_options={"include_usage": True}))
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason] in (["length"], ["stop"])
    usage = [chunk.usage for chunk in chunks if chunk.usage]
    assert usage[-1].completion_tokens > 0 and usage[-1].prompt_tokens > 0
    assert any(choice.delta.content for chunk in chunks for choice in chunk.choices)


@pytest.mark.parametrize("upstream", ["completions", "messages"])
def test_through_the_anthropic_door(llama_router, upstream):
    client = anthropic.Anthropic(base_url=llama_router.url, api_key="none", max_retries=0, timeout=30)
    question = {"model": f"{upstream}/tiny", "max_tokens": 48, "messages": [{"role": "user", "content": "Tell me a story."}]}
    whole = client.messages.create(**question)
    assert whole.stop_reason in ("max_tokens", "end_turn")
    assert whole.usage.output_tokens > 0 and whole.content[0].type == "text"
    with client.messages.stream(**question) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text and final.stop_reason in ("max_tokens", "end_turn")
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("upstream", ["completions", "messages"])
def test_ask(llama_router, upstream):
    answer = llama_router.http.post("/ask", json={"message": "Tell me a story.", "model": f"{upstream}/tiny", "max_tokens": 48})
    assert answer.status_code == 200, answer.text
    assert answer.json()["answer"] and answer.json()["provider"] == upstream


def test_an_upstreams_own_refusal_reaches_the_client(llama_router):
    answer = llama_router.http.post("/v1/chat/completions", json={"model": "completions/tiny", "messages": [{"role": "user", "content": "word " * 9000}]})
    assert answer.status_code == 400, answer.text
    assert "context" in answer.json()["error"]["message"]
