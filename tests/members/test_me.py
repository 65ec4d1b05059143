"""What members see of themselves and change."""

import json
import threading
import uuid

import pytest
from django.db import connections

from members import profiles, selectors, services
from members.errors import ExternalIdAlreadyBoundError, MemberSuspendedError
from mps.base.core import db_scope, errors
from tests import factories
from tests.members.helpers import (
    assert_problem,
    bearer,
    count_events,
    events,
    find_member_by_identity,
    log_in,
    reload,
    suspend,
    token_of,
)

ME = "/api/v1/me"
IDENTITIES = "/api/v1/me/identities"


def patch(client, token, body):
    return client.patch(
        ME, json.dumps(body), content_type="application/json", headers=bearer(token)
    )


# --- profile -------------------------------------------------------------------------------------


def test_me(client):
    member, _ = factories.make_member(name="林小美", phone="0912000222", email="Mei@Example.com")

    response = client.get(ME, headers=bearer(token_of(member)))

    assert response.status_code == 200
    body = response.json()
    created_at = body.pop("created_at")
    assert created_at == member.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert body == {
        "number": member.number,
        "name": "林小美",
        "phone": "0912000222",
        "email": "mei@example.com",
        "phone_verified": True,
        "email_verified": True,
        "pin_set": False,
        "status": "active",
    }


def test_me_refuses_unknown_parameters(client):
    member, _ = factories.make_member()

    response = client.get(f"{ME}?id=1", headers=bearer(token_of(member)))

    assert_problem(response, 400, "INVALID_REQUEST")


def test_change_profile(client):
    member, _ = factories.make_member(name="Mei", phone="0912000333")
    token = token_of(member)

    response = patch(
        client, token, {"name": "Mei Lin", "phone": "0987-654 321", "email": "New@Example.com"}
    )

    assert response.status_code == 200
    body = response.json()
    assert (body["name"], body["phone"], body["email"]) == (
        "Mei Lin",
        "0987654321",
        "new@example.com",
    )
    assert client.get(ME, headers=bearer(token)).json() == body
    [(_, actor, number, context)] = events("PROFILE_CHANGED")
    assert (actor, number) == (member.number, member.number)
    assert json.loads(context) == {
        "before": {"name": "M…", "phone": "09…33", "email": None},
        "after": {"name": "M…", "phone": "09…21", "email": "n…@example.com"},
    }
    assert log_in(client, "new@example.com", factories.PASSWORD).status_code == 200
    assert log_in(client, "0912000333", factories.PASSWORD).status_code == 401


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_phone_and_email_can_be_given_up(client, nothing):
    member, _ = factories.make_member(email="mei@example.com")
    token = token_of(member)

    response = patch(client, token, {"phone": nothing, "email": nothing})

    assert response.status_code == 200
    assert response.json()["phone"] is None
    assert response.json()["email"] is None
    assert log_in(client, member.number, factories.PASSWORD).status_code == 200


def test_same_again_changes_and_records_nothing(client):
    member, _ = factories.make_member(email="mei@example.com")
    token = token_of(member)
    before = count_events()

    for body in ({}, {"email": "MEI@example.com", "phone": member.phone, "name": member.name}):
        assert patch(client, token, body).status_code == 200

    assert count_events() == before


@pytest.mark.parametrize("field", ["phone", "email"])
def test_what_belongs_to_another_is_refused(client, field):
    other, _ = factories.make_member(phone="0912000444", email="other@example.com")
    member, _ = factories.make_member(email="mei@example.com")

    response = patch(client, token_of(member), {"name": "X", field: getattr(other, field)})

    document = assert_problem(response, 409, "ALREADY_EXISTS")
    assert list(document["errors"]) == [field]
    after = reload(member)
    assert (after.name, after.phone, after.email) == (member.name, member.phone, member.email)
    [(_, actor, _, context)] = events("PROFILE_CHANGE_REFUSED")
    assert (actor, json.loads(context)) == (member.number, {"error": "ALREADY_EXISTS"})
    assert events("PROFILE_CHANGED") == []


def test_two_members_wanting_one_phone_at_once(client):
    members = [factories.make_member()[0] for _ in range(6)]
    tokens = [token_of(member) for member in members]
    barrier = threading.Barrier(len(tokens))
    statuses: list[int] = []

    def want(token):
        try:
            barrier.wait()
            statuses.append(patch(client, token, {"phone": "0900111222"}).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=want, args=[token]) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200, 409, 409, 409, 409, 409]
    assert len(events("PROFILE_CHANGED")) == 1
    assert len(events("PROFILE_CHANGE_REFUSED")) == 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": 7}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"phone": "abc"}, "phone"),
        ({"phone": "12345"}, "phone"),
        ({"phone": "１２３４５６７"}, "phone"),
        ({"phone": 912345678}, "phone"),
        ({"phone": ["0912345678"]}, "phone"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b@c.example"}, "email"),
        ({"email": f"{'a' * 250}@example.com"}, "email"),
        ({"email": {}}, "email"),
    ],
)
def test_bad_profile_is_refused(client, body, field):
    member, _ = factories.make_member()

    document = assert_problem(patch(client, token_of(member), body), 400, "INVALID_REQUEST")

    assert list(document["errors"]) == [field]
    after = reload(member)
    assert (after.name, after.phone, after.email) == (member.name, member.phone, member.email)


