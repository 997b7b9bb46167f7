"""Floor 3. Programs that are not ours, installed and generated once, in out/contract_clients.

What is there is named by what it was made from, so that a change of the contract or of
package.json makes it anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from deploy.contract import FOLDER
from wire import topics
from wire.documents import schema_file

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "out" / "contract_clients"
# On a machine of two cores that does other things too.
_INSTALL_S, _RUN_S = 400, 120


class Sample(NamedTuple):
    """A payload, and the file of the schema that its topic calls for."""

    schema: str
    payload: Any


def sample_of(topic: str, payload: Any) -> Sample:
    """A message as it came, with the schema of its topic."""
    parsed = topics.parse(topic)
    assert parsed is not None, topic
    return Sample(schema_file(parsed), payload)


def schemas() -> dict[str, dict[str, Any]]:
    """File name to JSON Schema, as published."""
    return {file.name: json.loads(file.read_bytes()) for file in FOLDER.glob("*.schema.json")}


def by_node(samples: Sequence[Sample]) -> dict[str, Any]:
    """What AJV and the AsyncAPI parser say (load.mjs)."""
    script = _node_folder() / "load.mjs"
    shutil.copy(HERE / "load.mjs", script)
    answer: dict[str, Any] = json.loads(_run(["node", script, FOLDER], _lines(samples)))
    return answer


def by_python(samples: Sequence[Sample]) -> list[list[Any]]:
    """What the generated Python client makes of the messages: number, kind, figures."""
    # Isolated, and not in the checkout: nothing of ours can be imported.
    argv = [sys.executable, "-I", HERE / "client.py", _python_client()]
    return [json.loads(line) for line in _run(argv, _lines(samples)).splitlines()]


def by_typescript(samples: Sequence[Sample]) -> list[list[Any]]:
    """What the TypeScript client makes of the envelopes among them: number, kind, figures."""
    payloads = [json.dumps(each.payload) for each in samples if each.schema.startswith("envelope")]
    folder = _typescript_client()
    return [
        json.loads(line)
        for line in _run(["node", folder / "client.js"], "\n".join(payloads)).splitlines()
    ]


def typescript_errors(samples: Sequence[Sample], refused: Sequence[Sample] = ()) -> str:
    """What the compiler says of the messages as values of the generated types; "" if nothing.

    Of those that must be `refused` it complains when it finds nothing wrong.
    """
    folder = _typescript_client()
    whole = [*samples, *refused]
    names = sorted({each.schema.partition(".")[0] for each in whole})
    head = [f'import type {{ {name.capitalize()} }} from "./{name}.schema.js";' for name in names]
    body = [
        f"{'// @ts-expect-error' if number >= len(samples) else ''}\n"
        f"export const m{number}: {each.schema.partition('.')[0].capitalize()} = "
        f"{json.dumps(each.payload)};"
        for number, each in enumerate(whole)
    ]
    (folder / "messages.ts").write_text("\n".join([*head, *body]), encoding="utf-8")
    argv = [str(folder / "node_modules/.bin/tsc"), "--noEmit", "-p", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_RUN_S, check=False)
    return done.stdout if done.returncode else ""


def _python_client() -> Path:
    def generate(folder: Path) -> None:
        argv = [Path(sys.executable).parent / "datamodel-codegen", "--formatters", "builtin"]
        argv += ["--input", _schemas_alone(folder), "--input-file-type", "jsonschema"]
        argv += ["--output-model-type", "pydantic_v2.BaseModel", "--output", folder]
        _run(argv, "")

    return _made("python", [*FOLDER.glob("*.schema.json"), Path(__file__)], generate)


def _typescript_client() -> Path:
    node = _node_folder()
    typescript = [HERE / name for name in ("client.ts", "node.d.ts", "tsconfig.json")]

    def generate(folder: Path) -> None:
        (folder / "node_modules").symlink_to(node / "node_modules")
        (folder / "package.json").write_text('{"type": "module"}')
        json2ts = folder / "node_modules/.bin/json2ts"
        _run([json2ts, "-i", _schemas_alone(folder), "-o", folder], "")
        for file in typescript:
            shutil.copy(file, folder)
        _run([folder / "node_modules/.bin/tsc", "-p", folder], "")

    sources = [*FOLDER.glob("*.schema.json"), *typescript, HERE / "package.json", Path(__file__)]
    return _made("typescript", sources, generate)


def _schemas_alone(folder: Path) -> Path:
    """The schemas without the other documents beside them."""
    (folder / "schemas").mkdir()
    for file in FOLDER.glob("*.schema.json"):
        shutil.copy(file, folder / "schemas")
    return folder / "schemas"


def _node_folder() -> Path:
    return npm_installed(HERE / "package.json", "node")


def npm_installed(package: Path, name: str) -> Path:
    """The folder in which what a package.json names is installed, once for what it says."""

    def install(folder: Path) -> None:
        shutil.copy(package, folder / "package.json")
        argv = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
        _run([*argv, "--ignore-scripts", "--loglevel=error"], "", cwd=folder, limit_s=_INSTALL_S)

    return _made(name, [package], install)


def packages_installed(locked: Path) -> Path:
    """The programs of a virtual environment that has what a locked file names, once for it."""

    def install(folder: Path) -> None:
        venv.create(folder / "venv")
        argv = [sys.executable, "-m", "pip", "--python", folder / "venv/bin/python"]
        argv += ["--disable-pip-version-check", "--quiet", "install", "--no-deps"]
        _run([*argv, "--require-hashes", "-r", locked], "", limit_s=_INSTALL_S)

    return _made(locked.stem, [locked], install) / "venv/bin"


def wheel_downloaded(requirement: str, sha256: str) -> Path:
    """A package's wheel, downloaded once for its digest; whatever Python it asks for."""

    def download(folder: Path) -> None:
        wanted = folder / "wanted.txt"
        wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
        argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
        argv += ["--no-deps", "--only-binary=:all:", "--python-version", "3.12"]
        _run([*argv, "--require-hashes", "-r", wanted, "--dest", folder], "", limit_s=_INSTALL_S)

    name = requirement.partition("==")[0]
    (wheel,) = _made(name, [Path(__file__)], download).glob("*.whl")
    return wheel


def _made(name: str, sources: Iterable[Path], make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, once for what the sources hold."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(sources))).hexdigest()
    folder = OUT / f"{name}-{digest[:16]}"
    with _alone():
        if not (folder / "ready").exists():
            for old in OUT.glob(f"{name}-*"):
                shutil.rmtree(old)
            folder.mkdir(parents=True)
            make(folder)
            (folder / "ready").touch()
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    """No two test processes make the same thing at once."""
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lines(samples: Sequence[Sample]) -> str:
    return "\n".join(json.dumps(sample._asdict()) for sample in samples) + "\n"


def _run(
    argv: Sequence[object], entered: str, cwd: Path | None = None, limit_s: float = _RUN_S
) -> str:
    done = subprocess.run(
        [str(word) for word in argv],
        input=entered,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=limit_s,
        check=False,
    )
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout
