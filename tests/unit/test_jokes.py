"""Los datos de la sesión 04: completos, limpios, sin repetidos y siempre partidos igual."""

import json
import re
import statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textos import INSULTS, blocked, plain, problems, words

from course_utils import _jsonl, jokes
from course_utils.models import Profile

DATA = jokes.DATA
ROWS = [json.loads(line) for line in (DATA / "chistes.jsonl").read_text(encoding="utf-8").splitlines()]
LITERARY = [json.loads(line) for line in (DATA / "literarios.jsonl").read_text(encoding="utf-8").splitlines()]
TEXTS = [row["text"] for row in ROWS]
EVERYTHING = TEXTS + [row["text"] for row in LITERARY]

# Y lo que el conjunto dice no tratar.
TOPICS = """borrach* cerveza* whisky* tequila* droga* porro* cocaina heroina marihuana sexo sexual* desnud* gitan*
follar* moro moros judi* nazi* hitler lesbian* travesti* matar asesin* suicid* ahorc* violar violacion pistol* terroris*
obispo*
iglesia* virgen dios infierno jaimito lepe socialista* comunista* fascista* ministro* suegra* enano* gorda gordo
calvo calva"""


# ---------------------------------------------------------------- los datos
def test_there_are_enough_jokes_with_every_field():
    assert len(ROWS) >= 400 and [row["id"] for row in ROWS] == list(range(len(ROWS)))
    for row in ROWS:
        assert tuple(row) == jokes.COLUMNS
        assert row["funny"] is None  # nadie los ha valorado
        assert 2 <= len(row["keywords"].split(", ")) <= 5 and row["keywords"] == row["keywords"].casefold()


def test_topics_forms_and_lengths_vary():
    topics = Counter(row["category"] for row in ROWS)
    assert len(topics) >= 10 and min(topics.values()) >= 20
    lengths = [len(words(text)) for text in TEXTS]
    assert min(lengths) >= 8 and max(lengths) <= 120 and 25 <= statistics.median(lengths) <= 35
    dialogue = sum(text.startswith("—") for text in TEXTS) / len(TEXTS)
    riddle = sum(text.startswith("¿") for text in TEXTS) / len(TEXTS)
    alone = sum("—" not in text and "\n" not in text and "¿" not in text for text in TEXTS) / len(TEXTS)
    story = sum(n >= 45 for n in lengths) / len(TEXTS)
    assert 0.3 < dialogue < 0.6 and riddle > 0.1 and alone > 0.08 and story > 0.1
    assert max(Counter(tuple(words(text)[:2]) for text in TEXTS).values()) <= 15


def test_no_two_jokes_are_nearly_the_same():
    assert jokes.near_duplicates(TEXTS) == []
    assert jokes.near_duplicates(TEXTS, 0.2) == []  # ni siquiera la mitad de parecidos de lo que se admite
    assert jokes.near_duplicates([row["text"] for row in LITERARY], 0.2) == []


def test_typography():
    assert {text: found for text in EVERYTHING if (found := problems(text))} == {}


def stuck(text):
    """Una adivinanza con la respuesta pegada a la pregunta, sin su raya."""
    return re.match(r"¿[^?]*\? +[^—\n]+$", text) is not None


def test_every_riddle_answers_with_its_dash():
    assert [text for text in TEXTS if stuck(text)] == []
    assert stuck("¿Qué hace? Nada.") and not stuck("¿Qué hace?\n—Nada.") and not stuck("¿Qué hace? Piensa.\n—Nada.")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('Dijo "hola" y se fue.', "comillas rectas"),
        ("Y entonces...", "tres puntos"),
        ("- ¿Qué? - Nada.", "guion por raya"),
        ("Hola  a todos.", "espacios"),
        ("— Hola.", "raya suelta"),
        ("Hola , dijo.", "espacio ante el signo"),
        ("¿ Qué?", "espacio tras el signo"),
        ("Qué dices?", "¿?"),
        ("¡¡Hola!!", "signos repetidos"),
        ("hola.", "principio"),
        ("Se fue", "final"),
        ("Cafe\u0301 solo.", "NFC"),
        ("Me gusta 😀.", "símbolos"),
        ("Uno,dos.", "sin espacio tras la coma"),
    ],
)
def test_the_typography_test_can_fail(text, problem):
    assert problem in problems(text)


