// oidc-provider as an authorization server whose refresh tokens rotate, and at which a user has logged in to two
// applications: `basic`, which has a secret, and `keyed`, which has a key.
// `authorization_server.mjs PRIVATE_KEY_PEM`; tests/foreign/oidc_provider.rs starts it. Its first line tells where it is and
// what the logins brought; each further line is an event of its token endpoint.
import crypto from "node:crypto";
import http from "node:http";
import Provider from "oidc-provider";

// Its own notices go to stderr: standard output is for the lines that are read.
console.info = console.warn;

const SECRET = "s+cret/with:all%of=it and a space";
const CALLBACK = "https://app.acme.example/callback";

const key = crypto.createPrivateKey(process.argv[2]);
const jwk = { ...crypto.createPublicKey(key).export({ format: "jwk" }), use: "sig" };

const server = http.createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const common = { redirect_uris: [CALLBACK], grant_types: ["authorization_code", "refresh_token"] };
const provider = new Provider(issuer, {
  clients: [
    { ...common, client_id: "basic", client_secret: SECRET, token_endpoint_auth_method: "client_secret_basic" },
    { ...common, client_id: "keyed", jwks: { keys: [jwk] }, token_endpoint_auth_method: "private_key_jwt" },
  ],
  cookies: { keys: ["not a secret"] },
  features: { devInteractions: { enabled: false }, introspection: { enabled: true }, revocation: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 86400, Interaction: 60, RefreshToken: 86400, Session: 60 },
});

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
provider.on("grant.success", (ctx) => tell({ event: "success", client: ctx.oidc.client.clientId }));
provider.on("grant.error", (ctx, error) => tell({ event: "error", detail: error.error_detail ?? error.message }));
provider.on("grant.revoked", () => tell({ event: "revoked" }));
provider.on("server_error", (ctx, error) => tell({ event: "fault", detail: error.stack }));

// Whoever comes is logged in and consents to everything.
async function interact(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") {
    return provider.interactionFinished(request, response, { login: { accountId: "ada" } });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

const answer = provider.callback();
server.on("request", (request, response) =>
  request.url.startsWith("/interaction/") ? interact(request, response) : answer(request, response),
);

// A browser's way through the login: from redirect to redirect, with its cookies.
async function code(client) {
  const query = { client_id: client, redirect_uri: CALLBACK, response_type: "code", prompt: "consent" };
  let url = `${issuer}/auth?${new URLSearchParams({ ...query, scope: "openid offline_access" })}`;
  const cookies = new Map();
  while (!url.startsWith(CALLBACK)) {
    const cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
    const page = await fetch(url, { redirect: "manual", headers: { cookie } });
    for (const line of page.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      value ? cookies.set(name, value) : cookies.delete(name);
    }
    url = new URL(page.headers.get("location"), url).href;
  }
  return new URL(url).searchParams.get("code");
}

function assertion(client) {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const claims = { iss: client, sub: client, aud: issuer, jti: crypto.randomUUID(), exp: Date.now() / 1000 + 60 };
  const signed = `${encode({ alg: "RS256" })}.${encode(claims)}`;
  return `${signed}.${crypto.sign("sha256", signed, key).toString("base64url")}`;
}

const basic = `Basic ${btoa(`basic:${encodeURIComponent(SECRET)}`)}`;
const proofs = {
  basic: [{ authorization: basic }, {}],
  keyed: [
    {},
    {
      client_id: "keyed",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: assertion("keyed"),
    },
  ],
};

const tokens = {};
for (const [client, [headers, proof]] of Object.entries(proofs)) {
  const form = { grant_type: "authorization_code", code: await code(client), redirect_uri: CALLBACK, ...proof };
  const answered = await fetch(`${issuer}/token`, { method: "POST", headers, body: new URLSearchParams(form) });
  tokens[client] = await answered.json();
}
tell({ issuer, secret: SECRET, tokens });
