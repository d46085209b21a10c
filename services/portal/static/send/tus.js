// One upload over tus 1.0: begin, send from the offset the server has, go on after whatever breaks.

const VERSION = { "Tus-Resumable": "1.0.0" };

// The server answered, and not with success.
export class Answer extends Error {
  constructor(status, code, text, retryAfter = 0) {
    super(text);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

// No answer at all.
export class NoAnswer extends Error {}

export function request(method, url, { headers = {}, body = null, signal, progress, timeout = 0 } = {}) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open(method, url);
    xhr.timeout = timeout;
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    if (progress) xhr.upload.onprogress = (event) => progress(event.loaded);
    xhr.onload = () => {
      if (xhr.status >= 200 && xhr.status < 300) { resolve(xhr); return; }
      let said = {};
      try { said = JSON.parse(xhr.responseText); } catch { /* not one of our answers */ }
      reject(new Answer(xhr.status, said.code ?? "", said.error ?? "", Number(xhr.getResponseHeader("retry-after")) || 0));
    };
    xhr.onerror = xhr.ontimeout = () => reject(new NoAnswer());
    xhr.onabort = () => reject(new DOMException("stopped", "AbortError"));
    if (signal?.aborted) { reject(new DOMException("stopped", "AbortError")); return; }
    signal?.addEventListener("abort", () => xhr.abort(), { once: true });
    xhr.send(body);
  });
}

export async function api(method, url, body, options = {}) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await request(method, url, { timeout: 60_000, ...options, headers, body: body === undefined ? null : JSON.stringify(body) });
  return answer.responseText ? JSON.parse(answer.responseText) : null;
}

export async function begin(submission, ordinals, length, signal) {
  const metadata = `submission_id ${btoa(submission)},ordinals ${btoa(ordinals)}`;
  const headers = { ...VERSION, "Upload-Length": String(length), "Upload-Metadata": metadata };
  return (await request("POST", "/api/uploads", { headers, signal, timeout: 30_000 })).getResponseHeader("location");
}

export async function offsetOf(url, signal) {
  const answer = await request("HEAD", url, { headers: VERSION, signal, timeout: 30_000 });
  return Number(answer.getResponseHeader("upload-offset"));
}

// body: the bytes from `offset` on, or a form that holds them.
export async function sendFrom(url, body, offset, signal, progress) {
  const headers = { ...VERSION, "Upload-Offset": String(offset) };
  if (!(body instanceof FormData)) headers["Content-Type"] = "application/offset+octet-stream";
  const answer = await request("PATCH", url, { headers, body, signal, progress: (sent) => progress(offset + sent) });
  return Number(answer.getResponseHeader("upload-offset"));
}
