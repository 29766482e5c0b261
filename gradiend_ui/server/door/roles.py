"""Who may control a sweep, and the keys that tell it: the machine's owner on a local server, else who shows its key.

Everybody else watches. Only who started a sweep is told its key; the store keeps a hash, which gives no key back, and
a key is never logged or repeated in a sentence. Pausing, stopping, resuming, finishing a cell, naming, noting and
deleting ask here first. Knows the hashes that the store keeps, and no widget.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping

from gradiend_ui.engine.errors import NotAllowed
from gradiend_ui.engine.store.store import Store
from gradiend_ui.server.door.visitors import Asker

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


OWNER, HOLDER, WATCHER, KEYLESS = "owner", "holder", "watcher", "keyless"
"""What somebody is to a sweep: KEYLESS watches one that has no key, so that nobody else controls it either."""
CONTROLLING = (OWNER, HOLDER)
MOST_KEYS = 100
"""So many keys a browser keeps, and so many are looked at."""
NO_KEY = (
    "Only who started this sweep can pause, stop, resume, finish, name or delete it: open its control link (the one "
    "with #key= in it), or send the key that /start_sweep returned."
)
WRONG_KEY = (
    "This key does not fit this sweep, so here it can only be watched: use the key that /start_sweep returned for it, "
    "or its control link."
)
NONE_THERE = (
    "This sweep has no key, because it was opened from a file or started by an earlier version: here it can only be "
    "watched, start a new one to control it."
)


class Keys:
    """The keys of one server's sweeps."""

    def __init__(self, store: Store, public: bool) -> None:
        self._store, self._public = store, public

    def check(self, run: str, asker: Asker) -> None:
        """Raises NotFound where there is no such run, NotAllowed where the asker may not control it."""
        role = self.role(run, asker)
        if role not in CONTROLLING:
            sentence, text = NO_KEY, "sweep.no_key"
            if role == KEYLESS:
                sentence, text = NONE_THERE, "sweep.has_no_key"
            elif asker.key_of(run):
                sentence, text = WRONG_KEY, "sweep.wrong_key"
            raise NotAllowed(sentence).known_as(text)

    def role(self, run: str, asker: Asker) -> str:
        """OWNER, HOLDER, WATCHER or KEYLESS. Raises NotFound, and NotAllowed for a key that is no text."""
        self._store.revision(run)
        checked_key(asker.key)
        if asker.owner and not self._public:
            return OWNER
        kept = self._store.key_hashes([run]).get(run, "")
        if not kept:
            return KEYLESS
        return HOLDER if fits(asker.key_of(run), kept) else WATCHER

    def held(self, ring: Mapping[str, str]) -> list[str]:
        """The runs of the ring that are there and whose key fits."""
        kept = self._store.key_hashes(list(ring))
        return [run for run, digest in kept.items() if fits(ring[run], digest)]


def checked_key(key: object) -> str:
    """A key as it was sent, "" for none. Raises NotAllowed for what no key can be; the value itself is not repeated."""
    if key is None:
        return ""
    if not isinstance(key, str):
        raise NotAllowed(f"The key is text, as /start_sweep gave it, not a value of type {type(key).__name__}.")
    if len(key) > LONGEST_KEY:
        told = NotAllowed(f"The key is text of at most {LONGEST_KEY} characters, not of {len(key):,}.")
        raise told.known_as("sweep.wrong_key")
    return key


def ring_of(text: object) -> dict[str, str]:
    """{run: key} that a browser sent as JSON; what is no run with its key is left out."""
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    pairs = list(found.items())[-MOST_KEYS:]
    return {run: key for run, key in pairs if isinstance(key, str) and key and len(key) <= LONGEST_KEY}
