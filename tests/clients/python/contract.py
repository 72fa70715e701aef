"""The contract as a Python program sees it: stubs made by grpcio-tools, on gRPC's C core.

`contract.py SCENARIO ADDRESS [AUTHORITY [KEY CERTIFICATE]]`, with the stubs on PYTHONPATH; `tests/foreign/python.rs`
starts it. The files, where there are any, are for TLS.
A scenario that goes wrong raises, so the exit status tells.
"""

import base64
import hashlib
import json
import pathlib
import random
import sys

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from idptoken.v1 import idp_token_service_pb2 as pb
from idptoken.v1 import idp_token_service_pb2_grpc as pb_grpc

ADA = "google-oauth2|108204268033311374519"
GRACE = "github|2000001"
SERVICE = "idptoken.v1.IdpTokenService"
MIB = 1024 * 1024
# Where a test expects no wait at all, this ends one that would last for ever.
PATIENCE = 30


def same(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def selector(user, provider):
    return pb.IdentitySelector(user_id=user, provider=provider)


def call_provider(service, user, provider, **request):
    request = pb.CallProviderRequest(
        identity=selector(user, provider), request=pb.HttpRequest(**request)
    )
    return service.CallProvider(request, timeout=PATIENCE)


def error_of(call):
    """The status of a call that must fail, and its ErrorInfo, if it has one."""
    try:
        answer = call()
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        info = error_details_pb2.ErrorInfo()
        found = status is not None and any(detail.Unpack(info) for detail in status.details)
        return error, info if found else None
    raise AssertionError(f"an error was expected, not {answer!r}")


def lists_identities(channel):
    service = pb_grpc.IdpTokenServiceStub(channel)
    answer = service.ListIdentities(pb.ListIdentitiesRequest(user_id=ADA), timeout=PATIENCE)
    same([one.provider for one in answer.identities], ["google-oauth2", "github", "facebook"])
    same({one.user_id for one in answer.identities}, {ADA})
    same({one.state for one in answer.identities}, {pb.Identity.STATE_ACTIVE})
    google, github, _ = answer.identities
    assert google.HasField("expire_time") and google.is_social
    assert not github.HasField("expire_time"), "a classic GitHub token has no known end"


def lends_a_token(channel):
    service = pb_grpc.IdpTokenServiceStub(channel)
    request = pb.GetIdentityTokenRequest(
        identity=selector(ADA, "google-oauth2"), min_validity=duration_pb2.Duration(seconds=600)
    )
    lent = service.GetIdentityToken(request, timeout=PATIENCE)
    assert lent.access_token
    same((lent.token_type, lent.source), ("Bearer", pb.TOKEN_SOURCE_AUTH0_PROFILE))
    same((lent.identity.provider, lent.refresh_token), ("google-oauth2", ""))
    # The contract says how a fingerprint is made, so that a caller can make it too.
    digest = hashlib.sha256(lent.access_token.encode()).digest()[:16]
    same(lent.fingerprint, base64.urlsafe_b64encode(digest).decode().rstrip("="))


def calls_each_provider(channel):
    service = pb_grpc.IdpTokenServiceStub(channel)
    for provider, path, key, value in [
        ("google-oauth2", "/calendar/v3/users/me/calendarList", "kind", "calendar#calendarList"),
        ("github", "/user", "login", "ada"),
        ("facebook", "/me?fields=name", "name", "Ada Lovelace"),
    ]:
        answer = call_provider(service, ADA, provider, path=path)
        same(answer.status_code, 200)
        same(json.loads(answer.body)[key], value)
        same((answer.report.identity.provider, answer.report.attempts), (provider, 1))
        assert not answer.report.HasField("diagnosis")
        assert "content-type" in {header.name for header in answer.headers}


def carries_bodies_byte_for_byte(channel):
    service = pb_grpc.IdpTokenServiceStub(channel)
    noise = random.Random(1)
    for body in [
        bytes(range(256)),
        b"\x1f\x8b\x08\x00 begins like gzip \r\n\r\n\x00\xff\xfe and is no UTF-8",
        noise.randbytes(4 * MIB),
    ]:
        stored = call_provider(
            service, ADA, "google-oauth2", method="POST", host="www.googleapis.com",
            path="/upload/drive/v3/files", query=[pb.NameValue(name="uploadType", value="media")],
            headers=[pb.NameValue(name="content-type", value="application/octet-stream")], body=body,
        )
        same(stored.status_code, 200)
        file = json.loads(stored.body)["id"]
        loaded = call_provider(
            service, ADA, "google-oauth2", host="www.googleapis.com", path=f"/drive/v3/files/{file}?alt=media"
        )
        same(loaded.status_code, 200)
        assert loaded.body == body, f"{len(body)} bytes came back as {len(loaded.body)} others"


def reads_the_details_of_an_error(channel):
    service = pb_grpc.IdpTokenServiceStub(channel)
    request = pb.GetIdentityTokenRequest(identity=selector(GRACE, "github"))
    error, info = error_of(lambda: service.GetIdentityToken(request, timeout=PATIENCE))
    same(error.code(), grpc.StatusCode.FAILED_PRECONDITION)
    same((info.reason, info.domain), ("IDENTITY_AMBIGUOUS", "idptoken.v1"))
    same(dict(info.metadata), {"candidates": "github/github/2000001,github/github/2000002"})
    # What a program does next: it reads a candidate and asks again.
    account = info.metadata["candidates"].split(",")[1].split("/")[2]
    request.identity.account_id = account
    same(service.GetIdentityToken(request, timeout=PATIENCE).identity.account_id, "2000002")


def learns_at_its_deadline_what_took_so_long(channel):
    """Auth0 hangs in this scenario."""
    service = pb_grpc.IdpTokenServiceStub(channel)
    request = pb.GetIdentityTokenRequest(identity=selector(ADA, "google-oauth2"))
    # The service answers 20 ms before the client gives up. On a machine that stalls for longer, the client's own
    # clock wins, and its own error has the same code but no details: then the question was not put.
    for _ in range(20):
        error, info = error_of(lambda: service.GetIdentityToken(request, timeout=0.3))
        same(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        if info is not None:
            break
    assert info is not None, "the service's own answer never came before the client's clock ran out"
    same((info.reason, info.domain), ("DEADLINE_EXCEEDED", "idptoken.v1"))
    same(dict(info.metadata), {"stage": "auth0"})


def sees_its_health(channel):
    health = health_pb2_grpc.HealthStub(channel)
    for name in ["", SERVICE]:
        request = health_pb2.HealthCheckRequest(service=name)
        for answer in health.Watch(request, timeout=PATIENCE):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
        answer = health.Check(request, timeout=PATIENCE)
        same(answer.status, health_pb2.HealthCheckResponse.SERVING)
    unknown = health_pb2.HealthCheckRequest(service="idptoken.v1.Nobody")
    error, _ = error_of(lambda: health.Check(unknown, timeout=PATIENCE))
    same(error.code(), grpc.StatusCode.NOT_FOUND)


def discovers_the_schema(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert SERVICE in database.get_services()
    file = database.FindFileContainingSymbol(SERVICE)
    served = {method.name for service in file.service for method in service.method}
    same(served, {method.name for method in pb.DESCRIPTOR.services_by_name["IdpTokenService"].methods})
    assert database.FindFileContainingSymbol("google.rpc.ErrorInfo").package == "google.rpc"


def connect(address, files):
    # The largest answer is a body of 4 MiB and its headers; gRPC's own limit is 4 MiB for all of it.
    options = [("grpc.max_receive_message_length", 5 * MIB), ("grpc.enable_http_proxy", 0)]
    if not files:
        return grpc.insecure_channel(address, options=options)
    credentials = grpc.ssl_channel_credentials(*[pathlib.Path(file).read_bytes() for file in files])
    return grpc.secure_channel(address, credentials, options=options)


def main(scenario, address, *files):
    with connect(address, files) as channel:
        globals()[scenario](channel)


if __name__ == "__main__":
    main(*sys.argv[1:])
