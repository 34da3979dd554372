// A streamed answer, read piece by piece: server-sent events, one at a time in memory.

export interface StreamEvent {
  name: string;
  data: string;
}

const EVENT_CHARS_MAX = 64 * 1024 * 1024;

/** The events of a body. Comments are passed over. Throws where an event is larger than any picture may be. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let pieces: string[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      let rest = value;
      // An event ends with an empty line; the picture in it has none.
      for (let end = rest.indexOf("\n\n"); end >= 0 || endsHere(pieces, rest); end = rest.indexOf("\n\n")) {
        const cut = endsHere(pieces, rest) ? 1 : end + 2;
        const event = parsed(pieces.join("") + rest.slice(0, cut));
        if (event !== null) yield event;
        rest = rest.slice(cut);
        pieces = [];
        size = 0;
      }
      pieces.push(rest);
      size += rest.length;
      if (size > EVENT_CHARS_MAX) throw new Error("an event of the stream is too large");
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Whether the empty line stands across two pieces. */
function endsHere(pieces: readonly string[], rest: string): boolean {
  return rest.startsWith("\n") && (pieces.at(-1)?.endsWith("\n") ?? false);
}

function parsed(text: string): StreamEvent | null {
  let name = "message";
  const data: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  return data.length === 0 ? null : { name, data: data.join("\n") };
}
