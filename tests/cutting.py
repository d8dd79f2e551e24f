"""A way to a server on which one connection breaks."""

import socket
import threading
from urllib.parse import urlsplit


class Cutting:
    """Passes everything on in both directions; the first connection that brings `word` back is cut behind it."""

    def __init__(self, url: str, word: bytes):
        to = urlsplit(url)
        self.target, self.word, self.cuts = (to.hostname, to.port), word, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.target)
            threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                if back and not self.cuts and self.word in data:
                    self.cuts += 1
                    break
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        self.listener.close()
