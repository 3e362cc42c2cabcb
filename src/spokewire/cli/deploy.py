"""`spokewire deploy` and `spokewire destroy`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from spokewire.cli.context import Context
    from spokewire.cloud.provider import Price, Provider
    from spokewire.deploy.apply import Outcome
    from spokewire.deploy.operator import Operator
    from spokewire.deploy.plan import Plan
    from spokewire.errors import SpokewireError
    from spokewire.network.names import MachineName

    Prices = Mapping[MachineName, Price]

TIMEOUT_S = 120.0
CLOUD_TIMEOUT_S = 1200.0
"""A droplet is there after a minute and has installed its hub after two or three more; a confidential VM takes as long. Ten minutes are for a host on which it never starts."""


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
    timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds that making the machines and waiting until all are ready may take; 120 unless said, 1200 where a cloud makes machines.",
            min=1,
            show_default=False,
        ),
    ] = None,
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
        return asyncio.run(run(context, confirmed=yes, timeout_s=timeout or _usual_timeout_s(context)))


def _usual_timeout_s(context: "Context") -> float:
    return CLOUD_TIMEOUT_S if any(m.provider not in ("lab", "host") for m in context.spec.machines) else TIMEOUT_S


async def run_dry(context: "Context") -> int:
    """Print the plan, with what it will cost."""
    import asyncio

    from spokewire.deploy.plan import plan_deploy

    operator = context.operator()
    plan = plan_deploy(context.spec, await operator.observe())
    await asyncio.to_thread(operator.refuse_strangers, plan)
    prices = await asyncio.to_thread(operator.find_prices, plan)
    context.output.result({"changed": False, "plan": describe_plan(plan, prices)})
    _print_plan(context, plan, prices)
    return 0


async def run(context: "Context", *, confirmed: bool, timeout_s: float) -> int:
    """Plan, ask if something would be lost, carry out, and say what came of it."""
    import asyncio

    from spokewire.deploy.apply import Deployment
    from spokewire.deploy.plan import plan_deploy

    root = context.keeper.draw_key()
    operator = context.operator(root)
    observed = await operator.observe()
    plan = plan_deploy(context.spec, observed)
    await asyncio.to_thread(operator.check, plan)
    prices = await asyncio.to_thread(operator.find_prices, plan)
    _print_plan(context, plan, prices)
    if plan.is_destructive and not confirmed:
        confirm("Machines will be removed.")
    context.keeper.store_key(root)
    operator.patience.begin(timeout_s)
    with context.output.progress() as progress:
        outcome = await Deployment(operator, plan, observed, root, progress).run(timeout_s)
    return _conclude(context, plan, prices, outcome)


def describe_plan(plan: "Plan", prices: "Prices") -> list[dict[str, str | float | None]]:
    """A plan as JSON: verb, name, role, reason for each action, and what it will cost in dollars, null where that is nothing."""
    actions = [
        {"verb": str(a.verb), "name": a.name, "role": a.role, "reason": a.reason, **_describe_price(prices.get(a.name))}
        for a in plan.actions
    ]
    if plan.settings_reason:
        signed = {"verb": "sign", "name": "settings", "role": "network", "reason": plan.settings_reason}
        actions.append({**signed, **_describe_price(None)})
    return actions


def _describe_price(price: "Price | None") -> dict[str, float | None]:
    return {
        "hourly_usd": None if price is None else float(price.hourly),
        "monthly_usd": None if price is None else float(price.monthly),
    }


def _print_plan(context: "Context", plan: "Plan", prices: "Prices") -> None:
    def make() -> "Table":
        from spokewire.cli.tables import plan_table

        return plan_table(plan, prices)

    if plan.is_empty:
        context.output.say("Nothing to change: the network is as the spec says.")
    else:
        context.output.say(f"Plan for network {context.spec.name}:")
    if plan.actions or plan.settings_reason:
        context.output.show(make)


def _conclude(context: "Context", plan: "Plan", prices: "Prices", outcome: "Outcome") -> int:
    failed = {name: error for name, error in outcome.failed.items() if name not in outcome.ready}
    context.output.result(
        {
            "changed": not plan.is_empty,
            "plan": describe_plan(plan, prices),
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
    known = operator.has_clouds or context.keeper.has_key() or find_world(context.lab_folder) is not None
    if not machines and not known:
        context.output.result({"destroyed": [], "left": []})
        context.output.say("Nothing is deployed.")
        return 0
    what = f"{len(machines)} machines and the root key of {context.spec.name} will be removed."
    if operator.has_clouds and not context.keeper.has_key():
        what = _describe_unknown(context.spec.name, operator, len(machines))
    if not force:
        confirm(what, "--force")
    with context.changing():
        return run_destroy(context)


def _describe_unknown(name: str, operator: "Operator", machines: int) -> str:
    """What would be removed by its name alone, because there is no root key that says what is ours. InputError if that is no single network."""
    from spokewire.errors import Code, InputError

    found = sorted(operator.find_networks())
    if len(found) > 1:
        raise InputError(
            Code.NAME_TAKEN,
            f"There is no root key here, and the clouds have {len(found)} networks called {name} ({', '.join(found)}).",
            hint="Which is yours cannot be told, so nothing was removed. Restore the root key of yours, or remove its machines in the clouds' dashboards.",
        )
    whose = f" ({found[0]})" if found else ""
    return f"There is no root key here: {machines} machines of the network called {name}{whose} will be removed, whoever made it."


def run_destroy(context: "Context") -> int:
    """Remove everything, and look whether it is gone."""
    from spokewire.errors import SpokewireError

    operator = context.operator()
    machines = operator.observe_machines()
    errors: list[SpokewireError] = []
    with context.output.progress() as progress:
        for name in machines:
            progress(name, "removing the machine")
            try:
                operator.provider_of(name).destroy(name)
            except SpokewireError as error:
                # The others go all the same: whoever destroys wants as little left as can be.
                errors.append(error)
                progress(name, f"not removed: {error.message}")
            else:
                progress(name, "gone")
        left = [item for provider in operator.providers.values() for item in _sweep(provider, errors)]
    if errors:
        raise errors[0]
    left += [str(name) for name in operator.observe_machines()]
    had_key = context.keeper.has_key()
    if not left:
        context.keeper.remove()
    context.output.result({"destroyed": sorted(machines), "left": left})
    if left:
        context.output.say(f"Still there: {', '.join(left)}. Run spokewire destroy again.", "red")
        return 3
    rest = " and the root key" if had_key else ""
    context.output.say(f"Removed {len(machines)} machines{rest}. Nothing is left.", "green")
    return 0


def _sweep(provider: "Provider", errors: "list[SpokewireError]") -> list[str]:
    from spokewire.errors import SpokewireError

    try:
        return provider.sweep()
    except SpokewireError as error:
        errors.append(error)
        return []


def confirm(what: str, flag: str = "--yes") -> None:
    """Ask the person at the terminal; without a terminal the request must say yes itself."""
    from spokewire.errors import Code, InputError

    if not sys.stdin.isatty():
        raise InputError(Code.CONFIRMATION_NEEDED, f"{what} That needs a yes.", hint=f"Say it with {flag}.")
    typer.confirm(f"{what} Go on?", abort=True, err=True)
