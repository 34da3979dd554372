import { useEffect, useState } from "react";

import { useNumbers } from "../i18n/numbers";

/** The time now, anew every `everyMs`. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), everyMs);
    return () => window.clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** `3 min. ago`, with the moment itself as its title. */
export function When({ ms }: { ms: number }) {
  const numbers = useNumbers();
  const now = useNow(10_000);
  return (
    <time dateTime={new Date(ms).toISOString()} title={numbers.moment(ms)}>
      {numbers.ago(ms, now)}
    </time>
  );
}
