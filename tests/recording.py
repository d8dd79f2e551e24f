"""A model provider that records what it is sent and does what the test's script says."""

import base64
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = "A recorded answer."


@dataclass
class Recorded:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict
    raw: bytes = b""


@dataclass
class Act:
    """What to do with one request. By default: answer in the dialect of the path."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: dict | None = None
    hang: bool = False
    """Say nothing until the provider closes."""
    cut: bool = False
    """End the connection after the first content of a stream."""
    pace: float = 0.0
    """Seconds between the events of a stream."""
    silence: float = 0.0
    """Seconds before the first event of a stream."""
    chunks: list[str] = field(default_factory=lambda: ["A recorded", " answer."])
    thought: str = ""
    """What is thought before the text."""
    calls: list[tuple[str, dict]] = field(default_factory=list)
    """The tools that are called after it: name and arguments."""
    asked: dict = field(default_factory=dict)
    """The question, for the dialects whose answers repeat a part of it."""


class RecordingProvider:
    """Listens on a free port of 127.0.0.1. `script` holds the acts of the next requests; `always` what comes after.
    Where the questions come in no order that a test knows, `decide` chooses by what each says."""

    def __init__(self, port: int = 0, decide: Callable[[Recorded], Act] | None = None):
        self.decide = decide
        self.recorded: list[Recorded] = []
        self.script: list[Act] = []
        self.always = Act()
        self.answers: dict[tuple[str, str], dict] = {}
        """What is answered to a method and path beside the questions of models."""
        self.prompt_eval_count = 7
        """The tokens that an Ollama says it has read."""
        self.shuffles = True
        """Vectors come in another order than their texts: nobody promises it."""
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.connections: list[socket.socket] = []
        provider = self

        class Handler(_Handler):
            owner = provider

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler, bind_and_activate=False)
        self._server.daemon_threads = True
        self._server.request_queue_size = 512
        self._server.allow_reuse_address = True
        self._server.server_bind()
        self._server.server_activate()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def questions(self) -> list[Recorded]:
        """What was asked of models; lists of models and probes left out."""
        return [recorded for recorded in self.recorded if recorded.method == "POST" and ("messages" in recorded.body or recorded.path.endswith("/responses"))]

    @property
    def embeddings(self) -> list[Recorded]:
        """What was asked for vectors."""
        return [recorded for recorded in self.recorded if _is_embedding(recorded.path)]

    @property
    def last(self) -> Recorded:
        return self.questions[-1]

    def next_act(self, recorded: Recorded) -> Act:
        with self._lock:
            if self.decide:
                return self.decide(recorded)
            return self.script.pop(0) if self.script else self.always

    def wait_closing(self, seconds: float) -> None:
        self._closing.wait(seconds)

    def close(self) -> None:
        """From here on connections are refused, and those that are open end."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it had ended already


