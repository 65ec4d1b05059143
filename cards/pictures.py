"""Render payment codes as images for scanners."""

import io

import barcode
import segno
from barcode.writer import SVGWriter

_QUIET_MODULES = 4


def draw_qr_svg(code: str) -> bytes:
    """Return a QR code as SVG. It scales, so it has a view box and no size of its own."""
    out = io.BytesIO()
    _qr(code).save(out, kind="svg", border=_QUIET_MODULES, omitsize=True, light="#fff")
    return out.getvalue()


def draw_qr_png(code: str) -> bytes:
    """Return a QR code as PNG, ten pixels a module."""
    out = io.BytesIO()
    _qr(code).save(out, kind="png", border=_QUIET_MODULES, scale=10)
    return out.getvalue()


def draw_barcode_svg(code: str) -> bytes:
    """Return a Code 128 as SVG, with the digits below in groups of four, to be typed."""
    groups = " ".join(code[start : start + 4] for start in range(0, len(code), 4))
    drawn: bytes = barcode.get("code128", code, writer=SVGWriter()).render(
        {"module_width": 0.33, "module_height": 18.0, "quiet_zone": 4.0}, text=groups
    )
    return drawn


def _qr(code: str) -> segno.QRCode:
    # Digits only, so the smallest square holds them even when a quarter of it is not readable.
    return segno.make_qr(code, error="q", boost_error=False)
