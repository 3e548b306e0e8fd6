"""What HPAs ask our API for: metric and selector, word for word. It asks nothing of the API itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from adapter.cluster import ClusterView, FollowerKind
from adapter.doctor.asking import attempt, list_everywhere
from adapter.errors import AdapterError
from adapter.external_metrics.wire import GROUP_VERSION, METRIC
from adapter.kube.client import Json, KubeClient
from adapter.kube.discovery.objects import get_name, get_namespace
from adapter.kube.json_fields import get_object, get_objects
from adapter.kube.resource import HORIZONTAL_POD_AUTOSCALERS
from optimizer.domain import WorkloadRef


@dataclass(frozen=True, slots=True)
class NumberQuestion:
    """What one HPA asks for.

    Attributes
    ----------
    workload
        Whose replicas it sets.
    autoscaler
        Its name.
    metric, selector
        Name of the metric, and the label selector as it stands in a query, "" for none.
    """

    workload: WorkloadRef
    autoscaler: str
    metric: str
    selector: str

    @property
    def path(self) -> str:
        """Where it asks."""
        return f"/apis/{GROUP_VERSION}/namespaces/{self.workload.namespace}/{quote(self.metric, safe='')}"


async def fetch_questions(
    client: KubeClient, view: ClusterView, namespaces: Sequence[str]
) -> tuple[NumberQuestion, ...]:
    """Return what the HPAs of `view` ask for that read our number; none where they cannot be read."""
    asking = {
        (workload.namespace, follower.name): workload
        for workload, followers in view.followers.items()
        for follower in followers
        if follower.kind is FollowerKind.HPA and follower.reads_our_number
    }
    found = await attempt(list_everywhere(client, HORIZONTAL_POD_AUTOSCALERS, namespaces)) if asking else ()
    if isinstance(found, AdapterError):
        return ()
    questions = []
    for item in found:
        workload, source = asking.get((get_namespace(item), get_name(item))), _find_source(item)
        if workload is not None and source:
            selector = render_selector(get_object(source, "selector"))
            questions.append(NumberQuestion(workload, get_name(item), str(source["name"]), selector))
    return tuple(questions)


def _find_source(autoscaler: Json) -> Json:
    """Return our metric as an HPA names it, {} where it names none."""
    sources = (get_object(entry, "external", "metric") for entry in get_objects(autoscaler, "spec", "metrics"))
    return next((it for it in sources if str(it.get("name", "")).partition(".")[0] == METRIC), {})


def render_selector(selector: Mapping[str, object]) -> str:
    """Return a LabelSelector object as HPA writes it into its query."""
    terms = [f"{key}={value}" for key, value in get_object(selector, "matchLabels").items()]
    for expression in get_objects(selector, "matchExpressions"):
        key, values = expression.get("key"), ",".join(sorted(map(str, expression.get("values") or ())))
        told = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "DoesNotExist": f"!{key}"}
        terms.append(told.get(str(expression.get("operator")), str(key)))
    return ",".join(sorted(terms))
