from pathlib import Path

import pytest

from crydistill import settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in (settings.CACHE_VARIABLE, settings.CAPTURES_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr("sys.platform", "linux")


def test_own_variable_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv(settings.CACHE_VARIABLE, str(tmp_path / "own"))
    assert settings.cache_dir() == tmp_path / "own"


def test_own_variable_expands_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv(settings.CACHE_VARIABLE, "~/sounds")
    assert settings.cache_dir() == tmp_path / "sounds"


def test_xdg_comes_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert settings.cache_dir() == tmp_path / "xdg" / "crydistill"


@pytest.mark.parametrize("value", ["", "  ", "relative/folder"])
def test_an_unusable_xdg_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert settings.cache_dir() == tmp_path / ".cache" / "crydistill"


@pytest.mark.parametrize(
    ("platform", "below_home"),
    [
        ("linux", ".cache/crydistill"),
        ("darwin", "Library/Caches/crydistill"),
        ("win32", "AppData/Local/crydistill/Cache"),
    ],
)
def test_each_platform_has_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, below_home: str
) -> None:
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr("sys.platform", platform)
    assert settings.cache_dir() == tmp_path / below_home


def test_captures_only_where_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings.captures_dir() is None
    monkeypatch.setenv(settings.CAPTURES_VARIABLE, str(tmp_path))
    assert settings.captures_dir() == tmp_path


def test_the_hub_is_named_by_its_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (settings.HUB_TOKEN_VARIABLE, settings.HUB_ENDPOINT_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    assert settings.hub_token() is None
    assert settings.hub_endpoint() is None
    monkeypatch.setenv("HF_TOKEN", " hf_token\n")
    monkeypatch.setenv("HF_ENDPOINT", "http://localhost:8000/")
    assert settings.hub_token() == "hf_token"
    assert settings.hub_endpoint() == "http://localhost:8000"
