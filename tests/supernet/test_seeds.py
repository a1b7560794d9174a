from supernet import seeds


def test_seeds_differ_by_every_part_and_are_reproducible():
    derived = {
        seeds.derive(seed, purpose, epoch, step)
        for seed in range(4)
        for purpose in range(4)
        for epoch in range(4)
        for step in range(4)
    }
    assert len(derived) == 4**4
    assert seeds.derive(1, 2, 3) == seeds.derive(1, 2, 3)
    assert all(0 <= value < 2**63 for value in derived)
    assert len({value & 0xFFFFFFFF for value in derived}) == 4**4  # torch's CPU generator uses the low 32 bits