class _Handler(BaseHTTPRequestHandler):
    owner: RecordingProvider
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.owner.connections.append(self.connection)

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the router hung up, as a test may want it to

    def _record(self, body: bytes) -> Recorded:
        headers = {name.lower(): value for name, value in self.headers.items()}
        recorded = Recorded(self.command, self.path, headers, json.loads(body) if body else {}, body)
        self.owner.recorded.append(recorded)
        return recorded

    def do_HEAD(self) -> None:
        self._record(b"")
        self._send(200, {}, b"")

    def do_GET(self) -> None:
        self._record(b"")
        if answer := self.owner.answers.get(("GET", self.path)):
            return self._send(200, {}, json.dumps(answer).encode())
        model = {"id": "recorded-model", "object": "model", "created": 0, "owned_by": "tests", "name": "recorded-model", "model": "recorded-model"}
        self._send(200, {}, json.dumps({"object": "list", "data": [model], "models": [model]}).encode())

    def do_POST(self) -> None:
        recorded = self._record(self.rfile.read(int(self.headers.get("content-length", 0))))
        if answer := self.owner.answers.get(("POST", self.path)):
            return self._send(200, {}, json.dumps(answer).encode())
        if _is_embedding(recorded.path):
            return self._embed(recorded)
        if "messages" not in recorded.body and not recorded.path.split("?")[0].endswith("/responses"):
            return self._send(404, {}, b'{"error":{"message":"not here","type":"not_found"}}')
        act = self.owner.next_act(recorded)
        if act.hang:
            self.close_connection = True
            return self.owner.wait_closing(60)
        if act.status != 200:
            body = act.body or {"type": "error", "error": {"type": "mock_error", "message": f"scripted {act.status}"}}
            return self._send(act.status, act.headers, json.dumps(body).encode())
        dialect, act = _dialect(recorded.path), replace(act, asked=recorded.body)
        # Ollama streams unless told otherwise.
        streamed = recorded.body.get("stream", dialect is _Ollama)
        if streamed:
            return self._stream(dialect, act)
        return self._send(200, act.headers, self._read_by_ollama(json.dumps(dialect.whole(act)).encode()))

    def _read_by_ollama(self, told: bytes) -> bytes:
        return told.replace(b'"prompt_eval_count": 7', f'"prompt_eval_count": {self.owner.prompt_eval_count}'.encode())

    def _embed(self, recorded: Recorded) -> None:
        act = self.owner.next_act(recorded)
        body = act.body or ({"error": {"message": f"scripted {act.status}", "type": "mock_error"}} if act.status != 200 else _vectors(recorded, self.owner.shuffles))
        self._send(act.status, act.headers, json.dumps(body).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self, dialect: type, act: Act) -> None:
        self.send_response(200)
        self.send_header("content-type", dialect.content_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        time.sleep(act.silence)
        for number, frame in enumerate(map(self._read_by_ollama, dialect.frames(act))):
            self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
            self.wfile.flush()
            if act.cut and dialect.has_content(frame):
                time.sleep(0.1)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if act.pace and number:
                time.sleep(act.pace)
        self.wfile.write(b"0\r\n\r\n")


def _sse(data: dict | str, name: str | None = None) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


class _OpenAi:
    content_type = "text/event-stream"

    @staticmethod
    def calls(act: Act) -> list[dict]:
        def call(number: int, name: str, arguments: dict) -> dict:
            return {"index": number, "id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}

        return [call(number, *told) for number, told in enumerate(act.calls)]

    @staticmethod
    def finish(act: Act) -> str:
        return "tool_calls" if act.calls else "stop"

    @staticmethod
    def whole(act: Act) -> dict:
        message = {"role": "assistant", "content": "".join(act.chunks)}
        message |= {"reasoning_content": act.thought} if act.thought else {}
        message |= {"tool_calls": _OpenAi.calls(act)} if act.calls else {}
        choice = {"index": 0, "message": message, "finish_reason": _OpenAi.finish(act)}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "recorded-model", "choices": [choice], "usage": usage}

    @staticmethod
    def frames(act: Act) -> list[bytes]:
        def chunk(delta: dict, finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return _sse({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "recorded-model", "choices": [choice]})

        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        end = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "recorded-model", "choices": [], "usage": usage}
        thought = [chunk({"reasoning_content": act.thought})] if act.thought else []
        content = [chunk({"content": text}) for text in act.chunks]
        calls = [chunk({"tool_calls": [call]}) for call in _OpenAi.calls(act)]
        begin = chunk({"role": "assistant", "content": ""})
        return [begin, *thought, *content, *calls, chunk({}, _OpenAi.finish(act)), _sse(end), _sse("[DONE]")]

    @staticmethod
    def has_content(frame: bytes) -> bool:
        return b'"content": "' in frame and b'"content": ""' not in frame


class _Anthropic:
    content_type = "text/event-stream"

    @staticmethod
    def message(content: list[dict], stop: str | None, written: int) -> dict:
        usage = {"input_tokens": 7, "output_tokens": written}
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "recorded-model", "content": content,
            "stop_reason": stop, "stop_sequence": None, "usage": usage,
        }

    @staticmethod
    def blocks(act: Act) -> list[tuple[dict, list[dict]]]:
        """Each block as it is begun, and what is told of it."""
        found = []
        if act.thought:
            told = [{"type": "thinking_delta", "thinking": act.thought}, {"type": "signature_delta", "signature": "EqQB"}]
            found.append(({"type": "thinking", "thinking": "", "signature": ""}, told))
        if act.chunks:
            found.append(({"type": "text", "text": ""}, [{"type": "text_delta", "text": text} for text in act.chunks]))
        for number, (name, arguments) in enumerate(act.calls):
            told = [{"type": "input_json_delta", "partial_json": json.dumps(arguments)}]
            found.append(({"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}, told))
        return found

    @staticmethod
    def stop(act: Act) -> str:
        return "tool_use" if act.calls else "end_turn"

    @staticmethod
    def whole(act: Act) -> dict:
        def whole_block(begun: dict, told: list[dict]) -> dict:
            block = dict(begun)
            for delta in told:
                for name in ("text", "thinking", "signature"):
                    if name in delta:
                        block[name] += delta[name]
                if "partial_json" in delta:
                    block["input"] = json.loads(delta["partial_json"])
            return block

        return _Anthropic.message([whole_block(*block) for block in _Anthropic.blocks(act)], _Anthropic.stop(act), 3)

    @staticmethod
    def frames(act: Act) -> list[bytes]:
        told = [{"type": "message_start", "message": _Anthropic.message([], None, 1)}]
        for index, (begun, deltas) in enumerate(_Anthropic.blocks(act)):
            told.append({"type": "content_block_start", "index": index, "content_block": begun})
            told += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            told.append({"type": "content_block_stop", "index": index})
        stop = {"stop_reason": _Anthropic.stop(act), "stop_sequence": None}
        told += [{"type": "message_delta", "delta": stop, "usage": {"input_tokens": 7, "output_tokens": 3}}, {"type": "message_stop"}]
        return [_sse(event, event["type"]) for event in told]

    @staticmethod
    def has_content(frame: bytes) -> bool:
        return b"text_delta" in frame


class _Responses:
    """OpenAI's responses, with a thought that only this provider can read before the text."""

    content_type = "text/event-stream"

    @staticmethod
    def whole(act: Act) -> dict:
        usage = {
            "input_tokens": 7, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 10,
        }
        return {**_Responses.begun(act), "status": "completed", "output": _Responses.items(act), "usage": usage}

    @staticmethod
    def begun(act: Act) -> dict:
        return {
            **{name: act.asked[name] for name in ("text",) if name in act.asked},
            "id": "resp_recorded", "object": "response", "created_at": 1, "status": "in_progress", "error": None, "incomplete_details": None,
            "model": "recorded-model", "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": None,
        }

    @staticmethod
    def items(act: Act) -> list[dict]:
        content = [{"type": "output_text", "text": "".join(act.chunks), "annotations": []}]
        thought = act.thought or "Recorded thought."
        return [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": thought}], "encrypted_content": "gAAA"},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content},
            *(
                {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": name, "arguments": json.dumps(arguments), "status": "completed"}
                for number, (name, arguments) in enumerate(act.calls)
            ),
        ]

    @staticmethod
    def frames(act: Act) -> list[bytes]:
        whole = _Responses.whole(act)
        told: list[dict] = [{"type": "response.created", "response": _Responses.begun(act)}, {"type": "response.in_progress", "response": _Responses.begun(act)}]
        for index, item in enumerate(whole["output"]):
            empty = {"reasoning": {"summary": []}, "message": {"content": [], "status": "in_progress"}}.get(item["type"], {"arguments": ""})
            told.append({"type": "response.output_item.added", "output_index": index, "item": {**item, **empty}})
            place = {"item_id": item["id"], "output_index": index}
            if item["type"] == "message":
                part = {**item["content"][0], "text": ""}
                told.append({"type": "response.content_part.added", **place, "content_index": 0, "part": part})
                told += [{"type": "response.output_text.delta", **place, "content_index": 0, "delta": text, "logprobs": []} for text in act.chunks]
                told.append({"type": "response.output_text.done", **place, "content_index": 0, "text": "".join(act.chunks), "logprobs": []})
                told.append({"type": "response.content_part.done", **place, "content_index": 0, "part": item["content"][0]})
            elif item["type"] == "function_call":
                told.append({"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"]})
                told.append({"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]})
            else:
                told.append({"type": "response.reasoning_summary_part.added", **place, "summary_index": 0, "part": {"type": "summary_text", "text": ""}})
                told.append({"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": item["summary"][0]["text"]})
            told.append({"type": "response.output_item.done", "output_index": index, "item": item})
        told.append({"type": "response.completed", "response": whole})
        return [_sse({**event, "sequence_number": number}, event["type"]) for number, event in enumerate(told)]

    @staticmethod
    def has_content(frame: bytes) -> bool:
        return b"output_text.delta" in frame


class _Ollama:
    content_type = "application/x-ndjson"

    @staticmethod
    def whole(act: Act) -> dict:
        thought = {"thinking": act.thought} if act.thought else {}
        return _Ollama.ending({"content": "".join(act.chunks), **thought, **_Ollama.calls(act)})

    @staticmethod
    def calls(act: Act) -> dict:
        """Calls have no ids in this dialect."""
        told = [{"function": {"name": name, "arguments": arguments}} for name, arguments in act.calls]
        return {"tool_calls": told} if told else {}

    @staticmethod
    def line(message: dict, **more) -> dict:
        return {"model": "recorded-model", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", **message}, "done": False, **more}

    @staticmethod
    def ending(message: dict) -> dict:
        return _Ollama.line(message, done=True, done_reason="stop", prompt_eval_count=7, eval_count=3, total_duration=1, eval_duration=1)

    @staticmethod
    def frames(act: Act) -> list[bytes]:
        lines = [_Ollama.line({"content": "", "thinking": act.thought})] if act.thought else []
        lines += [_Ollama.line({"content": text}) for text in act.chunks]
        lines += [_Ollama.line({"content": "", **_Ollama.calls(act)})] if act.calls else []
        return [json.dumps(line).encode() + b"\n" for line in [*lines, _Ollama.ending({"content": ""})]]

    @staticmethod
    def has_content(frame: bytes) -> bool:
        return b'"content": "' in frame and b'"content": ""' not in frame


def _dialect(path: str) -> type:
    path = path.split("?")[0]
    if path.endswith("/messages"):
        return _Anthropic
    if path.endswith("/responses"):
        return _Responses
    return _Ollama if path == "/api/chat" else _OpenAi


def _is_embedding(path: str) -> bool:
    return path.split("?")[0].endswith(("/embeddings", "/api/embed"))


def vector_of(text: str | list[int]) -> list[float]:
    """A vector that tells its text from others; each number is one that four bytes hold."""
    return [len(text), 0.25, -0.5]


def _vectors(recorded: Recorded, shuffled: bool) -> dict:
    inputs = recorded.body["input"]
    inputs = [inputs] if isinstance(inputs, str) or (inputs and isinstance(inputs[0], int)) else inputs
    if recorded.path == "/api/embed":
        return {"model": "recorded-model", "embeddings": [vector_of(text) for text in inputs], "total_duration": 1, "prompt_eval_count": 7}

    def written(vector: list[float]) -> list[float] | str:
        packed = recorded.body.get("encoding_format") == "base64"
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if packed else vector

    data = [{"object": "embedding", "index": index, "embedding": written(vector_of(text))} for index, text in enumerate(inputs)]
    return {"object": "list", "data": data[::-1] if shuffled else data, "model": "recorded-model", "usage": {"prompt_tokens": 7, "total_tokens": 7}}
