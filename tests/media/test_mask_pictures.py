"""One mask in every form that programs save it in is one mask; soft edges are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from hs2s_core.errors import InvalidMask
from hs2s_core.media.masks import (
    array_ids,
    davis_palette,
    object_ids,
    read_id_map,
    write_id_map,
)

DISC = np.zeros((80, 120), bool)
cv2.circle(DISC.view(np.uint8), (50, 40), 25, 1, -1)


def colours(*shown: tuple[int, int, int]) -> Image.Image:
    """The disc, its left part in the first colour, the rest in the last."""
    picture = np.zeros((*DISC.shape, 3), np.uint8)
    picture[DISC] = shown[-1]
    picture[:, :50][DISC[:, :50]] = shown[0]
    return Image.fromarray(picture)


def grey(value: int, kind: type = np.uint8) -> Image.Image:
    return Image.fromarray((DISC * value).astype(kind))


def on_nothing(value: int) -> Image.Image:
    """The disc in one grey on a transparent ground."""
    rgba = np.full((*DISC.shape, 4), value, np.uint8)
    rgba[..., 3] = DISC * 255
    return Image.fromarray(rgba)


def few_bits(value: int, bits: int) -> Callable[[Path], None]:
    return lambda path: grey(value).save(path, bits=bits)


@pytest.mark.parametrize(
    "picture",
    [
        grey(255),
        grey(255).convert("P"),
        grey(255).convert("1"),
        grey(255).convert("RGB"),
        grey(255).convert("LA"),
        grey(255).convert("RGB").quantize(2),
        grey(65_535, np.uint16),
        grey(1),
        grey(1).convert("RGB"),
        colours((200, 30, 90)),
        colours((200, 30, 90)).quantize(2),
        colours((128, 0, 0)),
        on_nothing(0),
        on_nothing(255),
    ],
    ids=lambda image: image.mode,
)
def test_one_object_in_any_form_is_object_1(tmp_path: Path, picture: Image.Image) -> None:
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_id_map(tmp_path / "a.png"), DISC)


def test_ids_in_any_form_are_kept(tmp_path: Path) -> None:
    ids = np.where(DISC, 3, 0).astype(np.uint8)
    ids[:, :50][DISC[:, :50]] = 2
    ids[:5, :5] = 255
    expected = np.where(ids == 255, 0, ids)
    write_id_map(tmp_path / "palette.png", ids)
    Image.fromarray(ids).save(tmp_path / "grey.png")
    Image.open(tmp_path / "palette.png").convert("RGB").save(tmp_path / "rgb.png")
    Image.open(tmp_path / "palette.png").convert("RGBA").save(tmp_path / "rgba.png")
    other = Image.fromarray(ids)
    other.putpalette([0, 0, 0, 9, 9, 9, 250, 0, 0, 0, 250, 0] + [7] * 756)
    other.save(tmp_path / "other.png")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_id_map(path), expected, path.name)
    few = np.where(ids == 255, 1, ids)
    Image.fromarray(few).save(tmp_path / "few.png", bits=2)
    np.testing.assert_array_equal(read_id_map(tmp_path / "few.png"), few)


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 3, 1, 2), (3, 0, 1, 2)])
def test_a_palette_made_anew_keeps_the_ids_of_its_colours(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    """Editors sort a palette by use; in DAVIS's colours it shows the same ids all the same."""
    ids = np.zeros(DISC.shape, np.uint8)
    ids[DISC], ids[:20, 90:], ids[60:, 90:] = 1, 2, 3
    write_id_map(tmp_path / "davis.png", ids)
    other = Image.open(tmp_path / "davis.png").remap_palette(list(order))
    assert not np.array_equal(np.asarray(other), ids)
    other.save(tmp_path / "other.png")
    np.testing.assert_array_equal(read_id_map(tmp_path / "other.png"), ids)


def test_other_palettes_leave_the_ids_to_the_indices(tmp_path: Path) -> None:
    """Also where some of their colours happen to be DAVIS's, or all are greys."""
    ids = np.where(DISC, 1, 0).astype(np.uint8)
    ids[:20, 90:] = 2
    picture = Image.fromarray(ids)
    for second, first in [((0, 99, 0), (0, 128, 0)), ((64, 64, 64), (128, 128, 128))]:
        picture.putpalette([0, 0, 0, *first, *second])
        picture.save(tmp_path / "a.png")
        np.testing.assert_array_equal(read_id_map(tmp_path / "a.png"), ids)


