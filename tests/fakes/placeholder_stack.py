"""The real supervisor with real PostgreSQL and Temporal, and small stand-ins for worker and API. Run as a script."""

import http.server
import os
import signal
import sys
from pathlib import Path

from cli.dev import print_json
from cli.local_stack import LocalStackError
from cli.local_stack.stack import LocalStack, StackOptions

TOKENS = {"admin": "ofk_test_token"}


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()


def serve_api() -> None:
    address = (os.environ["ORDERFLOW_API_HOST"], int(os.environ["ORDERFLOW_API_PORT"]))
    http.server.HTTPServer(address, _Answers).serve_forever()


def work() -> None:
    if os.environ.get("PLACEHOLDER_WORKER") == "broken":
        sys.exit("this worker is broken")
    Path(os.environ["ORDERFLOW_READY_FILE"]).touch()
    signal.pause()


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


async def prepare(_url: str, _data_dir: Path) -> dict[str, str]:
    return TOKENS


def supervise(data_dir: Path, port_base: int) -> None:
    script = [sys.executable, __file__]
    options = StackOptions(data_dir, port_base, prepare, worker=(*script, "worker"), api=(*script, "api"))
    try:
        LocalStack(options, _say).run(print_json)
    except LocalStackError as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["api"]:
            serve_api()
        case ["worker"]:
            work()
        case [folder, base]:
            supervise(Path(folder), int(base))
