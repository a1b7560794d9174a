from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from supernet.data.decoding import Decoder, read_header
from supernet.errors import UserError

COLOUR = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
AS_IT_IS = Decoder(3, (6, 8), convert=False, resize=False)


def saved(folder: Path, name: str, pixels: np.ndarray = COLOUR) -> Path:
    Image.fromarray(pixels).save(folder / name)
    return folder / name


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp"])
def test_lossless_formats_give_the_pixels_that_were_saved(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(COLOUR).save(path, **({"lossless": True} if suffix == "webp" else {}))
    assert torch.equal(AS_IT_IS(path), torch.from_numpy(COLOUR).permute(2, 0, 1))


def test_a_grey_file_is_grey_and_a_coloured_one_can_be_converted(tmp_path: Path) -> None:
    grey, coloured = saved(tmp_path, "grey.png", COLOUR[..., 0]), saved(tmp_path, "coloured.png")
    assert read_header(grey).grey
    assert not read_header(coloured).grey
    assert torch.equal(Decoder(1, (6, 8), False, False)(grey)[0], torch.from_numpy(COLOUR[..., 0]))
    assert torch.equal(AS_IT_IS(grey), torch.from_numpy(COLOUR[..., 0]).expand(3, -1, -1))
    assert Decoder(1, (6, 8), True, False)(coloured).shape == (1, 6, 8)


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    deep = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1300
    path = saved(tmp_path, "deep.png", deep)
    assert read_header(path).grey
    assert torch.equal(Decoder(1, (6, 8), False, False)(path)[0], torch.from_numpy((deep // 256).astype(np.uint8)))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_another_size_is_scaled_by_the_shorter_side_and_cropped_in_the_middle(suffix: str, tmp_path: Path) -> None:
    wide = np.zeros((40, 120), dtype=np.uint8)
    wide[:, 40:80] = 255  # the middle third is white
    decoder = Decoder(1, (10, 10), convert=False, resize=True)
    assert decoder(saved(tmp_path, f"wide.{suffix}", wide))[:, 1:-1, 1:-1].min() > 240
    assert decoder(saved(tmp_path, f"tall.{suffix}", wide.T))[:, 1:-1, 1:-1].min() > 240


def test_without_leave_to_convert_or_resize_an_odd_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.png is in colour.*data\.channels=3"):
        Decoder(1, (6, 8), convert=False, resize=True)(saved(tmp_path, "a.png"))
    with pytest.raises(UserError, match=r"b\.png has 4 x 8 pixels, others 6 x 8; .*data\.size=6"):
        AS_IT_IS(saved(tmp_path, "b.png", COLOUR[:4]))


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tiff", "webp", "bmp"])
def test_a_truncated_file_is_named(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path, f"cut.{suffix}", np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=rf"cut\.{suffix} cannot be read"):
        Decoder(3, (60, 80), False, False)(path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_file_that_is_no_image_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "fake.png").write_bytes(content)
    with pytest.raises(UserError, match=r"fake\.png cannot be read"):
        read_header(tmp_path / "fake.png")


def test_postscript_is_never_opened_whatever_it_calls_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ghostscript(*_: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", ghostscript)
    Image.fromarray(COLOUR).save(tmp_path / "image.eps")
    (tmp_path / "image.eps").rename(tmp_path / "image.png")
    with pytest.raises(UserError, match=r"image\.png cannot be read"):
        AS_IT_IS(tmp_path / "image.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [40, 10])  # Pillow warns above its limit and refuses above twice that
def test_an_image_that_would_fill_the_memory_is_refused(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UserError, match=r"bomb\.png (is too large|cannot be read)"):
        AS_IT_IS(path)


def test_pixels_without_a_known_range_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "float.tiff", np.ones((6, 8), dtype=np.float32))
    with pytest.raises(UserError, match=r"float\.tiff has 32 bits a pixel"):
        AS_IT_IS(path)
