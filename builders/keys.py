"""Random generators that are named, not shared."""

from hashlib import blake2b

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to a name.

    Each name has its own stream, so adding a player, a rudiment or a worker changes no other
    clip. Streams are those of NumPy's PCG64.

    Args:
        seed: Of the whole dataset.
        names: What is drawn and for whom, such as `"player", 3`.

    Examples:
        >>> float(generator(42, "player", 3).random()) == float(generator(42, "player", 3).random())
        True
        >>> float(generator(42, "player", 3).random()) == float(generator(42, "player", 4).random())
        False
    """
    digest = blake2b(repr((seed, *names)).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
