"""`/ask`: the shortest way to an answer, and every problem of a bad question named at once."""

import pytest


def test_the_whole_answer(router):
    question = {"message": "hello", "provider": "echo", "model": "echo", "client": "raycast", "user_id": "u1", "context": {"file": "a.rs"}, "max_tokens": 100}
    answer = router.http.post("/ask", json=question)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert {"answer", "model", "provider", "usage", "cache", "attempts", "request_id"} <= told.keys()
    assert told["answer"] == "hello"
    assert told["cache"] in ("none", "miss")
    assert told["attempts"] == 1
    assert told["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(
    "body,pointers",
    [
        ({}, ["/message"]),
        ({"message": 5}, ["/message"]),
        ({"message": ""}, ["/message"]),
        ({"message": "x", "stream": "yes", "max_tokens": -1}, ["/stream", "/max_tokens"]),
        ({"message": [], "model": 1, "user_id": {}}, ["/message", "/model", "/user_id"]),
    ],
)
def test_every_problem_is_named(router, body, pointers):
    answer = router.http.post("/ask", json=body)
    assert answer.status_code == 422, answer.text
    for pointer in pointers:
        assert f'"{pointer}"' in answer.text, f"{pointer} is not named in {answer.text}"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe"])
def test_what_is_no_question_is_refused(router, body):
    answer = router.http.post("/ask", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"].startswith("application/json")


def test_an_unknown_provider_is_named(router):
    answer = router.http.post("/ask", json={"message": "x", "provider": "nobody"})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]["problems"][0]["pointer"] == "/provider"


def test_an_unknown_model_is_named(router):
    answer = router.http.post("/ask", json={"message": "x", "model": "nobody/nothing"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["problems"][0]["pointer"] == "/model"


def test_bad_input_elsewhere_has_the_vendors_shape(router):
    chat = router.http.post("/v1/chat/completions", content=b"{", headers={"content-type": "application/json"})
    assert chat.status_code == 400
    assert chat.json()["error"]["type"] == "invalid_request_error"
    messages = router.http.post("/v1/messages", json={"model": "echo", "max_tokens": 5, "messages": "none"})
    assert messages.status_code == 400
    assert messages.json()["error"]["type"] == "invalid_request_error"


def test_nothing_is_there(router):
    assert router.http.get("/nowhere").status_code == 404
    assert router.http.get("/ask").status_code == 405


def test_a_default_is_said_when_nobody_can_answer(start):
    """Only in place of who is away; and the answer says what it is."""
    away = {"base_url": "http://127.0.0.1:9/v1", "retry": {"retries": 0}}
    router = start({"providers": {"house": away}, "models": {"faq": {"candidates": "house/m", "default": "Ask again later."}, "plain": ["house/m"]}})
    answer = router.http.post("/ask", json={"message": "hello", "model": "faq"})
    told = answer.json()
    assert (answer.status_code, told["answer"], told["source"]) == (200, "Ask again later.", "default")
    assert answer.headers["x-mcp-router-source"] == "default" and answer.headers["cache-status"] == "mcp-router; fwd=bypass; detail=default"
    streamed = router.http.post("/ask", json={"message": "hello", "model": "faq", "stream": True})
    assert "Ask again later." in streamed.text and streamed.headers["x-mcp-router-source"] == "default"
    assert router.metric("mcp_fallbacks_total", server="faq", strategy="default") == 2
    assert router.http.post("/ask", json={"message": "hello", "model": "plain"}).status_code >= 500
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert router.http.post("/ask", json={"message": "hello", "model": "faq", "response_schema": schema}).status_code >= 500, "a text is no object"
    assert router.chat("faq").status_code >= 500, "only /ask speaks to people"
