"""Staff see incidents and close them, with a reason."""

from django.test import Client

from mps.base.core.db_scope import principal_scope
from mps.product.monitoring import services
from mps.product.monitoring.checks import Finding
from mps.product.monitoring.models import Incident
from tests.console.conftest import boss, console, staff_client  # noqa: F401 -- fixtures
from tests.console.helpers import act, act_url, events, fresh, list_url, page_url


def open_incident() -> Incident:
    services._note({"queue": Finding("queue", {"waiting": {"celery": 2000}})})
    with principal_scope("platform_admin"):
        return Incident.objects.get()


def test_list_page_and_close(console: Client) -> None:  # noqa: F811
    incident = open_incident()
    assert "the queue grows" in console.get(list_url(Incident)).content.decode()
    page = console.get(page_url(incident)).content.decode()
    assert "2000" in page
    assert act_url(Incident, "close", incident) in page

    act(console, Incident, "close", incident, reason="a worker was restarted")

    assert fresh(incident).closed_at is not None
    [event] = events("INCIDENT_CLOSED")
    assert (event.actor, event.context["reason"]) == ("boss", "a worker was restarted")
    assert (
        act_url(Incident, "close", incident) not in console.get(page_url(incident)).content.decode()
    )
    # Nothing else is changed by hand.
    assert console.post(page_url(incident), {"kind": "jobs"}).status_code == 403
    assert console.get(list_url(Incident, "add")).status_code == 403


def test_who_may_only_look_closes_nothing(database: str) -> None:
    incident = open_incident()
    clerk = staff_client("monitoring.view_incident")

    assert clerk.get(page_url(incident)).status_code == 200
    assert clerk.post(act_url(Incident, "close", incident), {"reason": "x"}).status_code == 403

    assert fresh(incident).closed_at is None
    assert [event.actor for event in events("CONSOLE_ACT_REFUSED")] == ["clerk"]


def test_the_address_in_older_alerts_leads_on(
    database: str,
    console: Client,  # noqa: F811
) -> None:
    incident = open_incident()

    followed = console.get(page_url(incident).replace("/monitoring/", "/watch/"), follow=True)

    assert followed.status_code == 200
    assert followed.redirect_chain == [(page_url(incident), 302)]
