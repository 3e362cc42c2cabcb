"""`spokewire init`: write a first spec."""

from typing import Annotated

import typer

from spokewire.cli import options


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=options.example(
            "spokewire init demo", "spokewire init prod --provider host", "spokewire init prod --clouds"
        )
    )(init)


def init(
    name: Annotated[str, typer.Argument(help="The network's name.")] = "demo",
    provider: Annotated[str, typer.Option(help="Who makes the machines: lab, or host (your own).")] = "lab",
    clouds: Annotated[
        bool, typer.Option("--clouds", help="A hub on DigitalOcean and nodes on Phala Cloud, with comments.")
    ] = False,
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> None:
    """Write a spec to begin with; a file that exists is left alone."""
    from importlib.metadata import version

    from spokewire.cli.output import Output
    from spokewire.deploy.editor import LAB_NAT, TEMPLATE
    from spokewire.deploy.templates import fill_release, write_cloud_spec
    from spokewire.errors import Code, InputError
    from spokewire.host import files
    from spokewire.network.specfile import parse_spec

    if provider not in ("lab", "host"):
        raise InputError(
            Code.REQUEST_INVALID,
            f"No network is made with {provider} alone.",
            hint="Name lab or host, or write a spec for both clouds with --clouds.",
        )
    path = config.absolute()
    if not path.parent.is_dir():
        raise InputError(Code.REQUEST_INVALID, f"There is no folder {path.parent}.", hint="Make it, or name another.")
    if files.read(path) is not None:
        raise InputError(
            Code.REQUEST_INVALID, f"{config} exists already.", hint="Edit it, or name another with --config."
        )
    text = write_cloud_spec(name, version("spokewire")) if clouds else TEMPLATE.format(name=name, provider=provider)
    if not clouds and provider == "lab":
        text += LAB_NAT
    if not clouds and provider == "host":
        text = text.replace(
            'provider = "host"', 'provider = "host"\naddress = "hub.example.com"   # where nodes reach this hub', 1
        )
    parse_spec(fill_release(text))
    files.write(path, text, files.PUBLIC)
    output = Output(as_json=as_json)
    output.result({"written": str(path)})
    then = "fill in [release], then spokewire deploy --dry-run" if clouds else "spokewire deploy"
    output.say(f"Wrote {config}. Next: {then}")
