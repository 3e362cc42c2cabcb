"""What the two daemons' commands share."""

from pathlib import Path

from spokewire.cli import options
from spokewire.errors import Code, InputError
from spokewire.host import logs


def begin(log_level: str, *, as_json: bool, config: Path | None, network: str | None, state_folder: Path) -> str | None:
    """Begin the daemon's log, and return the name of the network to run as `choose_network` does."""
    logs.configure(log_level, json_lines=as_json)
    return choose_network(config, network, state_folder)


def choose_network(config: Path | None, network: str | None, state_folder: Path) -> str | None:
    """The name of the network to run; None if neither an option nor a spec says one.

    A spec that is given must be right, and say the same as `--network`. One that only happens to lie in the working folder counts if this
    machine belongs to its network: the spec of another network, or a draft, must not keep a daemon from its only one.
    """
    if config is None and (network is not None or not options.DEFAULT_CONFIG.exists()):
        return network
    from spokewire.deploy.editor import load_spec

    if config is None:
        try:
            found = load_spec(options.DEFAULT_CONFIG.absolute()).name
        except InputError as error:
            logs.log.warning("spec passed over", path=options.DEFAULT_CONFIG, code=error.code, error=error.message)
            return None
        return found if (state_folder / found / "token").exists() else None
    wanted = load_spec(config.absolute()).name
    if network not in (None, wanted):
        raise InputError(
            Code.REQUEST_INVALID,
            f"--network says {network}, but {config} is the spec of {wanted}.",
            hint="Give one of the two.",
        )
    return wanted
