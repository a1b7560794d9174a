"""Every architecture is taken by exactly one part, whoever is fast, late or lost."""

import multiprocessing

import pytest

from supernet.evaluation.claims import TIMES, Claims, chunked, owners
from tests.supernet.estimators.tasks import SMALL

LEFT = list(zip(range(0, 1400, 2), SMALL.enumerate(), strict=False))  # those of odd numbers are scored already


def queue(folder, part, parts, left=LEFT, check=lambda: None):
    return Claims(folder, left, part, parts, f"process {part}", check)


def emptied(claims):
    found = []
    while claims:
        found.append(claims.popleft())
    return found


def test_one_part_alone_takes_all_in_order(tmp_path):
    assert emptied(queue(tmp_path, 0, 1)) == LEFT


@pytest.mark.parametrize("speeds", [(1, 1, 1), (9, 2, 1), (1, 0, 30)])
def test_parts_of_any_speed_end_together_and_take_each_once(speeds, tmp_path):
    parts = [queue(tmp_path, number, 3) for number in range(3)]
    taken = [[], [], []]
    rounds = 0
    while any(parts[number] for number in range(3) if speeds[number]):
        for number, speed in enumerate(speeds):
            for _ in range(speed):
                if parts[number]:
                    taken[number].append(parts[number].popleft())
        rounds += 1
    assert sorted(number for part in taken for number, _ in part) == [number for number, _ in LEFT]
    assert dict(one for part in taken for one in part) == dict(LEFT)
    # no part is left with more than a chunk when the others have ended
    size = len(chunked(LEFT, 3)[0])
    assert rounds <= len(LEFT) / sum(speeds) + size + 1


def test_a_part_begins_in_its_own_section(tmp_path):
    first, second = queue(tmp_path, 0, 2), queue(tmp_path, 1, 2)
    assert first
    assert second
    assert (first.popleft()[0], second.popleft()[0]) == (0, 2 * 351)  # 234 chunks of three


def test_how_many_are_to_be_expected_is_a_share_of_what_is_free(tmp_path):
    claims = queue(tmp_path, 0, 2)
    assert len(claims) == 350
    assert len(queue(tmp_path, 0, 3)) == 234
    assert claims
    assert len(claims) == 3 + -(-697 // 2)  # a chunk of three is its own
    emptied(claims)
    assert len(claims) == 0
    assert len(queue(tmp_path, 0, 2, [])) == 0
    assert not queue(tmp_path, 0, 2, [])


def test_chunks_are_small_against_the_share_of_a_part():
    assert [len(chunk) for chunk in chunked(LEFT[:10], 3)] == [1] * 10
    assert len(chunked(range(15625), 4)[0]) == 15625 // (4 * TIMES)
    assert [one for chunk in chunked(LEFT, 2) for one in chunk] == LEFT


def test_who_has_taken_what_is_known(tmp_path):
    first = queue(tmp_path, 0, 2, LEFT[:4])
    assert first
    second = queue(tmp_path, 1, 2, LEFT[:4])
    assert second
    assert owners(tmp_path, LEFT[:4], 2) == {0: "process 0", 2: "", 4: "process 1", 6: ""}


def test_nothing_is_taken_where_there_is_no_sense_in_going_on(tmp_path):
    def check():
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        bool(queue(tmp_path, 0, 2, check=check))
    assert not list(tmp_path.iterdir())


def test_when_all_are_measured_and_the_folder_has_gone_nothing_is_left(tmp_path):
    assert not queue(tmp_path / "gone", 1, 2)


def take(folder, part, pipe):
    pipe.send([number for number, _ in emptied(queue(folder, part, 4))])


def test_processes_that_take_at_the_same_time_share_without_overlap(tmp_path):
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(4)]
    processes = [context.Process(target=take, args=(tmp_path, part, pipes[part][1])) for part in range(4)]
    for process in processes:
        process.start()
    taken = [pipe.recv() for pipe, _ in pipes]
    for process in processes:
        process.join()
    assert sorted(number for part in taken for number in part) == [number for number, _ in LEFT]
