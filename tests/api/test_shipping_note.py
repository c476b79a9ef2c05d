import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import zxingcpp

from api.shipping.note import NoteContent, NoteLine, render_note

NOTE = NoteContent(
    shipment_no="SH2611-7KQ3M9TX-1",
    order_no="SO2611-7KQ3M9TX",
    warehouse="main 杭州一号仓",
    recipient_name="王小明",
    recipient_phone="138 0000 0000",
    address=("浙江省 杭州市 西湖区", "文三路 1 号", "310000 CN"),
    lines=(NoteLine("SKU-1", "补水面膜 10 片装", 2), NoteLine("GIFT-1", "试用装", 1, is_gift=True)),
    tracking_no="SF1234567890",
)
needs_pdftotext = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler) is not installed")
needs_pdftoppm = pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm (poppler) is not installed")


def text_of(pdf: bytes) -> str:
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return done.stdout.decode()


def words_of(text: str) -> str:
    return re.sub(r"[\s\u200b]+", " ", text)


def barcodes_on(pdf: bytes, folder: Path) -> list[tuple[str, zxingcpp.BarcodeFormat]]:
    """What a scanner finds on the first page as an office printer's draft mode would show it."""
    subprocess.run(
        ["pdftoppm", "-gray", "-r", "150", "-f", "1", "-l", "1", "-", folder / "page"], input=pdf, check=True
    )
    (page,) = folder.glob("page*.pgm")
    kind, size, depth, pixels = page.read_bytes().split(b"\n", 3)
    assert (kind, depth) == (b"P5", b"255")
    width, height = map(int, size.split())
    # The view does not keep the pixels alive; this function does, until they are read.
    view = zxingcpp.ImageView(pixels, width, height, zxingcpp.ImageFormat.Lum)
    return [(each.text, each.format) for each in zxingcpp.read_barcodes(view)]


def test_the_same_content_gives_the_same_pdf() -> None:
    pdf = render_note(NOTE)

    assert pdf.startswith(b"%PDF-")
    assert render_note(NOTE) == pdf


@needs_pdftotext
def test_everything_the_packer_and_the_courier_need_can_be_read() -> None:
    text = words_of(text_of(render_note(NOTE)))

    for expected in (
        "送货单",
        "订单号 SO2611-7KQ3M9TX",
        "发货单号 SH2611-7KQ3M9TX-1",
        "仓库 main 杭州一号仓",
        "承运单号 SF1234567890",
        "王小明 138 0000 0000",
        "浙江省 杭州市 西湖区 文三路 1 号 310000 CN",
        "1 SKU-1 补水面膜 10 片装 2",
        "2 GIFT-1 【赠品】试用装 1",
        "合计件数 3",
    ):
        assert expected in text


@needs_pdftoppm
@pytest.mark.parametrize("shipment_no", ["SH2611-7KQ3M9TX-1", "SH2611-7KQ3M9TX-12", "1"])
def test_a_scanner_reads_the_shipment_number(shipment_no: str, tmp_path: Path) -> None:
    note = render_note(replace(NOTE, shipment_no=shipment_no))

    assert barcodes_on(note, tmp_path) == [(shipment_no, zxingcpp.BarcodeFormat.Code128)]


@pytest.mark.skipif(shutil.which("pdffonts") is None, reason="pdffonts (poppler) is not installed")
def test_the_chinese_font_is_inside_the_file_and_no_other_is_needed() -> None:
    listed = subprocess.run(["pdffonts", "-"], input=render_note(NOTE), capture_output=True, check=True).stdout.decode()
    fonts = listed.splitlines()[2:]

    assert fonts
    for font in fonts:
        assert "NotoSansSC" in font
        embedded, subset, to_unicode = font.split()[-5:-2]
        assert (embedded, subset, to_unicode) == ("yes", "yes", "yes")


@needs_pdftotext
@pytest.mark.parametrize(
    "text",
    [
        '#read("/etc/passwd")',
        '#image("/etc/passwd")',
        "#panic()",
        '"; #read("/etc/passwd")',
        "*a* _b_ $x^2$ `c` <label> @ref",
        "= a = b",
        "\\",
        "// gone? /* gone? */",
        "{[(",
        "https://example.com",
        '"}{"note":1}',
        "<svg onload=alert(1)>",
        "'--",
    ],
)
def test_text_is_printed_as_it_is_whatever_it_looks_like(text: str) -> None:
    note = replace(
        NOTE,
        recipient_name=text,
        warehouse=text,
        address=(text,),
        lines=(NoteLine("SKU-1", text, 1),),
        order_no=text,
        tracking_no=text,
    )
    printed = words_of(text_of(render_note(note))).replace(" ", "")

    assert printed.count(text.replace(" ", "")) == 6
    assert "root:" not in printed
    assert b"/URI" not in render_note(note)


@needs_pdftotext
def test_line_breaks_and_invisible_characters_do_not_forge_lines() -> None:
    forged = "王小明\r\n合计件数\u2028 9\x00\x07\u202e\u200f\ud800"
    text = text_of(render_note(replace(NOTE, recipient_name=forged)))

    assert "王小明 合计件数 9 138 0000 0000" in words_of(text)
    assert not re.search("[\x00\x07\u202e\u200f]", text)


@needs_pdftotext
def test_a_long_word_stays_in_its_column() -> None:
    text = text_of(render_note(replace(NOTE, lines=(NoteLine("W" * 60, "长" * 200, 7),))))

    assert text.replace("\u200b", "").count("W") == 60
    assert "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW" not in text.replace("\u200b", "")
    assert text.count("长") == 200


@needs_pdftotext
def test_many_lines_go_on_over_pages_with_one_total() -> None:
    lines = tuple(NoteLine(f"SKU-{number}", f"商品 {number}", 2) for number in range(1, 121))
    text = words_of(text_of(render_note(replace(NOTE, lines=lines))))

    assert "120 SKU-120 商品 120 2" in text
    assert text.count("合计件数 240") == 1
    assert text.count("序号 商品编码 名称 数量") >= 3
    assert "第 1 页 / 共" in text or "第1页/共" in text


def test_a_note_without_phone_postcode_or_lines_can_still_be_printed() -> None:
    note = replace(NOTE, recipient_phone="", address=(), lines=(), tracking_no="")
    assert render_note(note).startswith(b"%PDF-")
