"""Our API over real mutual TLS: who is believed, who may, and what everybody else is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import pytest

from adapter.kube.reviews import KubeReviewer
from tests.builders.authorities import CLIENT, SERVER, Authority, make_client_context
from tests.builders.review_tables import ReviewTables
from tests.builders.secured_api import DISCOVERY_ACCEPT, METRIC, NAME, VERSION, SecuredApi, open_secured_api

HPA = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
RESOURCE = {
    "namespace": "prod",
    "verb": "list",
    "group": "external.metrics.k8s.io",
    "version": "v1beta1",
    "resource": "deployment_replicas",
}


def allow(**expected: object) -> Callable[[Mapping[str, Any]], bool]:
    """Return a judge that allows what has these fields."""
    return lambda spec: all(spec.get(key) == value for key, value in expected.items())


# --- The front proxy --------------------------------------------------------------------------------------------------
async def test_hpa_behind_the_aggregator_gets_its_number(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.is_allowed = allow(user=HPA, resourceAttributes=RESOURCE)
    status, body, headers = await secured.ask_as_proxy(METRIC, HPA, ["system:serviceaccounts"])
    assert (status, body["items"][0]["value"]) == (200, "4")
    assert headers["Content-Type"] == "application/json"
    assert reviews.asked == [
        {"user": HPA, "groups": ["system:serviceaccounts", "system:authenticated"], "resourceAttributes": RESOURCE}
    ]


async def test_the_availability_check_comes_from_a_master_and_needs_no_review(
    secured: SecuredApi, reviews: ReviewTables
) -> None:
    checks = (
        secured.ask_as_proxy(VERSION, "system:kube-aggregator", ["system:masters"], accept=None) for _ in range(5)
    )
    assert [status for status, _, _ in await asyncio.gather(*checks)] == [200] * 5
    assert reviews.asked == []


async def test_discovery_callers_come_without_groups_and_are_authenticated_all_the_same(
    secured: SecuredApi, reviews: ReviewTables
) -> None:
    reviews.is_allowed = lambda spec: (
        "system:authenticated" in spec["groups"] and spec["nonResourceAttributes"] == {"path": "/apis", "verb": "get"}
    )
    status, _, headers = await secured.ask_as_proxy("/apis", "system:kube-aggregator", accept=DISCOVERY_ACCEPT)
    assert (status, headers["Content-Type"]) == (200, DISCOVERY_ACCEPT)
    again = [("If-None-Match", headers["ETag"]), ("X-Remote-User", "system:kube-aggregator")]
    status, body, _ = await secured.get(
        "/apis", headers=again, shows=secured.authorities.aggregator, accept=DISCOVERY_ACCEPT
    )
    assert (status, body) == (304, "")
    fallback = await secured.ask_as_proxy(VERSION, "system:kube-aggregator", accept="application/json")
    assert fallback[0] == 403  # only the path /apis is allowed here
    reviews.is_allowed = allow(user="system:aggregator", groups=["system:authenticated"])
    assert (await secured.ask_as_proxy("/openapi/v3", "system:aggregator"))[0] == 200


async def test_everything_said_of_a_user_reaches_the_review_unchanged(
    secured: SecuredApi, reviews: ReviewTables
) -> None:
    headers = [
        ("X-Remote-User", "müller"),
        ("X-Remote-Uid", "42"),
        ("X-Remote-Group", "a, b"),
        ("X-Remote-Group", "c"),
        ("x-remote-EXTRA-Scopes", "one,two"),
        ("x-remote-EXTRA-Scopes", "three"),
        ("X-Remote-Extra-Example.com%2fTeam", "gold"),
        ("X-Remote-Extra-100%", "broken"),
    ]
    reviews.is_allowed = allow(user="müller")
    assert (await secured.get(headers=headers, shows=secured.authorities.aggregator))[0] == 200
    (asked,) = reviews.asked
    assert asked["uid"] == "42"
    assert asked["groups"] == ["a, b", "c", "system:authenticated"]
    assert asked["extra"] == {"scopes": ["one,two", "three"], "example.com/team": ["gold"], "100%": ["broken"]}


async def test_an_identity_is_said_to_be_anonymous_without_becoming_authenticated(
    secured: SecuredApi, reviews: ReviewTables
) -> None:
    status, _, _ = await secured.ask_as_proxy(METRIC, "system:anonymous", ["system:unauthenticated"])
    assert (status, reviews.asked[0]["groups"]) == (401, ["system:unauthenticated"])


async def test_a_connection_older_than_the_settings_is_not_gone_on_with(
    reviews: ReviewTables, reviewer: KubeReviewer
) -> None:
    reviews.is_allowed = allow(user="alice")
    async with open_secured_api(reviewer, knows_proxies=False) as api, aiohttp.ClientSession() as session:
        tls = make_client_context(api.authorities.serving.pem, api.authorities.aggregator)

        async def ask() -> int:
            headers, url = {"X-Remote-User": "alice"}, f"https://127.0.0.1:{api.port}{METRIC}"
            async with session.get(url, headers=headers, ssl=tls, server_hostname=NAME) as answer:
                await answer.read()
                return answer.status

        assert await ask() == 401
        api.security.use_proxy_settings(api.authorities.to_settings())
        assert [await ask(), await ask()] == [200, 200]


@pytest.mark.parametrize("allowed, status", [(["other"], 401), ([], 200), (["other", "front-proxy-client"], 200)])
async def test_only_allowed_names_may_be_front_proxies(
    secured: SecuredApi, reviews: ReviewTables, allowed: list[str], status: int
) -> None:
    reviews.is_allowed = allow(user="alice")
    secured.security.use_proxy_settings(secured.authorities.to_settings(requestheader_allowed_names=allowed))
    assert (await secured.ask_as_proxy())[0] == status


async def test_headers_count_by_the_names_the_cluster_gives_them(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.is_allowed = allow(user="bob")
    secured.security.use_proxy_settings(
        secured.authorities.to_settings(requestheader_username_headers=["X-First", "X-Second"])
    )
    headers = [("X-Remote-User", "alice"), ("X-First", ""), ("X-Second", "bob")]
    assert (await secured.get(headers=headers, shows=secured.authorities.aggregator))[0] == 200


async def test_the_aggregator_verifies_us_by_the_name_of_the_service(secured: SecuredApi) -> None:
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await secured.ask_as_proxy(VERSION, name="other.system.svc")
    context = make_client_context(Authority("foreign").pem)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"https://127.0.0.1:{secured.port}/livez", ssl=context, server_hostname=NAME)


async def test_without_a_reviewer_everybody_is_answered_over_tls() -> None:
    async with open_secured_api(None) as api:
        assert (await api.get())[0] == 200
        assert (await api.ask_as_proxy())[0] == 200  # the certificate of the front proxy does no harm
        assert (await api.get("/readyz"))[:2] == (200, "ok")


# --- Forgeries --------------------------------------------------------------------------------------------------------
async def test_headers_without_a_front_proxy_are_refused(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.is_allowed = lambda _spec: True
    reviews.users["good"] = {"username": "alice"}
    forged = [("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters")]
    lookalike = secured.authorities.clients.issue("front-proxy-client")
    for shows, more in ((None, ()), (lookalike, ()), (None, [("Authorization", "Bearer good")])):
        status, body, headers = await secured.get(headers=[*forged, *more], shows=shows)
        assert (status, body["reason"], body["code"]) == (401, "Unauthorized", 401)
        assert "front proxy" in body["message"]
        assert headers["WWW-Authenticate"] == "Bearer"
    assert reviews.asked == []


async def test_a_front_proxy_that_names_nobody_is_nobody(secured: SecuredApi, reviews: ReviewTables) -> None:
    for headers in ((), [("X-Remote-User", "")], [("X-Remote-Group", "system:masters")]):
        assert (await secured.get(headers=headers, shows=secured.authorities.aggregator))[0] == 401
    assert {spec["user"] for spec in reviews.asked} == {"system:anonymous"}


async def test_certificates_that_are_no_good_get_no_connection_or_no_belief(
    secured: SecuredApi, reviews: ReviewTables
) -> None:
    proxies = secured.authorities.proxies
    reviews.is_allowed = lambda _spec: True
    for shows in (
        Authority("foreign").issue("front-proxy-client"),
        proxies.issue("front-proxy-client", ends_s=-1.0),
        proxies.issue("front-proxy-client", begins_s=600.0),
        proxies.issue("front-proxy-client", usages=(SERVER,)),
    ):
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await secured.get(headers=[("X-Remote-User", "alice")], shows=shows)
    without_usage = proxies.issue("front-proxy-client", usages=())
    assert (await secured.get(headers=[("X-Remote-User", "alice")], shows=without_usage))[0] == 401
    both = proxies.issue("front-proxy-client", usages=(CLIENT, SERVER))
    assert (await secured.get(headers=[("X-Remote-User", "alice")], shows=both))[0] == 200


# --- Certificates and tokens ------------------------------------------------------------------------------------------
async def test_a_certificate_of_the_cluster_speaks_for_itself(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.is_allowed = allow(user="carol", groups=["dev", "ops", "system:authenticated"])
    carol = secured.authorities.clients.issue("carol", ["dev", "ops"])
    assert (await secured.get(shows=carol))[0] == 200
    headers = [("X-Remote-Group", "system:masters"), ("X-Remote-Extra-A", "b")]
    assert (await secured.get(headers=headers, shows=carol))[0] == 200
    assert "extra" not in reviews.asked[-1]
    admin = secured.authorities.clients.issue("admin", ["system:masters"])
    assert (await secured.get(shows=admin))[0] == 200
    assert (await secured.get(shows=secured.authorities.clients.issue(organizations=["system:masters"])))[0] == 401


async def test_a_bearer_token_is_reviewed_once_for_ten_seconds(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.users["s3cret"] = {"username": "dave", "uid": "7", "groups": ["dev"], "extra": {"k": ["v"]}}
    reviews.is_allowed = allow(user="dave", uid="7", groups=["dev", "system:authenticated"], extra={"k": ["v"]})
    token = [("Authorization", "bearer  s3cret")]
    for _ in range(3):
        assert (await secured.get(headers=token))[0] == 200
    assert (reviews.tokens, len(reviews.accesses)) == (["s3cret"], 1)
    secured.clock.time_s += 9.9
    assert (await secured.get(headers=token))[0] == 200
    assert len(reviews.asked) == 2
    secured.clock.time_s += 0.2
    assert (await secured.get(headers=token))[0] == 200
    assert len(reviews.asked) == 4


async def test_bad_tokens_and_no_credentials_are_unauthorized(secured: SecuredApi, reviews: ReviewTables) -> None:
    for value in ("Bearer wrong", "Bearer", "Bearer ", "Basic YTpi", "wrong"):
        status, body, _ = await secured.get(headers=[("Authorization", value)])
        assert (status, body["reason"]) == (401, "Unauthorized")
        assert "wrong" not in body["message"]
    assert (await secured.get())[0] == 401
    assert reviews.tokens == ["wrong"]


async def test_anonymous_callers_may_what_the_cluster_lets_them(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.is_allowed = allow(user="system:anonymous", groups=["system:unauthenticated"])
    assert (await secured.get(VERSION))[0] == 200


# --- Authorization ----------------------------------------------------------------------------------------------------
async def test_a_denial_names_user_verb_resource_and_namespace(secured: SecuredApi, reviews: ReviewTables) -> None:
    for _ in range(3):
        status, body, _ = await secured.ask_as_proxy()
        assert (status, body["reason"]) == (403, "Forbidden")
        for word in ("alice", "list", "deployment_replicas", "external.metrics.k8s.io", "prod", "no rule allows it"):
            assert word in body["message"]
    assert len(reviews.asked) == 1
    secured.clock.time_s += 10.1
    reviews.is_allowed = allow(user="alice")
    assert (await secured.ask_as_proxy())[0] == 200


async def test_names_are_hidden_from_who_may_not_see_them(secured: SecuredApi) -> None:
    for path in ("namespaces/prod/nothing", "namespaces/prod", "nowhere", "namespaces/prod/deployment_replicas/llama"):
        assert (await secured.ask_as_proxy(f"{VERSION}/{path}"))[0] == 403


async def test_each_metric_name_is_a_right_of_its_own(secured: SecuredApi, reviews: ReviewTables) -> None:
    only = {**RESOURCE, "resource": "deployment_replicas.llama"}
    reviews.is_allowed = allow(resourceAttributes=only)
    assert (await secured.ask_as_proxy(f"{VERSION}/namespaces/prod/deployment_replicas.llama"))[0] == 200
    assert (await secured.ask_as_proxy())[0] == 403


async def test_watching_and_writing_are_other_rights(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.is_allowed = allow(resourceAttributes=RESOURCE)
    assert (await secured.ask_as_proxy(METRIC + "&watch=true"))[0] == 403
    assert (await secured.ask_as_proxy(METRIC, method="POST"))[0] == 403
    reviews.is_allowed = lambda _spec: True
    secured.clock.time_s += 11.0
    for more in ({"path": METRIC + "&watch=true"}, {"method": "DELETE"}):
        status, body, headers = await secured.ask_as_proxy(**more)
        assert (status, body["reason"], headers["Allow"]) == (405, "MethodNotAllowed", "GET")


# --- When the cluster does not answer ---------------------------------------------------------------------------------
@pytest.mark.parametrize("trouble", [500, 503, 403])
async def test_an_outage_of_reviews_is_said_and_masters_pass(
    secured: SecuredApi, reviews: ReviewTables, trouble: int
) -> None:
    reviews.api.fail(trouble, message="in trouble")
    for headers, asked in (([("X-Remote-User", "bob")], "'bob' may list"), ([("Authorization", "Bearer t")], "who")):
        shows = secured.authorities.aggregator if headers[0][0] == "X-Remote-User" else None
        status, body, _ = await secured.get(headers=headers, shows=shows)
        assert (status, body["reason"]) == (503, "ServiceUnavailable")
        assert asked in body["message"]
        assert "in trouble" in body["message"]
    status, _, _ = await secured.ask_as_proxy(METRIC, "system:kube-aggregator", ["system:masters"])
    assert status == 200
    reviews.api.heal()
    reviews.is_allowed = allow(user="bob")
    assert (await secured.ask_as_proxy(METRIC, "bob"))[0] == 200  # a failure is not remembered


async def test_a_broken_connection_is_tried_again(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.is_allowed = allow(user="bob")
    reviews.api.fail(0, times=1)
    assert (await secured.ask_as_proxy(METRIC, "bob"))[0] == 200


# --- Health, and what is never there ----------------------------------------------------------------------------------
async def test_health_is_open_and_asks_nobody(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.api.fail(500)
    for path in ("/livez", "/readyz"):
        assert (await secured.get(path))[:2] == (200, "ok")
        assert (await secured.get(path, headers=[("X-Remote-User", "x"), ("Authorization", "Bearer y")]))[0] == 200
    status, body, _ = await secured.get("/openapi/v2")
    assert (status, body["reason"]) == (404, "NotFound")
    assert reviews.api.calls == []


# --- Rotation of what the cluster says --------------------------------------------------------------------------------
async def test_a_new_authority_of_front_proxies_replaces_the_old(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.is_allowed = allow(user="alice")
    old, new = secured.authorities.proxies, Authority("front-proxy-ca-2")
    secured.security.use_proxy_settings(secured.authorities.to_settings(requestheader_client_ca_file=old.pem + new.pem))
    headers = [("X-Remote-User", "alice")]
    for authority in (old, new):
        assert (await secured.get(headers=headers, shows=authority.issue("front-proxy-client")))[0] == 200
    secured.security.use_proxy_settings(secured.authorities.to_settings(requestheader_client_ca_file=new.pem))
    assert (await secured.get(headers=headers, shows=new.issue("front-proxy-client")))[0] == 200
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await secured.get(headers=headers, shows=old.issue("front-proxy-client"))


async def test_a_connection_made_before_a_rotation_is_judged_anew(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.is_allowed = lambda _spec: True
    tls = secured.authorities
    context = make_client_context(tls.serving.pem, tls.aggregator)
    url = f"https://127.0.0.1:{secured.port}{METRIC}"
    headers = {"X-Remote-User": "alice"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        async with session.get(url, headers=headers, ssl=context, server_hostname=NAME) as response:
            assert response.status == 200
        new = Authority("front-proxy-ca-2")
        secured.security.use_proxy_settings(tls.to_settings(requestheader_client_ca_file=new.pem))
        async with session.get(url, headers=headers, ssl=context, server_hostname=NAME) as response:
            assert response.status == 401


async def test_bad_settings_are_refused_and_the_last_good_ones_hold(secured: SecuredApi, reviews: ReviewTables) -> None:
    reviews.is_allowed = allow(user="alice")
    for changes in (
        {"requestheader_client_ca_file": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        {"requestheader_allowed_names": "no JSON"},
        {"requestheader_username_headers": {"a": 1}},
    ):
        secured.security.use_proxy_settings(secured.authorities.to_settings(**changes))
        assert (await secured.ask_as_proxy())[0] == 200
        assert (await secured.get("/readyz"))[0] == 200


async def test_two_settings_may_share_one_authority(secured: SecuredApi, reviews: ReviewTables) -> None:
    """Some clusters use one authority for all: then the allowed names alone tell proxies from users."""
    one = secured.authorities.proxies
    secured.security.use_proxy_settings(secured.authorities.to_settings(client_ca_file=one.pem))
    reviews.is_allowed = allow(user="erin")
    erin = one.issue("erin")
    assert (await secured.get(shows=erin))[0] == 200
    assert (await secured.get(headers=[("X-Remote-User", "admin")], shows=erin))[0] == 401
    assert (await secured.ask_as_proxy(METRIC, "erin"))[0] == 200
