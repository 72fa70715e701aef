"""The sandbox's tenant as Auth0's own SDK sees it: `auth0_sdk.py ADDRESS AUDIENCE`."""

import sys

from auth0.authentication import GetToken
from auth0.management import Auth0
from auth0.management.errors import NotFoundError, UnauthorizedError

ADA = "google-oauth2|108204268033311374519"
LESLIE = "samlp|acme-adfs|https://adfs.acme.example/users/42"


def same(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def main(address, audience):
    application = GetToken(address, "sandbox-service", client_secret="sandbox-service-secret", protocol="http")
    granted = application.client_credentials(audience)
    same((granted["token_type"], granted["scope"]), ("Bearer", "read:users read:user_idp_tokens"))
    # An error that the SDK would retry is an error here.
    tenant = Auth0(base_url=f"http://{address}/api/v2", token=granted["access_token"], max_retries=0)

    ada = tenant.users.get(ADA)
    same(ada.user_id, ADA)
    same([one.connection for one in ada.identities], ["google-oauth2", "github", "facebook"])
    assert all(one.access_token for one in ada.identities), "the scope read:user_idp_tokens was granted"
    same(tenant.users.get(LESLIE).user_id, LESLIE)

    try:
        tenant.users.get("auth0|nobody")
    except NotFoundError as error:
        same((error.status_code, error.body["errorCode"]), (404, "inexistent_user"))
    else:
        raise AssertionError("a user that does not exist was found")

    forged = granted["access_token"].rpartition(".")[0] + ".bm8"
    try:
        Auth0(base_url=f"http://{address}/api/v2", token=forged, max_retries=0).users.get(ADA)
    except UnauthorizedError as error:
        same(error.status_code, 401)
    else:
        raise AssertionError("a token with another's signature was taken")


if __name__ == "__main__":
    main(*sys.argv[1:])
