"""The serving certificate in its three ways: who makes it, who tells the API server of its authority."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from cryptography import x509

from tests.deploy.chart import NAMESPACE, Helm, Json, Rendered
from tests.deploy.value_sets import VALUE_SETS

HOST = f"variant-autoscaler.{NAMESPACE}.svc"


def _get_registration(rendered: Rendered) -> Json:
    return rendered.get("APIService")


def test_self_signed_leaves_the_authority_to_the_program(helm: Helm) -> None:
    rendered = helm.render()
    assert "caBundle" not in _get_registration(rendered)["spec"]
    assert "annotations" not in _get_registration(rendered)["metadata"]
    assert not rendered.list("Secret")


def test_cert_manager_is_told_where_to_put_the_authority(helm: Helm) -> None:
    rendered = helm.render(VALUE_SETS["cert-manager"])
    registration = _get_registration(rendered)
    assert "caBundle" not in registration["spec"]
    namespace, _, name = registration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].partition("/")
    certificate = rendered.get("Certificate", name)
    assert certificate["metadata"]["namespace"] == namespace
    assert HOST in certificate["spec"]["dnsNames"]


def test_without_an_issuer_one_is_made_that_signs_with_an_authority_of_its_own(helm: Helm) -> None:
    rendered = helm.render(VALUE_SETS["cert-manager"])
    leaf = rendered.get("Certificate", "variant-autoscaler")
    issuer = rendered.get("Issuer", leaf["spec"]["issuerRef"]["name"])
    authority = rendered.get("Certificate", "variant-autoscaler-ca")
    assert issuer["spec"]["ca"]["secretName"] == authority["spec"]["secretName"]
    assert authority["spec"]["isCA"] is True
    assert rendered.get("Issuer", authority["spec"]["issuerRef"]["name"])["spec"] == {"selfSigned": {}}
    assert leaf["spec"]["secretName"] != authority["spec"]["secretName"]


def test_an_issuer_that_is_given_is_used(helm: Helm) -> None:
    rendered = helm.render(VALUE_SETS["cert-manager with an issuer"])
    assert not rendered.list("Issuer")
    assert rendered.get("Certificate")["spec"]["issuerRef"] == {"kind": "ClusterIssuer", "name": "internal"}


def test_the_certificate_of_the_chart_is_trusted_by_what_the_api_server_is_told(helm: Helm) -> None:
    rendered = helm.render(VALUE_SETS["certificate of the chart"])
    secret = rendered.get("Secret")
    assert secret["type"] == "kubernetes.io/tls"
    assert secret["data"]["ca.crt"] == _get_registration(rendered)["spec"]["caBundle"]
    authority = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["ca.crt"]))
    leaf = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
    leaf.verify_directly_issued_by(authority)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert HOST in names.get_values_for_type(x509.DNSName)
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert (leaf.not_valid_after_utc - datetime.now(UTC)).days > 3600
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.oid.ExtendedKeyUsageOID.SERVER_AUTH in usage


def test_each_first_rendering_makes_a_certificate_of_its_own(helm: Helm) -> None:
    first, second = (helm.render(VALUE_SETS["certificate of the chart"], again=True).get("Secret") for _ in range(2))
    assert first["data"]["tls.key"] != second["data"]["tls.key"]


@pytest.mark.parametrize("name", ["pages only", "pages only, one namespace", "everything off"])
def test_pages_only_takes_neither_registration_nor_certificate(helm: Helm, name: str) -> None:
    rendered = helm.render(VALUE_SETS[name])
    for kind in ("APIService", "Secret", "Certificate", "Issuer"):
        assert not rendered.list(kind)
    assert {port["name"] for port in rendered.get_container()["ports"]} == {"pages"}
