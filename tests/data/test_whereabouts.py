"""Where images are is said without reading them."""

import fakes
import pytest

from cifar_lib import CourseError, data


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


@pytest.mark.parametrize("ask", [data.whereabouts, data.at_hand])
def test_a_name_that_there_is_not_is_refused(ask):
    with pytest.raises(CourseError, match="There is no data set 'cifar': choose one of cifar10, mnist"):
        ask("cifar")
