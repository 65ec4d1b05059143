"""HTTP endpoints for other ways to sign in, and for managing passwords, contacts and sessions."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from members import access, examples, field_checks, onetime, selectors, services
from members.api import MemberOut, MemberView, ProofInput
from members.models import MemberToken
from mps.base.core import api, fields

_NO_STORE = {"Cache-Control": "no-store"}


class OneTimeCode(fields.Text):
    """Six digits, as they were sent."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=12, **kwargs)


class Identifier(fields.Text):
    """A phone, an e-mail address or a member number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=selectors.MAX_IDENTIFIER_LENGTH, **kwargs)


class WhoInput(serializers.Serializer[Any]):
    """Whom to send a code to."""

    identifier = Identifier()


class TokenOut(serializers.Serializer[services.IssuedToken]):
    """A member token."""

    token = serializers.CharField()
    expires_at = fields.Moment()


class SentOut(serializers.Serializer[Any]):
    """The response to a request for a message, the same whether or not one was sent."""

    expires_in_seconds = serializers.IntegerField()


class Door(api.ApiView):
    """Base of endpoints for callers who are not signed in."""

    authentication_classes = []
    permission_classes = []


def sent() -> Response:
    """Respond that a code was sent, if the recipient exists."""
    return Response({"expires_in_seconds": onetime.TTL_SECONDS}, status=202, headers=_NO_STORE)


def let_in(token: services.IssuedToken) -> Response:
    """Respond with a token."""
    return Response(TokenOut(token).data, headers=_NO_STORE)


class ProviderLoginView(Door):
    """Sign in by a provider."""

    @extend_schema(
        operation_id="login_by_provider",
        tags=["Members"],
        auth=[],
        request=ProofInput,
        responses={200: TokenOut, 401: None},
        examples=examples.LOGIN_BY_PROVIDER,
    )
    def post(self, request: Request) -> Response:
        """Sign in with a provider's token. The identity must be bound to a member."""
        asked = api.read_body(ProofInput, request)
        return let_in(access.sign_in_by_provider(request=request._request, **asked))


class LoginCodeView(Door):
    """Ask for a code to sign in with."""

    @extend_schema(
        operation_id="request_login_code",
        tags=["Members"],
        auth=[],
        request=WhoInput,
        responses={202: SentOut},
        examples=examples.ASKED_FOR_A_CODE,
    )
    def post(self, request: Request) -> Response:
        """Send a sign-in code to a verified phone or e-mail. The response is the same for
        everybody.
        """
        access.request_sign_in_code(**api.read_body(WhoInput, request))
        return sent()


class CodeLoginView(Door):
    """Sign in by a code."""

    class Input(serializers.Serializer[Any]):
        identifier = Identifier()
        code = OneTimeCode()

    @extend_schema(
        operation_id="login_by_code",
        tags=["Members"],
        auth=[],
        request=Input,
        responses={200: TokenOut, 401: None},
        examples=examples.LOGIN_BY_CODE,
    )
    def post(self, request: Request) -> Response:
        """Sign in with the code that was sent last. It works once."""
        return let_in(access.sign_in_by_code(**api.read_body(self.Input, request)))


class PasswordResetView(Door):
    """Ask for a code to set another password with."""

    @extend_schema(
        operation_id="request_password_reset",
        tags=["Members"],
        auth=[],
        request=WhoInput,
        responses={202: SentOut},
        examples=examples.ASKED_FOR_A_CODE,
    )
    def post(self, request: Request) -> Response:
        """Send a reset code to a verified phone or e-mail. The response is the same for all."""
        access.request_password_reset(**api.read_body(WhoInput, request))
        return sent()


class PasswordResetConfirmView(Door):
    """Set another password by a code."""

    class Input(serializers.Serializer[Any]):
        identifier = Identifier()
        code = OneTimeCode()
        password = fields.Secret(max_length=field_checks.MAX_PASSWORD_LENGTH)

    @extend_schema(
        operation_id="reset_password",
        tags=["Members"],
        auth=[],
        request=Input,
        responses={204: None, 401: None},
        examples=examples.RESET_PASSWORD,
    )
    def post(self, request: Request) -> Response:
        """Set a new password with the code that was sent last. All tokens are revoked."""
        access.reset_password(**api.read_body(self.Input, request))
        return Response(status=204)


