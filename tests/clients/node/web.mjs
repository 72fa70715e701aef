// The contract as front ends see it: Connect's clients for browsers and for Node.js, and Google's grpc-web, with the schema
// read when they start. `web.mjs CLIENT ADDRESS CONTRACT DETAILS TOKEN`: the two files are descriptor sets, and the token is Ada's.
// tests/foreign/web.rs starts it. What goes wrong throws.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { create, createFileRegistry, createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import { XMLHttpRequest } from "./xml_http_request.mjs";

const ADA = "google-oauth2|108204268033311374519";
const GRACE = "github|2000001";

const [kind, address, contractFile, detailsFile, token] = process.argv.slice(2);
const baseUrl = `http://${address}`;

const registry = (file) => createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
const contract = registry(contractFile);
const details = registry(detailsFile);
const service = contract.getService("idptoken.v1.IdpTokenService");

// Puts the user's token into every call.
const authorized = (next) => (request) => {
  request.header.set("authorization", `Bearer ${token}`);
  return next(request);
};

const interceptors = [authorized];
const transports = {
  "connect-web-json": () => web.createConnectTransport({ baseUrl, interceptors }),
  "connect-web-binary": () => web.createConnectTransport({ baseUrl, interceptors, useBinaryFormat: true }),
  "connect-web-grpc-web": () => web.createGrpcWebTransport({ baseUrl, interceptors }),
  "connect-node-json": () =>
    node.createConnectTransport({ baseUrl, interceptors, httpVersion: "1.1", useBinaryFormat: false }),
  "connect-node-binary-gzip": () =>
    node.createConnectTransport({
      baseUrl,
      interceptors,
      httpVersion: "2",
      sendCompression: node.compressionGzip,
      compressMinBytes: 0,
    }),
  "connect-node-grpc": () => node.createGrpcTransport({ baseUrl, interceptors }),
  "connect-node-grpc-web": () => node.createGrpcWebTransport({ baseUrl, interceptors, httpVersion: "1.1" }),
};

// Google's client behind the same methods: text and binary, over XMLHttpRequest.
async function google(format) {
  globalThis.XMLHttpRequest = XMLHttpRequest;
  const grpcWeb = (await import("grpc-web")).default;
  const client = new grpcWeb.GrpcWebClientBase({ format });
  const call = (method) => async (message, options = {}) => {
    const path = `/${service.typeName}/${method.name}`;
    const descriptor = new grpcWeb.MethodDescriptor(
      path,
      grpcWeb.MethodType.UNARY,
      Object,
      Object,
      (request) => toBinary(method.input, request),
      (bytes) => fromBinary(method.output, bytes),
    );
    const metadata = { authorization: `Bearer ${token}` };
    if (options.timeoutMs) metadata.deadline = String(Date.now() + options.timeoutMs);
    try {
      return await client.unaryCall(baseUrl + path, create(method.input, message), metadata, descriptor);
    } catch (error) {
      throw asConnectError(error);
    }
  };
  return Object.fromEntries(service.methods.map((method) => [method.localName, call(method)]));
}

// What Connect's clients would have thrown.
function asConnectError(error) {
  if (typeof error.code !== "number") throw error;
  const found = new ConnectError(error.message, error.code);
  const encoded = error.metadata?.["grpc-status-details-bin"];
  if (encoded) {
    const status = fromBinary(details.getMessage("google.rpc.Status"), Buffer.from(encoded, "base64"));
    found.details = status.details.map(({ typeUrl, value }) => ({ type: typeUrl.split("/").at(-1), value }));
  }
  return found;
}

async function refused(call, code, reason) {
  const error = await call.then(
    () => assert.fail("an error was expected"),
    (error) => error,
  );
  assert.ok(error instanceof ConnectError, error);
  assert.equal(Code[error.code], Code[code], error.message);
  const [info] = error.findDetails(createRegistry(details.getMessage("google.rpc.ErrorInfo")));
  assert.equal(info.reason, reason);
  assert.equal(info.domain, "idptoken.v1");
  return info.metadata;
}

async function main() {
  const client = kind.startsWith("google-")
    ? await google(kind.slice("google-".length))
    : createClient(service, transports[kind]());

  const { identities } = await client.listIdentities({});
  const states = contract.getEnum("idptoken.v1.Identity.State").values;
  const active = states.find((state) => state.name === "STATE_ACTIVE").number;
  assert.deepEqual(
    identities.map((one) => [one.provider, one.state]),
    ["google-oauth2", "github", "facebook"].map((provider) => [provider, active]),
  );

  const path = "/user";
  const answer = await client.callProvider({ identity: { provider: "github" }, request: { path } });
  assert.equal(answer.statusCode, 200);
  assert.equal(JSON.parse(Buffer.from(answer.body).toString("utf8")).login, "ada");
  assert.equal(typeof answer.report.rateLimit.limit, "bigint");

  // The provider gets the very bytes.
  const body = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 7) % 256);
  const upload = { method: "POST", path: "/upload/drive/v3/files?uploadType=media", body };
  const stored = await client.callProvider({ identity: { provider: "google-oauth2" }, request: upload });
  assert.equal(stored.statusCode, 200);
  const { id } = JSON.parse(Buffer.from(stored.body).toString("utf8"));
  const download = { path: `/drive/v3/files/${id}?alt=media` };
  const back = await client.callProvider({ identity: { provider: "google-oauth2" }, request: download });
  assert.deepEqual(Buffer.from(back.body), Buffer.from(body));

  // What a front end must tell apart.
  const nowhere = client.callProvider({ identity: { provider: "bitbucket" }, request: { path: "/" } });
  assert.deepEqual(await refused(nowhere, Code.NotFound, "IDENTITY_NOT_LINKED"), { provider: "bitbucket" });
  const pathless = client.callProvider({ identity: { provider: "github" }, request: {} });
  assert.deepEqual(await refused(pathless, Code.InvalidArgument, "INVALID_FIELD"), { field: "request.path" });
  await refused(client.listIdentities({ userId: GRACE }), Code.PermissionDenied, "CALLER_NOT_ALLOWED");
  const raw = client.getIdentityToken({ identity: { userId: ADA, provider: "github" } });
  await refused(raw, Code.PermissionDenied, "CALLER_NOT_ALLOWED");

  // GitHub never answers this one, and either side may notice first.
  const slow = { identity: { provider: "github" }, request: { path: "/slow" } };
  const late = await client.callProvider(slow, { timeoutMs: 500 }).catch((error) => error);
  assert.equal(Code[late.code], Code[Code.DeadlineExceeded], late);
}

main().then(
  () => process.exit(),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
