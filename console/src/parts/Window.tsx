import { Modal, type ModalProps } from "@mantine/core";
import { useEffect, useState } from "react";

/** A window over the page, open for as long as it is there. The focus goes back to what had it before. */
export function Window(props: Omit<ModalProps, "opened">) {
  const [before] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      // After the window's own trap has let go.
      window.setTimeout(() => {
        if (before instanceof HTMLElement && before.isConnected && document.activeElement === document.body)
          before.focus();
      });
    },
    [before],
  );
  return <Modal opened {...props} />;
}
