"""What the ledger refuses, and in which words."""


class LedgerError(RuntimeError):
    """The ledger cannot do this. The transaction it happened in changed nothing."""


class IllegalMove(LedgerError):
    """A state was to follow one that it may not follow."""


class ConservationBroken(LedgerError):
    """A night cannot close: locked is not staged + failed + carried_over, item by item (law 1)."""


class WrongVersion(LedgerError):
    """The ledger's tables are older or newer than this package."""


class NightTaken(LedgerError):
    """Another run holds this night."""
