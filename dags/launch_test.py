"""Launch test: 50 to 100 representative items of one workflow through its own Dag, at once; people review them as ever."""

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag

from overnight import LaunchTestOperator, by_hand


@dag(**by_hand("launch_test", workflow=True, items=50))
def launch_test() -> None:
    """See that the workflow is in test, then run its own Dag with a fair sample of what waits."""
    conf = LaunchTestOperator(task_id="gate", workflow="{{ params.workflow }}", items="{{ params.count }}")
    TriggerDagRunOperator(
        task_id="night",
        trigger_dag_id="{{ params.workflow }}",
        conf=conf.output,
        wait_for_completion=True,
        deferrable=True,
    )


launch_test()
