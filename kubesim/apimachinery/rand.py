"""Random names and identifiers, all drawn from the cluster's one source of chance.

As k8s.io/apimachinery/pkg/util/rand and pkg/util/uuid.
"""

from random import Random
from uuid import UUID

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, so that no words come about


def string(random: Random, length: int) -> str:
    """Return random characters that may stand in a name."""
    return "".join(random.choices(ALPHABET, k=length))


def uid(random: Random) -> str:
    """Return a new UUID of version 4."""
    return str(UUID(int=random.getrandbits(128), version=4))
