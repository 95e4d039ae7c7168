"""Un filtro del núcleo de Linux: las llamadas al sistema que ninguna respuesta necesita, prohibidas para siempre.

Se pone en el proceso de la respuesta antes de ejecutar nada suyo, y no se puede quitar. Con él no hay procesos ni
hilos nuevos, ni otro programa, ni red, ni señales a nadie, ni memoria compartida fuera de la cuenta: así el límite de
memoria del proceso es el de toda la entrega.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _SET_DUMPABLE, _FILTER = 38, 22, 4, 2
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _JUMP_EQ, _JUMP_GE, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32 = 0x40000000  # los números de la otra numeración de x86-64

# Números de <asm/unistd.h>: (x86-64, aarch64); None, que ahí no existe.
DENIED = {
    "clone": (56, 220),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "io_uring_setup": (425, 425),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
}
_ABSENT = {"clone3": (435, 435)}  # se hace como que no existe, y la biblioteca de C usa clone
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}


def available() -> bool:
    """Si hay filtro para este sistema y este procesador."""
    return platform.system() == "Linux" and platform.machine() in _MACHINES


def program() -> bytes:
    """El filtro, en el lenguaje del núcleo: mira el procesador y el número de la llamada, y nada más."""
    column, machine = _MACHINES[platform.machine()]
    rules = [(table[column], code) for tables, code in _TABLES for table in tables if table[column] is not None]
    steps = [(_LOAD, 0, 0, 4), (_JUMP_EQ, 1, 0, machine), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if column == 0:
        steps += [(_JUMP_GE, 0, 1, _X32), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    for number, code in rules:
        steps += [(_JUMP_EQ, 0, 1, number), (_RETURN, 0, 0, _ERRNO | code)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


_TABLES = ((list(DENIED.values()), errno.EPERM), (list(_ABSENT.values()), errno.ENOSYS))


def hide_memory() -> None:
    """Que nadie, ni con la misma cuenta, pueda abrir la memoria de este proceso."""
    _prctl(_SET_DUMPABLE, 0)


def install() -> None:
    """Pone el filtro en este proceso. ``OSError`` si el sistema no deja."""
    steps = program()

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    filled = Program(len(steps) // 8, steps)
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _prctl(_SET_SECCOMP, _FILTER, ctypes.addressof(filled))


def _prctl(option: int, *values: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *arguments) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) no ha podido")
