// Uploads with their progress, which fetch does not tell: `POST /v1/files` by XMLHttpRequest.
import { csrfHeaders } from "../api/client";
import { Refused, Unreachable } from "../api/errors";

/** The file's id. `progress` hears of the sent share, 0 to 1. Throws Refused, Unreachable. */
export function upload(
  file: Blob,
  name: string,
  progress: (share: number) => void,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    const form = new FormData();
    form.append("purpose", "vision");
    form.append("file", file, name);
    call.open("POST", "/v1/files");
    for (const [header, value] of Object.entries(csrfHeaders())) call.setRequestHeader(header, value);
    call.responseType = "json";
    call.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    call.onload = () => {
      const body = call.response as { id?: string } | null;
      if (call.status === 200 && typeof body?.id === "string") resolve(body.id);
      else
        reject(Refused.of(new Response(null, { status: Math.max(200, call.status), headers: headersOf(call) }), body));
    };
    call.onerror = () => reject(new Unreachable(null));
    call.onabort = () => reject(new DOMException("The upload was stopped.", "AbortError"));
    signal.addEventListener("abort", () => call.abort(), { once: true });
    call.send(form);
  });
}

function headersOf(call: XMLHttpRequest): Headers {
  const headers = new Headers();
  for (const name of ["Retry-After", "X-Request-Id"]) {
    const value = call.getResponseHeader(name);
    if (value !== null) headers.set(name, value);
  }
  return headers;
}
