/** The gateway refused: its own words, which name the field and the remedy. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly param: string | null,
    readonly requestId: string | null,
    readonly retryAfterS: number | null,
  ) {
    super(message);
    this.name = "Refused";
  }

  /** From an error envelope; of anything else (a proxy's page) the status alone is told. */
  static of(response: Response, body: unknown): Refused {
    const error = (body as { error?: Record<string, unknown> } | undefined)?.error;
    const text = (value: unknown) => (typeof value === "string" ? value : null);
    const after = Number(response.headers.get("Retry-After") ?? Number.NaN);
    return new Refused(
      response.status,
      text(error?.code) ?? `http_${response.status}`,
      text(error?.message) ?? `HTTP ${response.status}`,
      text(error?.param),
      text(error?.request_id) ?? response.headers.get("X-Request-Id"),
      Number.isFinite(after) ? after : null,
    );
  }
}

/** No answer came: the gateway is down, or the network is. */
export class Unreachable extends Error {
  constructor(cause: unknown) {
    super("unreachable", { cause });
    this.name = "Unreachable";
  }
}
