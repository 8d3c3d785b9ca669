"""What all shown data share: frozen, made of plain values, and the same for the page and for the JSON."""

from pydantic import BaseModel, ConfigDict

from overnight.workflow import workflow_if_known


class Shown(BaseModel):
    """Something a page shows and `/overnight/api` tells."""

    model_config = ConfigDict(frozen=True)


def title(name: str) -> str:
    """What a workflow is called; one that was taken out of the package keeps its name."""
    declared = workflow_if_known(name)
    return declared.title if declared else name
