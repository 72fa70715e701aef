// Calls the IdP token service from a browser, as the user who logged in, with nothing but the platform: the login
// (authorization code with PKCE), the call (the Connect protocol in JSON), and the reading of its errors. Made to be copied.

export const told = (name) => document.querySelector(`meta[name="${name}"]`).content;
const SERVICE = told("service");
// The sandbox's tenant served this page. At a real one this is `https://` and its domain, and its application names this
// page's address in Allowed Callback URLs and this page's origin in Allowed Web Origins.
const TENANT = location.origin;
const PAGE = location.origin + location.pathname;

// The user's access token lives here and nowhere else: what is stored, every later script of this origin can read.
let token = null;
// Who logged in: { id, name, email }; null before and after.
export let user = null;

// --- Login -----------------------------------------------------------------------------------------------------------

const PENDING = "login";

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

// Sends the browser to the tenant. `link` is a connect link of the service's, which is a login that asks a provider for
// more; `again` is a call to repeat afterwards.
export async function logIn({ link = `${TENANT}/authorize`, again = null } = {}) {
  const url = new URL(link);
  if (url.origin !== TENANT) throw new Error(`The link does not lead to the tenant: ${url.origin}`);
  const pending = { verifier: random(), state: random(), nonce: random(), again, since: Date.now() };
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier));
  const parameters = {
    response_type: "code",
    client_id: told("client"),
    redirect_uri: PAGE,
    audience: told("audience"),
    scope: "openid profile email",
    state: pending.state, // that the answer is to this login
    nonce: pending.nonce, // that the ID token is
    code_challenge: base64url(new Uint8Array(digest)), // that nobody else can use the code
    code_challenge_method: "S256",
  };
  if (user) parameters.login_hint = user.email;
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  sessionStorage.setItem(PENDING, JSON.stringify(pending)); // for this tab alone, until it is back
  location.assign(url);
}

// Back from the tenant: turns the code into a token. Gives what was pending, if this is the end of a login.
export async function finishLogIn() {
  const answer = new URLSearchParams(location.search);
  const pending = JSON.parse(sessionStorage.getItem(PENDING));
  sessionStorage.removeItem(PENDING);
  if (!location.search) return null;
  history.replaceState(null, "", PAGE); // neither code nor state stays in the address or the history
  if (!pending || answer.get("state") !== pending.state) throw new Error("That was the answer to another login. Log in again.");
  if (answer.has("error")) throw new Error(`The login failed: ${answer.get("error_description") ?? answer.get("error")}.`);
  const response = await fetch(`${TENANT}/oauth/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: told("client"),
      redirect_uri: PAGE,
      code: answer.get("code"),
      code_verifier: pending.verifier,
    }),
  });
  const tokens = await response.json();
  if (!response.ok) throw new Error(`The login failed: ${tokens.error_description}.`);
  // It came straight from the tenant, so that its signature needs no check (OpenID Connect Core 1.0, 3.1.3.7). The access token
  // is the service's to judge.
  const claims = JSON.parse(text(tokens.id_token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  const right = { iss: `https://${told("domain")}/`, aud: told("client"), nonce: pending.nonce };
  const wrong = Object.keys(right).find((name) => claims[name] !== right[name]);
  if (wrong) throw new Error(`The ID token is that of another login: its ${wrong} is wrong. Log in again.`);
  token = tokens.access_token;
  user = { id: claims.sub, name: claims.name, email: claims.email };
  return pending;
}

export function logOut() {
  token = user = null;
}

// --- Calls -----------------------------------------------------------------------------------------------------------

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
export const text = (base64) => new TextDecoder().decode(bytes(base64));

// One call, in the Connect protocol: the message as JSON, and back.
export async function call(method, message) {
  const response = await fetch(`${SERVICE}/idptoken.v1.IdpTokenService/${method}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "connect-protocol-version": "1",
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify(message),
    signal: AbortSignal.timeout(30_000),
  });
  const answer = await response.json();
  if (!response.ok) throw new CallError(answer);
  return answer;
}

// An error of the service: what went wrong is in `reason`, for programs, with `metadata`, and perhaps a `link` that helps or the
// seconds to `wait`.
export class CallError extends Error {
  constructor({ code, message = code, details = [] }) {
    super(message);
    const detail = (type) => fields(bytes(details.find((one) => one.type === `google.rpc.${type}`)?.value ?? ""));
    const [info, help, retry] = ["ErrorInfo", "Help", "RetryInfo"].map(detail);
    this.reason = string(info, 1) ?? code.toUpperCase();
    this.metadata = Object.fromEntries(all(info, 3).map(fields).map((pair) => [string(pair, 1), string(pair, 2)]));
    this.link = string(inner(help, 1), 2);
    this.wait = all(inner(retry, 1), 1)[0];
  }
}

// A detail is protobuf, which as far as it is used here is no more than numbered integers and counted runs of bytes.
function fields(data) {
  const found = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = data[at++];
      value |= (byte & 127) << shift;
      if (!(byte & 128)) return value;
    }
  };
  while (at < data.length) {
    const key = varint();
    if (![0, 2].includes(key & 7)) throw new Error("This page reads no such field.");
    const value = varint();
    found.push([key >> 3, (key & 7) === 0 ? value : data.subarray(at, (at += value))]);
  }
  return found;
}
const all = (found, number) => found.filter(([own]) => own === number).map(([, value]) => value);
const inner = (found, number) => fields(all(found, number)[0] ?? []);
const string = (found, number) => all(found, number).map((data) => new TextDecoder().decode(data))[0];