def test_no_blocked_words():
    assert {text: found for text in TEXTS if (found := blocked(text, INSULTS + " " + TOPICS))} == {}
    assert {row["text"]: found for row in LITERARY if (found := blocked(row["text"], INSULTS))} == {}


def test_the_block_list_can_fail():
    assert blocked("¡Qué IDIOTAS sois!", INSULTS) == ["idiotas"]
    assert blocked("Se sentó en el ático de la casa.", INSULTS + TOPICS) == []
    assert blocked("Un cojín y un ñandú.", INSULTS) == []


def test_literary_texts():
    assert len(LITERARY) >= 60 and [row["id"] for row in LITERARY] == list(range(len(LITERARY)))
    assert jokes.load_literary() == [row["text"] for row in LITERARY]
    assert all(tuple(row) == ("id", "text") for row in LITERARY)


def test_the_cards_tell_the_truth():
    card = (DATA / "chistes.md").read_text(encoding="utf-8")
    lengths = [len(words(text)) for text in TEXTS]
    assert f"{len(ROWS)} chistes" in card and "CC0" in card and "nulo" in card
    assert f"de {min(lengths)} a {max(lengths)} palabras; mediana, {statistics.median(lengths):g}" in card
    for topic in {row["category"] for row in ROWS}:
        assert topic in card
    lengths = [len(words(row["text"])) for row in LITERARY]
    card = (DATA / "literarios.md").read_text(encoding="utf-8")
    assert f"{len(LITERARY)} textos" in card and "CC0" in card
    assert f"de {min(lengths)} a {max(lengths)} palabras; mediana, {statistics.median(lengths):g}" in card


# ---------------------------------------------------------------- load_jokes
def test_the_split_is_always_the_same_and_loses_nothing():
    first, again = jokes.load_jokes("mini"), jokes.load_jokes("mini")
    assert list(first) == ["train", "validation", "test"]
    for name in first:
        assert first[name].to_list() == again[name].to_list() and tuple(first[name].column_names) == jokes.COLUMNS
    ids = [i for name in first for i in first[name]["id"]]
    assert sorted(ids) == list(range(len(ROWS)))
    shares = [len(first[name]) / len(ROWS) for name in first]
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.01)
    by_id = {row["id"]: row for row in ROWS}
    assert all(row == by_id[row["id"]] for row in first["test"])


def test_the_split_is_the_one_of_the_published_figures():
    """Las pérdidas en la prueba solo se pueden comparar si son los mismos chistes."""
    order = np.random.default_rng(2026).permutation(len(ROWS)).tolist()
    data, n = jokes.load_jokes("mini"), round(0.15 * len(ROWS))
    assert data["test"]["id"][:6] == [435, 8, 407, 331, 486, 128]
    assert [data[name]["id"] for name in ("test", "validation", "train")] == [
        order[:n],
        order[n : 2 * n],
        order[2 * n :],
    ]


