"""Serves a GGUF model with llama.cpp on a free port of 127.0.0.1 until its standard input closes.

    python serve_llama.py tiny.gguf       # prints `listening on http://127.0.0.1:PORT`; about 34 MB of memory

It speaks OpenAI chat completions and Anthropic messages, whole and streamed, with usage. It never calls a tool.
"""

import socket
import sys

import xllamacpp


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(model: str) -> None:
    port = free_port()
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = 4096
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.cpuparams.n_threads = 1
    params.use_jinja = True
    server = xllamacpp.Server(params)
    print(f"listening on http://127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    del server


if __name__ == "__main__":
    main(sys.argv[1])
