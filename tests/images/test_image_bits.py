"""Files that hold more than 8 bits, or say so in odd ways: the right value of each, and what a set
of them is taken for."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import ImageError, RangeError, SourceError
from residua.images import ImageSet, load_images
from residua.images.decoding import decode
from residua.images.loading import as_image_set
from residua.images.reading import Reading, recognised_bits

tifffile = pytest.importorskip("tifffile")

LIMIT = 1_000_000
RAMP = np.arange(64, dtype=np.uint16).reshape(8, 8)
TWELVE = (RAMP * 65).astype(np.uint16)  # 0 to 4095
COLOUR = np.stack([TWELVE, TWELVE[::-1], TWELVE // 2], axis=2)


def encoded(image: Image.Image, file_format: str = "PNG", **kwargs: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **kwargs)
    return buffer.getvalue()


def tiff(array: np.ndarray, **kwargs: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **kwargs)
    return buffer.getvalue()


def png(array: np.ndarray, *chunks: tuple[bytes, bytes], filters: int = 0) -> bytes:
    """A 16-bit PNG, which Pillow writes of grey alone; `filters` 1 stores differences to the
    left."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    height, width, channels = array.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    lines = array.astype(">u2").reshape(height, -1).view(np.uint8)
    if filters == 1:
        lines = np.concatenate(
            [lines[:, : 2 * channels], lines[:, 2 * channels :] - lines[:, : -2 * channels]], axis=1
        )
    body = zlib.compress(b"".join(bytes([filters]) + line.tobytes() for line in lines))
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(chunk(*one) for one in chunks)
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def packed_tiff(
    array: np.ndarray,
    bits: int,
    order: str = "<",
    *,
    photometric: int = 1,
    max_value: int | None = None,
) -> bytes:
    """A TIFF with samples of `bits` packed without gaps, rows padded to whole bytes, two strips."""
    height, width = array.shape[:2]
    samples = array.reshape(height, -1)
    rows = []
    for row in samples.tolist():
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8)))
        if bits == 16 and order == "<":
            rows[-1] = np.frombuffer(rows[-1], ">u2").astype("<u2").tobytes()
    half = height // 2
    strips = [b"".join(rows[:half]), b"".join(rows[half:])]
    n = samples.shape[1] // width
    tags = {
        256: [width],
        257: [height],
        258: [bits] * n,
        259: [1],
        262: [photometric],
        277: [n],
        278: [half],
    }
    tags |= (
        {279: [len(strip) for strip in strips], 281: [max_value]}
        if max_value is not None
        else {279: [*map(len, strips)]}
    )
    start = 8 + len(strips[0]) + len(strips[1])
    start += start % 2
    tags[273] = [8, 8 + len(strips[0])]
    arrays, entries = b"", b""
    after = start + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        body = struct.pack(f"{order}{len(values)}I", *values)
        place = body if len(values) == 1 else struct.pack(f"{order}I", after + len(arrays))
        arrays += body if len(values) > 1 else b""
        entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    data = (head + b"".join(strips)).ljust(start, b"\0")
    return data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + arrays


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [9, 10, 12, 14, 15])
def test_packed_samples_are_scaled_by_the_bits_that_the_file_declares(bits, order):
    most = 2**bits - 1
    array = np.random.default_rng(bits).integers(0, most + 1, (6, 5)).astype(np.uint16)
    array[0, 0] = most
    found = decode(packed_tiff(array, bits, order), LIMIT).pixels
    assert found.dtype == np.float32
    assert np.array_equal(found[..., 0], (array / np.float32(most)).astype(np.float32))


def test_packed_colour_and_samples_where_zero_is_white():
    found = decode(packed_tiff(COLOUR, 12, photometric=2), LIMIT).pixels
    assert np.allclose(found, COLOUR / 4095, atol=1e-6)
    for order in "<>":
        found = decode(packed_tiff(TWELVE, 12, order, photometric=0), LIMIT).pixels
        assert np.allclose(found[..., 0], 1 - TWELVE / 4095, atol=1e-6)
        found = decode(packed_tiff(TWELVE * 16, 16, order, photometric=0), LIMIT).pixels
        assert np.array_equal(found[..., 0], 65535 - TWELVE * 16)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", "<>")
