"""Figures for Prometheus."""

from flotilla.services.gateway.live.http_metrics import Meter, Sample, exposition


def test_answers_are_counted_by_method_route_and_status() -> None:
    meter = Meter()
    meter.observe("GET", "/a", 200, 0.25)
    meter.observe("GET", "/a", 200, 0.5)
    meter.observe("GET", "/a", 404, 0.25)
    assert meter.requests == 3
    assert exposition(meter.samples()) == (
        "# TYPE flotilla_gateway_http_request_seconds_total counter\n"
        'flotilla_gateway_http_request_seconds_total{method="GET",route="/a"} 1.0\n'
        "# TYPE flotilla_gateway_http_requests_total counter\n"
        'flotilla_gateway_http_requests_total{method="GET",route="/a",status="200"} 2\n'
        'flotilla_gateway_http_requests_total{method="GET",route="/a",status="404"} 1\n'
    )


def test_labels_are_escaped_and_a_plain_figure_is_a_gauge() -> None:
    text = exposition([Sample("up", 1.0, {"what": 'a"b\\c\nd'}), Sample("plain", 2.5)])
    assert text == '# TYPE plain gauge\nplain 2.5\n# TYPE up gauge\nup{what="a\\"b\\\\c\\nd"} 1.0\n'
