"""Joining a stock WireGuard client: its record is made and handed in here, because it has no agent to do so."""

from collections.abc import Mapping
from dataclasses import replace

from spokewire.api.client import Identity, connect
from spokewire.cloud.provider import Machine
from spokewire.deploy.keeper import mint
from spokewire.deploy.operator import Operator
from spokewire.errors import Code, InputError, SpokewireError, TemporaryError
from spokewire.host import clock, keys
from spokewire.network.documents import Record, sign, verify_grant
from spokewire.network.keys import derive_network_id
from spokewire.network.names import MachineName
from spokewire.network.spec import MachineSpec
from spokewire.network.topology import plan_node
from spokewire.wireguard.configuration import format_wg_quick


async def export_node(operator: Operator, machine: MachineSpec, number: int) -> str:
    """Make a key, hand its record to every hub that answers, and return the wg-quick file. One must: a stock client cannot join by itself.

    A hub that is away gets the record at the next deploy, or from the nodes.
    """
    root = operator.keeper.load_key()
    machines = operator.observe_machines()
    roster = await operator.fetch_roster(machines, root)
    if roster is None or roster.settings is None:
        error = next(iter(operator.errors.values()), None)
        raise error or TemporaryError(Code.NOT_DEPLOYED, "No hub can be asked.", hint="Run: spokewire deploy.")
    grant_text, grant_key = mint(operator.spec, machine, number, root, agent=False)
    state = operator.keeper.load_state()
    operator.keeper.store_state(replace(state, grant_texts=state.grant_texts | {machine.name: grant_text}))
    private_key = keys.make_wireguard_key()
    record = Record(grant=grant_text, sequence=1, wireguard_key=keys.derive_wireguard_public_key(private_key))
    record_text = sign(record, grant_key)
    identity = Identity(root.public_key(), grant_key, grant_text)
    await _hand_in(operator, machines, identity, record_text)
    grant = verify_grant(grant_text, root.public_key(), derive_network_id(root.public_key()), clock.wall())
    interface = plan_node(roster, grant, clock.wall())
    if interface is None:
        raise InputError(Code.NOT_DEPLOYED, "The network has no settings yet.", hint="Run: spokewire deploy.")
    comment = (
        f"{machine.name} of Spokewire network {operator.spec.name}. Secret: whoever has this file is {machine.name}."
    )
    return format_wg_quick(interface, private_key, comment)


async def _hand_in(
    operator: Operator, machines: Mapping[MachineName, Machine], identity: Identity, record: str
) -> None:
    """Hand a record to every hub; raises what the last one said if none takes it."""
    error: SpokewireError | None = None
    taken = False
    for url in operator.hub_urls(machines).values():
        try:
            async with connect(url, identity) as hub:
                await hub.submit_record(record)
                taken = True
        except TemporaryError as failure:
            error = failure
    if not taken and error is not None:
        raise error