def test_sixteen_bit_colour_keeps_all_its_bits(byteorder, compression):
    deep = COLOUR * 16 + 7
    for predictor in (False,) if compression is None else (False, True):
        data = tiff(
            deep,
            byteorder=byteorder,
            compression=compression,
            photometric="rgb",
            predictor=predictor,
        )
        assert np.array_equal(decode(data, LIMIT).pixels, deep)
    opacity = np.concatenate([deep, np.full((8, 8, 1), 65535, np.uint16)], axis=2)
    data = tiff(
        opacity,
        byteorder=byteorder,
        compression=compression,
        photometric="rgb",
        extrasamples=["unassalpha"],
    )
    assert np.array_equal(decode(data, LIMIT).pixels, deep)


@pytest.mark.parametrize("filters", [0, 1])
def test_sixteen_bit_colour_of_png_keeps_all_its_bits(filters):
    deep = COLOUR * 16 + 7
    assert np.array_equal(decode(png(deep, filters=filters), LIMIT).pixels, deep)
    opaque = np.concatenate([deep, np.full((8, 8, 1), 65535, np.uint16)], axis=2)
    assert np.array_equal(decode(png(opaque, filters=filters), LIMIT).pixels, deep)
    grey = np.stack([TWELVE * 16, np.full((8, 8), 65535, np.uint16)], axis=2)
    assert np.array_equal(decode(png(grey, filters=filters), LIMIT).pixels[..., 0], TWELVE * 16)


def test_sixteen_bit_transparency_is_exact():
    half = np.concatenate([COLOUR * 16, np.full((8, 8, 1), 32768, np.uint16)], axis=2)
    found = decode(png(half), LIMIT)
    assert "alpha" in found.done
    assert np.abs(found.pixels - COLOUR * 16 * (32768 / 65535)).max() <= 0.51
    keyed = png(TWELVE[..., np.newaxis], (b"tRNS", struct.pack(">H", 4095)))
    assert decode(keyed, LIMIT, Reading(ground="white")).pixels[-1, -1, 0] == 65535


