"""Las imágenes de la portada del repositorio: están las que hace la orden, con su descripción, y pesan poco."""

import re

import pytest
from PIL import Image

from tools import ROOT, browser, screenshots


def test_the_readme_shows_each_one_with_its_description():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    shown = dict(re.findall(r"!\[([^\]]{20,})\]\(docs/capturas/(\w+)\.webp\)", text))
    assert sorted(shown.values()) == sorted(screenshots.NAMES)
    assert {path.stem for path in screenshots.OUTPUT.iterdir()} == set(screenshots.NAMES)


@pytest.mark.parametrize("name", screenshots.NAMES)
def test_each_one_is_small_and_is_what_it_says(name):
    path = screenshots.OUTPUT / f"{name}.webp"
    with Image.open(path) as image:
        assert image.format == "WEBP" and image.width == screenshots.WIDTH
        assert len(image.convert("L").histogram()) == 256 and image.convert("L").getextrema() != (255, 255)
    assert 5_000 < path.stat().st_size < screenshots.LIMIT


def test_without_the_site_it_says_how_to_make_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(browser, "find_browser", lambda: "chromium")
    assert screenshots.main(["--site", str(tmp_path), "--output", str(tmp_path / "capturas")]) == 1
    assert "make site" in capsys.readouterr().err and not (tmp_path / "capturas").exists()


def test_without_a_browser_it_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(browser, "find_browser", lambda: None)
    assert screenshots.main(["--site", str(tmp_path)]) == 1
    assert "No encuentro Chromium" in capsys.readouterr().err