class PasswordView(MemberView):
    """The member's own password."""

    class Input(serializers.Serializer[Any]):
        current_password = fields.Secret(
            max_length=field_checks.MAX_PASSWORD_LENGTH, required=False
        )
        identity = ProofInput(
            required=False,
            help_text="Instead of the present password: for who signs in by a provider.",
        )
        new_password = fields.Secret(max_length=field_checks.MAX_PASSWORD_LENGTH)

        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            """Take one of the two."""
            if ("current_password" in attrs) == ("identity" in attrs):
                raise serializers.ValidationError(
                    {"current_password": ["Send either this or an identity."]}
                )
            return attrs

    @extend_schema(
        operation_id="change_my_password",
        tags=["Members"],
        request=Input,
        responses={204: None},
        examples=examples.CHANGE_MY_PASSWORD,
    )
    def post(self, request: Request) -> Response:
        """Change the password. All tokens except this one are revoked."""
        access.change_password(
            request=request._request, member=self.member, **api.read_body(self.Input, request)
        )
        return Response(status=204)


class VerificationsView(MemberView):
    """Ask for a code to prove a phone or an e-mail with."""

    class Input(serializers.Serializer[Any]):
        contact = fields.Text(max_length=254)

    @extend_schema(
        operation_id="request_verification",
        tags=["Members"],
        request=Input,
        responses={202: SentOut},
        examples=examples.REQUEST_VERIFICATION,
    )
    def post(self, request: Request) -> Response:
        """Send a verification code to a phone or an e-mail address of the member."""
        asked = api.read_body(self.Input, request)
        access.request_verification(member_id=self.member.member_id, destination=asked["contact"])
        return sent()


class VerificationConfirmView(MemberView):
    """Prove a phone or an e-mail."""

    class Input(serializers.Serializer[Any]):
        contact = fields.Text(max_length=254)
        code = OneTimeCode()

    @extend_schema(
        operation_id="verify_contact",
        tags=["Members"],
        request=Input,
        responses={200: MemberOut},
        examples=examples.VERIFY_CONTACT,
    )
    def post(self, request: Request) -> Response:
        """Verify a phone or an e-mail address. From then on, the member can sign in with it."""
        asked = api.read_body(self.Input, request)
        member = access.verify_contact(
            member_id=self.member.member_id, destination=asked["contact"], code=asked["code"]
        )
        return Response(MemberOut(member).data)


class SessionsView(MemberView):
    """Sessions of the member."""

    class Output(serializers.Serializer[Any]):
        class Session(serializers.Serializer[MemberToken]):
            id = serializers.UUIDField()
            created_at = fields.Moment()
            expires_at = fields.Moment()
            address = serializers.CharField()
            current = serializers.BooleanField()

        results = Session(many=True)

    @extend_schema(
        operation_id="list_my_sessions",
        tags=["Members"],
        responses={200: Output},
        examples=examples.LIST_MY_SESSIONS,
    )
    def get(self, request: Request) -> Response:
        """List the member's active tokens, newest first, with the address each was created for."""
        found = list(selectors.sessions_of(self.scope, self.member.member_id))
        for each in found:
            each.current = each.id == self.member.token_id  # type: ignore[attr-defined]
        return Response(self.Output({"results": found}).data)


class SessionView(MemberView):
    """One session."""

    @extend_schema(
        operation_id="end_my_session",
        tags=["Members"],
        request=None,
        responses={204: None},
        examples=examples.END_MY_SESSION,
    )
    def delete(self, request: Request, session_id: UUID) -> Response:
        """Revoke one of the member's tokens immediately."""
        access.end_session(member=self.member, token_id=session_id)
        return Response(status=204)