def own(tmp_path, *rows, name="propios.jsonl"):
    """Un perfil con un fichero propio: textos, filas o líneas tal cual."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    return Profile("propio", {"jokes": tmp_path / name})


def all_rows(data):
    return sorted((row for part in data.values() for row in part), key=lambda row: row["id"])


def test_a_file_of_ones_own_needs_only_texts(tmp_path):
    rows = [{"text": TEXTS[0]}, {"text": TEXTS[1], "id": None, "funny": 3}, {"id": 40, "text": TEXTS[2], "otra": 1}]
    found = all_rows(jokes.load_jokes(own(tmp_path, *rows, "  ", {"text": " "})))
    empty = dict.fromkeys(jokes.COLUMNS)
    assert found == [
        empty | {"id": 0, "text": TEXTS[0]},
        empty | {"id": 1, "text": TEXTS[1], "funny": 3},
        empty | {"id": 40, "text": TEXTS[2]},
    ]


def test_any_path_and_any_text_can_be_read(tmp_path):
    texts = ["—¿Y eso?\u2028—Nada.", "Dos\x85líneas distintas.", "😀😀", "😂😂"]
    profile = own(tmp_path, *({"text": text} for text in texts), name="propios.json")
    assert [row["text"] for row in all_rows(jokes.load_jokes(profile))] == texts
    as_text = Profile("propio", {"jokes": str(profile.sources["jokes"])})
    assert all_rows(jokes.load_jokes(as_text)) == all_rows(jokes.load_jokes(profile))
    marked = tmp_path / "de Windows.jsonl"  # el Bloc de notas pone una marca al principio, y líneas con \r\n
    marked.write_bytes("\ufeff".encode() + profile.sources["jokes"].read_bytes().replace(b"\n", b"\r\n"))
    assert all_rows(jokes.load_jokes(Profile("propio", {"jokes": marked}))) == all_rows(jokes.load_jokes(profile))


def test_no_near_duplicate_across_splits(tmp_path):
    """Con repetidos a propósito en el fichero: cada grupo queda una sola vez."""
    rows = [dict(row) for row in ROWS[:60]]
    for i in range(30):  # copias con otra puntuación, en mayúsculas o con una palabra cambiada
        text = ROWS[i]["text"]
        changed = [text.upper(), text.replace(",", ""), text + " ¡Ja!"][i % 3]
        rows.append({**ROWS[i], "id": 60 + i, "text": changed})
    file = tmp_path / "con repetidos.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    data = jokes.load_jokes(Profile("propio", {"jokes": str(file)}))
    texts = [text for name in data for text in data[name]["text"]]
    assert len(texts) == 60 and jokes.near_duplicates(texts) == []
    assert set(texts) == {row["text"] for row in ROWS[:60]}  # queda el primero de cada grupo


def test_completo_reads_the_hub_into_the_same_columns(tmp_path, monkeypatch):
    """Cómo se descarga se prueba en test_hub.py."""
    import datasets

    rows = [
        {"otra": 1, "funny": 3, "category": "otros", "id": i, "keywords": "a", "text": text}
        for i, text in enumerate([*TEXTS[:50], TEXTS[0], None])
    ]
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    calls = []
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr(jokes, "download", lambda *args, **k: calls.append((*args, k)) or tmp_path / "hub")
    data = jokes.load_jokes("completo")
    assert calls == [("mrm8488/CHISTES_spanish_jokes", None, {"kind": "dataset"})]
    assert sum(map(len, data.values())) == 50 and data["train"].features == jokes.load_jokes("mini")["train"].features
    assert set(data["train"]["funny"]) == {3}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "{",
            r"No he podido leer los datos de 'mrm8488/.*' \(\w+: .*\)\. Borra la carpeta (.*) y repite: se descargarán",
        ),
        ('{"text": "a", "id": 1}', r"le faltan las columnas \['keywords', 'funny', 'category'\]: ha cambiado desde"),
    ],
)
def test_what_the_hub_gives_may_be_broken_or_something_else(tmp_path, monkeypatch, content, said):
    import datasets

    folder = tmp_path / "datasets--x" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text(content, encoding="utf-8")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr(jokes, "download", lambda *_, **__: folder)
    with pytest.raises(ValueError, match=said) as error:
        jokes.load_jokes("completo")
    found = re.search(said, str(error.value), re.DOTALL).groups()
    assert found in ((), (str(tmp_path / "datasets--x"),))  # toda la copia, y no solo esa versión


GOOD = json.dumps(ROWS[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"dañado: está vacío"),
        ("\n \n", r"dañado: está vacío"),
        ("no es JSON", r"la línea 1 no es un objeto JSON con un texto en «text»"),
        (GOOD + "\n\n" + '{"texto": "sin text"}', r"la línea 3 no es"),
        ('{"text": 3}', r"la línea 1 no es"),
        ('["text"]', r"la línea 1 no es"),
        ("3", r"la línea 1 no es"),
        (GOOD + "\n" + '{"text": "Sí.", "id": "a12"}', r"línea 2, «id» debe ser un entero y es 'a12'"),
        ('{"text": "Sí.", "funny": true}', r"«funny» debe ser un entero y es True"),
        ('{"text": "Sí.", "keywords": ["a"]}', r"«keywords» debe ser un texto y es \['a'\]"),
        (b"\xff\xfe{}", r"dañado: UnicodeDecodeError"),
        (None, r"falta o está dañado: FileNotFoundError"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    file = tmp_path / "chistes.jsonl"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message + r".*\. Repasa") as error:
        jokes.load_jokes(Profile("propio", {"jokes": file}))
    assert str(file) in str(error.value) and "git" not in str(error.value)


def test_the_remedy_of_our_own_files_is_to_restore_them(tmp_path, monkeypatch):
    (tmp_path / "literarios.jsonl").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(jokes, "DATA", tmp_path)
    monkeypatch.setattr(_jsonl, "DATA", tmp_path)
    for call in (jokes.load_jokes, jokes.load_literary):
        with pytest.raises(ValueError, match=r"falta o está dañado.*Restáuralo con «git checkout"):
            call()


def test_texts_that_say_nothing_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no hay ningún chiste.*vacíos"):
        jokes.load_jokes(own(tmp_path, {"text": " "}, {"text": ""}))
    with pytest.raises(ValueError, match=r"texto 1, .*media letra suelta"):
        jokes.load_jokes(own(tmp_path, {"text": "Sí."}, r'{"text": "No \ud83d."}'))


# ---------------------------------------------------------------- casi iguales
@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abc ", max_size=14), max_size=7), st.sampled_from([0.2, 0.5, 1.0]))
def test_near_duplicates_equal_brute_force(texts, threshold):
    def pieces(text):
        letters = text.replace(" ", "")
        return {letters[i : i + 5] for i in range(max(len(letters) - 4, 1))}

    expected = []
    for j in range(len(texts)):
        for i in range(j):
            a, b = pieces(texts[i]), pieces(texts[j])
            if len(a & b) / len(a | b) >= threshold:
                expected.append((i, j, len(a & b) / len(a | b)))
    assert jokes.near_duplicates(texts, threshold) == expected


def test_small_changes_count_as_the_same_and_other_jokes_do_not():
    text = ROWS[0]["text"]
    for changed in (text.upper(), text.replace("—", "- "), plain(text), text.replace(words(text)[5], "otra", 1)):
        assert jokes.near_duplicates([text, changed]), changed
    assert not jokes.near_duplicates([ROWS[0]["text"], ROWS[1]["text"]])


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("😀", "😂", False),
        ("😀", " 😀\n", True),
        ("¡!", "¿?", False),
        ("", " ", True),
        ("😀", "", False),
        ("Sí 😀", "¡Sí!", True),  # con letras, lo demás no cuenta
    ],
)
def test_without_letters_the_signs_count(left, right, same):
    assert bool(jokes.near_duplicates([left, right])) == same


def test_two_fifths_of_the_pieces_in_common_are_enough():
    """Trozos de cinco letras: «abcdefgh» tiene cuatro. Con dos en común de cinco, 0,4; de seis, un tercio."""
    assert jokes.near_duplicates(["abcdefg", "bcdefxy"]) == []  # {abcde, bcdef, cdefg} y {bcdef, cdefx, defxy}: 1/5
    assert jokes.near_duplicates(["abcdefg", "abcdefxy"]) == [(0, 1, 0.4)]  # 2 de 3 + 4 - 2
    assert jokes.near_duplicates(["abcdefgh", "abcdefxy"]) == []  # 2 de 4 + 4 - 2
    assert jokes.near_duplicates(["abcdefghi", "abcdefgxyz"]) == []  # 3 de 5 + 6 - 3


def test_near_duplicates_take_any_iterable_of_texts():
    assert jokes.near_duplicates(text for text in ["Hola.", "HOLA"]) == [(0, 1, 1.0)]
    assert jokes.near_duplicates([]) == [] and jokes.near_duplicates(["Hola."], np.float32(0.5)) == []
    for wrong in ("Hola.", [1, 2], None):
        with pytest.raises(ValueError, match="al menos un texto"):
            jokes.near_duplicates(wrong)


@pytest.mark.parametrize("threshold", [0, -1, 1.5, "mucho", True, float("nan")])
def test_a_strange_threshold_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold"):
        jokes.near_duplicates(["a"], threshold)
