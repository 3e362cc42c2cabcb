"""The user's own variables for a machine: their values are read when they are needed, go into the encrypted environment, and nowhere else."""

import io
from collections.abc import Mapping
from pathlib import Path

from spokewire.errors import Code, Fault, InputError
from spokewire.host import files
from spokewire.network.cloudspec import CvmSpec


def read_environment(cvm: CvmSpec, folder: Path, around: Mapping[str, str]) -> dict[str, str]:
    """The values of the variables that a spec names, in its order: from `around` (the operator's environment), else from the spec's env_file.

    `folder` is where the spec is. InputError if the file is missing, or names every variable without a value; no message has a value in it.
    """
    if not cvm.environment:
        return {}
    written = {} if cvm.env_file is None else _read_file(cvm.env_file, folder)
    missing = [name for name in cvm.environment if name not in around and name not in written]
    if missing:
        noun = "a variable" if len(missing) == 1 else f"{len(missing)} variables"
        file = f", or write it into {cvm.env_file}" if cvm.env_file else ", or name a file of such lines: env_file"
        raise InputError(
            Code.VARIABLE_MISSING,
            f"The spec's environment names {noun} without a value: {', '.join(missing)}.",
            hint=f"Set it where you run this command{file}. Nothing was made.",
        )
    return {name: around[name] if name in around else written[name] for name in cvm.environment}


def _read_file(file: str, folder: Path) -> dict[str, str]:
    """Lines NAME=value, with quotes and comments as in the env files of docker compose; `$` in a value stands for itself."""
    from dotenv.parser import parse_stream

    text = files.read(folder / file)
    if text is None:
        raise _invalid(Fault(file, "missing", f"a file of lines NAME=value in {folder}"))
    found = dict[str, str]()
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise _invalid(Fault(f"{file}:{binding.original.line}", "not understood", "NAME=value"))
        if binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    return found


def _invalid(fault: Fault) -> InputError:
    return InputError(
        Code.SPEC_INVALID,
        "The env_file cannot be read.",
        hint="Its path is relative to the spec. Nothing was made.",
        faults=[fault],
    )
