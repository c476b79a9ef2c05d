"""Which release this process runs, and the name by which Temporal shows it to operators."""

import os
import socket
from importlib import metadata


def release() -> str:
    """The version of the installed package."""
    try:
        return metadata.version("orderflow")
    except metadata.PackageNotFoundError:  # run from a folder that nobody has installed
        return "unknown"


def identity(what: str) -> str:
    """The name of this process in Temporal, such as `orderflow-worker/0.1.0@host:17`."""
    return f"{what}/{release()}@{socket.gethostname()}:{os.getpid()}"
