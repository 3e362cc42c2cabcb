"""`spokewire init`: write a first spec."""

from typing import Annotated

import typer

from spokewire.cli import options


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=options.example("spokewire init demo", "spokewire init prod --provider host"))(init)


def init(
    name: Annotated[str, typer.Argument(help="The network's name.")] = "demo",
    provider: Annotated[str, typer.Option(help="Who makes the machines: lab, or host (your own).")] = "lab",
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> None:
    """Write a spec to begin with; a file that exists is left alone."""
    from spokewire.cli.output import Output
    from spokewire.deploy.editor import LAB_NAT, TEMPLATE
    from spokewire.errors import Code, InputError
    from spokewire.host import files
    from spokewire.network.specfile import parse_spec

    path = config.absolute()
    if not path.parent.is_dir():
        raise InputError(Code.REQUEST_INVALID, f"There is no folder {path.parent}.", hint="Make it, or name another.")
    if files.read(path) is not None:
        raise InputError(
            Code.REQUEST_INVALID, f"{config} exists already.", hint="Edit it, or name another with --config."
        )
    text = TEMPLATE.format(name=name, provider=provider)
    if provider == "lab":
        text += LAB_NAT
    if provider == "host":
        text = text.replace(
            'provider = "host"', 'provider = "host"\naddress = "hub.example.com"   # where nodes reach this hub', 1
        )
    parse_spec(text)
    files.write(path, text, files.PUBLIC)
    output = Output(as_json=as_json)
    output.result({"written": str(path)})
    output.say(f"Wrote {config}. Next: spokewire deploy")
