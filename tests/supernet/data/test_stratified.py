import torch

from supernet.data.stratified import others, stratified

LABELS = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)[torch.randperm(100, generator=torch.Generator().manual_seed(0))]


def counts(chosen: torch.Tensor) -> list[int]:
    return LABELS[chosen].bincount(minlength=3).tolist()


def test_each_class_gives_its_share() -> None:
    assert counts(stratified(LABELS, 50, seed=0)) == [25, 15, 10]


def test_what_does_not_divide_goes_to_the_largest_remainders() -> None:
    assert counts(stratified(LABELS, 33, seed=0)) == [16, 10, 7]  # shares 16.5, 9.9, 6.6


def test_small_classes_give_and_keep_the_least() -> None:
    assert counts(stratified(LABELS, 3, seed=0, least=1)) == [1, 1, 1]
    assert counts(stratified(LABELS, 99, seed=0, left=2)) == [48, 28, 18]


def test_positions_are_ascending_and_follow_from_the_seed() -> None:
    one, again, other = (stratified(LABELS, 40, seed) for seed in (1, 1, 2))
    assert torch.equal(one, one.unique())
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_within_a_class_every_item_is_as_likely() -> None:
    times = torch.stack([stratified(LABELS, 50, seed) for seed in range(400)]).flatten().bincount(minlength=100)
    assert times.min() > 140  # 200 expected, deviation 10
    assert times.max() < 260


def test_others_are_the_rest() -> None:
    chosen = stratified(LABELS, 40, seed=0)
    assert torch.equal(torch.cat([chosen, others(chosen, 100)]).sort().values, torch.arange(100))
