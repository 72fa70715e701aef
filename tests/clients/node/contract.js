// The contract as a Node.js program sees it: grpc-js, with the schema read from proto/ when it starts.
// `contract.js SCENARIO ADDRESS [AUTHORITY [KEY CERTIFICATE]]`; tests/foreign/node.rs starts it. The files, where there are
// any, are for TLS. A scenario that goes wrong throws.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { promisify } = require("node:util");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");

const ADA = "google-oauth2|108204268033311374519";
const GRACE = "github|2000001";

const { idptoken } = grpc.loadPackageDefinition(
  loader.loadSync("idptoken/v1/idp_token_service.proto", {
    includeDirs: [path.join(__dirname, "../../../proto")],
    enums: String,
    longs: String,
  }),
);

// google/rpc/status.proto and error_details.proto, as far as they are needed: no package of Node's brings them.
const rpc = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
`).root.lookup("google.rpc");

function errorInfo(error) {
  const [trailer] = error.metadata.get("grpc-status-details-bin");
  const status = rpc.lookupType("Status").decode(trailer);
  assert.equal(status.code, error.code);
  const detail = status.details.find((one) => one.typeUrl === "type.googleapis.com/google.rpc.ErrorInfo");
  const type = rpc.lookupType("ErrorInfo");
  return type.toObject(type.decode(detail.value));
}

const scenarios = {
  async lists_identities(service) {
    const { identities } = await service.listIdentities({ userId: ADA });
    assert.deepEqual(
      identities.map((one) => [one.provider, one.state]),
      ["google-oauth2", "github", "facebook"].map((provider) => [provider, "STATE_ACTIVE"]),
    );
  },

  async lends_a_token(service) {
    const identity = { userId: ADA, provider: "google-oauth2" };
    const lent = await service.getIdentityToken({ identity, minValidity: { seconds: 600 } });
    assert.ok(lent.accessToken);
    assert.equal(lent.tokenType, "Bearer");
    assert.equal(lent.source, "TOKEN_SOURCE_AUTH0_PROFILE");
    assert.equal(lent.identity.accountId, "108204268033311374519");
  },

  async calls_a_provider(service) {
    const identity = { userId: ADA, provider: "github" };
    const request = { path: "/user", headers: [{ name: "accept-language", value: "en" }] };
    const answer = await service.callProvider({ identity, request });
    assert.equal(answer.statusCode, 200);
    assert.equal(JSON.parse(answer.body.toString("utf8")).login, "ada");
    assert.equal(answer.report.attempts, 1);
    assert.ok(Number(answer.report.rateLimit.limit) > 0, "GitHub tells its limit");
  },

  async reads_the_details_of_an_error(service) {
    const asking = service.getIdentityToken({ identity: { userId: GRACE, provider: "github" } });
    const error = await asking.then(() => assert.fail("an error was expected"), (error) => error);
    assert.equal(error.code, grpc.status.FAILED_PRECONDITION, error);
    assert.deepEqual(errorInfo(error), {
      reason: "IDENTITY_AMBIGUOUS",
      domain: "idptoken.v1",
      metadata: { candidates: "github/github/2000001,github/github/2000002" },
    });
  },
};

// The client's methods return promises, and end by themselves.
function promising(client) {
  const call = (method) => (request) =>
    promisify(client[method].bind(client))(request, new grpc.Metadata(), { deadline: Date.now() + 30_000 });
  return new Proxy({}, { get: (_, method) => call(method) });
}

function credentials(files) {
  if (files.length === 0) return grpc.credentials.createInsecure();
  return grpc.credentials.createSsl(...files.map((file) => fs.readFileSync(file)));
}

async function main(scenario, address, ...files) {
  const client = new idptoken.v1.IdpTokenService(address, credentials(files), { "grpc.enable_http_proxy": 0 });
  await scenarios[scenario](promising(client));
  client.close();
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
