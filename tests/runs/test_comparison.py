"""Two recipes are compared as their records say, with numbers that can be worked out by hand."""

import json
import math

import pytest
import torch

from cifar_lib import CourseError, evaluate, runs
from cifar_lib.__main__ import main
from cifar_lib.runs.predictions import Predictions, save_labels, save_predictions

LABELS = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
LABELS_OF = {"test": LABELS, "val": LABELS.flip(0)}  # others, so that nothing takes them for one another

RESULT_OF = {  # as a record calls the accuracies
    "test": "test_accuracy",
    "val": "val_accuracy",
    "test_views": "test_accuracy_views",
    "val_views": "val_accuracy_views",
}


def answers(right, labels):
    """What a network says that is right about these of ten images."""
    first = torch.where(torch.isin(torch.arange(10), torch.tensor(right)), labels, (labels + 1) % 10)
    classes = torch.stack([first, (labels + 2) % 10], dim=1).byte()
    return Predictions(classes, torch.full((10, 2), 0.4))


@pytest.fixture
def write(tmp_path, tiny):
    """Writes a run that is right about some of ten images, and of further parts if named; returns nothing."""

    def one(name, seed, right, predictions=True, fingerprint="ten", n_test=10, n_val=10, data="toy", **parts):
        path = runs.record_file(name, seed, tmp_path)
        recipe = tiny.replace(name=name, epochs=1, holdout=False, data=data)
        share, parts = len(right) / 10, {"test": right} | parts
        shares = {RESULT_OF[part]: len(several) / 10 for part, several in parts.items()}
        run = runs.Run(
            recipe=recipe,
            model={"name": "skip-cnn", "parameters": 1, "flops": 1, "shape": [3, 32, 32], "classes": 10},
            data={
                "name": data,
                "fingerprint": f"training{data.removeprefix('toy')}",
                "n_train": 10,
                "n_val": n_val,
                "n_test": n_test,
                "test_fingerprint": fingerprint,
            },
            seed=seed,
            history=[{"epoch": 1, "rate": 0.1, "train_loss": 1.0, "seconds": 1.0}],
            result={"test_accuracy": share, "test_top2": share, "test_loss": 1.0} | shares,
            environment={"device": "CPU", "torch": "2", "python": "3", "code": "0"},
            seconds=1.0,
        )
        path.write_text(json.dumps(runs.as_record(run)))
        if predictions:
            found = {part: answers(parts[part], LABELS_OF[part.removesuffix("_views")]) for part in parts}
            save_predictions(path.with_suffix(".predictions.gz"), found, {"images": fingerprint})
            save_labels(runs.labels_file("toy", tmp_path), LABELS_OF, {})

    return one


@pytest.fixture
def compare(tmp_path):
    def both(part="test"):
        return runs.compare_runs(runs.load_runs("one", tmp_path), runs.load_runs("other", tmp_path), part)

    return both


def test_where_predictions_are_kept_images_are_paired(write, compare):
    write("one", 0, [0, 1, 2, 3, 4, 5])
    write("one", 1, [0, 1, 2, 3, 6])
    write("other", 1, [2, 3, 4, 8])
    write("other", 2, [3, 4, 5, 8])
    found = compare()
    assert found.accuracies == pytest.approx((0.55, 0.4))
    assert found.difference == pytest.approx(0.15)
    assert found.seeds == ([0, 1], [1, 2]) and found.images == 10
    # Seed 1 is the only one of both: 0, 1, 6 against 4, 8. Five coins show three heads or more with p 1/2.
    assert found.pairs == [runs.Pair(1, 3, 2, pytest.approx(1.0))]
    assert found.only_first == [0, 1] and found.only_second == [8]
    sides = [[[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 6]], [[2, 3, 4, 8], [3, 4, 5, 8]]]
    tables = [torch.stack([torch.isin(LABELS, torch.tensor(right)) for right in side]) for side in sides]
    expected = evaluate.difference_interval(*tables)
    assert found.interval == (expected.low, expected.high) and found.over == "seeds and images"
    assert found.p == expected.p


def test_a_difference_has_the_interval_of_the_comparison(write, compare, tmp_path):
    for seed in (0, 1):
        write("one", seed, [0, 1, 2, 3 + seed])
        write("other", seed, [2, 4])
    sides = [runs.load_runs(name, tmp_path) for name in ("one", "other")]
    assert runs.difference(*sides) == (pytest.approx(0.2), *compare().interval)
    _, low, high = runs.difference(sides[0][:1], sides[1])
    assert math.isnan(low) and math.isnan(high)


@pytest.mark.parametrize("part", ["val", "test_views", "val_views"])
def test_each_part_has_its_own_accuracies_predictions_and_labels(part, write, compare):
    for seed in (0, 1):
        write("one", seed, [5, 6, 7], **{part: [0, 1, 2, 3 + seed]})
        write("other", seed, [9], **{part: [2, 4]})
    found = compare(part)
    assert found.accuracies == pytest.approx((0.4, 0.2))
    assert (found.over, found.images, found.only_first) == ("seeds and images", 10, [0, 1])
    assert [(pair.seed, pair.only_first, pair.only_second) for pair in found.pairs] == [(0, 3, 1), (1, 2, 0)]


def test_a_variant_is_paired_with_its_originals(write, compare):
    """It has the same images, changed, in the same order; so chapter 2 compares shuffled pixels."""
    for seed in (0, 1):
        write("one", seed, [0, 1, 2, 3 + seed])
        write("other", seed, [2, 4], data="toy/shuffled", fingerprint="ten shuffled")
    found = compare()
    assert (found.over, found.images, found.only_first) == ("seeds and images", 10, [0, 1])


