"""The printable shipping note: what goes to whom in a parcel, without prices, with a barcode to scan."""

import json
import re
import unicodedata
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import typst
import zxingcpp
from pylopdf_fonts_zh_cn import sans_path

_TEMPLATE = Path(__file__).with_name("note.typ")
# A long run without a place to break would leave its column or the page. Chinese breaks anywhere by itself.
_LONG_RUN = re.compile(r"[^\s\u2e80-\uffff]{21,}")
_PIECE = 10
_ZERO_WIDTH_SPACE = "\u200b"


@dataclass(frozen=True)
class NoteLine:
    """Units of one SKU in the parcel; a gift is marked as such."""

    sku: str
    description: str
    quantity: int
    is_gift: bool = False


@dataclass(frozen=True)
class NoteContent:
    """What stands on the note; `address` is one entry per printed line. `shipment_no` must be ASCII."""

    shipment_no: str
    order_no: str
    warehouse: str
    recipient_name: str
    recipient_phone: str
    address: tuple[str, ...]
    lines: tuple[NoteLine, ...]
    tracking_no: str = ""


def render_note(note: NoteContent) -> bytes:
    """The note as a PDF with its font embedded; the same content gives the same bytes.

    Text is printed as it is, whatever it looks like: nothing in it is read as markup, no file and no network is used.
    """
    shown = {**asdict(note), "total_quantity": sum(line.quantity for line in note.lines)}
    inputs = {"note": json.dumps(_printable(shown)), "barcode": _barcode(note.shipment_no)}
    return typst.compile(_TEMPLATE.read_bytes(), font_paths=_fonts(), sys_inputs=inputs)


@cache
def _fonts() -> typst.Fonts:
    # Only what is in the package: the note must look the same on every machine.
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[sans_path().parent])


def _barcode(text: str) -> str:
    symbol = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.Code128)
    return str(symbol.to_svg(scale=2, add_hrt=False, add_quiet_zones=True))


def _printable(value: object) -> object:
    if isinstance(value, dict):
        return {name: _printable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(each) for each in value]
    return _one_line(value) if isinstance(value, str) else value


def _one_line(text: str) -> str:
    # Line breaks become spaces; what cannot be seen (controls, direction marks, half characters) would only mislead.
    spaced = re.sub(r"\s+", " ", text).strip()
    visible = "".join(each for each in spaced if unicodedata.category(each) not in ("Cc", "Cf", "Cs"))
    return _LONG_RUN.sub(lambda run: _ZERO_WIDTH_SPACE.join(_pieces(run.group())), visible)


def _pieces(run: str) -> list[str]:
    return [run[start : start + _PIECE] for start in range(0, len(run), _PIECE)]
