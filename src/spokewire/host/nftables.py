"""nftables through libnftables, or the `nft` program where the library is missing. Only tables of our own, never a flush of all."""

import ctypes
import ctypes.util
import threading

from spokewire.errors import Code, PermanentError
from spokewire.host import processes

_STATELESS = 1 << 1
"""NFT_CTX_OUTPUT_STATELESS of nftables/libnftables.h: no counters in listings."""


class Nftables:
    """A handle on the ruleset of the network namespace in which it is made."""

    def __init__(self) -> None:
        self._library = _load()
        self._context = None if self._library is None else _open_context(self._library)
        self._lock = threading.Lock()

    def run(self, commands: str) -> None:
        """Carry out commands as one transaction: all or nothing."""
        status, output, error = self._execute(commands)
        if status != 0:
            raise _failed(error or output)

    def list_table(self, family: str, name: str) -> str | None:
        """List one table without counters; None if it does not exist."""
        status, output, error = self._execute(f"list table {family} {name}")
        if status == 0:
            return output
        if "No such file or directory" in error or "does not exist" in error:
            return None
        raise _failed(error or output)

    def has_chain(self, family: str, table: str, chain: str) -> bool:
        """Whether a chain is there: cheap, however much the table's maps hold."""
        status, output, error = self._execute(f"list chain {family} {table} {chain}")
        if status != 0 and "No such file or directory" not in error and "does not exist" not in error:
            raise _failed(error or output)
        return status == 0

    def delete_table(self, family: str, name: str) -> None:
        """Delete one table if it exists."""
        self.run(f"table {family} {name} {{}}\ndelete table {family} {name}\n")

    def _execute(self, commands: str) -> tuple[int, str, str]:
        if self._library is None:
            outcome = processes.attempt(["nft", "--stateless", "-f", "-"], stdin=commands)
            return outcome.status, outcome.stdout, outcome.stderr
        library, context = self._library, self._context
        with self._lock:
            status = library.nft_run_cmd_from_buffer(context, commands.encode())
            output = library.nft_ctx_get_output_buffer(context) or b""
            error = library.nft_ctx_get_error_buffer(context) or b""
            return status, output.decode(errors="replace"), error.decode(errors="replace")


def _open_context(library: ctypes.CDLL) -> int:
    """Open a context that is kept: to close one waits for the kernel to free what was deleted by it, 16 ms for each change."""
    context: int | None = library.nft_ctx_new(0)
    if not context:
        raise PermanentError(Code.COMMAND_FAILED, "libnftables cannot be used.")
    library.nft_ctx_buffer_output(context)
    library.nft_ctx_buffer_error(context)
    library.nft_ctx_output_set_flags(context, _STATELESS)
    return context


def _load() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError:
        return None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype = ctypes.c_char_p
        getattr(library, name).argtypes = [ctypes.c_void_p]
    return library


def _failed(words: str) -> PermanentError:
    text = " ".join(words.split()) or "no reason given"
    if "Operation not permitted" in words:
        return PermanentError(
            Code.PERMISSION,
            "nftables may not be changed: operation not permitted.",
            hint="NET_ADMIN is needed: run as root, or see `spokewire doctor`.",
        )
    return PermanentError(Code.COMMAND_FAILED, f"nftables refused a change: {text}", hint="See `spokewire doctor`.")
