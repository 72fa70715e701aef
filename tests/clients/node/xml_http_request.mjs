// As much of a browser's XMLHttpRequest as Google's grpc-web needs, over fetch. It is asynchronous and tells of the
// whole answer at once.
export class XMLHttpRequest {
  readyState = 0;
  status = 0;
  statusText = "";
  responseType = "";
  response = "";
  responseText = "";
  #headers = new Headers();
  #answered = new Headers();
  #abort = new AbortController();

  open(method, url) {
    Object.assign(this, { method, url });
    this.#become(1);
  }

  setRequestHeader(name, value) {
    this.#headers.append(name, value);
  }

  getResponseHeader(name) {
    return this.#answered.get(name);
  }

  getAllResponseHeaders() {
    return [...this.#answered].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  }

  abort() {
    this.#abort.abort();
  }

  send(body) {
    this.#fetch(body).catch((error) => {
      this.status = 0;
      this.statusText = String(error);
      this.#become(4);
    });
  }

  async #fetch(body) {
    const { method, url } = this;
    const answer = await fetch(url, { method, body, headers: this.#headers, signal: this.#abort.signal });
    this.#answered = answer.headers;
    this.status = answer.status;
    this.statusText = answer.statusText;
    this.#become(2);
    const bytes = await answer.arrayBuffer();
    if (this.responseType === "arraybuffer") {
      this.response = bytes;
    } else {
      this.response = this.responseText = Buffer.from(bytes).toString("latin1");
    }
    this.#become(3);
    this.#become(4);
  }

  #become(state) {
    this.readyState = state;
    this.onreadystatechange?.();
    if (state === 4) this.onloadend?.();
  }
}