@pytest.mark.parametrize("suffix", [".bmp", ".tif"])
def test_other_exact_formats_are_read(tmp_path: Path, suffix: str) -> None:
    """FiftyOne shows a segmentation in them."""
    grey(1).save(tmp_path / f"ids{suffix}")
    grey(255).convert("P").save(tmp_path / f"white{suffix}")
    grey(2).convert("RGB").save(tmp_path / f"rgb{suffix}")
    np.testing.assert_array_equal(read_id_map(tmp_path / f"ids{suffix}"), DISC)
    np.testing.assert_array_equal(read_id_map(tmp_path / f"white{suffix}"), DISC)
    np.testing.assert_array_equal(read_id_map(tmp_path / f"rgb{suffix}"), DISC * 2)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_formats_that_may_change_values_are_refused(tmp_path: Path, suffix: str) -> None:
    grey(1).save(tmp_path / f"a{suffix}")
    with pytest.raises(InvalidMask, match="expected a PNG, because"):
        read_id_map(tmp_path / f"a{suffix}")


def antialiased(levels: int) -> np.ndarray:
    """A slanted box with so many grey levels along its edges, as drawing programs make them."""
    large = Image.new("L", (120 * levels, 80 * levels))
    corners = [(20, 12), (100, 30), (84, 70), (14, 50)]
    ImageDraw.Draw(large).polygon([(x * levels, y * levels) for x, y in corners], fill=255)
    return np.asarray(large.resize((120, 80), Image.Resampling.BOX))


def jpeg_edges(quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", DISC * np.uint8(255), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


@pytest.mark.parametrize(
    "values",
    [
        cv2.GaussianBlur(DISC * np.uint8(255), (0, 0), 1.5),
        cv2.GaussianBlur(DISC * np.uint8(255), (0, 0), 9),
        cv2.GaussianBlur(DISC * np.uint8(90), (0, 0), 1),
        antialiased(2),
        antialiased(4),
        antialiased(16) // 3,
        antialiased(4).astype(np.uint16) * 257,
        jpeg_edges(60),
        jpeg_edges(95),
        # An id map of object 2, shrunk with smoothing: a ring of object 1.
        cv2.resize(DISC * np.uint8(2), (71, 47), interpolation=cv2.INTER_AREA),
    ],
)
@pytest.mark.parametrize("mode", ["", "P", "RGB"])
def test_soft_edges_are_no_objects(tmp_path: Path, values: np.ndarray, mode: str) -> None:
    image = Image.fromarray(values)
    if mode and values.dtype == np.uint8:
        image = image.convert(mode)
    image.save(tmp_path / "soft.png")
    with pytest.raises(InvalidMask, match=r"soft\.png: .*soft edges"):
        read_id_map(tmp_path / "soft.png")


def test_dithered_colours_are_no_objects(tmp_path: Path) -> None:
    colours((200, 30, 90)).convert("P").save(tmp_path / "a.png")
    with pytest.raises(InvalidMask, match="soft edges"):
        read_id_map(tmp_path / "a.png")
    colours((200, 30, 90), (0, 99, 7)).save(tmp_path / "b.png")
    with pytest.raises(InvalidMask, match="has 2 colours that are not those of object ids"):
        read_id_map(tmp_path / "b.png")


@pytest.mark.parametrize("save", ["grey", "palette"])
def test_small_and_bordered_objects_are_objects(tmp_path: Path, save: str) -> None:
    """Few pixels, slivers beside a larger object, thin void borders, and many ids."""
    maps = np.zeros((4, *DISC.shape), np.uint8)
    maps[0, 10:12, 5:100:9] = np.arange(2, 13)[None]  # eleven specks of two pixels
    maps[1][DISC] = 3
    maps[1, 30:50, 75:77] = 1  # a sliver at the disc's right
    maps[2][DISC] = 4
    maps[2][cv2.dilate(DISC.view(np.uint8), np.ones((3, 3))).astype(bool) & ~DISC] = 255
    maps[3] = np.arange(20, 40).repeat(6)[None]  # stripes of six pixels that touch
    for number, ids in enumerate(maps):
        path = tmp_path / f"{number}.png"
        if save == "grey":
            Image.fromarray(ids).save(path)
        else:
            write_id_map(path, ids)
        np.testing.assert_array_equal(read_id_map(path), np.where(ids == 255, 0, ids))


def test_a_lost_prediction_is_read_all_the_same(tmp_path: Path) -> None:
    """Specks of objects 1 to 5 on each other, as a bad model leaves them."""
    rng = np.random.default_rng(1)
    ids = np.where(DISC, 1, 0).astype(np.uint8)
    for object_id in range(2, 6):
        for _ in range(6):
            top, left = rng.integers(20, 60), rng.integers(30, 70)
            ids[top : top + 2, left : left + 1] = object_id
    Image.fromarray(ids).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_id_map(tmp_path / "a.png"), ids)