@pytest.mark.parametrize("byteorder", "<>")
def test_planes_one_after_the_other_are_put_together(byteorder):
    deep = np.moveaxis(COLOUR * 16 + 7, 2, 0)
    told = {"photometric": "rgb", "planarconfig": "separate", "byteorder": byteorder}
    for more in ({}, {"rowsperstrip": 4}, {"compression": "zlib", "predictor": True}):
        assert np.array_equal(decode(tiff(deep, **told, **more), LIMIT).pixels, COLOUR * 16 + 7)
    bytes_alone = (COLOUR // 16).astype(np.uint8)
    assert np.array_equal(
        decode(tiff(np.moveaxis(bytes_alone, 2, 0), **told), LIMIT).pixels, bytes_alone
    )
    with pytest.raises(ImageError, match="in a form that is not decoded"):
        decode(tiff(deep, **told, rowsperstrip=3), LIMIT)


def test_bits_that_png_names_are_obeyed_where_they_lie_low_and_left_where_they_lie_high():
    low = decode(png(TWELVE[..., np.newaxis], (b"sBIT", b"\x0c")), LIMIT).pixels
    assert np.allclose(low[..., 0], TWELVE / 4095, atol=1e-6)
    scaled = (TWELVE << 4 | TWELVE >> 8).astype(np.uint16)  # as the standard has it
    assert np.array_equal(
        decode(png(scaled[..., np.newaxis], (b"sBIT", b"\x0c")), LIMIT).pixels[..., 0], scaled
    )
    dark = (scaled[:1] // 16 * 16 // 16).astype(np.uint16) * 16
    assert decode(png(dark[..., np.newaxis], (b"sBIT", b"\x0c")), LIMIT).pixels.dtype == np.uint16


def test_the_largest_value_that_a_tiff_names_is_obeyed_where_a_camera_ends_there():
    found = decode(packed_tiff(TWELVE, 16, max_value=4095), LIMIT).pixels
    assert np.allclose(found[..., 0], TWELVE / 4095, atol=1e-6)
    assert decode(packed_tiff(TWELVE, 16, max_value=4000), LIMIT).pixels.dtype == np.uint16
    assert (
        decode(packed_tiff(TWELVE, 16, max_value=1023), LIMIT).pixels.max() == 4095
    )  # not kept to: no more than a remark


@pytest.mark.parametrize("most", [15, 255, 1000, 1023, 4095, 65535])
def test_a_portable_map_is_scaled_by_the_largest_value_it_declares(most):
    values = np.linspace(0, most, 48).round().astype(">u2" if most > 255 else np.uint8)
    grey = decode(b"P5 8 6 %d\n" % most + values.tobytes(), LIMIT).pixels[..., 0]
    colour = decode(b"P6 4 4 %d\n" % most + values.tobytes(), LIMIT).pixels
    for found, shape in ((grey, (6, 8)), (colour, (4, 4, 3))):
        scale = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(found.dtype, 1)
        assert np.abs(found / scale - values.reshape(shape) / most).max() < (
            0.6 / 255 if most < 256 else 1e-5
        )


def test_twelve_bits_of_jpeg_2000_end_at_one():
    data = bytearray(
        encoded(
            Image.fromarray((TWELVE + 32768 - 2048).astype(np.uint16)),
            "JPEG2000",
            irreversible=False,
        )
    )
    data[data.find(b"\xff\x4f\xff\x51") + 42] = (
        11  # 12 bits; the values were moved by the shift that goes with 16
    )
    assert np.allclose(decode(bytes(data), LIMIT).pixels[..., 0], TWELVE / 4095, atol=1e-6)


def test_signed_and_32_bit_integers_need_to_be_told_their_bits():
    data = encoded(Image.fromarray(np.full((2, 2), 3000, np.int32)), "TIFF")
    with pytest.raises(ImageError, match=r"state it with --bits"):
        decode(data, LIMIT)
    assert Reading(bits=12).to_unit(decode(data, LIMIT, Reading(bits=12)).pixels).ravel()[
        0
    ] == np.float32(3000 / 4095)
    with pytest.raises(ImageError, match=r"from 3,000 to 3,000, where 10 bits hold 0 to 1,023"):
        decode(data, LIMIT, Reading(bits=10))
    signed = tiff(np.array([[-5, 7]], np.int16))
    with pytest.raises(ImageError, match="from -5 to 7"):
        decode(signed, LIMIT, Reading(bits=15))


def test_siblings_each_have_their_right_value():
    rgb = np.zeros((16, 16, 3), np.uint8)
    rgb[..., 0] = 255
    for file_format, options in (("JPEG", {"quality": 95}), ("TIFF", {})):
        red = decode(
            encoded(Image.fromarray(rgb).convert("CMYK"), file_format, **options), LIMIT
        ).pixels
        assert np.abs(red.astype(int) - rgb).max() <= 4, file_format
    one = np.array([[0, 255, 0, 255]], np.uint8)
    inverted = encoded(Image.fromarray(one).convert("1"), "TIFF", tiffinfo={262: 0})
    assert decode(inverted, LIMIT).pixels.ravel().tolist() == [0, 255, 0, 255]
    assert decode(tiff(one, photometric="miniswhite"), LIMIT).pixels.ravel().tolist() == [
        255,
        0,
        255,
        0,
    ]
    two = Image.new("P", (2, 1))
    two.putpalette([255, 255, 255, 10, 20, 30])
    two.putpixel((1, 0), 1)
    assert decode(encoded(two, bits=1), LIMIT).pixels.tolist() == [[[255, 255, 255], [10, 20, 30]]]
    fives = struct.pack(
        "<2sIHHIIiiHHIIiiII", b"BM", 58, 0, 0, 54, 40, 2, 1, 1, 16, 0, 4, 0, 0, 0, 0
    )
    assert decode(fives + struct.pack("<HH", 0x7C00, 0x03E0), LIMIT).pixels.tolist() == [
        [[255, 0, 0], [0, 255, 0]]
    ]


def test_a_gamma_or_a_gamut_of_its_own_is_told():
    grey = TWELVE[..., np.newaxis]
    assert "gamma" in decode(png(grey, (b"gAMA", struct.pack(">I", 100000))), LIMIT).done
    assert "gamma" not in decode(png(grey, (b"gAMA", struct.pack(">I", 45455))), LIMIT).done
    picture = Image.fromarray(np.zeros((4, 4, 3), np.uint8))
    assert "profile" in decode(encoded(picture, icc_profile=b"Adobe RGB (1998)" * 20), LIMIT).done
    assert (
        "profile" not in decode(encoded(picture, icc_profile=b"sRGB IEC61966-2.1" * 20), LIMIT).done
    )


# A whole set


def folder_of(path: Path, arrays: list[np.ndarray]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(path / f"{number}.png")
    return path


@pytest.mark.parametrize(
    ("highest", "bits"),
    [
        (200, 8),
        (700, 10),
        (1023, 10),
        (1500, 16),
        (2048, 12),
        (4095, 12),
        (12000, 14),
        (16383, 14),
        (16384, 16),
        (65535, 16),
    ],
)
def test_the_bits_of_a_set_are_recognised_where_it_ends_in_the_upper_half_of_a_cameras(
    highest, bits
):
    assert recognised_bits(highest, 4) == bits
    assert recognised_bits(highest, 3) == 16


def test_twelve_bits_in_sixteen_are_recognised_told_and_the_same_beyond_memory(tmp_path):
    arrays = [TWELVE - number for number in range(6)]
    arrays = [np.maximum(TWELVE.astype(int) - number, 0).astype(np.uint16) for number in range(6)]
    images = load_images(folder_of(tmp_path / "a", arrays))
    assert images.reading == Reading(bits=12)
    assert [one.about for one in images.assumptions] == ["bits"]
    assert "0 to 4,095" in images.assumptions[0].because
    assert images.summary()["reading"] == {"bits": 12, "ground": None}
    again = load_images(tmp_path / "a", memory_megabytes=0)
    told = load_images(tmp_path / "a", bits=12)
    assert told.assumptions == ()
    for found in (images, again, told):
        assert np.allclose(found.array()[..., 0], np.stack(arrays) / 4095, atol=1e-6)
        assert found.fingerprint == images.fingerprint
    assert np.allclose(
        load_images(tmp_path / "a", bits=16).array()[..., 0], np.stack(arrays) / 65535, atol=1e-7
    )


def test_a_dark_batch_is_read_as_the_first_was_and_another_scale_is_refused(tmp_path):
    first = load_images(folder_of(tmp_path / "a", [TWELVE] * 4))
    dark = folder_of(
        tmp_path / "dark", [(TWELVE // 5).astype(np.uint16)] * 4
    )  # ends at 819, as 10 bits do
    assert load_images(dark).reading.bits == 10
    found = load_images(dark, reading=first.reading)
    assert found.reading.bits == 12
    assert found.array().max() == np.float32(819 / 4095)
    deep = Reading(bits=16)
    with pytest.raises(
        SourceError, match=r"of the model's, 16 bits. Got 4 images that end at 4,095, as 12 bits do"
    ):
        load_images(tmp_path / "a", reading=deep)
    assert load_images(tmp_path / "a", reading=deep, bits=12).array().max() == 1
    bright = folder_of(tmp_path / "bright", [TWELVE * 16] * 4)
    with pytest.raises(SourceError, match=r"from 0 to 65,520, where 12 bits hold 0 to 4,095"):
        load_images(bright, reading=first.reading)


def test_a_model_of_bytes_reads_a_wide_image_alike_alone_and_among_others():
    """The scale is not guessed from those that come with it."""
    rows = np.stack([TWELVE] * 20)
    alone = as_image_set(rows[:1], reading=Reading())
    with pytest.raises(SourceError, match="--bits 12"):
        as_image_set(rows, reading=Reading())
    bright = as_image_set(np.concatenate([rows, rows * 15]), reading=Reading())
    assert np.array_equal(np.asarray(bright[0]), np.asarray(alone[0]))
    assert float(np.max(alone[0])) == pytest.approx(4095 / 65535)


def test_bits_of_bytes_and_bits_that_are_none(tmp_path):
    source = folder_of(tmp_path / "a", [np.array([[0, 1], [1, 0]], np.uint8)] * 3)
    assert load_images(source).array().max() == 1
    assert load_images(source, bits=1).array()[0, 0, :, 0].tolist() == [0.0, 1.0]
    with pytest.raises(RangeError, match="bits must be 1 to 32"):
        load_images(source, bits=0)


def test_arrays_go_the_same_way(tmp_path):
    deep = np.stack([TWELVE] * 6)
    np.save(tmp_path / "a.npy", deep)
    np.savez(tmp_path / "a.npz", x_train=deep[:4] // 8, x_test=deep[4:])  # train alone ends at 511
    for found in (
        load_images(tmp_path / "a.npy"),
        ImageSet.from_arrays(deep),
        ImageSet.from_arrays(list(deep)),
    ):
        assert found.reading.bits == 12
        assert np.allclose(found.array()[..., 0], deep / 4095, atol=1e-6)
        assert [one.about for one in found.assumptions] == ["bits"]
    both = load_images(tmp_path / "a.npz")
    assert both.reading.bits == 12
    assert both.train.array().max() == np.float32(511 / 4095)
    assert ImageSet.from_arrays(deep, bits=16).array().max() == np.float32(4095 / 65535)
    assert ImageSet.from_arrays(deep.astype(np.int32), bits=12).array().max() == 1
    with pytest.raises(RangeError, match=r"from 0 to 4,095, where 10 bits hold 0 to 1,023"):
        ImageSet.from_arrays(deep, bits=10)


def test_that_masks_of_turned_images_are_upright_already_is_told(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    for part, label, turned in (("train", "good", False), ("test", "crack", True)):
        (tmp_path / part / label).mkdir(parents=True)
        for number in range(2):
            picture = Image.fromarray((TWELVE // 16 + number).astype(np.uint8))
            picture.save(
                tmp_path / part / label / f"{number}.png", **({"exif": exif} if turned else {})
            )
    (tmp_path / "ground_truth" / "crack").mkdir(parents=True)
    mask = np.zeros((8, 8), np.uint8)
    mask[0, 0] = 255
    for number in range(2):
        Image.fromarray(mask).save(tmp_path / "ground_truth" / "crack" / f"{number}_mask.png")
    images = load_images(tmp_path)
    assert images.test.masks[0][0, 0]
    told = [one for one in images.assumptions if one.about == "masks of turned images"]
    assert [one.because[:8] for one in told] == ["2 images"]


def test_damaged_files_of_many_bits_decode_or_say_why():
    whole = [
        packed_tiff(COLOUR, 12, photometric=2),
        packed_tiff(TWELVE, 10 + 4, ">", photometric=0),
        tiff(COLOUR * 16, photometric="rgb", compression="zlib", predictor=True),
        tiff(
            np.moveaxis(COLOUR * 16, 2, 0),
            photometric="rgb",
            planarconfig="separate",
            rowsperstrip=4,
        ),
        png(COLOUR * 16, filters=1),
        b"P6 8 8 4095\n" + COLOUR.astype(">u2").tobytes(),
    ]
    rng = np.random.default_rng(0)
    n_decoded = 0
    for data in whole:
        for _ in range(150):
            broken = bytearray(data)
            for place in rng.integers(0, len(data), rng.integers(1, 4)).tolist():
                broken[place] = int(rng.integers(0, 256))
            try:
                pixels = decode(
                    (
                        bytes(broken[: int(rng.integers(1, len(data) + 1))])
                        if rng.random() < 0.2
                        else bytes(broken)
                    ),
                    10_000,
                )
            except ImageError:
                continue
            n_decoded += 1
            assert pixels.pixels.size <= 30_000
            assert pixels.pixels.dtype in (np.uint8, np.uint16, np.float32)
    assert n_decoded > 100