@pytest.mark.parametrize("body", [{"name": "a\x00b"}, {"email": "\ud800@example.com"}])
def test_unreadable_text_is_refused(client, body):
    member, _ = factories.make_member()

    assert_problem(patch(client, token_of(member), body), 400, "INVALID_REQUEST")


def test_what_members_may_not_change_stays(client):
    member, _ = factories.make_member()
    suspend(member)
    token = token_of(member)

    refused = patch(client, token, {"status": "active", "number": "M99999999"})

    assert_problem(refused, 403, "MEMBER_SUSPENDED")
    assert reload(member).status == "suspended"
    [(_, actor, _, context)] = events("PROFILE_CHANGE_REFUSED")
    assert (actor, json.loads(context)) == (member.number, {"error": "MEMBER_SUSPENDED"})


def test_unknown_fields_are_no_changes(client):
    member, _ = factories.make_member()

    response = patch(client, token_of(member), {"status": "suspended", "number": "M99999999"})

    assert response.status_code == 200
    assert (response.json()["status"], response.json()["number"]) == ("active", member.number)


# --- identities ----------------------------------------------------------------------------------


def test_identities(client):
    member, _ = factories.make_member(provider="wechat", external_id="oABC")
    profiles.bind_identity(member_id=member.id, provider="line", external_id="U123")
    other, _ = factories.make_member(provider="wechat", external_id="oXYZ")
    token = token_of(member)

    listed = client.get(IDENTITIES, headers=bearer(token)).json()["results"]

    assert [(one["provider"], one["external_id"]) for one in listed] == [
        ("line", "U123"),
        ("wechat", "oABC"),
    ]
    assert listed[0]["created_at"].endswith("Z")

    removed = client.delete(f"{IDENTITIES}/wechat", headers=bearer(token))

    assert removed.status_code == 204
    again = client.delete(f"{IDENTITIES}/wechat", headers=bearer(token))
    assert_problem(again, 404, "NOT_FOUND")
    left = client.get(IDENTITIES, headers=bearer(token)).json()["results"]
    assert [one["provider"] for one in left] == ["line"]
    assert find_member_by_identity(provider="wechat", external_id="oXYZ") == other
    [(_, actor, number, context)] = events("IDENTITY_UNBOUND")
    assert (actor, number, json.loads(context)) == (
        member.number,
        member.number,
        {"provider": "wechat"},
    )
    assert len(events("IDENTITY_UNBIND_REFUSED")) == 1


def test_suspended_member_removes_no_identity(client):
    member, _ = factories.make_member(provider="wechat", external_id="oABC")
    suspend(member)

    response = client.delete(f"{IDENTITIES}/wechat", headers=bearer(token_of(member)))

    assert_problem(response, 403, "MEMBER_SUSPENDED")
    assert find_member_by_identity(provider="wechat", external_id="oABC") == member
    assert len(events("IDENTITY_UNBIND_REFUSED")) == 1


@pytest.mark.parametrize("provider", ["%00", "a%20b", "x" * 200, "..", "%F0%9F%98%80"])
def test_odd_providers_are_not_found(client, provider):
    member, _ = factories.make_member()

    response = client.delete(f"{IDENTITIES}/{provider}", headers=bearer(token_of(member)))

    assert_problem(response, 404, "NOT_FOUND")


def test_identity_is_bound_once(database):
    member, _ = factories.make_member(provider="wechat", external_id="oABC")
    other, _ = factories.make_member()

    for member_id, external_id in ((other.id, "oABC"), (member.id, "oNEW"), (member.id, "oABC")):
        with pytest.raises(ExternalIdAlreadyBoundError):
            profiles.bind_identity(member_id=member_id, provider="wechat", external_id=external_id)

    assert find_member_by_identity(provider="wechat", external_id="oABC") == member
    assert find_member_by_identity(provider="wechat", external_id="oNEW") is None
    assert events("IDENTITY_BOUND") == []
    refused = events("IDENTITY_BIND_REFUSED")
    assert [json.loads(context)["error"] for *_, context in refused] == [
        "EXTERNAL_ID_ALREADY_BOUND"
    ] * 3


