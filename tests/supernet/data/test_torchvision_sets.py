import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from torchvision import datasets

from supernet.data.torchvision_sets import READERS, TorchvisionImages
from supernet.errors import UserError

RNG = np.random.default_rng(0)


def present(path: str | Path, md5: str | None = None) -> bool:
    return Path(path).is_file()


def write_cifar(root: Path, classes: int, files: list[str], labels: str, names: str, meta: str) -> np.ndarray:
    """Files as CIFAR's, with 40 images each; returns the pixels of the first."""
    pixels = RNG.integers(0, 256, (len(files), 40, 3, 32, 32), dtype=np.uint8)
    for name, part in zip(files, pixels, strict=True):
        content = {"data": part.reshape(40, -1), labels: [n % classes for n in range(40)]}
        (root / name).write_bytes(pickle.dumps(content))
    (root / meta).write_bytes(pickle.dumps({names: [f"c{n}" for n in range(classes)]}))
    return pixels[0]


@pytest.mark.parametrize("name", sorted(READERS))
def test_missing_files_name_the_remedy(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.download=true, or .* data\.root="):
        TorchvisionImages(name, root=str(tmp_path / "none"))


def test_a_download_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(self: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(datasets.CIFAR10, "download", offline)
    with pytest.raises(UserError, match=r"could not be downloaded.*no network"):
        TorchvisionImages("cifar10", root=str(tmp_path), download=True)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.name=mnist: .* cifar10, cifar100, fashion_mnist, svhn"):
        TorchvisionImages("mnist", root=str(tmp_path))


def test_cifar_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", present)
    ten, hundred = tmp_path / "cifar-10-batches-py", tmp_path / "cifar-100-python"
    ten.mkdir()
    hundred.mkdir()
    batches = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]
    first = write_cifar(ten, 10, batches, "labels", "label_names", "batches.meta")
    write_cifar(hundred, 20, ["train", "test"], "fine_labels", "fine_label_names", "meta")

    cifar10 = TorchvisionImages("cifar10", root=str(tmp_path), mean=[0.0] * 3, std=[1 / 255] * 3)
    assert (cifar10.channels, cifar10.size, cifar10.classes) == (3, (32, 32), tuple(f"c{n}" for n in range(10)))
    assert (len(cifar10.labels("all")), len(cifar10.labels("test"))) == (200, 40)
    batch, labels = next(cifar10.batches("all"))
    torch.testing.assert_close(batch[:40], torch.from_numpy(first).float())
    assert labels[:12].tolist() == [*range(10), 0, 1]

    cifar100 = TorchvisionImages("cifar100", root=str(tmp_path))
    assert (cifar100.num_classes, len(cifar100.labels("all"))) == (20, 40)


def test_fashion_mnist_is_read(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = RNG.integers(0, 256, (50, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        images = struct.pack(">iiii", 2051, 50, 28, 28) + pixels.tobytes()
        labels = struct.pack(">ii", 2049, 50) + bytes(n % 10 for n in range(50))
        for name, content in (("images-idx3", images), ("labels-idx1", labels)):
            (raw / f"{part}-{name}-ubyte").write_bytes(content)
            (raw / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(content))
    images = TorchvisionImages("fashion_mnist", root=str(tmp_path), mean=[0.0], std=[1 / 255])
    assert (images.channels, images.size, images.num_classes) == (1, (28, 28), 10)
    torch.testing.assert_close(next(images.batches("all"))[0][:, 0], torch.from_numpy(pixels).float())


def test_svhn_is_read_and_its_label_ten_is_the_digit_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", present)
    pixels = RNG.integers(0, 256, (32, 32, 3, 40), dtype=np.uint8)
    labels = np.arange(40)[:, None] % 10 + 1
    for part in ("train", "test"):
        scipy.io.savemat(tmp_path / f"{part}_32x32.mat", {"X": pixels, "y": labels})
    images = TorchvisionImages("svhn", root=str(tmp_path), mean=[0.0] * 3, std=[1 / 255] * 3)
    batch, found = next(images.batches("all"))
    torch.testing.assert_close(batch, torch.from_numpy(pixels.transpose(3, 2, 0, 1).copy()).float())
    assert found[:11].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
