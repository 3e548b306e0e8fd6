"""Rights that rendered roles grant to one account, as a flat set that can be compared."""

from __future__ import annotations

from dataclasses import dataclass

from tests.deploy.chart import Json, Rendered


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource.

    Attributes
    ----------
    scope
        A namespace, or ``*`` for all and for what has none.
    group, resource
        As rules name them; a resource may carry a subresource.
    verb
        Such as ``patch``.
    name
        Of the only object that is meant, "" for any.
    """

    scope: str
    group: str
    resource: str
    verb: str
    name: str = ""

    def __str__(self) -> str:
        """Return such as ``chat: patch apps/deployments/scale``."""
        what = f"{self.group}/{self.resource}" if self.group else self.resource
        return f"{self.scope}: {self.verb} {what}" + (f" {self.name}" if self.name else "")


def list_rights(rendered: Rendered) -> set[Right]:
    """Return what the roles of `rendered` grant to the account its pods run under, roles of others left out."""
    home = rendered.get("Deployment")["metadata"]["namespace"]
    account = ("ServiceAccount", rendered.get_pod()["spec"]["serviceAccountName"], home)
    rights: set[Right] = set()
    for binding in (*rendered.list("ClusterRoleBinding"), *rendered.list("RoleBinding")):
        subjects = {(it["kind"], it["name"], it.get("namespace")) for it in binding.get("subjects", ())}
        if account not in subjects:
            continue
        scope = binding["metadata"].get("namespace", "*")
        rights |= {right for rule in _find_rules(rendered, binding) for right in flatten(rule, scope)}
    return rights


def list_foreign_roles(rendered: Rendered) -> set[tuple[str, str]]:
    """Return scope and name of the roles that are bound to the account and come with Kubernetes."""
    ours = {
        (role["kind"], role["metadata"]["name"]) for kind in ("ClusterRole", "Role") for role in rendered.list(kind)
    }
    bindings = (*rendered.list("ClusterRoleBinding"), *rendered.list("RoleBinding"))
    return {
        (binding["metadata"].get("namespace", "*"), binding["roleRef"]["name"])
        for binding in bindings
        if (binding["roleRef"]["kind"], binding["roleRef"]["name"]) not in ours
    }


def flatten(rule: Json, scope: str) -> set[Right]:
    """Return the rights of one rule."""
    return {
        Right(scope, group, resource, verb, name)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def _find_rules(rendered: Rendered, binding: Json) -> list[Json]:
    reference, namespace = binding["roleRef"], binding["metadata"].get("namespace")
    for role in rendered.list(reference["kind"]):
        if role["metadata"]["name"] == reference["name"] and role["metadata"].get("namespace") in (None, namespace):
            rules: list[Json] = role["rules"]
            return rules
    return []
