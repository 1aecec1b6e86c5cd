"""The contract of a memory as code: laws that hold for every memory, checked on any memory."""

from collections.abc import Callable

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.check._laws import CHECKS
from kanerva.check._sample import ContractError, Sample, draw
from kanerva.memory import Memory

__all__ = ["CHECKS", "ContractError", "check_memory"]


@door
def check_memory(memory: Memory) -> list[str]:
    """Check every law of the contract on a memory, as scikit-learn's ``check_estimator`` does.

    The memory itself is not changed: copies of it are filled with random vectors, read, saved and
    loaded.

    Args:
        memory: any ``Memory``, of this library or not, empty or not. The laws that its attribute
            ``exempt`` names are left out.

    Returns:
        the names of the laws that apply to it; all of them hold.

    Raises:
        ContractError: a law that does not hold, and what was found.
        InputTypeError: not a ``Memory``.

    Example:
        >>> import kanerva
        >>> laws = kanerva.check_memory(kanerva.hopfield(bits=32))
        >>> "a query never depends on its batch mates" in laws
        True
    """
    if not isinstance(memory, Memory):
        do = "derive it from kanerva.Memory"
        refuse("memory", memory, must="a kanerva.Memory", do=do, error=InputTypeError)
    sample = draw(memory)
    laws = {check: (check.__doc__ or "").rstrip(".") for check in CHECKS}
    for name in memory.exempt:
        checks.choice("exempt", name, tuple(laws.values()))
    kept = [check for check in CHECKS if laws[check] not in memory.exempt]
    return [laws[check] for check in kept if _holds(check, laws[check], sample)]


def _holds(check: Callable[[Sample], bool], law: str, sample: Sample) -> bool:
    """Run one law; False where it does not apply."""
    try:
        return check(sample) is not False
    except ContractError as error:
        raise ContractError(f"{law}: {error}") from error.__cause__
