"""Las versiones fijadas de constraints.txt y de tools/colab_versions.txt: un solo lector para todos."""

from __future__ import annotations

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


def parse_pins(text: str) -> dict[str, str]:
    """La versión de cada paquete, por su nombre en forma canónica; los comentarios no cuentan.

    Raises
    ------
    ValueError
        Si una línea no fija una versión que valga en cualquier sistema: ``nombre==versión``, sin más.
    """
    pins = {}
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        try:
            wanted = Requirement(line)
            (pin,) = wanted.specifier
        except (InvalidRequirement, ValueError):
            pin = None
        if pin is None or pin.operator != "==" or wanted.marker or wanted.extras or {"+", "*"} & set(pin.version):
            raise ValueError(f"«{line}» no fija una versión: escribe nombre==versión, sin sufijos ni condiciones.")
        pins[canonicalize_name(wanted.name)] = pin.version
    return pins
