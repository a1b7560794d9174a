import pytest
from omegaconf import OmegaConf

from search_spaces.darts import DARTS
from search_spaces.published import DARTS as PUBLISHED
from supernet.data.synthetic import Synthetic
from supernet.errors import UserError
from supernet.from_genotype import architecture_of, data_of, search_space_of, space_for
from supernet.genotype import Genotype

CONV = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"


@pytest.fixture
def saved(tmp_path):
    def save(name: str, space: str):
        (tmp_path / name).mkdir()
        return Genotype(space, CONV).save(tmp_path / name)

    return save


def test_the_search_space_is_that_of_a_name_a_folder_or_a_file(saved):
    file = saved("run", "robust_darts_s2")
    assert search_space_of(["genotype=darts_v2"]) == ["search_space=darts"]
    for text in (file, file.parent):
        assert search_space_of([f"genotype={text}", "epochs=3"]) == ["search_space=robust_darts_s2"]
        assert search_space_of([f'genotype="{text}"']) == ["search_space=robust_darts_s2"]


def test_the_text_of_an_architecture_and_a_choice_of_the_user_leave_the_search_space_as_it_is(saved):
    assert search_space_of([f'genotype="{CONV}"']) == []
    assert search_space_of(["genotype=darts_v2", "search_space=nasbench201"]) == []
    assert search_space_of(["genotype=darts_v2", "search_space.channels=4"]) == ["search_space=darts"]
    for arguments in ([], ["epochs=3"], ["genotype="], ["genotype=[", "epochs=3"], ["--help"], ["genotype=22212220"]):
        assert search_space_of(arguments) == []


def test_the_genotypes_of_a_sweep_share_a_search_space(saved):
    file = saved("run", "nasbench201")
    assert search_space_of(["-m", "genotype=darts_v1,darts_v2,drnas"]) == ["search_space=darts"]
    with pytest.raises(UserError, match="several search spaces, darts, nasbench201: start a sweep for each"):
        search_space_of(["-m", f"genotype=darts_v1,{file}"])


def test_a_mistake_is_found_before_anything_starts(saved):
    with pytest.raises(UserError, match="did you mean drnas"):
        search_space_of(["-m", "genotype=darts_v1,drnass"])


@pytest.mark.parametrize("space", ["darts hydra.run.dir=/", "../x", "darts,nasbench201", "", "a\nb=c"])
def test_a_crafted_search_space_is_no_argument(space, saved):
    with pytest.raises(UserError, match="no name of a search space"):
        search_space_of([f"genotype={saved('run', space)}"])


ONE_INPUT = PUBLISHED["darts_v2"].replace("|sep_conv_3x3~0|sep_conv_3x3~1|", "|sep_conv_3x3~0|", 1)


def configured(**arguments):
    node = {"_target_": "search_spaces.darts.DARTS", "channels": 36, "layers": 20, "threshold": 0.0, **arguments}
    return OmegaConf.create({"search_space": node, "choices": {"recipe": "darts"}})


def test_sizes_come_from_the_recipe_and_the_threshold_that_a_text_needs_from_the_search():
    images = Synthetic(num_classes=3, size=8, num_images=6, num_test_images=3)
    genotype = Genotype("darts", ONE_INPUT, {"channels": 16, "layers": 8, "threshold": 0.85})
    space = space_for(configured(), genotype, images)
    assert (space.channels, space.layers, space.threshold, space.num_classes) == (36, 20, 0.85, 3)
    assert space.format(architecture_of(genotype, space)) == space.format(space.parse(ONE_INPUT))
    assert space_for(configured(threshold=0.5), genotype, images).threshold == 0.5
    crafted = Genotype("darts", ONE_INPUT, {"threshold": "${oc.env:HOME}"})  # type: ignore[dict-item]
    assert space_for(configured(), crafted, images).threshold == 0


def test_a_recipe_for_another_space_is_named():
    cfg = configured(_target_="search_spaces.nasbench201.NASBench201")
    with pytest.raises(UserError, match=r"'layers'.*recipe=darts is for another search space"):
        space_for(cfg, CONV, Synthetic(num_classes=3, size=8, num_images=6, num_test_images=3))


def test_an_architecture_of_another_space_is_refused():
    with pytest.raises(UserError, match="of the space nasbench201, not darts; use search_space=nasbench201"):
        architecture_of(Genotype("nasbench201", CONV), DARTS())
    with pytest.raises(UserError, match=r"read as one of darts: search_space=\.\.\. is another"):
        architecture_of(CONV, DARTS())


def test_a_published_architecture_does_not_say_which_data():
    with pytest.raises(UserError, match=r"which data\?"):
        data_of(Genotype("darts", PUBLISHED["drnas"]))


@pytest.mark.parametrize("there", [True, False])
def test_the_folder_of_the_images_is_that_of_the_search_where_it_is_there(there, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cifar"
    if there:
        folder.mkdir()
    default = OmegaConf.create({"_target_": "x", "root": "data", "flip": True})
    monkeypatch.setattr("supernet.from_genotype.group_file", lambda group, name: default.copy())
    arguments = {"root": str(folder), "flip": False}
    cfg, name = data_of(Genotype("nasbench201", CONV, choices={"data": "cifar10"}, config={"data": arguments}))
    assert (cfg.root, cfg.flip, name) == (str(folder if there else tmp_path / "data"), False, "cifar10")
