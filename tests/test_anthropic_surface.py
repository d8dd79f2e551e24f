"""What Anthropic's clients find beside the messages: versions, query strings, batches, files, and the words of errors."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import pytest

from recording import Act, RecordingProvider
from router import Router

BATCH = {
    "id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress", "created_at": "2026-11-01T00:00:00Z",
    "expires_at": "2026-11-02T00:00:00Z", "ended_at": None, "archived_at": None, "cancel_initiated_at": None, "results_url": None,
    "request_counts": {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
}
HEADERS = {"anthropic-version": "2023-06-01"}


@dataclass
class Asked:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


class Account:
    """An account at Anthropic, as far as batches and files go: what it is asked, and one answer to everything."""

    def __init__(self):
        self.asked: list[Asked] = []
        self.status, self.headers, self.pieces = 200, {"content-type": "application/json"}, [json.dumps(BATCH).encode()]
        self.go_on = threading.Event()
        self.go_on.set()
        account = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_args) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                if not self.path.startswith("/v1/models"):  # which the router asks of its own accord
                    account.asked.append(Asked(f"{self.command} {self.path}", headers, body))
                self.send_response(account.status)
                for name, value in {**account.headers, "transfer-encoding": "chunked"}.items():
                    self.send_header(name, value)
                self.end_headers()
                for number, piece in enumerate(account.pieces):
                    if number:
                        account.go_on.wait(10)
                    self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            do_GET = do_POST = do_DELETE = answer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    yield account
    account.server.shutdown()
    account.server.server_close()


def onto(start: Callable[..., Router], kind: str, url: str, **more) -> Router:
    providers = {"vendor": {"kind": kind, "base_url": url, "api_key": "sk-ours", "retry": {"retries": 0}}}
    return start({"providers": providers, "models": {"big": ["vendor/recorded-model"]}, **more})


@pytest.mark.parametrize(
    "method,path,body",
    [
        ("POST", "/v1/messages/batches?beta=true", b'{ "requests" : [ ], "x":1.0}'),
        ("GET", "/v1/messages/batches?limit=2&after_id=a", b""),
        ("GET", "/v1/messages/batches/msgbatch_1", b""),
        ("POST", "/v1/messages/batches/msgbatch_1/cancel", b""),
        ("DELETE", "/v1/messages/batches/msgbatch_1", b""),
        ("GET", "/v1/messages/batches/msgbatch_1/results", b""),
        ("POST", "/v1/files", b"--x\r\n\x00\xff"),
        ("GET", "/v1/files", b""),
        ("DELETE", "/v1/files/file_1", b""),
        ("GET", "/v1/files/file_1/content", b""),
    ],
)
def test_batches_and_files_are_handed_on_as_they_are(start, account: Account, method: str, path: str, body: bytes) -> None:
    router = onto(start, "anthropic", account.url)
    account.headers |= {"content-type": "application/x-odd", "request-id": "req_theirs", "set-cookie": "a=b", "anthropic-ratelimit-x": "9"}
    account.pieces = [b'{ "odd" :1}\n', b"\x00\xff"]
    headers = {**HEADERS, "x-api-key": "client", "authorization": "Bearer client", "content-type": "multipart/form-data; boundary=x", "anthropic-beta": "b-1"}
    reply = router.http.request(method, path, content=body, headers=headers)
    assert (reply.status_code, reply.content, reply.headers["content-type"]) == (200, b'{ "odd" :1}\n\x00\xff', "application/x-odd")
    assert reply.headers["x-mcp-router-upstream-request-id"] == "req_theirs" and reply.headers["anthropic-ratelimit-x"] == "9"
    assert reply.headers["x-mcp-router-upstream"] == "vendor" and "set-cookie" not in reply.headers
    (asked,) = account.asked
    assert (asked.line, asked.body) == (f"{method} {path}", body)
    assert asked.headers["x-api-key"] == "sk-ours" and "authorization" not in asked.headers
    assert (asked.headers["anthropic-version"], asked.headers["anthropic-beta"]) == ("2023-06-01", "b-1")
    assert asked.headers["content-type"] == "multipart/form-data; boundary=x"


def test_results_are_read_while_they_are_written(start, account: Account) -> None:
    router = onto(start, "anthropic", account.url)
    account.pieces = [b'{"custom_id":"a"}\n', b'{"custom_id":"b"}\n']
    account.go_on.clear()
    with router.http.stream("GET", "/v1/messages/batches/b_1/results", headers=HEADERS) as reply:
        pieces = reply.iter_raw()
        assert next(pieces) == account.pieces[0]
        account.go_on.set()
        assert b"".join(pieces) == account.pieces[1]


def test_the_sdk_keeps_its_batches(start, account: Account) -> None:
    router = onto(start, "anthropic", account.url)
    client = anthropic.Anthropic(base_url=router.url, api_key="any", max_retries=0)
    request = {"custom_id": "a", "params": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}}
    assert client.messages.batches.create(requests=[request]).id == "msgbatch_1"
    assert json.loads(account.asked[0].body) == {"requests": [request]}
    assert client.messages.batches.retrieve("msgbatch_1").processing_status == "in_progress"
    assert client.messages.batches.cancel("msgbatch_1").id == "msgbatch_1"
    account.status, account.pieces = 404, [b'{"type":"error","error":{"type":"not_found_error","message":"no such batch"}}']
    with pytest.raises(anthropic.NotFoundError, match="no such batch"):
        client.messages.batches.retrieve("msgbatch_2")


def test_what_is_said_of_our_key_stays_here(start, account: Account) -> None:
    router = onto(start, "anthropic", account.url)
    for status in (401, 403):
        account.status, account.pieces = status, [b'{"type":"error","error":{"type":"authentication_error","message":"sk-ours is bad"}}']
        reply = router.http.get("/v1/messages/batches", headers=HEADERS)
        assert (reply.status_code, reply.headers["x-should-retry"]) == (502, "false")
        assert reply.json()["error"]["type"] == "api_error" and "sk-ours" not in reply.text


@pytest.mark.parametrize("path", ["/v1/messages/batches/%2e%2e", "/v1/messages/batches/a%2Fb", "/v1/messages/batches/a;b", "/v1/messages/batches/a/members"])
def test_no_other_part_of_the_account_is_reached(start, account: Account, path: str) -> None:
    reply = onto(start, "anthropic", account.url).http.get(path, headers=HEADERS)
    assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not_found_error")
    assert account.asked == []


def test_what_stays_on_the_machine_is_not_handed_on(start, account: Account) -> None:
    far = account.url.replace("127.0.0.1", "localhost.invalid")
    router = onto(start, "anthropic", far, clients={"secret": {"privacy": "local_only"}})
    reply = router.http.get("/c/secret/v1/messages/batches", headers=HEADERS)
    assert (reply.status_code, reply.json()["error"]["type"]) == (403, "permission_error")


@pytest.mark.parametrize("path", ["/v1/messages/batches", "/v1/messages/batches/b_1/results", "/v1/files"])
def test_without_anthropic_nobody_can(start, provider: RecordingProvider, path: str) -> None:
    router = onto(start, "openai", provider.url)
    reply = router.http.get(path, headers=HEADERS)
    assert (reply.status_code, reply.headers["x-should-retry"]) == (501, "false")
    told = reply.json()
    assert (told["type"], told["error"]["type"], told["request_id"]) == ("error", "not_supported", reply.headers["request-id"])
    assert router.metric("mcp_http_requests_total", status="501") == 1


def test_openais_files_are_not_anthropics(start, account: Account) -> None:
    reply = onto(start, "anthropic", account.url).http.get("/v1/files", headers={"authorization": "Bearer x"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_url")
    assert account.asked == []


def test_small_doors(router: Router) -> None:
    assert router.http.head("/").status_code == 200
    assert router.http.get("/api/hello").status_code == 200
    gone = router.http.post("/v1/complete", json={"model": "claude-2", "prompt": "x"}, headers=HEADERS)
    assert (gone.status_code, gone.json()["type"], gone.json()["error"]["type"]) == (404, "error", "not_found_error")


@pytest.mark.parametrize("query", ["?beta=true", "?beta=true&x=%20y", ""])
def test_a_query_string_goes_where_it_is_understood(start, provider: RecordingProvider, query: str) -> None:
    assert onto(start, "anthropic", provider.url).messages("big", path=f"/v1/messages{query}").status_code == 200
    assert provider.last.path == f"/v1/messages{query}"
    assert onto(start, "openai", provider.url).messages("big", path=f"/v1/messages{query}").status_code == 200
    assert provider.last.path == "/v1/chat/completions"


def test_the_version_of_october_2026(start, provider: RecordingProvider) -> None:
    """anthropic 2.x asks in it, and knows no temperature: that takes `extra_body`."""
    asked = {"model": "big", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}

    def client(router: Router) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=router.url, api_key="any", max_retries=0)

    own, other = onto(start, "anthropic", provider.url), onto(start, "openai", provider.url)
    client(own).messages.create(**asked, extra_body={"temperature": 1.0})
    assert provider.last.headers["anthropic-version"] == "2026-10-21" and provider.last.body["temperature"] == 1.0
    assert client(other).messages.create(**asked).content[0].text == "A recorded answer."
    with pytest.raises(anthropic.BadRequestError) as refused:
        client(other).messages.create(**asked, extra_body={"temperature": 1.0})
    told = refused.value.body["error"]
    assert told == {"type": "invalid_request_error", "message": "temperature: Extra inputs are not permitted"}
    lenient = onto(start, "openai", provider.url, strict_version=False)
    client(lenient).messages.create(**asked, extra_body={"temperature": 1.0})
    assert provider.last.body["temperature"] == 1.0
    assert other.messages("big", temperature=0.2).status_code == 200, "the older version takes it"
    assert other.http.post("/v1/messages", json={**asked, "temperature": 0.2}).status_code == 200, "and so does none"


@pytest.mark.parametrize(
    "status,kind",
    [(400, "invalid_request_error"), (404, "not_found_error"), (413, "request_too_large"), (429, "rate_limit_error"), (500, "api_error"), (504, "timeout_error"), (529, "overloaded_error")],
)
def test_an_error_of_anthropics_comes_through(start, provider: RecordingProvider, status: int, kind: str) -> None:
    body = {"type": "error", "error": {"type": kind, "message": "as it came", "details": {"x": 1}}, "request_id": "req_theirs"}
    headers = {"retry-after": "7", "x-should-retry": "true", "anthropic-ratelimit-requests-remaining": "0", "request-id": "req_theirs"}
    provider.always = Act(status=status, body=body, headers=headers)
    reply = onto(start, "anthropic", provider.url).messages("big")
    assert (reply.status_code, reply.json()) == (status, body)
    assert {name: reply.headers[name] for name in list(headers)[:3]} == {name: headers[name] for name in list(headers)[:3]}
    assert reply.headers["x-mcp-router-upstream-request-id"] == "req_theirs" and reply.headers["request-id"] != "req_theirs"


def test_rate_limits_are_told_with_the_answer(start, provider: RecordingProvider) -> None:
    provider.always = Act(headers={"anthropic-ratelimit-tokens-remaining": "12"})
    assert onto(start, "anthropic", provider.url).messages("big").headers["anthropic-ratelimit-tokens-remaining"] == "12"
