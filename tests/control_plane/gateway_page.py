"""Serves the page of a gateway that counts requests nobody sends: `python -I -S gateway_page.py COUNTER GAUGE`.

It is a process of its own, so that its counters are as fresh as a real one's, however busy the tests are meanwhile.
The first line it writes is its port. Each line it reads is JSON: a list of traffic, one entry per LLM, or null for a
page that cannot be had. It ends when there is nothing more to read.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TRAFFIC: dict[str, list[dict[str, Any]] | None] = {"now": []}


class Page(BaseHTTPRequestHandler):
    """Answers with the page."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body go out together

    def do_GET(self) -> None:
        """Answer with the counters of this moment."""
        traffic = TRAFFIC["now"]
        body = render(traffic or []).encode()
        self.send_response(200 if traffic is not None else 503)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of it."""


def render(traffic: list[dict[str, Any]]) -> str:
    """Return the page: so many requests since a moment of the system's monotonic clock, at so many a second."""
    now_s, (counter, gauge) = time.monotonic(), sys.argv[1:]
    lines = [f"# TYPE {counter} counter", f"# TYPE {gauge} gauge"]
    for entry in traffic:
        labels = f'{{namespace="{entry["namespace"]}",model="{entry["model"]}"}}'
        count = entry["requests"] + entry["rate_per_s"] * (now_s - entry["since_s"])
        lines += [f"{counter}{labels} {count!r}", f"{gauge}{labels} {entry['waiting']}"]
    return "\n".join([*lines, "# EOF", ""])


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        TRAFFIC["now"] = json.loads(line)
