"""Photos whose files tell more than the picture: in every place that a format has for it, a mark to look for."""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

MARK = b"SECRET-PLACE"

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description exif:GPSLatitude="40,42.767N" note="'
    + MARK
    + b'"/></x:xmpmeta>'
)

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int = 1, thumbnail: bytes = b"") -> bytes:
    """Return EXIF with a place, a maker's mark, and a thumbnail of its own."""
    tags = Image.Exif()
    tags[0x0112], tags[0x010F], tags[0x9286] = orientation, MARK.decode(), MARK
    tags.get_ifd(0x8825).update({1: "N", 2: (40.0, 42.0, 46.02), 27: MARK})
    return tags.tobytes() + MARK + thumbnail


def encode(picture: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    """Return *picture* as a file."""
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def riff(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a WebP."""
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def telling_photos(picture: Image.Image) -> Iterator[tuple[str, bytes]]:
    """Yield *picture* in files of every format, each with the mark in another place, by what the place is."""
    yield from _jpegs(picture)
    yield from _pngs(picture)
    yield from _webps(picture)
    gif = encode(picture.quantize(64), "GIF")
    at = 13 + (3 << (gif[10] & 7) + 1)
    blocks = b"\x0c" + MARK + b"\0"
    yield "GIF comment", gif[:at] + b"\x21\xfe" + blocks + gif[at:]
    yield "GIF plain text", gif[:at] + b"\x21\x01" + blocks + gif[at:]
    yield "GIF XMP", gif[:at] + b"\x21\xff\x0bXMP DataXMP" + XMP + b"\1" + bytes(range(255, -1, -1)) + b"\0" + gif[at:]
    yield "GIF other program", gif[:at] + b"\x21\xff\x0bMAKERSNOTES" + blocks + gif[at:]
    yield "GIF after the end", gif + MARK
    frames = encode(
        picture.quantize(64), "GIF", save_all=True, append_images=[picture.rotate(90)], comment=MARK, loop=0
    )
    yield "GIF of two pictures", frames


def _jpegs(picture: Image.Image) -> Iterator[tuple[str, bytes]]:
    plain = encode(picture, quality=85)
    start, rest = plain[:20], plain[20:]
    thumbnail = encode(picture.resize((32, 24)), comment=MARK)
    for orientation in range(1, 9):
        yield f"JPEG EXIF {orientation}", encode(picture, exif=exif(orientation), icc_profile=ICC)
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + XMP
    inserted = {
        "comment": segment(0xFE, MARK),
        "XMP": segment(0xE1, xmp),
        "XMP orientation": segment(0xE1, xmp.replace(b"note=", b'tiff:Orientation="6" note=')),
        "long XMP": segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + MARK),
        "IPTC": segment(0xED, b"Photoshop 3.0\0008BIM\4\4\0\0\0\0\0\x0c" + MARK),
        "FlashPix": segment(0xE2, b"FPXR\0" + MARK),
        "second JFIF": segment(0xE0, b"JFXX\0\x10" + thumbnail),
        "unknown": segment(0xE7, MARK),
        "EXIF thumbnail": segment(0xE1, exif(1, thumbnail)),
        "EXIF that nobody can read": segment(0xE1, b"Exif\0\0" + MARK),
        "Adobe, too long": segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + MARK),
        "bytes between segments": MARK,
    }
    for name, more in inserted.items():
        yield f"JPEG {name}", start + more + rest
    pixels = bytes(3 * 4)
    jfif = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\2\2" + pixels + MARK)
    yield "JPEG JFIF thumbnail", plain[:2] + jfif + rest
    yield "JPEG second picture", plain + encode(picture.rotate(180), comment=MARK)
    turned = picture.rotate(180)
    yield "JPEG of two pictures (MPF)", encode(picture, "MPO", save_all=True, append_images=[turned], exif=exif(6))
    yield "JPEG video", plain + b"\0\0\0\x18ftypmp42" + MARK
    progressive = encode(picture, progressive=True)
    scan = progressive.index(b"\xff\xda", progressive.index(b"\xff\xda") + 2)
    yield "JPEG between scans", progressive[:scan] + segment(0xFE, MARK) + segment(0xE1, exif()) + progressive[scan:]
    cmyk = encode(picture.convert("CMYK"))
    yield "JPEG CMYK", cmyk[:2] + segment(0xE1, exif()) + cmyk[2:]


def _pngs(picture: Image.Image) -> Iterator[tuple[str, bytes]]:
    texts = PngInfo()
    texts.add_text("Comment", MARK.decode())
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    for orientation in (1, 6):
        yield f"PNG EXIF {orientation}", encode(picture, "PNG", exif=exif(orientation), pnginfo=texts, icc_profile=ICC)
    plain = encode(picture, "PNG")
    start, rest, end = plain[:33], plain[33:-12], plain[-12:]
    profile = b"\nexif\n      %d\n" % len(exif(8)) + exif(8).hex().encode()
    yield (
        "PNG raw profile",
        start + chunk(b"tEXt", b"Raw profile type exif\0" + profile) + chunk(b"tIME", bytes(7)) + rest + end,
    )
    yield "PNG unknown chunk", start + chunk(b"mkNT", MARK) + rest + end
    yield "PNG chunk that says it is needed", start + chunk(b"MKNT", MARK) + rest + end
    yield "PNG in its end", start + rest + chunk(b"IEND", MARK)
    yield "PNG after its end", plain + MARK


def _webps(picture: Image.Image) -> Iterator[tuple[str, bytes]]:
    for orientation in (1, 3, 5):
        tags = {"exif": exif(orientation), "xmp": XMP, "icc_profile": ICC}
        yield f"WebP EXIF {orientation}", encode(picture, "WEBP", **tags)
    plain = encode(picture, "WEBP", lossless=True)
    yield "WebP unknown chunk", b"RIFF" + struct.pack("<I", len(plain) - 8 + 20) + plain[8:] + riff(b"MKNT", MARK)
    yield "WebP after its end", plain + MARK
    turned = picture.rotate(180)
    yield "WebP of two pictures", encode(picture, "WEBP", save_all=True, append_images=[turned], exif=exif(6), xmp=XMP)
