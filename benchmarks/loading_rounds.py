"""Loaders and limits in turn, round by round: machines are noisy, ratios within a round less so."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

WARM_BATCHES = 4
"""Batches of a pass before time is taken: workers have started, and none waits for its first."""

INSTALL = {
    "torchaudio": "--no-deps torchaudio==2.11.0",
    "torchcodec": "--no-deps torchcodec==0.13.0",
    "webdataset": "--no-deps webdataset==1.0.2 braceexpand==0.1.7",
}

Rates = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Entrant:
    """What is measured.

    Attributes:
        name: What it is called in tables.
        rate: Clips per second, by a number of workers and for how many seconds to look.
        workers: The numbers of workers of which it may have its best.
        needs: A package that it cannot do without.
    """

    name: str
    rate: Callable[[int, float], float]
    workers: tuple[int, ...]
    needs: str = ""


def loader_rate(batches: Iterable[Mapping[str, Any]], seconds: float) -> float:
    """Return the clips per second of a loader that is in its stride, within one pass.

    Two workers in step finish batches in pairs, so an even number of them is counted.
    """
    clips, began, ended = 0, 0.0, 0.0
    for number, batch in enumerate(batches, start=1):
        ended = time.perf_counter()
        if number <= WARM_BATCHES:
            began = ended
            continue
        clips += len(batch["waveforms"])
        if ended - began > seconds and number % 2 == 0:
            break
    return clips / (ended - began)


def at_their_best(entrants: list[Entrant], seconds: float) -> dict[str, int]:
    """Return the fastest number of workers of each entrant that can take part; name the others."""
    best = {}
    for entrant in entrants:
        if entrant.needs and find_spec(entrant.needs) is None:
            print(f"{entrant.name} is left out: pip install {INSTALL[entrant.needs]}\n")
        elif len(entrant.workers) == 1:
            best[entrant.name] = entrant.workers[0]
        else:
            best[entrant.name] = best_workers(entrant, seconds)
    return best


def best_workers(entrant: Entrant, seconds: float) -> int:
    """Return the fastest number of workers, after a second look at those not far behind.

    The faster of two looks counts: what else a machine does only slows them.
    """
    rates = {workers: entrant.rate(workers, seconds) for workers in entrant.workers}
    near = [workers for workers, rate in rates.items() if 2 * rate > max(rates.values())]
    for workers in near:
        rates[workers] = max(rates[workers], entrant.rate(workers, seconds))
    return max(rates, key=rates.__getitem__)


def take_turns(
    entrants: list[Entrant], best: Mapping[str, int], rounds: int, seconds: float
) -> Rates:
    """Return the clips per second of each entrant, round by round, in another order each round."""
    present = [entrant for entrant in entrants if entrant.name in best]
    rates: Rates = {entrant.name: [] for entrant in present}
    for number in range(rounds):
        for place in np.random.default_rng([number]).permutation(len(present)):
            entrant = present[place]
            rates[entrant.name].append(entrant.rate(best[entrant.name], seconds))
    return rates


def fastest(rates: Rates, names: Iterable[str]) -> str | None:
    """Return which of some entrants has the best median; None where none took part."""
    present = [name for name in names if name in rates]
    return max(present, key=lambda name: statistics.median(rates[name]), default=None)


def ratio(rates: Rates, name: str | None, other: str | None) -> float | None:
    """Return the median of the ratios within rounds; None where one of them did not take part."""
    if name not in rates or other not in rates:
        return None
    pairs = zip(rates[name], rates[other], strict=True)
    return statistics.median(rate / others for rate, others in pairs)
