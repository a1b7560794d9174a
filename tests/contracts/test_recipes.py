"""A recipe has the values that its paper published, follows the search space, and yields to the command line."""

from __future__ import annotations

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from search_spaces.network import parameters
from search_spaces.published import DARTS
from tests.contracts.configurations import composed, names

CIFAR = {
    "search_space.channels": 36, "search_space.layers": 20, "search_space.stem": "cifar",
    "search_space.auxiliary": True, "epochs": 600, "batch_size": 96, "clip": 5.0, "drop_path": 0.2,
    "auxiliary_weight": 0.4, "label_smoothing": 0.0, "cutout": 16,
    "optimizer._target_": "torch.optim.SGD", "optimizer.lr": 0.025, "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 3e-4, "optimizer.nesterov": False,
    "scheduler._target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "scheduler.T_max": 600,
    "scheduler.eta_min": 0.0,
}  # fmt: skip
IMAGENET = {
    "search_space.channels": 48, "search_space.layers": 14, "search_space.stem": "imagenet",
    "search_space.auxiliary": True, "epochs": 250, "batch_size": 128, "optimizer._target_": "torch.optim.SGD",
    "optimizer.lr": 0.1, "optimizer.momentum": 0.9, "optimizer.weight_decay": 3e-5, "optimizer.nesterov": False,
    "scheduler._target_": "torch.optim.lr_scheduler.ExponentialLR", "scheduler.gamma": 0.97, "clip": 5.0,
    "drop_path": 0.0, "auxiliary_weight": 0.4, "label_smoothing": 0.1, "cutout": 0, "data.size": 224,
    "data.random_area": [0.08, 1.0], "data.color_jitter": [0.4, 0.4, 0.4, 0.2], "data.center": 224 / 256,
    "data.flip": True, "data.crop_padding": 0,
}  # fmt: skip
PLAIN = {"clip": 0.0, "drop_path": 0.0, "auxiliary_weight": 0.0, "label_smoothing": 0.0, "cutout": 0}
COSINE = {"scheduler._target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "scheduler.eta_min": 0.0}
PUBLISHED = {
    # Liu et al., 2019, arXiv:1806.09055, with the authors' code
    "darts": CIFAR,
    "darts_imagenet": IMAGENET,
    # Xu et al., 2020, arXiv:1907.05737
    "darts_imagenet_large_batch": {name: value for name, value in IMAGENET.items() if name != "scheduler.gamma"} | {
        "batch_size": 1024, "optimizer.lr": 0.5, "scheduler._target_": "supernet.schedulers.LinearWithWarmup",
        "scheduler.warmup": 5, "scheduler.epochs": 250,
    },
    # Zela et al., 2020, arXiv:1909.09656, on CIFAR-10
    **{f"robust_darts_s{number}": CIFAR for number in range(1, 5)},
    # Dong and Yang, 2020, arXiv:2001.00326
    "nasbench201": PLAIN | COSINE | {
        "search_space.channels": 16, "search_space.cells_per_stage": 5, "epochs": 200, "batch_size": 256,
        "optimizer._target_": "torch.optim.SGD", "optimizer.lr": 0.1, "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 5e-4, "optimizer.nesterov": True, "scheduler.T_max": 200,
    },
    # Su et al., 2021, arXiv:2103.11922, with the authors' code
    "nasbench_macro": PLAIN | COSINE | {
        "epochs": 50, "batch_size": 256, "optimizer._target_": "torch.optim.SGD", "optimizer.lr": 0.1,
        "optimizer.momentum": 0.9, "optimizer.weight_decay": 5e-4, "optimizer.nesterov": False, "scheduler.T_max": 50,
    },
    # Ying et al., 2019, arXiv:1902.09635, with the authors' code
    **{
        f"nasbench1shot1_{number}": PLAIN | COSINE | {
            "epochs": 108, "batch_size": 256, "optimizer._target_": "torch.optim.RMSprop", "optimizer.lr": 0.2,
            "optimizer.momentum": 0.9, "optimizer.alpha": 0.9, "optimizer.eps": 1.0, "optimizer.weight_decay": 1e-4,
            "scheduler.T_max": 108,
        }
        for number in (1, 2, 3)
    },
}  # fmt: skip
SPACES = {name: name for name in names("search_space")} | {name: "darts" for name in PUBLISHED if "imagenet" in name}


def test_every_recipe_is_in_the_table_and_every_search_space_has_one():
    assert set(names("recipe")) == set(PUBLISHED)
    assert set(names("search_space")) <= set(PUBLISHED)


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_a_recipe_has_the_published_values(recipe):
    overrides = [] if recipe in names("search_space") else [f"recipe={recipe}"]
    cfg = composed("train", f"search_space={SPACES.get(recipe, 'darts')}", *overrides)
    for name, value in PUBLISHED[recipe].items():
        found = OmegaConf.select(cfg, name)
        assert found == value, name
        assert isinstance(found, bool) == isinstance(value, bool), name


@pytest.mark.parametrize("search_space", names("search_space"))
def test_the_search_space_chooses_its_recipe_and_the_command_line_wins(search_space):
    assert composed("train", f"search_space={search_space}").epochs == PUBLISHED[search_space]["epochs"]
    cfg = composed(
        "train", f"search_space={search_space}", "epochs=5", "clip=1.5", "search_space.num_classes=7",
        "optimizer.lr=0.3", "data=cifar10", "scheduler=exponential",
    )  # fmt: skip
    assert (cfg.epochs, cfg.trainer.max_epochs, cfg.clip, cfg.search_space.num_classes) == (5, 5, 1.5, 7)
    assert (cfg.optimizer.lr, cfg.data.name) == (0.3, "cifar10")
    assert set(cfg.scheduler) == {"_target_", "_partial_", "gamma"}
    assert composed("train", f"search_space={search_space}", "debug=fast").epochs == 1


@pytest.mark.parametrize("recipe", names("recipe"))
def test_another_optimizer_and_scheduler_take_the_place_of_the_recipes_with_their_own_values(recipe):
    cfg = composed("train", f"recipe={recipe}", "optimizer=adam", "scheduler=exponential")
    optimizer = instantiate(cfg.optimizer)([torch.zeros(1, requires_grad=True)])
    assert isinstance(optimizer, torch.optim.Adam)
    assert instantiate(cfg.scheduler)(optimizer).get_last_lr() == [3e-4]


@pytest.mark.parametrize(("recipe", "classes", "count"), [
    ("darts", 10, 3_349_342), ("darts", 100, 3_401_272), ("darts_imagenet", 1000, 4_718_752),
])  # fmt: skip
def test_the_network_of_a_recipe_has_the_published_size(recipe, classes, count):
    cfg = composed("train", "search_space=darts", f"recipe={recipe}")
    with torch.device("meta"):
        space = instantiate(cfg.search_space, in_channels=3, num_classes=classes)
    assert parameters(space.network(space.parse(DARTS["darts_v2"]))) == count


def test_cutout_is_the_recipes_for_small_photographs_only():
    for data in names("data"):
        cfg = composed("train", "search_space=darts", f"data={data}")
        assert cfg.data.cutout == (None if data in ("cifar10", "cifar100", "svhn") else 0)
