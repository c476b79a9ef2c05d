"""A folder to which anchors are only ever added: on a disk of its own, or an object store with object lock."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"\d{12}\.anchor")


class AnchorUnreadable(Exception):
    """A file of the folder is not an anchor as we write them."""


@dataclass(frozen=True, slots=True)
class Head:
    """The latest event of an order when the anchor was written."""

    order_no: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """One anchor: which heads it keeps, and the digest of the anchor before it. `digest` is over its whole file."""

    number: int
    written_at: str
    previous: str | None
    settled_event_id: int
    heads: tuple[Head, ...]
    digest: str


class AnchorFolder:
    """Anchors in files, one after the other. Nothing is ever changed or removed here."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def numbers(self) -> list[int]:
        """The numbers of all anchors there are, in order."""
        names = [one.name for one in self._path.iterdir()] if self._path.is_dir() else []
        return sorted(int(name.split(".")[0]) for name in names if _NAME.fullmatch(name))

    def read(self, number: int) -> Anchor:
        """The anchor of this number. Raises AnchorUnreadable, or FileNotFoundError."""
        raw = self._file(number).read_bytes()
        try:
            header, *lines = raw.decode().splitlines()
            told = json.loads(header)
            heads = tuple(_head(line) for line in lines)
            anchor = Anchor(
                told["number"],
                told["written_at"],
                told["previous"],
                told["settled_event_id"],
                heads,
                sha256(raw).hexdigest(),
            )
            is_whole = (anchor.number, len(heads)) == (number, told["heads"])
        except (ValueError, KeyError, TypeError):
            raise AnchorUnreadable(f"anchor {number}") from None
        if not is_whole:
            raise AnchorUnreadable(f"anchor {number}")
        return anchor

    def all(self) -> Iterator[Anchor]:
        """Every anchor, the first one first."""
        return map(self.read, self.numbers())

    def add(
        self, number: int, written_at: datetime, previous: str | None, settled_event_id: int, heads: Sequence[Head]
    ) -> Anchor:
        """Afterwards the anchor is on the disk as a whole, or not at all. Raises FileExistsError."""
        told = {
            "number": number,
            "written_at": written_at.isoformat(),
            "previous": previous,
            "settled_event_id": settled_event_id,
            "heads": len(heads),
        }
        lines = [json.dumps(told), *(f"{head.order_no} {head.seq} {head.hash}" for head in heads)]
        raw = ("\n".join(lines) + "\n").encode()
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path / f".{number:012d}.{os.getpid()}"
        with draft.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link, unlike a rename, does not replace what is there.
            os.link(draft, self._file(number))
        finally:
            draft.unlink()
        return self.read(number)

    def _file(self, number: int) -> Path:
        return self._path / f"{number:012d}.anchor"


def _head(line: str) -> Head:
    order_no, seq, digest = line.rsplit(" ", 2)
    return Head(order_no, int(seq), digest)
