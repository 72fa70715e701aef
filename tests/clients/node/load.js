// Calls without end, as a Node.js program does: on a connection that lasts, and on a new one for each call.
// `load.js ADDRESS AUTHORITY KEY CERTIFICATE`; tests/foreign/rotation.rs starts it. It writes a line when both have called, and
// when its input's first line has stopped the new connections; at the end of its input it writes what came of it, as JSON.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const DONALD = "auth0|507f1f77bcf86cd799439020";

const { idptoken } = grpc.loadPackageDefinition(
  loader.loadSync("idptoken/v1/idp_token_service.proto", { includeDirs: [path.join(__dirname, "../../../proto")] }),
);

const [address, ...files] = process.argv.slice(2);
const [authority, key, certificate] = files.map((file) => fs.readFileSync(file));

function connect() {
  // Without the global pool each client has a connection of its own.
  const options = { "grpc.enable_http_proxy": 0, "grpc.use_local_subchannel_pool": 1 };
  const credentials = grpc.credentials.createSsl(authority, key, certificate);
  return new idptoken.v1.IdpTokenService(address, credentials, options);
}

const came = { lasting: 0, fresh: 0, failures: [] };

function call(client, kind) {
  const deadline = Date.now() + 30_000;
  return new Promise((done) =>
    client.listIdentities({ userId: DONALD }, new grpc.Metadata(), { deadline }, (error) => {
      error ? came.failures.push(`${kind}: ${error}`) : (came[kind] += 1);
      done();
    }),
  );
}

const stopped = { lasting: false, fresh: false };

async function last() {
  const client = connect();
  while (!stopped.lasting) await call(client, "lasting");
  client.close();
}

async function freshen() {
  while (!stopped.fresh) {
    const client = connect();
    await call(client, "fresh");
    client.close();
  }
}

async function main() {
  const input = readline.createInterface({ input: process.stdin });
  const first = new Promise((line) => input.once("line", line));
  const end = new Promise((close) => input.once("close", close));
  const [lasting, fresh] = [last(), freshen()];
  const isCalling = () => came.lasting > 0 && came.fresh > 0;
  while (!isCalling() && came.failures.length === 0) await new Promise((later) => setTimeout(later, 10));
  console.log(came.failures[0] ?? "calling");
  await Promise.race([first, end]);
  stopped.fresh = true;
  await fresh;
  console.log("no new connections");
  await end;
  stopped.lasting = true;
  await lasting;
  console.log(JSON.stringify(came));
}

main();
