"""Pruebas de tools/check_links.py con un servidor de esta misma máquina: ninguna sale a la red."""

import http.server
import re
import threading
import time

import pytest
import requests

from tools import check_links, links


class Handler(http.server.BaseHTTPRequestHandler):
    seen: list
    protocol_version = "HTTP/1.1"

    def log_message(self, *args): ...

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        type(self).seen.append((self.command, self.path))
        status = int(re.search(r"\d{3}|$", self.path)[0] or 200)
        if self.path.startswith("/sin-head") and self.command == "HEAD":
            status = int(self.path.rpartition("/")[2])
        elif self.path.startswith("/sin-head"):
            status = 200
        elif self.path == "/lenta":
            time.sleep(1.5)
        elif self.path == "/a-la-segunda":
            status = 200 if type(self).seen.count(("HEAD", self.path)) > 1 else 503
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/bucle-302" if "bucle" in self.path else "/200")
        if status == 429:
            self.send_header("Retry-After", "3600")
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def server(monkeypatch):
    """La dirección del servidor; ``Handler.seen`` son las peticiones que ha recibido."""
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    Handler.seen = []
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def check(urls, **options):
    return check_links.check_urls(urls, **{"timeout": 0.5, "retries": 0, "pause": 0, "workers": 4} | options)


DEAD = "http://no-existe.invalid/"  # «.invalid» no existe nunca: RFC 2606


@pytest.mark.parametrize(
    ("path", "verdict", "detail"),
    [
        ("/200", check_links.OK, "200"),
        ("/x-301", check_links.MOVED, "se ha mudado a http://127.0.0.1:{port}/200"),
        ("/x-308", check_links.MOVED, "se ha mudado"),
        ("/x-302", check_links.OK, "200"),
        ("/x-404", check_links.BROKEN, "contesta 404"),
        ("/x-410", check_links.BROKEN, "contesta 410"),
        ("/x-403", check_links.DOUBTFUL, "contesta 403"),
        ("/x-429", check_links.DOUBTFUL, "contesta 429"),
        ("/x-500", check_links.DOUBTFUL, "contesta 500"),
        ("/sin-head/405", check_links.OK, "200"),
        ("/sin-head/404", check_links.OK, "200"),
        ("/sin-head/403", check_links.OK, "200"),
        ("/lenta", check_links.DOUBTFUL, "tarda más de 0.5 s"),
        ("/bucle-302", check_links.BROKEN, "30 redirects"),
    ],
)
def test_verdicts(server, path, verdict, detail):
    good, result = check([f"{server}/200?a", server + path])
    assert good.verdict == check_links.OK
    assert result.verdict == verdict, result
    assert detail.format(port=server.rpartition(":")[2]) in result.detail


def test_the_page_is_not_asked_for_when_the_head_is_enough(server):
    check([f"{server}/200"])
    assert Handler.seen == [("HEAD", "/200")]


def test_passing_failures_are_repeated_without_obeying_long_waits(server):
    started = time.monotonic()
    flaky, limited = check([f"{server}/a-la-segunda", f"{server}/x-429"], retries=1)
    assert (flaky.verdict, limited.verdict) == (check_links.OK, check_links.DOUBTFUL)
    assert Handler.seen.count(("HEAD", "/x-429")) == 2
    assert time.monotonic() - started < 10
    (slow,) = check([f"{server}/lenta"], retries=1)
    assert slow.verdict == check_links.DOUBTFUL and "tarda" in slow.detail


def test_a_dead_host_is_broken_only_when_others_work(server):
    good, dead, again = check([f"{server}/200", DEAD, DEAD + "otra"])
    assert good.verdict == check_links.OK
    assert dead.verdict == again.verdict == check_links.BROKEN and "no se llega" in dead.detail
    assert check([DEAD, "http://tampoco.invalid/"]) is None


