"""The bounds that the distribution declares are compared with what is installed."""

from importlib import metadata

import pytest

from cvlab import check_versions

DECLARED = [
    "numpy>=1.26",
    'tensorflow>=2.18; extra == "tf"',
    "scipy>=1.11.4",
    'nbgrader>=0.9.5; extra == "instructors"',
    'cvlab-book[tf,instructors]; extra == "dev"',
]
NEW = {"numpy": "2.1.3", "tensorflow": "2.20.0", "scipy": "1.16.3"}


@pytest.fixture
def installed(monkeypatch):
    """A dictionary of installed packages in place of those of this environment."""
    packages = dict(NEW)

    def version(name):
        if name not in packages:
            raise metadata.PackageNotFoundError(name)
        return packages[name]

    monkeypatch.setattr(metadata, "requires", lambda name: DECLARED)
    monkeypatch.setattr(metadata, "version", version)
    return packages


def test_this_environment_is_new_enough():
    assert metadata.requires("cvlab-book")
    check_versions()


@pytest.mark.parametrize("numpy", ["1.26", "1.26.0", "1.27.0rc1", "2.0.0.dev0", "10.0"])
def test_equal_and_newer_versions_pass(installed, numpy):
    installed["numpy"] = numpy
    check_versions()


@pytest.mark.parametrize(
    ("package", "found", "bound"),
    [
        ("numpy", "1.25.2", "1.26"),
        ("numpy", "1.9.0", "1.26"),
        ("scipy", "1.11", "1.11.4"),
        ("scipy", "1.11.3", "1.11.4"),
        ("tensorflow", "2.9.1", "2.18"),
    ],
)
def test_an_old_package_is_named_with_what_to_do(installed, package, found, bound):
    installed[package] = found
    with pytest.raises(ImportError) as error:
        check_versions()
    assert str(error.value) == (
        f"cvlab needs {package}>={bound}, got {found}: choose a newer runtime, or "
        f"%pip install -U {package} and restart the session"
    )


def test_a_missing_package_is_named(installed):
    del installed["scipy"]
    with pytest.raises(ImportError, match=r"cvlab needs scipy>=1.11.4, got none: "):
        check_versions()


def test_tensorflow_and_the_tools_of_instructors_may_be_missing(installed):
    del installed["tensorflow"]
    check_versions()


def test_bounds_are_read_as_setuptools_writes_them():
    """Every dependency of this distribution is looked at: none has a form that is skipped."""
    from cvlab._requirements import LOWER_BOUND

    needed = [r for r in metadata.requires("cvlab-book") if "extra" not in r or '"tf"' in r]
    assert len(needed) >= 5
    assert all(LOWER_BOUND.fullmatch(requirement) for requirement in needed), needed
