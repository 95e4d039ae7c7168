"""tools/deploy sin arrancar nada: la imagen, las recetas y sus cifras dicen lo mismo que el curso y que lo medido."""

import json
import os
import re
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from dockerfile import admitted, context, instructions

from tools.deploy import collect, publish, start, tables
from tools.pins import parse_pins

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "tools" / "deploy"
IGNORE = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8")
MEASURED = json.loads((DEPLOY / "medidas.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((DEPLOY / "values.yaml").read_text(encoding="utf-8"))


# --- La imagen ----------------------------------------------------------------------------------------


def flaws(text):
    """Lo que no se admite en un Dockerfile, en palabras."""
    steps, found = instructions(text), []
    last = max(i for i, (name, _) in enumerate(steps) if name == "FROM")
    users = [rest for name, rest in steps[last:] if name == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        found.append("corre como root")
    defaults = dict(rest.split("=", 1) for name, rest in steps if name == "ARG" and "=" in rest)
    for name, rest in steps:
        base = re.sub(r"\$\{(\w+)\}", lambda m: defaults.get(m[1], ""), rest.split()[0])
        if name == "FROM" and (":" not in base or base.endswith(":latest")):
            found.append(f"base sin versión: {base}")
        if name == "RUN" and re.search(r"(curl|wget)\b.*\|", rest):
            found.append("ejecuta lo que descarga")
        if name == "ADD":
            found.append("ADD descarga y descomprime")
        if name == "RUN" and re.search(r"\bpip3? install\b(?!.*-c constraints)", rest):
            found.append("instala sin versiones fijadas")
        if name in ("ARG", "ENV") and re.search(r"(?i)(password|secret|token|key|clave)", rest):
            found.append(f"un secreto: {rest}")
    if not {"HEALTHCHECK", "CMD"} <= {name for name, _ in steps}:
        found.append("sin salud o sin arranque")
    return found


def test_the_dockerfile_is_sound():
    assert flaws((DEPLOY / "Dockerfile").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new", "flaw"),
    [
        ("USER 1000:100", "USER root", "root"),
        ("USER 1000:100\n", "", "root"),
        ("-slim-bookworm", "", None),
        ("python:${PYTHON}-slim-bookworm", "python:latest", "sin versión"),
        ("python:${PYTHON}-slim-bookworm", "python", "sin versión"),
        ("RUN useradd", "RUN curl -L x.org/y | sh && useradd", "descarga"),
        ("RUN useradd", "RUN pip install jupyterhub && useradd", "sin versiones fijadas"),
        ("ENV HOME=", "ENV API_TOKEN=abc\nENV HOME=", "secreto"),
        ("COPY --from", "ADD --from", "ADD"),
        ("HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD", "CMD", "salud"),
    ],
)
def test_each_flaw_is_seen(old, new, flaw):
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert old in text
    found = flaws(text.replace(old, new))
    assert any(flaw in one for one in found) if flaw else found == []


def test_only_the_course_enters_the_image(tmp_path):
    """Nada de git, entregas ni soluciones; y todo lo que hay que publicar."""
    names = {path.relative_to(ROOT).as_posix() for path in context(ROOT, IGNORE)}
    assert publish.given_files() <= names and "tools/deploy/publish.py" in names
    assert not [
        n for n in names if n.startswith(("notebooks/fuente", "notebooks/soluciones", "tests/", "slides/", "."))
    ]
    for name in (
        ".git/config",
        ".env",
        "entregas/a.ipynb",
        "clave.pem",
        "notebooks/soluciones/02.ipynb",
        "build/x.zip",
    ):
        assert not admitted(IGNORE, name), name


# --- Publicar, arrancar y recoger ---------------------------------------------------------------------


def test_what_is_published_has_no_solutions():
    names = publish.given_files()
    assert {
        "notebooks/02_bucle_de_generacion.ipynb",
        "notebooks/quizzes/02_antes.json",
        "tools/environment.py",
    } <= names
    assert not [name for name in names if re.search(r"soluciones|fuente|GUIA|^tests|\.pyc$", name)]


@pytest.fixture
def clone(tmp_path):
    """Un clon diminuto."""
    root = tmp_path / "clon"
    for name in ("LICENSE", "README.md", "constraints.txt", "pyproject.toml", "tools/environment.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    for name in (
        "course_utils/a.py",
        "notebooks/02_x.ipynb",
        "notebooks/soluciones/02_x.ipynb",
        "tools/deploy/start.py",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_publishing_again_changes_only_what_changed(clone, tmp_path):
    target = tmp_path / "srv"
    assert publish.copy(target, clone) == 8 and publish.copy(target, clone) == 0
    assert not (target / "notebooks" / "soluciones").exists()
    with (target / "course_utils/a.py").open() as reading:  # alguien lo tiene abierto
        (clone / "course_utils/a.py").write_text("nuevo")
        assert publish.copy(target, clone) == 1
        assert reading.read() == "course_utils/a.py"
    (clone / "notebooks/02_x.ipynb").rename(clone / "notebooks/03_x.ipynb")
    assert publish.copy(target, clone) == 2 and not (target / "notebooks/02_x.ipynb").exists()


@pytest.mark.parametrize("where", ["clon/dentro", "", "otra cosa", "archivo"])
def test_publishing_refuses_a_folder_that_is_not_its_own(clone, tmp_path, where):
    (tmp_path / "otra cosa").mkdir()
    (tmp_path / "otra cosa" / "tesis.doc").write_text("años de trabajo")
    (tmp_path / "archivo").write_text("")
    with pytest.raises(ValueError, match="Elige"):
        publish.check_target(tmp_path / where, clone)


def test_students_get_what_they_lack_and_keep_what_they_have(tmp_path):
    work = tmp_path / "curso"
    work.mkdir()
    source = ROOT / "notebooks"
    (work / "02_bucle_de_generacion.ipynb").write_text("mi trabajo")
    (work / "03_generate.ipynb").symlink_to("/no/existe")  # ni se sigue ni se pisa
    given = start.hand_out(source, work)
    assert "01_encoder_y_decoder.ipynb" in given and not {"02_bucle_de_generacion.ipynb", "03_generate.ipynb"} & set(
        given
    )
    assert (work / "02_bucle_de_generacion.ipynb").read_text() == "mi trabajo"
    assert (work / "profundiza").is_dir() and (work / "quizzes" / "02_antes.json").is_file()
    assert start.hand_out(source, work) == [] and not list(work.rglob("*a-medias"))
    assert not [path for path in work.rglob("*") if {"soluciones", "fuente"} & set(path.parts)]


@pytest.mark.parametrize(("limit", "threads"), [("", "1"), ("0.5", "1"), ("1", "1"), ("2.0", "2")])
def test_threads_follow_the_limit(tmp_path, limit, threads):
    assert start.environment(tmp_path, {"CPU_LIMIT": limit})["OMP_NUM_THREADS"] == threads
    assert start.environment(tmp_path, {"OMP_NUM_THREADS": "7"})["OMP_NUM_THREADS"] == "7"
    (tmp_path / "modelos").mkdir()
    assert start.environment(tmp_path, {})["CURSO_CACHE"] == str(tmp_path / "modelos")


def test_inside_a_hub_it_starts_the_server_of_the_hub(tmp_path):
    inside, outside = (start.command(tmp_path, env, ["--x"]) for env in ({"JUPYTERHUB_API_TOKEN": "t"}, {}))
    assert "jupyterhub.singleuser" in inside and "jupyterlab" in outside
    assert inside[-1] == outside[-1] == "--x" and "--ServerApp.ip=0.0.0.0" not in inside
    local = start.command(tmp_path, {}, ["--ServerApp.ip=127.0.0.1"])  # lo dicho manda, y no se dice dos veces
    assert [option for option in local if "ServerApp.ip" in option] == ["--ServerApp.ip=127.0.0.1"]


@pytest.mark.parametrize("trick", ["enlace", "carpeta", "tuberia", "enorme", "nada"])
def test_collecting_says_who_and_why(tmp_path, monkeypatch, trick):
    """Sin ser root: los permisos los prueba tests/nightly/test_hub.py."""
    monkeypatch.setattr(collect, "PATIENCE", 0.5)
    monkeypatch.setattr(collect, "LIMIT", 100)
    monkeypatch.setattr(collect.subprocess, "run", as_myself(collect.subprocess.run))
    users = [SimpleNamespace(pw_name=n, pw_uid=0, pw_gid=0, pw_dir=str(tmp_path / n)) for n in ("ana", "b; rm -rf x")]
    for user in users:
        Path(user.pw_dir, "curso").mkdir(parents=True)
        Path(user.pw_dir, "curso", "02.ipynb").write_text(user.pw_name)
    bad = Path(users[1].pw_dir, "curso", "02.ipynb")
    bad.unlink()
    if trick == "enlace":
        bad.symlink_to(tmp_path / "no existe")
    elif trick == "carpeta":
        bad.mkdir()
    elif trick == "tuberia":
        os.mkfifo(bad)
    elif trick == "enorme":
        bad.write_text("x" * 101)
    problems = collect.collect("02.ipynb", tmp_path / "entregas", users)
    assert list(problems) == ["b; rm -rf x"] and problems["b; rm -rf x"]
    assert [p.read_text() for p in (tmp_path / "entregas").rglob("*.ipynb")] == ["ana"]


def as_myself(run):
    return lambda *args, user, group, extra_groups, **options: run(*args, **options)


# --- Las recetas --------------------------------------------------------------------------------------


def load_config(monkeypatch, before=lambda c: None, **env):
    from traitlets.config import Config

    for name, value in env.items():
        monkeypatch.setenv(name, value)
    c = Config()
    before(c)
    exec(compile((DEPLOY / "jupyterhub_config.py").read_text("utf-8"), "config", "exec"), {"get_config": lambda: c})
    return c


def test_every_option_of_the_config_exists(monkeypatch):
    """Contra las clases de JupyterHub: una errata en un nombre no daría error al arrancar."""
    from jupyterhub import app, proxy, spawner

    c = load_config(monkeypatch)
    classes = {"JupyterHub": app.JupyterHub, "Spawner": spawner.Spawner}
    classes["ConfigurableHTTPProxy"] = proxy.ConfigurableHTTPProxy
    assert set(c) == set(classes)
    for section, options in c.items():
        assert set(options) <= set(classes[section].class_trait_names(config=True)), section
    assert (
        not c.JupyterHub.cleanup_servers and not c.ConfigurableHTTPProxy.should_start and c.Spawner.disable_user_config
    )


def test_the_config_leaves_alone_what_the_hub_already_has(monkeypatch):
    """The Littlest JupyterHub pone antes sus límites y su manera de apagar lo que no se usa."""

    def littlest(c):
        c.Spawner.mem_limit, c.Spawner.cpu_limit = "3G", None
        c.JupyterHub.services = [{"name": "cull-idle", "admin": True, "command": ["x"]}]

    c = load_config(monkeypatch, littlest, CURSO_DOCENTES="ana beto")
    assert (c.Spawner.mem_limit, c.Spawner.cpu_limit) == ("3G", 1) and len(c.JupyterHub.services) == 1
    assert c.JupyterHub.load_groups == {"docentes": {"users": ["ana", "beto"]}}


def test_the_scopes_exist_and_teachers_do_not_enter(monkeypatch):
    from jupyterhub.scopes import scope_definitions

    scopes = {scope for role in load_config(monkeypatch).JupyterHub.load_roles for scope in role["scopes"]}
    assert scopes <= set(scope_definitions) and not [s for s in scopes if s.startswith(("access", "admin:", "tokens"))]


def test_kubernetes_says_the_same(monkeypatch):
    """Los papeles, los límites y lo demás que está escrito dos veces."""
    c = load_config(monkeypatch)
    role = c.JupyterHub.load_roles[0]
    assert VALUES["hub"]["loadRoles"] == {"docente": {k: role[k] for k in ("description", "scopes", "groups")}}
    single, hub = VALUES["singleuser"], VALUES["hub"]["config"]
    assert (single["memory"]["limit"], single["cpu"]["limit"]) == (c.Spawner.mem_limit, c.Spawner.cpu_limit)
    assert hub["Spawner"]["disable_user_config"] and hub["JupyterHub"]["active_server_limit"] == 300
    assert VALUES["cull"]["timeout"] == start.IDLE == 3600
    profiles = {p["slug"]: p for p in single["profileList"]}
    assert [p["slug"] for p in single["profileList"] if p.get("default")] == ["mini"]
    assert profiles["mediano"]["kubespawner_override"]["environment"] == {"CURSO_PERFIL": "mediano"}


def test_kubernetes_asks_for_no_privilege():
    single = VALUES["singleuser"]
    assert not single["allowPrivilegeEscalation"] and single["uid"] and single["cmd"] is None
    assert (
        single["extraPodConfig"]["securityContext"]["runAsNonRoot"] and not single["cloudMetadata"]["blockWithIptables"]
    )
    rules = single["networkPolicy"]["egressAllowRules"]
    assert single["networkPolicy"]["enabled"] and [name for name, open_ in rules.items() if open_] == [
        "dnsPortsKubeSystemNamespace"
    ]
    text = (DEPLOY / "values.yaml").read_text(encoding="utf-8")
    assert not re.search(r"privileged: *true|latest|secretToken|(?i:password|client_secret):", text)


def test_the_hub_is_pinned():
    pins = parse_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert f"JupyterHub {pins['jupyterhub']}" in readme
    if version("jupyterhub") != pins["jupyterhub"]:
        pytest.skip("este entorno no tiene las versiones de constraints.txt")


def test_each_folder_and_order_of_the_readme_exists():
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    modules = set(re.findall(r"-m (tools\.[\w.]+)", text))
    assert {"tools.deploy.publish", "tools.deploy.collect", "tools.deploy.measure"} <= modules
    for module in modules:
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    for name in re.findall(r"(?<![\w/.])(tools/deploy/[\w.]+\w|tests/[\w/.]+\.py)", text):
        assert (ROOT / name).exists(), name


# --- Las cifras ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_the_tables_are_the_measures(page):
    text = page.read_text(encoding="utf-8")
    assert tables.MARK.search(text) and tables.fill(text, MEASURED) == text, "python -m tools.deploy.measure --tables"


def test_what_is_measured_is_whole_and_what_is_not_is_said():
    names = {path.name[:2] for path in (ROOT / "notebooks").glob("[A0-9][0-9]_*.ipynb")}
    assert set(tables.CORE) <= set(MEASURED["sesiones"]["mini"]) <= names
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for name in names - set(MEASURED["sesiones"]["mini"]):
        assert f"| {name} | mini | sin medir |" in readme
    for rows in MEASURED["sesiones"].values():
        for name, row in rows.items():
            assert row["fallos"] == 0 and 0 < row["reposo_mb"] <= row["pico_mb"] and row["cpu_s"] > 1, name


def test_the_limits_hold_what_was_measured(monkeypatch):
    """El límite de cada persona deja sitio para el cuaderno que más ocupa; también con el perfil mediano."""
    server = MEASURED["servidor"]["reposo_mb"]
    assert server + tables.heaviest(MEASURED) < 1000 * float(load_config(monkeypatch).Spawner.mem_limit.rstrip("G"))
    if "mediano" in MEASURED["sesiones"]:
        medium = VALUES["singleuser"]["profileList"][1]["kubespawner_override"]["mem_limit"]
        assert server + tables.heaviest(MEASURED, profile="mediano") < 1000 * float(medium.rstrip("G"))


def test_the_class_was_whole():
    """La tabla del aula es de veinte personas, la sesión entera y sin un fallo."""
    room = MEASURED["aula"]
    assert room["estudiantes"] == len(room["alumnado"]) == 20 and not room["celdas"]
    assert not any(row["errores"] for row in room["alumnado"].values())
    assert room["reinicio"]["mismos_servidores"] and room["reinicio"]["celdas_con_el_hub_muerto"] > 0


def test_how_many_fit_by_hand():
    stored = {"servidor": {"reposo_mb": 100}, "aula": {"hub_mb": 200}}
    # 8 GB: 7200 − 1000 − 200 = 6000 MB; con 100 de servidor y 400 de núcleo, 12 personas justas
    assert tables.room(stored, 8, 400) == 12 and tables.room(stored, 8, 401) == 11 and tables.room(stored, 1, 400) == 0
    assert tables.number(12345.67) == "12\u00a0345,7" and tables.median([1, 2, 10, 20]) == 6
