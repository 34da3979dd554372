// Short messages after something was done; read aloud by screen readers, gone after some seconds.
import { Notification, Stack } from "@mantine/core";
import { createContext, type ReactNode, useCallback, useContext, useRef, useState } from "react";

interface Notice {
  id: number;
  title: string;
  text?: string;
  color: string;
}

const SHOWN_MS = 6000;
const SHOWN_MAX = 4;
const NoticeContext = createContext<(notice: Omit<Notice, "id">) => void>(() => undefined);

export function Notices({ children }: { children: ReactNode }) {
  const [shown, setShown] = useState<Notice[]>([]);
  const next = useRef(0);
  const close = useCallback((id: number) => setShown((notices) => notices.filter((notice) => notice.id !== id)), []);
  const tell = useCallback(
    (notice: Omit<Notice, "id">) => {
      const id = next.current++;
      setShown((notices) => [...notices, { ...notice, id }].slice(-SHOWN_MAX));
      window.setTimeout(() => close(id), SHOWN_MS);
    },
    [close],
  );
  return (
    <NoticeContext value={tell}>
      {children}
      <Stack
        pos="fixed"
        bottom={16}
        right={16}
        gap="xs"
        maw={380}
        role="status"
        aria-live="polite"
        style={{ zIndex: 400 }}
      >
        {shown.map((notice) => (
          <Notification
            key={notice.id}
            title={notice.title}
            color={notice.color}
            withBorder
            onClose={() => close(notice.id)}
          >
            {notice.text}
          </Notification>
        ))}
      </Stack>
    </NoticeContext>
  );
}

/** `done("Key revoked")`. What failed is shown where it was tried, by Failure. */
export function useNotice() {
  const tell = useContext(NoticeContext);
  return useCallback((title: string, text?: string) => tell({ title, text, color: "teal" }), [tell]);
}
