from __future__ import annotations

from poq_abm.scenario.sweep.axes import Axis, Group, expand


def axis(name: str, *values: object) -> Axis:
    return Axis(name, ("sweep", name), values)


def ids(*groups: Group) -> list[str]:
    return [cell.id for cell in expand(groups)]


def test_labels_stand_for_what_a_row_sets() -> None:
    labelled = Group((axis("rounds", 5, 9), axis("seed", 1, 2)), labels=("few", "many"))
    assert ids(labelled, Group((axis("schedule", "uniform"),))) == [
        "few,schedule=uniform",
        "many,schedule=uniform",
    ]


def test_the_settings_of_a_sample_stand_in_its_id_up_to_eighty_characters() -> None:
    path = "x" * 40 + ".y" * 20
    fits, longer = ("a" * 78, "b" * 2), ("a" * 79, "b" * 2)
    assert ids(Group((axis(path, *fits),), drawn=True)) == [f"y={text}" for text in fits]
    assert ids(Group((axis(path, *longer),))) == [f"y={text}" for text in longer]
    digests = ids(Group((axis(path, *longer),), drawn=True))
    assert [len(digest) for digest in digests] == [len("sample=") + 12] * 2
    assert len(set(digests)) == 2


def test_the_id_of_a_sample_does_not_depend_on_the_others() -> None:
    first, second = "a" * 90, "b" * 90
    alone = ids(Group((axis("m.x", first),), drawn=True))
    beside = ids(Group((axis("m.x", second, first),), drawn=True), Group((axis("n.x", 1),)))
    assert beside[1] == f"{alone[0]},n.x=1"


def test_every_value_knows_where_it_was_written() -> None:
    places = [("sweep", "list", row, "rounds") for row in range(2)]
    group = Group((Axis("rounds", places[0], [5, 9], places), axis("seed", 1, 2)))
    assert [cell.places for cell in expand([group])] == [
        {"rounds": place, "seed": ("sweep", "seed")} for place in places
    ]
