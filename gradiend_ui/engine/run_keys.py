"""Keys of sweeps: how one is made, what is kept of it, and whether one fits. Text in, text out.

Only who started a sweep is told its key; the store keeps a hash, which gives no key back. Knows no store and nobody who
asks.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

KEY_BYTES = 18
"""144 random bits: nobody guesses them, and no hash of them needs to be slow."""
LONGEST_KEY = 128
_PURPOSE = b"sweep key"


def new_key() -> str:
    """A key for one sweep, made of letters, digits, - and _, so that it fits behind the # of a link."""
    return secrets.token_urlsafe(KEY_BYTES)


def hashed(key: str) -> str:
    """What the store keeps of a key: 64 hexadecimal digits."""
    return hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=32, person=_PURPOSE).hexdigest()


def fits(key: str, kept: str) -> bool:
    """Whether `kept` is the hash of this key, in a time that tells nothing of either; "" on a side never fits."""
    if not key or not kept or len(key) > LONGEST_KEY:
        return False
    return hmac.compare_digest(hashed(key).encode(), kept.encode("utf-8", "replace"))
