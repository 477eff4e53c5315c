"""The life of a server process: listen, wait for a signal, finish what is running, leave."""

from __future__ import annotations

import signal
import threading
from typing import Any, Callable

from app.http_json import JsonServer, log

DRAIN_SECONDS = 10.0


def serve_until_signal(name: str, build: Callable[[], JsonServer], **fields: Any) -> int:
    """Run the server until SIGTERM or SIGINT; the exit code of the process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = build()
    except OSError as error:
        log("cannot_listen", service=name, error=error.strerror or type(error).__name__)
        return 1
    host, port = server.server_address[:2]
    worker = threading.Thread(target=server.serve_forever, args=(0.05,), name=name, daemon=True)
    worker.start()
    log("listening", service=name, host=host, port=port, **fields)
    stop.wait()
    log("stopping", service=name, in_flight=server.in_flight())
    finished = server.drain(DRAIN_SECONDS)
    log("stopped", service=name, drained=finished)
    return 0 if finished else 1
