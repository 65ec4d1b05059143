"""HTTP endpoints for members: sign in and out, profile, external identities."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from members import access, examples, field_checks, identity_proofs, profiles, selectors, services
from members.authentication import MemberAuthentication
from members.models import Member
from members.selectors import MemberPrincipal
from mps.base.core import fields
from mps.base.core.api import ApiView, WholeList, read_body


class MemberOut(serializers.Serializer[Member]):
    """A member's own profile."""

    number = serializers.CharField()
    name = serializers.CharField()
    phone = serializers.CharField(allow_null=True)
    email = serializers.CharField(allow_null=True)
    phone_verified = serializers.SerializerMethodField()
    email_verified = serializers.SerializerMethodField()
    pin_set = serializers.BooleanField(help_text="Whether there is a PIN to approve payments by.")
    status = serializers.ChoiceField(choices=Member.Status.choices)
    created_at = fields.Moment()

    def get_phone_verified(self, member: Member) -> bool:
        """Return whether the phone is verified."""
        return member.phone_verified_at is not None

    def get_email_verified(self, member: Member) -> bool:
        """Return whether the e-mail address is verified."""
        return member.email_verified_at is not None


class ProofInput(serializers.Serializer[Any]):
    """Proof of an external identity: the provider's name and one token or code."""

    provider = fields.Choice(choices=identity_proofs.PROVIDERS)
    id_token = fields.Text(max_length=identity_proofs.MAX_PROOF_LENGTH, required=False)
    access_token = fields.Text(max_length=identity_proofs.MAX_PROOF_LENGTH, required=False)
    login_code = fields.Text(max_length=identity_proofs.MAX_PROOF_LENGTH, required=False)
    code = fields.Text(max_length=identity_proofs.MAX_PROOF_LENGTH, required=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the provider and the proof separately."""
        found = super().to_internal_value(data)
        return {"provider": found.pop("provider"), "proof": found}


class MemberView(ApiView):
    """An endpoint for members."""

    authentication_classes = [MemberAuthentication]

    @property
    def member(self) -> MemberPrincipal:
        """The authenticated member."""
        member: MemberPrincipal = self.request.user  # type: ignore[assignment]
        return member


class LoginView(ApiView):
    """Sign in by password."""

    authentication_classes = []
    permission_classes = []

    class Input(serializers.Serializer[Any]):
        identifier = fields.Text(max_length=selectors.MAX_IDENTIFIER_LENGTH)
        password = fields.Secret(max_length=field_checks.MAX_PASSWORD_LENGTH)

    class Output(serializers.Serializer[services.IssuedToken]):
        token = serializers.CharField()
        expires_at = fields.Moment()

    @extend_schema(
        operation_id="login",
        tags=["Members"],
        auth=[],
        request=Input,
        responses={200: Output, 401: None},
        examples=examples.LOGIN,
    )
    def post(self, request: Request) -> Response:
        """Sign in with phone, e-mail or member number. The token is valid for a day."""
        body = self.Input(data=request.data)
        body.is_valid(raise_exception=True)
        token = services.sign_in(request=request._request, **body.validated_data)
        return Response(self.Output(token).data, headers={"Cache-Control": "no-store"})


class LogoutView(MemberView):
    """Sign out."""

    @extend_schema(
        operation_id="logout",
        tags=["Members"],
        request=None,
        responses={204: None},
        examples=examples.LOGOUT,
    )
    def post(self, request: Request) -> Response:
        """Revoke the token used for this request."""
        services.revoke_token(user_id=self.member.user_id, token_id=self.member.token_id)
        return Response(status=204)


class MeView(MemberView):
    """The member's own profile."""

    class Input(serializers.Serializer[Any]):
        name = fields.Text(max_length=80, required=False)
        phone = fields.Text(max_length=30, required=False, allow_blank=True, allow_null=True)
        email = fields.Text(max_length=254, required=False, allow_blank=True, allow_null=True)

        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            """Treat null as removing the value."""
            return {name: value or "" for name, value in attrs.items()}

    @extend_schema(
        operation_id="get_me",
        tags=["Members"],
        responses={200: MemberOut},
        examples=examples.GET_ME,
    )
    def get(self, request: Request) -> Response:
        """Return the authenticated member."""
        return Response(MemberOut(selectors.get_own_member(self.scope, self.member.member_id)).data)

    @extend_schema(
        operation_id="change_me",
        tags=["Members"],
        request=Input,
        responses={200: MemberOut},
        examples=examples.CHANGE_ME,
    )
    def patch(self, request: Request) -> Response:
        """Change name, phone or e-mail. Omitted fields stay unchanged.

        If contacts are verified, a code is sent to a new phone or e-mail, and the old one stays
        until `POST /me/verifications/confirm` receives the code.

        Where contacts are verified, a new phone or e-mail is sent a code and stays as it was until
        `POST /me/verifications/confirm` has seen it.
        """
        body = self.Input(data=request.data)
        body.is_valid(raise_exception=True)
        member = profiles.update_profile(member_id=self.member.member_id, **body.validated_data)
        return Response(MemberOut(member).data)


class IdentityOut(serializers.Serializer[Any]):
    """A member's identity at one provider."""

    provider = serializers.CharField()
    external_id = serializers.CharField()
    created_at = fields.Moment()


class IdentitiesView(MemberView):
    """A member's external identities."""

    class Output(WholeList):
        results = IdentityOut(many=True)

    @extend_schema(
        operation_id="list_my_identities",
        tags=["Members"],
        responses={200: Output},
        examples=examples.LIST_MY_IDENTITIES,
    )
    def get(self, request: Request) -> Response:
        """List the member's external identities: at most one per provider."""
        identities = selectors.identities_of(self.scope, self.member.member_id)
        return Response(self.Output({"results": identities}).data)

    @extend_schema(
        operation_id="add_my_identity",
        tags=["Members"],
        request=ProofInput,
        responses={201: IdentityOut},
        examples=examples.ADD_MY_IDENTITY,
    )
    def post(self, request: Request) -> Response:
        """Bind an external identity, proved by its provider's token."""
        asked = read_body(ProofInput, request)
        identity = access.bind_own_identity(
            request=request._request, member_id=self.member.member_id, **asked
        )
        return Response(IdentityOut(identity).data, status=201)


class IdentityView(MemberView):
    """One external identity."""

    @extend_schema(
        operation_id="remove_my_identity",
        tags=["Members"],
        request=None,
        responses={204: None},
        examples=examples.REMOVE_MY_IDENTITY,
    )
    def delete(self, request: Request, provider: str) -> Response:
        """Remove the member's identity at this provider."""
        profiles.unbind_identity(member_id=self.member.member_id, provider=provider)
        return Response(status=204)
