"""The contract of a memory as code: laws that hold for every memory, checked on any memory."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.check._laws import CHECKS
from kanerva.check._sample import ContractError, Sample, draw
from kanerva.memory import Associative

__all__ = ["CHECKS", "ContractError", "Laws", "check_memory"]


class Laws(NamedTuple):
    """The laws of a memory, by name.

    Attributes:
        held: those that apply to it; all of them hold.
        exempt: why it does not promise the others that its attribute ``exempt`` names.
    """

    held: list[str]
    exempt: dict[str, str]


@door
def check_memory(memory: Associative) -> Laws:
    """Check every law of the contract on a memory, as scikit-learn's ``check_estimator`` does.

    The memory itself is not changed: copies of it are filled with random vectors, read, saved and
    loaded.

    Args:
        memory: any ``Associative``, such as every ``Memory``, of this library or not, empty or not.
            The laws that its attribute ``exempt`` names are left out.

    Returns:
        the names of the laws that hold, and the reasons of those that are left out.

    Raises:
        ContractError: a law that does not hold, and what was found.
        InputError: ``exempt`` is no mapping from names of laws to reasons.
        InputTypeError: not an ``Associative``.

    Example:
        >>> import kanerva
        >>> laws = kanerva.check_memory(kanerva.hopfield(bits=32))
        >>> "a query never depends on its batch mates" in laws.held, laws.exempt
        (True, {})
    """
    if not isinstance(memory, Associative):
        do = "derive it from kanerva.Memory, or from kanerva.memory.Associative"
        must = "a kanerva.memory.Associative, such as a kanerva.Memory"
        refuse("memory", memory, must=must, do=do, error=InputTypeError)
    laws = {check: (check.__doc__ or "").rstrip(".") for check in CHECKS}
    exempt = _reasons(memory.exempt, tuple(laws.values()))
    sample = draw(memory)
    kept = [check for check in CHECKS if laws[check] not in exempt]
    return Laws([laws[check] for check in kept if _holds(check, laws[check], sample)], exempt)


def _reasons(exempt: Mapping[str, str], known: tuple[str, ...]) -> dict[str, str]:
    """Return the laws that are left out, with their reasons."""
    do = 'write {"the law": "why it does not hold"}'
    if not isinstance(exempt, Mapping):
        must = "a mapping from names of laws to reasons"
        refuse("exempt", exempt, must=must, do=do, error=InputTypeError)
    for name, reason in exempt.items():
        checks.choice("exempt", name, known)
        if not isinstance(reason, str) or not reason.strip():
            refuse("exempt", reason, must=f"a reason in words for the law {name!r}", do=do)
    return dict(exempt)


def _holds(check: Callable[[Sample], bool], law: str, sample: Sample) -> bool:
    """Run one law; False where it does not apply."""
    try:
        return check(sample) is not False
    except ContractError as error:
        raise ContractError(f"{law}: {error}") from error.__cause__
