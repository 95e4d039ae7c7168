"""El corpus: de TEI y Gutenberg a un párrafo por línea, y nada que no tenga el hash del manifiesto."""

import csv
import hashlib
import http.server
import os
import re
import threading
import unicodedata
import zipfile
from pathlib import Path

import pytest

from tools.training import corpus

NOVEL = """<?xml version="1.0" encoding="UTF-8"?>
<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader><p>Cabecera que no es texto.</p></teiHeader>
<text><front><div><p>Portada.</p></div></front>
<body><div type="chapter"><head>I</head>
<p>Llovi\u0301a   en la <hi rend="it">vieja</hi>
   ciudad.</p>
<lg><l>Verso uno,</l><l>  verso dos. </l></lg>
<p>   </p>
<p>-¿Quién va? <ref target="#n1"/>-dijo.</p>
</div></body>
<back><div><p>Nota final.</p></div></back></text></TEI>"""
LINES = "Llovía en la vieja ciudad.\nVerso uno,\nverso dos.\n-¿Quién va? -dijo.\n"

OLD = """Preámbulo de Gutenberg.\r
\r
TASA\r
\r
Yo, el escribano,\r
doy fe.\r
\r
-Decid -le repliqué yo-: ¿qué\r
pensáis?\r
\r
Del burlador, soneto\r
\r
Fin\r
\r
End of Project Gutenberg's Don Quijote\r
""".encode("latin-1")
NEW = """\ufeffPreámbulo nuevo.

Tasa

TASA

Yo, el escribano,
doy fe.

— Decid —le repliqué yo—: ¿qué
pensáis?

Del burlador, soneto

Sancho Panza es asqueste, en cuerpo chico,
en humo, en sueño!

Fin

*** END ***
""".encode()
QUIJOTE = "TASA\nYo, el escribano, doy fe.\n-Decid -le repliqué yo-: ¿qué pensáis?\nDel burlador, soneto\nFin\n"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Un corpus de tres obras con su manifiesto y sus fuentes."""
    sources = tmp_path / "mis fuentes, año 1"
    (sources / "dentro").mkdir(parents=True)
    second = NOVEL.replace("vieja", "nueva")
    with zipfile.ZipFile(sources / "eltec.zip", "w") as archive:
        archive.writestr("ELTeC-spa-x/level1/SPA0001_Autora_Título.xml", NOVEL)
        archive.writestr("ELTeC-spa-x/level2/SPA0001_Autora_Título.xml", "<otra/>")
        archive.writestr("ELTeC-spa-x/README.md", "nada")
    (sources / "dentro" / "SPA0002_Autor_Título.xml").write_text(second, encoding="utf-8")
    (sources / "pg2000.txt").write_bytes(OLD)
    rows = [
        ("SPA0001.txt", LINES, "ELTeC-spa", "SPA0001"),
        ("SPA0002.txt", LINES.replace("vieja", "nueva"), "ELTeC-spa", "SPA0002"),
        ("quijote.txt", QUIJOTE, "Project Gutenberg", "2000"),
    ]
    manifest = tmp_path / "manifiesto.csv"
    with manifest.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["fichero", "particion", "sha256", "fuente", "identificador"])
        for name, text, source, identifier in rows:
            writer.writerow([name, "entrenamiento", hashlib.sha256(text.encode()).hexdigest(), source, identifier])
    monkeypatch.setattr(corpus, "MANIFEST", manifest)
    monkeypatch.setattr(corpus.read_manifest, "__defaults__", (manifest,))
    return sources, tmp_path / "corpus con eñe"


def test_tei_keeps_paragraphs_and_verses_of_the_body():
    assert corpus.tei_to_text(NOVEL.encode()) == LINES == unicodedata.normalize("NFC", LINES)


@pytest.mark.parametrize("edition", [OLD, NEW], ids=["2010", "2021"])
def test_both_editions_of_the_quijote_give_the_same_text(edition):
    assert corpus.gutenberg_to_text(edition) == QUIJOTE


def test_builds_from_local_sources_and_checks(small, capsys):
    sources, output = small
    assert corpus.main(["--sources", str(sources), "--output", str(output)]) == 0
    assert "3 de 3 textos correctos" in capsys.readouterr().out
    assert (output / "SPA0001.txt").read_text(encoding="utf-8") == LINES
    assert (output / "quijote.txt").read_bytes() == QUIJOTE.encode()
    assert (output / "manifiesto.csv").read_bytes() == corpus.MANIFEST.read_bytes()
    assert corpus.main(["--check", "--output", str(output)]) == 0


def test_a_wrong_file_is_named_with_its_hash_and_not_written(small, capsys):
    sources, output = small
    (sources / "dentro" / "SPA0002_Autor_Título.xml").write_text(NOVEL, encoding="utf-8")
    assert corpus.main(["--sources", str(sources), "--output", str(output)]) == 1
    out, err = capsys.readouterr()
    found = hashlib.sha256(LINES.encode()).hexdigest()
    expected = hashlib.sha256(LINES.replace("vieja", "nueva").encode()).hexdigest()
    assert "SPA0002.txt" in err and found in err and expected in err and "2 de 3" in out
    assert sorted(f.name for f in output.iterdir()) == ["SPA0001.txt", "manifiesto.csv", "quijote.txt"]


def test_check_finds_an_altered_and_a_missing_text(small, capsys):
    sources, output = small
    corpus.main(["--sources", str(sources), "--output", str(output)])
    (output / "SPA0001.txt").write_text(LINES + "Una línea de más.\n", encoding="utf-8")
    (output / "quijote.txt").unlink()
    assert corpus.main(["--check", "--output", str(output)]) == 1
    err = capsys.readouterr().err
    assert "SPA0001.txt: su SHA-256 es" in err and "quijote.txt: no está" in err and "SPA0002" not in err


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("dentro/SPA0002_Autor_Título.xml", NOVEL.encode()[:-30], r"SPA0002\.txt: no element found"),
        ("dentro/SPA0002_Autor_Título.xml", b"<html><body/></html>", r"SPA0002\.txt: no es TEI"),
        ("pg2000.txt", b"<html>404</html>", r"quijote\.txt: no es el texto de Project Gutenberg 2000"),
        ("dentro/SPA0002_Autor_Título.xml", None, r"SPA0002\.txt: falta su fuente \(ELTeC-spa SPA0002\)"),
    ],
    ids=["cortado", "otro XML", "otra página", "falta"],
)
def test_damaged_sources_are_explained_and_the_rest_is_built(small, capsys, name, data, message):
    sources, output = small
    (sources / name).unlink()
    if data is not None:
        (sources / name).write_bytes(data)
    assert corpus.main(["--sources", str(sources), "--output", str(output)]) == 1
    out, err = capsys.readouterr()
    assert re.search(message, err) and "2 de 3 textos correctos" in out


def test_missing_folder_of_sources(tmp_path, capsys):
    assert corpus.main(["--sources", str(tmp_path / "nada"), "--output", str(tmp_path / "c")]) == 1
    assert "No existe el directorio" in capsys.readouterr().err


# ---------------------------------------------------------------- descarga
class Server(http.server.BaseHTTPRequestHandler):
    answers: dict  # ruta -> lista de (estado, cuerpo, longitud anunciada); se gasta de una en una

    def do_GET(self):
        status, body, length = self.answers[self.path].pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    handler = type("Handler", (Server,), {"answers": {}})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as running:
        base = f"http://127.0.0.1:{running.server_port}"
        monkeypatch.setattr(corpus, "DOWNLOADS", {"eltec.zip": f"{base}/zip", "pg2000.txt": f"{base}/txt"})
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield handler
        running.shutdown()


def test_a_broken_download_leaves_nothing_and_the_second_try_works(small, server, capsys):
    sources, output = small
    with zipfile.ZipFile(sources / "eltec.zip", "a") as archive:
        archive.write(sources / "dentro" / "SPA0002_Autor_Título.xml", "x/level1/SPA0002_Autor_Título.xml")
    data = (sources / "eltec.zip").read_bytes()
    server.answers = {
        "/zip": [(404, b"", 0), (200, data[:-50], len(data)), (200, data, len(data))],
        "/txt": [(200, OLD, len(OLD))],
    }
    for expected in ("404", "llegaron"):
        assert corpus.main(["--output", str(output)]) == 1
        err = capsys.readouterr().err
        assert expected in err and "usa --sources" in err
        assert not any((output / "fuentes").iterdir())
    assert corpus.main(["--output", str(output)]) == 0
    assert corpus.main(["--output", str(output)]) == 0  # lo descargado no se vuelve a pedir


# ---------------------------------------------------------------- el manifiesto de verdad
def test_the_committed_manifest():
    rows = corpus.read_manifest()
    assert len(rows) == 91 and len({row["fichero"] for row in rows}) == len({row["sha256"] for row in rows}) == 91
    assert sum(row["particion"] == "validacion" for row in rows) == 4
    assert {row["particion"] for row in rows} == {"entrenamiento", "validacion"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", row["sha256"]) for row in rows)
    assert all(int(row["fallecimiento"]) <= 1941 for row in rows)
    assert all(url.startswith("https://") for url in corpus.DOWNLOADS.values())


@pytest.mark.skipif("CURSO_FUENTES" not in os.environ, reason="CURSO_FUENTES no dice dónde están las fuentes reales")
def test_real_sources_give_the_hashes_of_the_manifest(tmp_path):
    sources = Path(os.environ["CURSO_FUENTES"])
    found = corpus.find_sources(sources)
    rows = [row for row in corpus.read_manifest() if row["identificador"] in found]
    assert rows and corpus.build(rows, sources, tmp_path) == []