def test_the_palette_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        davis_palette()[0] = 1


@pytest.mark.parametrize("levels", [(127, 255), (128, 255), (85, 170, 255), (64, 128, 191, 255)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_spread_greys_do_not_lose_the_white_object(
    tmp_path: Path, levels: tuple[int, ...], mode: str
) -> None:
    values = np.zeros((60, 80), np.uint8)
    for place, level in enumerate(levels):
        values[10:50, 15 * place + 5 : 15 * place + 15] = level
    path = tmp_path / "levels.png"
    Image.fromarray(values).convert(mode).save(path)
    with pytest.raises(InvalidMask, match=f"to show {len(levels)} objects"):
        read_id_map(path)
    with pytest.raises(InvalidMask, match=f"divide its values by {255 // len(levels)}"):
        array_ids(values, name="array")


def test_void_beside_ids_is_void(tmp_path: Path) -> None:
    values = np.zeros((60, 80), np.uint8)
    values[10:50, 5:30], values[10:50, 30:33] = 2, 255
    Image.fromarray(values).save(tmp_path / "void.png")
    assert object_ids(read_id_map(tmp_path / "void.png")) == [2]


def test_what_is_opaque_in_a_cut_out_photo_is_the_object(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (60, 80, 4)).astype(np.uint8)
    inside = np.zeros((60, 80), np.bool_)
    inside[10:50, 20:60] = True
    rgba[..., 3] = 255 * inside
    Image.fromarray(rgba).save(tmp_path / "cut.png")
    assert np.array_equal(read_id_map(tmp_path / "cut.png"), inside)


def test_objects_in_their_own_colours_on_nothing_are_not_merged(tmp_path: Path) -> None:
    rgba = np.zeros((60, 80, 4), np.uint8)
    rgba[10:30, 10:30], rgba[30:50, 40:70] = (250, 10, 10, 255), (10, 250, 10, 255)
    Image.fromarray(rgba).save(tmp_path / "two.png")
    with pytest.raises(InvalidMask, match="2 colours"):
        read_id_map(tmp_path / "two.png")


def test_an_overlays_colours_are_the_ids_that_they_are_opaque(tmp_path: Path) -> None:
    """At half their strength DAVIS's colours are those of other ids."""
    ids = np.where(DISC, 1, 0).astype(np.uint8)
    ids[:20, 90:] = 2
    for strength in (255, 128, 40):
        for ground in (0, strength):
            rgba = np.dstack([davis_palette()[ids], np.where(ids, strength, ground)])
            Image.fromarray(rgba.astype(np.uint8)).save(tmp_path / "a.png")
            np.testing.assert_array_equal(read_id_map(tmp_path / "a.png"), ids)


def test_what_a_palette_makes_transparent_is_background(tmp_path: Path) -> None:
    """Programs that save few colours put them in any order."""
    picture = Image.fromarray((~DISC).astype(np.uint8))
    for colour in ((255, 0, 0), (255, 255, 255), (128, 0, 0)):
        picture.putpalette([*colour, 255, 255, 255])
        picture.save(tmp_path / "a.png", transparency=1)
        np.testing.assert_array_equal(read_id_map(tmp_path / "a.png"), DISC)
    ids = np.where(DISC, 1, 3).astype(np.uint8)
    ids[:20, 90:] = 2
    several = Image.fromarray(ids)
    several.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 9, 9, 9])
    several.save(tmp_path / "a.png", transparency=bytes([255, 255, 255, 0]))
    np.testing.assert_array_equal(read_id_map(tmp_path / "a.png"), np.where(ids == 3, 0, ids))


@pytest.mark.parametrize("channels", [3, 4])
def test_ids_in_colours_of_16_bits_are_kept(tmp_path: Path, channels: int) -> None:
    """Pillow reads the upper 8 bits, which are zero, or those of other ids."""
    for first, second in ((1, 2), (300, 700)):
        ids = np.where(DISC, first, 0).astype(np.uint16)
        ids[:20, 90:] = second
        values = np.repeat(ids[..., None], channels, axis=2)
        values[..., 3:] = 65_535
        cv2.imwrite(str(tmp_path / "a.png"), values)
        np.testing.assert_array_equal(read_id_map(tmp_path / "a.png"), ids)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_a_turned_mask_is_upright(tmp_path: Path, mode: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    colours((0, 0, 0), (255, 255, 255)).convert(mode).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as stored:
        shown = np.array(ImageOps.exif_transpose(stored).convert("L")) > 0
    assert np.array_equal(read_id_map(tmp_path / "a.png") > 0, shown)