def test_a_proxy_that_refuses_everything_is_no_network(server):
    assert check([f"{server}/x-403", DEAD]) is None
    assert [r.verdict for r in check([f"{server}/x-403"])] == [check_links.DOUBTFUL]
    assert [r.verdict for r in check([f"{server}/x-404", DEAD])] == [check_links.BROKEN] * 2


def test_pages_of_a_site_go_one_by_one_and_sites_together(server, monkeypatch):
    pauses = []
    monkeypatch.setattr(check_links.time, "sleep", pauses.append)
    check([f"{server}/200?{i}" for i in range(4)], pause=7)
    assert pauses == [7, 7, 7]
    active, most, lock = set(), [], threading.Lock()

    def slow(session, url, timeout):
        with lock:
            active.add(url)
            most.append(len(active))
        threading.Event().wait(0.1)
        with lock:
            active.remove(url)
        return check_links.Result(url, check_links.OK, "")

    monkeypatch.setattr(check_links, "check_url", slow)
    check([f"http://sitio{i % 6}.es/{i}" for i in range(12)], workers=3)
    assert 1 < max(most) <= 3


# --- La orden ---------------------------------------------------------------------------------------


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Un curso mínimo cuyos enlaces son los que se le digan."""

    def make(**urls):
        source = tmp_path / "notebooks" / "fuente"
        source.mkdir(parents=True)
        (tmp_path / "pyproject.toml").write_text('Repositorio = "https://github.com/ana/curso"\n', encoding="utf-8")
        (source / "01_uno.md").write_text("[x](enlace:mala)\n", encoding="utf-8")
        (tmp_path / "README.md").write_text("Mira <https://x.es/mala>.\n", encoding="utf-8")
        entries = {key: links.Link(key, key, url) for key, url in urls.items()}
        monkeypatch.setattr(links, "load_links", lambda root: entries)
        return tmp_path

    return make


def main(root, *arguments):
    return check_links.main(["--timeout", "0.5", "--retries", "0", "--pause", "0", *arguments], root)


def test_without_a_network_it_says_so_and_it_is_not_an_error(course, monkeypatch, capsys):
    def offline(*args, **kwargs):
        raise requests.exceptions.ConnectionError("sin red")

    monkeypatch.setattr(requests.Session, "request", offline)
    assert main(course(mala="https://x.es/mala", otra="https://y.es")) == 0
    assert "Sin red" in capsys.readouterr().out


def test_the_report_says_key_and_file(course, server, monkeypatch, capsys):
    monkeypatch.setattr(check_links.links, "repository_slug", lambda root: "ana/curso")
    real = check_links.check_url

    def local(session, url, timeout):  # el sitio del repositorio no se visita: contesta siempre
        own = url == "https://github.com/ana/curso"
        return check_links.Result(url, check_links.OK, "200") if own else real(session, url, timeout)

    monkeypatch.setattr(check_links, "check_url", local)
    root = course(mala=f"{server}/x-404", dudosa=f"{server}/x-403", mudada=f"{server}/x-301", buena=f"{server}/200")
    (root / "README.md").write_text(f"Mira <{server}/x-403>.\n", encoding="utf-8")
    assert main(root) == 1
    shown = capsys.readouterr()
    assert f"✗ {server}/x-404\n    el servidor contesta 404\n    mala · notebooks/fuente/01_uno.md" in shown.out
    assert f"⚠️ {server}/x-403\n    el servidor contesta 403\n    dudosa · README.md" in shown.out
    assert f"↪ {server}/x-301\n" in shown.out and "buena" not in shown.out
    assert "3 responden (1 desde otra dirección), 1 dudosos y 1 rotos" in shown.out
    assert links.DATA in shown.err


def test_all_good_is_success(course, server, monkeypatch, capsys):
    monkeypatch.setattr(check_links, "places", lambda root: {f"{server}/200": "a", f"{server}/x-403": "b"})
    assert main(course()) == 0
    assert "1 responden (0 desde otra dirección), 1 dudosos y 0 rotos" in capsys.readouterr().out
