"""The external metrics API (``external.metrics.k8s.io/v1beta1``): wire objects, negotiation, selectors, handlers, and
what guards them: TLS, authentication, authorization.

It answers from the store and never computes or decides; about callers, and nothing else, it has the cluster asked.
"""

from adapter.external_metrics.app import Check, build_external_metrics_app
from adapter.external_metrics.certificate_sources import (
    CertificateSource,
    FileCertificate,
    SelfSignedCertificate,
    ServingMaterial,
    SharedStore,
)
from adapter.external_metrics.issuing import make_serving_names
from adapter.external_metrics.reviews import Reviewer
from adapter.external_metrics.security import ApiSecurity
from adapter.external_metrics.selector import LabelSelector, parse_selector
from adapter.external_metrics.serving_certificate import ServingCertificate

__all__ = [
    "ApiSecurity",
    "CertificateSource",
    "Check",
    "FileCertificate",
    "LabelSelector",
    "Reviewer",
    "SelfSignedCertificate",
    "ServingCertificate",
    "ServingMaterial",
    "SharedStore",
    "build_external_metrics_app",
    "make_serving_names",
    "parse_selector",
]
