"""What the ledger refuses, and in which words."""

from sqlalchemy.exc import IntegrityError


class LedgerError(RuntimeError):
    """The ledger cannot do this. The transaction it happened in changed nothing."""


class IllegalMove(LedgerError):
    """A state was to follow one that it may not follow."""


class ConservationBroken(LedgerError):
    """A night cannot close: locked is not staged + failed + carried_over, item by item (law 1)."""


class WrongVersion(LedgerError):
    """The ledger's tables are older or newer than this package."""


AlreadyThere = IntegrityError
"""Two people wrote the same thing at the same moment; the database kept the first."""


class NightTaken(LedgerError):
    """Another run holds this night."""