def test_without_predictions_the_seeds_means_are_compared(write, compare):
    for seed, right in enumerate([[0, 1, 2, 3, 4, 5], [0, 1, 2, 3]]):
        write("one", seed, right, predictions=False)
        write("other", seed, right[2:])
    found = compare()
    assert found.accuracies == pytest.approx((0.5, 0.3))
    # Welch: both variances are 0.02, so t has two degrees of freedom: 4.3027 · √(0.02/2 + 0.02/2) = 0.6085.
    assert found.interval == pytest.approx((0.2 - 0.6085, 0.2 + 0.6085), abs=1e-4)
    # That t is 0.2 / 0.1414 = √2, and with two degrees of freedom p is 1 - √2 / √(2 + 2).
    assert found.p == pytest.approx(1 - 0.5**0.5)
    assert (found.over, found.pairs, found.images) == ("seeds", [], None)
    assert "no predictions for the same images are kept" in str(found)


def test_predictions_for_other_images_are_not_paired(write, compare):
    write("one", 0, [0, 1])
    write("other", 0, [2], fingerprint="ten others")
    assert compare().pairs == []


def test_other_numbers_of_images_are_told(write, compare):
    write("one", 0, [0, 1])
    write("other", 0, [2])
    assert "evaluated on" not in str(compare())
    write("other", 0, [2], n_test=1234)
    assert "evaluated on 10 and 1,234 images" in str(compare())
    write("one", 0, [0, 1], val=[0], n_val=20)
    write("other", 0, [2], val=[2], n_test=1234)
    assert "evaluated on 20 and 10 images" in str(compare("val"))


def test_one_seed_has_no_interval_but_its_images(write, compare):
    write("one", 0, [0, 1, 2])
    write("other", 0, [2])
    found = compare()
    assert found.interval is None and found.p is None
    assert "one seed says nothing about others" in str(found)
    assert found.pairs == [runs.Pair(0, 2, 0, pytest.approx(0.5))]


def test_a_part_that_was_not_evaluated_is_named(write, compare):
    write("one", 0, [0])
    write("other", 0, [0])
    with pytest.raises(CourseError, match="'one', seed 0, was not evaluated on 'val'"):
        compare("val")


def test_the_command_prints_the_comparison(write, compare, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("cifar_lib.recipes.get", lambda name: None)
    write("one", 0, [0, 1, 2])
    write("other", 0, [2])
    words = ["compare", "one", "other", "--folder", str(tmp_path)]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        "one: 30.00% (test, seed 0)",
        "other: 10.00% (test, seed 0)",
        "difference: +20.00 points, without an interval, because one seed says nothing about others",
        "seed 0: 2 images that only one gets right, 0 that only other does; McNemar's p = 0.5",
        "right in all runs of one and in none of other: 2 images: 0, 1",
    ]
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["event"] == "comparison" and printed["only_first"] == [0, 1]
    assert printed["pairs"] == [{"seed": 0, "only_first": 2, "only_second": 0, "p": 0.5}]
    assert main([*words, "--part", "val"]) == 2
    assert "was not evaluated on 'val'" in capsys.readouterr().err


def test_the_text_has_the_interval_in_points_and_what_each_side_alone_gets_right(write, compare, monkeypatch):
    monkeypatch.setattr(runs.comparison, "MOST_SHOWN", 2)
    for seed in (0, 1):
        write("one", seed, [0, 1, 2, 3, 4 + seed])
        write("other", seed, [6, 7])
    found = compare()
    low, high = (f"{100 * limit:+.2f}" for limit in found.interval)
    lines = str(found).splitlines()
    assert lines[2] == (f"difference: +30.00 points (95 % interval over seeds and images: {low} to {high})")
    assert lines[-2:] == [
        "right in all runs of one and in none of other: 4 images: 0, 1 and 2 more",
        "right in all runs of other and in none of one: 2 images: 6, 7",
    ]


def test_your_own_run_goes_before_the_courses_of_the_same_seed(write, tmp_path, recorded_folder):
    for place, seeds in ((runs.trained_folder(), [1]), (recorded_folder, [0, 1])):
        place.mkdir(exist_ok=True)
        for seed in seeds:
            write("one", seed, [0], predictions=False)
            runs.record_file("one", seed, tmp_path).rename(runs.record_file("one", seed, place))
    found = runs.find_runs("one")
    assert {seed: run.folder for seed, run in found.items()} == {0: recorded_folder, 1: runs.trained_folder()}


@pytest.mark.parametrize("n", [10, 7])
def test_labels_of_other_images_of_that_name_are_not_used(n, write, compare, tmp_path):
    for seed in (0, 1):
        write("one", seed, [0, 1, 2, 3 + seed])
        write("other", seed, [2, 4 + seed])
    save_labels(runs.labels_file("toy", tmp_path), {"test": LABELS.flip(0)[:n]}, {})
    found = compare()
    assert found.difference == pytest.approx(0.2)
    assert (found.over, found.pairs, found.images) == ("seeds", [], None)
    with pytest.raises(CourseError, match="are of other images than the predictions of 'one'"):
        runs.right_answers(runs.load_runs("one", tmp_path))


def test_a_part_that_is_none_and_a_side_without_runs_are_refused(write, compare):
    write("one", 0, [0])
    write("other", 0, [1])
    with pytest.raises(CourseError, match="no part 'tets': choose one of test, val"):
        compare("tets")
    with pytest.raises(CourseError, match="at least one run on each side"):
        runs.compare_runs([], [])
    with pytest.raises(CourseError, match="no runs whose answers"):
        runs.right_answers([])
