"""Where images are is said without reading them."""

import fakes
import pytest
from refusals import refusal

from cifar_lib import data
from cifar_lib.data import download


@pytest.mark.parametrize(
    "write", [fakes.write_parquet, lambda folder, _: (folder / "cifar-10-python.tar.gz").write_bytes(b"")]
)
def test_originals_are_seen_and_not_read(write, folder):
    assert data.whereabouts("cifar10").startswith(f"not in {folder}")
    write(folder, fakes.cifar())
    assert data.whereabouts("cifar10").startswith(f"not prepared yet; the originals are in {folder}")


def test_prepared_images_are_named(folder, monkeypatch):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    data.load("cifar10")
    assert data.whereabouts("cifar10") == f"prepared in {data.prepared_file('cifar10')}"


def test_generated_images_need_no_files():
    assert all("no files" in data.whereabouts(name) for name in data.GENERATORS)


def test_images_are_at_hand_when_loading_them_needs_no_download(folder):
    assert data.at_hand("toy") and data.at_hand("digits")
    assert not data.at_hand("cifar10") and not data.at_hand("cifar10/shuffled")
    fakes.write_parquet(folder, fakes.cifar())
    assert data.at_hand("cifar10") and data.at_hand("cifar10/shuffled")


@pytest.mark.filterwarnings("ignore:The training images found in")
def test_images_prepared_from_another_folder_are_at_hand_when_loading_takes_them(folder, monkeypatch):
    parts = fakes.cifar()
    paths = fakes.write_parquet(folder, parts)
    data.load("cifar10")
    (folder / "empty").mkdir()
    asked = []
    monkeypatch.setattr(download, "fetch", lambda name, folder: asked.append(name))
    assert not data.at_hand("cifar10", folder / "empty")
    assert data.whereabouts("cifar10", folder / "empty").startswith(f"not in {folder / 'empty'}")
    assert "run again" in refusal(data.load, "cifar10", folder / "empty") and asked == ["cifar10"]
    fakes.expect(monkeypatch, "cifar10", parts)
    assert data.at_hand("cifar10", folder / "empty")
    assert len(data.load("cifar10", folder / "empty").train) == 40
    paths[0].touch()
    assert data.whereabouts("cifar10").startswith("not prepared yet; the originals are in")


def test_a_damaged_prepared_file_is_not_taken_for_a_missing_one(folder):
    """Loading names it, where a download would be a surprise."""
    data.prepared_file("cifar10").write_bytes(b"no images")
    assert data.at_hand("cifar10") and "prepared in" in data.whereabouts("cifar10")
    assert "is damaged: delete it" in refusal(data.load, "cifar10")


@pytest.mark.parametrize("name", ["cifar11", "", "cifar10/turned"])
@pytest.mark.parametrize("look", [data.whereabouts, data.at_hand])
def test_an_unknown_name_is_answered_with_the_known_ones(look, name):
    assert "choose one of cifar10, mnist, toy, digits, cifar10/shuffled" in refusal(look, name)


def test_a_variant_is_where_its_data_set_is():
    assert data.whereabouts("toy/grey") == data.whereabouts("toy")
    assert data.whereabouts("cifar10/grey") == data.whereabouts("cifar10")
