"""La prueba de escritura y la escritura de una vez, también cuando algo se corta o hay varios procesos."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from course_utils import _files


def test_a_writable_folder_is_left_as_it_was(tmp_path):
    free = _files.writable(tmp_path)
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.2) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("which", ["missing", "file"])
def test_a_folder_that_cannot_be_used_is_an_error(tmp_path, which):
    (tmp_path / "file").write_text("no soy una carpeta")
    with pytest.raises(OSError):
        _files.writable(tmp_path / which)


def test_a_full_disk_is_an_error_and_not_a_number(tmp_path, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files.tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(OSError, match="No space left"):
        _files.writable(tmp_path)


def test_several_can_look_at_the_same_folder_at_once(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda _: _files.writable(tmp_path) > 0, range(400)))


@pytest.mark.parametrize(
    ("content", "stored"), [("ñ\r\n€\n", "ñ\r\n€\n".encode()), (b"\x00\xff", b"\x00\xff"), ("", b"")]
)
def test_what_is_written_is_what_there_is(tmp_path, content, stored):
    _files.atomic_write(tmp_path / "un archivo ñ.txt", content)
    assert (tmp_path / "un archivo ñ.txt").read_bytes() == stored
    _files.atomic_write(str(tmp_path / "un archivo ñ.txt"), b"otro")
    assert (tmp_path / "un archivo ñ.txt").read_bytes() == b"otro" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("broken", ["shutil.copymode", "os.replace"])
def test_a_failure_keeps_the_old_file_and_leaves_no_rest(tmp_path, monkeypatch, broken):
    path = tmp_path / "a"
    path.write_text("lo de antes")

    def fail(*_):
        raise OSError(28, "lleno")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(OSError, match="lleno"):
        _files.atomic_write(path, "lo nuevo")
    assert path.read_text() == "lo de antes" and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_file_written_piece_by_piece_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "a.zip"
    with _files.atomic(path) as temporary, temporary.open("wb") as file:
        file.write(b"uno")
        assert not path.exists() and temporary.parent == tmp_path
        file.write(b"dos")
    assert path.read_bytes() == b"unodos" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(KeyboardInterrupt), _files.atomic(path) as temporary:
        temporary.write_bytes(b"media")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"unodos" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="permisos y enlaces de POSIX")
def test_permissions_and_links_are_kept(tmp_path):
    path, link = tmp_path / "orden", tmp_path / "enlace"
    path.write_text("#!/bin/sh")
    path.chmod(0o750)
    link.symlink_to(path.name)
    _files.atomic_write(link, "#!/bin/sh\nexit 0\n")
    assert link.is_symlink() and path.stat().st_mode & 0o7777 == 0o750 and "exit 0" in path.read_text()
    _files.atomic_write(tmp_path / "nuevo", "x")
    plain = tmp_path / "corriente"
    plain.write_text("x")
    assert (tmp_path / "nuevo").stat().st_mode == plain.stat().st_mode


def test_only_one_works_at_a_time_and_the_other_is_told_and_waits(tmp_path):
    told, inside = threading.Event(), threading.Event()

    def second():
        with _files.exclusive(tmp_path / "candado", told.set) as ours:
            inside.set()
            return ours

    with ThreadPoolExecutor() as pool:
        with _files.exclusive(tmp_path / "candado") as ours:
            waiting = pool.submit(second)
            assert ours is True and told.wait(10) and not inside.wait(0.5)
        assert waiting.result(10) is True


@pytest.mark.parametrize(("number", "state"), [(errno.EAGAIN, None), (errno.EACCES, None), (errno.ENOLCK, False)])
def test_a_disk_without_locks_is_told_from_a_lock_that_is_taken(tmp_path, monkeypatch, number, state):
    module = pytest.importorskip("msvcrt" if os.name == "nt" else "fcntl")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "locking" if os.name == "nt" else "flock", fail)
    with (tmp_path / "candado").open("a") as file:
        assert _files._try_lock(file) is state


def test_it_does_not_load_torch():
    code = "import sys; from course_utils import _files; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
