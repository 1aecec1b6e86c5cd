"""Objects from outside the library: entry points of installed packages, and ``module:NAME``."""

import sys
import types

import pytest

from kanerva import InputError
from kanerva.lab import plugins


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Work in an empty folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        home = getattr(sys.modules[name], "__file__", None) or ""
        if home.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Return a function that installs a package with one module and its entry points."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def add(package, points, code=""):
        info = site / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)
        (site / f"{package}.py").write_text(code)

    yield add
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(site)):
            del sys.modules[name]


def keep(name, value):
    return value


class TestEntryPoints:
    def test_names_are_found_without_an_import(self, install):
        install("acme", "[some.group]\nb = acme:missing\na = acme:one\n", "raise OSError")
        assert plugins.names("some.group") == ["a", "b"]
        assert list(plugins.entry_points("some.group")) == ["a", "b"]
        assert "acme" not in sys.modules

    def test_objects_are_loaded(self, install):
        install("acme", "[some.group]\none = acme:one\nwhole = acme\n", "one = 1")
        found = plugins.load_all(plugins.entry_points("some.group"), keep)
        assert found["one"] == 1
        assert isinstance(found["whole"], types.ModuleType)

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("raise OSError('no disk')", r"OSError: no disk \(acme.py, line 1\)"),
            ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
            ("one =", r"SyntaxError: invalid syntax \(acme.py, line 1\)"),
            ("raise SystemExit", "SystemExit"),
            ("two = 2", "AttributeError"),
        ],
    )
    def test_a_broken_one_is_named_in_a_warning(self, install, code, reason):
        install("acme", "[some.group]\none = acme:one\n", code)
        with pytest.warns(UserWarning, match=f"'one' of the package 'acme' is left out: {reason}"):
            assert plugins.load_all(plugins.entry_points("some.group"), keep) == {}

    def test_an_object_of_the_wrong_kind_is_named_in_a_warning(self, install):
        install("acme", "[some.group]\none = acme:one\ntwo = acme:two\n", "one, two = 1, '2'")
        with pytest.warns(UserWarning, match="'two' .* TypeError: "):
            found = plugins.load_all(
                plugins.entry_points("some.group"), lambda name, value: value + 1
            )
        assert found == {"one": 2}

    def test_two_of_one_name_are_refused(self, install):
        install("acme", "[some.group]\none = acme:one\n")
        install("bolt", "[some.group]\none = bolt:one\n")
        with pytest.raises(InputError) as caught:
            plugins.entry_points("some.group")
        assert str(caught.value) == (
            "entry point 'one' of 'some.group' must be defined once, but it was defined by the "
            "package 'acme' and by the package 'bolt'; uninstall one of them."
        )

    def test_a_name_of_the_library_is_refused(self, install):
        install("acme", "[some.group]\none = acme:one\n")
        with pytest.raises(InputError, match="must be a name that kanerva does not use itself"):
            plugins.entry_points("some.group", taken=("one",))


class TestLocations:
    @pytest.mark.parametrize("text", ["mine:LSR", "package.module:LSR", "mine:models.LSR"])
    def test_the_form(self, text):
        assert plugins.is_location(text)

    @pytest.mark.parametrize(
        "text", ["LSR", "mine:", ":LSR", "C:\\mine.npy", "mine.py:1", "mine:a:b", "a/b:c", ""]
    )
    def test_other_texts(self, text):
        assert not plugins.is_location(text)

    def test_a_module_of_the_current_folder(self, folder):
        (folder / "outside_one.py").write_text("class models:\n    LSR = 3\n")
        path = list(sys.path)
        assert plugins.load("memory", "outside_one:models.LSR") == 3
        assert sys.path == path

    @pytest.mark.parametrize(
        ("location", "got"),
        [
            ("outside_nowhere:LSR", "ModuleNotFoundError: No module named 'outside_nowhere'"),
            ("outside_two:LSR", "ZeroDivisionError: division by zero (outside_two.py, line 2)"),
            ("outside_three:LSR", "SystemExit: 1 (outside_three.py, line 1)"),
        ],
    )
    def test_a_module_that_cannot_be_imported(self, folder, location, got):
        (folder / "outside_two.py").write_text("LSR = 1\nLSR / 0\n")
        (folder / "outside_three.py").write_text("raise SystemExit(1)\n")
        with pytest.raises(InputError) as caught:
            plugins.load("memory", location)
        assert caught.value.argument == "memory"
        assert caught.value.got == f"{location!r}: {got}"

    def test_a_name_that_is_not_there(self, folder):
        (folder / "outside_four.py").write_text("")
        with pytest.raises(InputError, match="something in the module 'outside_four'"):
            plugins.load("memory", "outside_four:LSR")


class TestCall:
    def test_errors_become_a_sentence(self):
        with pytest.raises(InputError) as caught:
            plugins.call("data", "mine", lambda: [][1])
        assert str(caught.value).startswith(
            "data must be a callable that raises no error, but it was 'mine': "
            "IndexError: list index out of range (test_plugins.py, line "
        )

    def test_a_sentence_stays_as_it_is(self):
        def refusing():
            raise InputError("f", "x", "1", "2", "give 1")

        with pytest.raises(InputError, match="f: x must be 1, but it was 2; give 1"):
            plugins.call("data", "mine", refusing)
