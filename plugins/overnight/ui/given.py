"""What every route is given: the ledger, and what time it is."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends

from overnight.clock import utcnow
from overnight.ledger.connect import Ledger, open_ledger


def books() -> Ledger:
    """The deployment's ledger."""
    return open_ledger()


def clock() -> datetime:
    """Now, in UTC."""
    return utcnow()


Books = Annotated[Ledger, Depends(books)]
Now = Annotated[datetime, Depends(clock)]
