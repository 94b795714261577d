"""The table of runs in MLflow's pages, with the columns that matter: a view that is part of a link.

MLflow's "share" button keeps the state of a page in a tag of the experiment and makes a link to it; the same is done
here, so that the first page shows errors, references and swept options instead of no columns.
"""

import json
from typing import TYPE_CHECKING

from morlight.tracking.leaderboard import LINEAR, NOISE_CEILING, Leaderboard, Ranking, leaderboard
from morlight.tracking.names import legal_name

if TYPE_CHECKING:
    import mlflow

VIEW = "morlight"  # name of the view in the link; each call replaces it


def link_to_newest_experiment(client: "mlflow.MlflowClient") -> str:
    """Path of the page with the runs of the most recent experiment, to be appended to the server's address.

    Returns:
        The path from `#`; empty if there are no runs.
    """
    experiments = client.search_experiments()
    newest = client.search_runs(
        [experiment.experiment_id for experiment in experiments],
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    if not newest:
        return ""
    identity = newest[0].info.experiment_id
    (name,) = (experiment.name for experiment in experiments if experiment.experiment_id == identity)
    client.set_experiment_tag(identity, f"mlflow.sharedViewState.{VIEW}", json.dumps(_state(leaderboard(name))))
    return f"#/experiments/{identity}/runs?viewStateShareKey={VIEW}&workflowType=machine_learning"


def _state(board: Leaderboard) -> dict[str, object]:
    columns = ["attributes.`Dataset`"] if len(board.rankings) > 1 else []
    for ranking in board.rankings:
        columns += _columns(ranking)
    state: dict[str, object] = {"selectedColumns": list(dict.fromkeys(columns))}
    if board.rankings and (metric := board.rankings[0].metric) is not None:
        state |= {"orderByKey": f"metrics.`{metric}`", "orderByAsc": not board.rankings[0].largest_first}
    return state


def _columns(ranking: Ranking) -> list[str]:
    """Columns in the order of `morlight compare`, with only those metrics that some run has."""
    error = legal_name(ranking.error)
    references = [f"{LINEAR}/{error}", f"{NOISE_CEILING}/{error}", "over_linear/median"]
    metrics = [str(ranking.metric), f"{error}/median", *references]
    logged = {name for run in ranking.runs for name in run.metrics}
    return [f"metrics.`{name}`" for name in metrics if name in logged] + [f"params.`{key}`" for key in ranking.options]
