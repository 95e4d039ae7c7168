"""El intervalo de una proporción."""

import math


def wilson(hits: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """El intervalo de Wilson al 95 % de una proporción."""
    p, w = hits / total, z * z / total
    middle, half = p + w / 2, z * math.sqrt(p * (1 - p) / total + w / total / 4)
    return (middle - half) / (1 + w), (middle + half) / (1 + w)
