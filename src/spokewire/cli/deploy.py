"""`spokewire deploy` and `spokewire destroy`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from spokewire.cli.context import Context
    from spokewire.deploy.apply import Outcome
    from spokewire.deploy.plan import Plan

TIMEOUT_S = 120.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=options.example("spokewire deploy", "spokewire deploy --dry-run", "spokewire deploy --yes --json")
    )(deploy)
    app.command(epilog=options.example("spokewire destroy", "spokewire destroy --force"))(destroy)


def deploy(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and touch nothing.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before something that exists is removed.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until every machine is ready.", min=1)] = TIMEOUT_S,
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> int:
    """Make the network what the spec says: plan, then carry the plan out. Run again, it changes nothing."""
    from spokewire.cli.context import Context

    context = Context(config, as_json=as_json)
    context.enter_lab(start=not dry_run)
    import asyncio

    if dry_run:
        return asyncio.run(run_dry(context))
    with context.changing():
        return asyncio.run(run(context, confirmed=yes, timeout_s=timeout))


async def run_dry(context: "Context") -> int:
    """Print the plan."""
    plan = await _plan(context)
    context.output.result({"changed": False, "plan": describe_plan(plan)})
    _print_plan(context, plan)
    return 0


async def run(context: "Context", *, confirmed: bool, timeout_s: float) -> int:
    """Plan, ask if something would be lost, carry out, and say what came of it."""
    from spokewire.deploy.apply import Deployment
    from spokewire.deploy.plan import plan_deploy

    operator = context.operator()
    root = context.keeper.load_or_make_key()
    observed = await operator.observe()
    plan = plan_deploy(context.spec, observed)
    _print_plan(context, plan)
    if plan.is_destructive and not confirmed:
        confirm("Machines will be removed.")
    with context.output.progress() as progress:
        outcome = await Deployment(operator, plan, observed, root, progress).run(timeout_s)
    return _conclude(context, plan, outcome)


def describe_plan(plan: "Plan") -> list[dict[str, str]]:
    """A plan as JSON: verb, name, role, reason for each action."""
    actions = [{"verb": str(a.verb), "name": a.name, "role": a.role, "reason": a.reason} for a in plan.actions]
    if plan.settings_reason:
        actions.append({"verb": "sign", "name": "settings", "role": "network", "reason": plan.settings_reason})
    return actions


async def _plan(context: "Context") -> "Plan":
    from spokewire.deploy.plan import plan_deploy

    return plan_deploy(context.spec, await context.operator().observe())


def _print_plan(context: "Context", plan: "Plan") -> None:
    def make() -> "Table":
        from spokewire.cli.tables import plan_table

        return plan_table(plan)

    if plan.is_empty:
        context.output.say("Nothing to change: the network is as the spec says.")
    else:
        context.output.say(f"Plan for network {context.spec.name}:")
    if plan.actions or plan.settings_reason:
        context.output.show(make)


def _conclude(context: "Context", plan: "Plan", outcome: "Outcome") -> int:
    failed = {name: error for name, error in outcome.failed.items() if name not in outcome.ready}
    context.output.result(
        {
            "changed": not plan.is_empty,
            "plan": describe_plan(plan),
            "ready": outcome.ready,
            "destroyed": outcome.destroyed,
            "missing": [
                {"name": name, "code": error.code, "reason": error.message, "hint": error.hint}
                for name, error in failed.items()
            ],
        }
    )
    for name, error in failed.items():
        context.output.say(f"{name} is not ready: {error.message.rstrip('.')}. {error.hint}", "yellow")
    wanted = len(context.spec.machines)
    if not failed:
        context.output.say(f"{len(outcome.ready)} of {wanted} machines are ready.", "green")
        return 0
    context.output.say(f"{len(outcome.ready)} of {wanted} machines are ready.", "yellow")
    return 3 if any(node.name in outcome.ready for node in context.spec.nodes) or outcome.ready else 1


def destroy(
    force: Annotated[bool, typer.Option("--force", "-f", "--yes", "-y", help="Do not ask.")] = False,
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> int:
    """Remove every machine of the network, and the root key with it. The spec stays."""
    from spokewire.cli.context import Context
    from spokewire.lab.world import find_world

    context = Context(config, as_json=as_json)
    operator = context.operator()
    machines = operator.observe_machines()
    if not machines and not context.keeper.has_key() and find_world(context.lab_folder) is None:
        context.output.result({"destroyed": [], "left": []})
        context.output.say("Nothing is deployed.")
        return 0
    if not force:
        confirm(f"{len(machines)} machines and the root key of {context.spec.name} will be removed.", "--force")
    with context.changing():
        return run_destroy(context)


def run_destroy(context: "Context") -> int:
    """Remove everything, and look whether it is gone."""
    operator = context.operator()
    machines = operator.observe_machines()
    with context.output.progress() as progress:
        for name in machines:
            progress(name, "removing the machine")
            operator.provider_of(name).destroy(name)
            progress(name, "gone")
        left = [item for provider in operator.providers.values() for item in provider.sweep()]
    left += [str(name) for name in operator.observe_machines()]
    if not left:
        context.keeper.remove()
    context.output.result({"destroyed": sorted(machines), "left": left})
    if left:
        context.output.say(f"Still there: {', '.join(left)}. Run spokewire destroy again.", "red")
        return 3
    context.output.say(f"Removed {len(machines)} machines and the root key. Nothing is left.", "green")
    return 0


def confirm(what: str, flag: str = "--yes") -> None:
    """Ask the person at the terminal; without a terminal the request must say yes itself."""
    from spokewire.errors import Code, InputError

    if not sys.stdin.isatty():
        raise InputError(Code.CONFIRMATION_NEEDED, f"{what} That needs a yes.", hint=f"Say it with {flag}.")
    typer.confirm(f"{what} Go on?", abort=True, err=True)
