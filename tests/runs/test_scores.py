"""Accuracies of runs come with the interval that belongs to them."""

import pytest
import torch

from cifar_lib import CourseError, evaluate, models, runs


def score(part, right, images=10):
    return runs.Score(part, torch.arange(images) < right)


def test_a_score_has_the_interval_of_its_images():
    one = score("test", 8)
    low, high = evaluate.wilson_interval(0.8, 10)
    expected = {"part": "test", "accuracy": 0.8, "interval": [low, high], "images": 10}
    assert one.as_dict() == expected
    assert str(one) == f"      test accuracy: 80.0% of 10 images (95 % interval {low:.1%} to {high:.1%})"


def test_the_mean_over_seeds_has_the_interval_over_seeds_and_images_of_each_part():
    seeds = [[score("val", 3), score("test", 8)], [score("val", 5), score("test", 9)]]
    found = runs.mean_scores(seeds)
    for place, part in enumerate(("val", "test")):
        expected = evaluate.accuracy_interval(torch.stack([scores[place].right for scores in seeds]))
        assert found[part] == expected
    assert found["test"].value == pytest.approx(0.85)


def test_a_part_that_not_all_seeds_have_has_no_mean():
    """A network that was trained on other images has no validation accuracy on those at hand."""
    found = runs.mean_scores([[score("val", 3), score("test", 8)], [score("test", 9)], [score("test", 7)]])
    assert list(found) == ["test"]


@pytest.mark.parametrize("several", [[], [[runs.Score("test", torch.ones(3).bool())]]])
def test_a_mean_over_seeds_takes_at_least_two(several):
    with pytest.raises(CourseError, match="compare at least two"):
        runs.mean_scores(several)


@pytest.mark.parametrize("parts", ["test", ("tests",)])
def test_parts_that_there_are_not_are_refused(parts, tiny, toy_images):
    """A text would be searched for "val" and "test", and a slip would find nothing."""
    network = models.build(tiny, toy_images.shape, 4)
    with pytest.raises(CourseError, match="The parts are"):
        runs.new_scores(network, tiny, toy_images, parts)
