"""Figures of the gateway itself, as Prometheus reads them."""

from flotilla.services.gateway.live.http_metrics import Meter, Named, exposition


def test_answers_are_counted_by_method_route_and_status_and_timed_by_method_and_route() -> None:
    meter = Meter()
    meter.observe("GET", "/a", 200, 0.25)
    meter.observe("GET", "/a", 200, 0.5)
    meter.observe("GET", "/a", 404, 0.25)
    assert meter.requests == 3
    text = exposition([meter]).decode()
    assert "# TYPE flotilla_gateway_http_requests_total counter\n" in text
    assert 'flotilla_gateway_http_requests_total{method="GET",route="/a",status="200"} 2.0\n' in text
    assert 'flotilla_gateway_http_requests_total{method="GET",route="/a",status="404"} 1.0\n' in text
    assert "# TYPE flotilla_gateway_http_request_seconds histogram\n" in text
    for le, count in (("0.1", 0), ("0.25", 2), ("1.0", 3), ("+Inf", 3)):
        series = f'flotilla_gateway_http_request_seconds_bucket{{le="{le}",method="GET",route="/a"}}'
        assert f"{series} {count}.0\n" in text
    assert 'flotilla_gateway_http_request_seconds_sum{method="GET",route="/a"} 1.0\n' in text
    assert "_created" not in text


def test_how_late_clients_of_the_fleet_read_is_counted() -> None:
    meter = Meter()
    meter.lagged(0.05)
    text = exposition([meter]).decode()
    assert 'flotilla_gateway_fleet_lag_seconds_bucket{le="0.025"} 0.0\n' in text
    assert 'flotilla_gateway_fleet_lag_seconds_bucket{le="0.1"} 1.0\n' in text


def test_labels_are_escaped() -> None:
    meter = Meter()
    meter.observe("GET", 'a"b\\c\nd', 200, 0.0)
    assert 'route="a\\"b\\\\c\\nd"' in exposition([meter]).decode()


def test_a_figure_whose_name_says_total_is_a_counter_and_any_other_a_gauge() -> None:
    text = exposition([Named("x", {"plain": 2.5, "all_total": 3}, {"plain": "So."})]).decode()
    assert "# TYPE x_all_total counter\nx_all_total 3.0\n" in text
    assert "# HELP x_plain So.\n# TYPE x_plain gauge\nx_plain 2.5\n" in text
