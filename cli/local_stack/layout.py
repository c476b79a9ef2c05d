"""What lies where in the data folder of a local stack, and who holds it."""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from cli.local_stack import LocalStackError

DEFAULT_DATA_DIR: Final = Path(".orderflow")


@dataclass(frozen=True)
class DataDir:
    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def temporal_file(self) -> Path:
        return self.root / "temporal" / "temporal.db"

    @property
    def simulators(self) -> Path:
        return self.root / "simulators"

    @property
    def anchors(self) -> Path:
        return self.root / "anchors"

    def log(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.log"

    def pid_file(self, name: str) -> Path:
        return self.root / "run" / f"{name}.pid"

    @property
    def worker_ready(self) -> Path:
        return self.root / "run" / "worker.ready"

    @property
    def lock(self) -> Path:
        return self.root / "run" / "stack.lock"

    def open(self) -> None:
        """Afterwards the folders exist. For root they let others pass, because PostgreSQL runs as another user."""
        self.root.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        for folder in ("run", "logs", "temporal", "simulators"):
            (self.root / folder).mkdir(mode=0o700, exist_ok=True)

    def hold(self) -> IO[str]:
        """The lock of this folder, free again when the file is closed or the holder dies.

        LocalStackError, naming the holder, if another supervisor has it.
        """
        lock = self.lock.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            running = self.running()
            who = f"process {running['supervisor']}, {running['api']}" if running else "it is just starting"
            raise LocalStackError(
                f"a local stack already runs on {self.root} ({who}). Stop it, or choose another --data"
            ) from None
        return lock

    def running(self) -> dict[str, Any] | None:
        """What the stack that runs on this folder said of itself (addresses, pids), or None if there is none."""
        try:
            with self.lock.open("r+") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    told: dict[str, Any] = json.loads(lock.read())
                    return told
        except (FileNotFoundError, ValueError):
            return None
        return None


def tell(lock: IO[str], facts: dict[str, Any]) -> None:
    """Writes what `running` reads."""
    lock.seek(0)
    lock.truncate()
    lock.write(json.dumps(facts))
    lock.flush()