@pytest.mark.parametrize(
    ("provider", "external_id", "field"),
    [
        ("", "x", "provider"),
        ("WeChat", "x", "provider"),
        ("a" * 31, "x", "provider"),
        ("wechat\n", "x", "provider"),
        ("wechat", "", "external_id"),
        ("wechat", "x" * 129, "external_id"),
        ("wechat", "a\x00", "external_id"),
    ],
)
def test_bad_identity_is_refused(database, provider, external_id, field):
    member, _ = factories.make_member()

    with pytest.raises(errors.InvalidRequestError) as refused:
        profiles.bind_identity(member_id=member.id, provider=provider, external_id=external_id)

    assert list(refused.value.errors) == [field]
    with db_scope.principal_scope("member_app", member.id) as scope:
        assert not selectors.identities_of(scope, member.id).exists()


def test_identity_of_nobody_is_refused(database):
    with pytest.raises(errors.NotFoundError):
        profiles.bind_identity(member_id=uuid.uuid4(), provider="wechat", external_id="x")


def test_member_of_no_kind(database):
    with pytest.raises(errors.NotFoundError):
        profiles.update_profile(member_id=uuid.uuid4(), name="X")
    with pytest.raises(errors.NotFoundError):
        services.set_password(member_id=uuid.uuid4(), password="a-long-password-1")
    assert services.issue_token(user_id=0) is None
    services.revoke_token(user_id=0, token_id=uuid.uuid4())
    for change in (services.suspend_member, services.activate_member):
        with pytest.raises(errors.NotFoundError):
            change(member_id=uuid.uuid4())


# --- registration and status ---------------------------------------------------------------------


@pytest.mark.parametrize("password", ["short", "password123", "x" * 513, "tab\tin-the-password"])
def test_bad_password_registers_nobody(database, password):
    with pytest.raises(errors.InvalidRequestError) as refused:
        factories.make_member(password=password)

    assert list(refused.value.errors) == ["password"]
    with db_scope.principal_scope("platform_admin"):
        from members.models import Member

        assert not Member.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\x07b"}, "name"),
        ({"phone": "1"}, "phone"),
        ({"email": "x"}, "email"),
        ({"provider": "wechat"}, "external_id"),
        ({"external_id": "x"}, "provider"),
    ],
)
def test_bad_registration_names_the_field(database, fields, field):
    with pytest.raises(errors.InvalidRequestError) as refused:
        factories.make_member(**fields)

    assert list(refused.value.errors) == [field]
    assert len(events("REGISTRATION_REFUSED")) == 1


def test_registration_of_what_is_taken_is_refused(database):
    factories.make_member(phone="0912000555", provider="wechat", external_id="oABC")

    with pytest.raises(errors.AlreadyExistsError):
        factories.make_member(phone="0912000555")
    with pytest.raises(ExternalIdAlreadyBoundError):
        factories.make_member(provider="wechat", external_id="oABC")
    assert len(events("MEMBER_REGISTERED")) == 1


def test_set_password_and_status(client):
    member, _ = factories.make_member(password="")
    assert log_in(client, member.phone, factories.PASSWORD).status_code == 401

    services.set_password(member_id=member.id, password=factories.PASSWORD)

    assert log_in(client, member.phone, factories.PASSWORD).status_code == 200
    with pytest.raises(errors.InvalidRequestError):
        services.set_password(member_id=member.id, password="short")
    assert len(events("PASSWORD_CHANGED")) == 1
    assert len(events("PASSWORD_CHANGE_REFUSED")) == 1

    suspend(member)
    with pytest.raises(MemberSuspendedError):
        profiles.update_profile(member_id=member.id, name="X")
    services.activate_member(member_id=member.id, reason="sorry")
    assert profiles.update_profile(member_id=member.id, name="X").name == "X"


# --- who may read what ---------------------------------------------------------------------------


def test_masks_hide_what_was_typed():
    assert selectors.mask_identifier("0912345678") == "09…78"
    assert selectors.mask_identifier("mei@example.com") == "m…@example.com"
    assert selectors.mask_identifier("hunter2") == "hu…r2"
    assert selectors.mask_identifier("hunter") == "…"
    assert selectors.mask_identifier("x" * 255) == "…"
    assert selectors.mask_identifier("@" + "d" * 200) == ("…@" + "d" * 78)


@pytest.mark.parametrize("table", ["members_member", "members_membertoken"])
def test_web_login_reads_no_member_outside_a_scope(database, table):
    from django.db import ProgrammingError

    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        connections["default"].cursor() as cursor,
    ):
        cursor.execute(f"SELECT * FROM {table}")


def test_openapi_names_the_scheme(client):
    schema = client.get("/api/schema/", headers={"Accept": "application/json"}).json()

    assert schema["components"]["securitySchemes"]["memberToken"]["scheme"] == "bearer"
    for path, method in (
        ("/api/v1/auth/login", "post"),
        ("/api/v1/auth/logout", "post"),
        ("/api/v1/me", "get"),
        ("/api/v1/me", "patch"),
        ("/api/v1/me/identities", "get"),
        ("/api/v1/me/identities/{provider}", "delete"),
    ):
        operation = schema["paths"][path][method]
        assert operation["tags"] == ["Members"]
        expected = [] if path.endswith("login") else [{"memberToken": []}]
        assert operation.get("security", []) == expected
