from __future__ import annotations

from adapter.telemetry import Telemetry

EXPIRY = "variant_autoscaler_certificate_expiry_timestamp_seconds"


def test_the_expiry_of_a_certificate_is_absent_until_there_is_one() -> None:
    telemetry, expiry_s = Telemetry(), dict[str, float]()
    telemetry.show_certificate(lambda: expiry_s.get("now"))
    assert telemetry.registry.get_sample_value(EXPIRY) is None
    expiry_s["now"] = 1_800_000_000.0
    assert telemetry.registry.get_sample_value(EXPIRY) == 1_800_000_000.0


def test_the_api_has_one_owner_at_a_time() -> None:
    telemetry = Telemetry()
    for ownership in ("Unknown", "Foreign", "Ours"):
        telemetry.set_api_ownership(ownership)
    shown = {
        name: telemetry.registry.get_sample_value("variant_autoscaler_api_ownership_info", {"ownership": name})
        for name in ("Unknown", "Foreign", "Ours")
    }
    assert shown == {"Unknown": None, "Foreign": None, "Ours": 1.0}


def test_whoever_is_alone_leads_until_told_otherwise() -> None:
    telemetry = Telemetry()
    seen = [telemetry.registry.get_sample_value("variant_autoscaler_leader")]
    for is_leader in (False, True):
        telemetry.set_leader(is_leader)
        seen.append(telemetry.registry.get_sample_value("variant_autoscaler_leader"))
    assert seen == [1.0, 0.0, 1.0]
