"""Medir: memoria viva en tensores y tiempos de vueltas intercaladas."""

import time

import torch


def peak_of_tensors(function) -> int:
    """Bytes: máximo de memoria viva en tensores creados durante la llamada. Es exacto: no depende de la máquina."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        function()
    live = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak


def interleaved(run, methods, rounds):
    """Segundos de cada método, (vueltas,), en orden alterno para que ninguno vaya siempre detrás del mismo."""
    times = {name: [] for name in methods}
    for turn in range(rounds):
        for name in list(methods)[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            run(name)
            times[name].append(time.perf_counter() - start)
    return times
