"""La máquina: cuánta memoria queda de verdad, y cómo se dice."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")  # el límite de un contenedor (Docker, JupyterHub) en Linux


def free_memory() -> int:
    """Bytes de memoria que se pueden pedir: los del sistema o, donde hay un límite, los que quedan hasta él.

    El límite puede ser el de un contenedor o el de este proceso (``ulimit -v``).

    Raises
    ------
    Exception
        La de ``psutil`` (lo trae accelerate) si no está o no sabe leerla.
    """
    import psutil

    free = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # no es Linux, o el límite es «max»
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        cached = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())["inactive_file"]
        free = min(free, limit - used + int(cached))
    with contextlib.suppress(ImportError):  # Windows no tiene límites de estos
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        free = free if limit == resource.RLIM_INFINITY else min(free, limit - psutil.Process().memory_info().vms)
    return max(free, 0)


def out_of_memory(error: BaseException) -> bool:
    """Si lo que ha fallado es la memoria: cada biblioteca lo dice con su error."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error)


def peak_memory() -> float:
    """Bytes: lo más que ha ocupado este proceso hasta ahora."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return psutil.Process().memory_info().peak_wset
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_gb(size: float) -> str:
    """Unos bytes, en GB: «1,1 GB»."""
    return f"{size / 1e9:.1f} GB".replace(".", ",")
