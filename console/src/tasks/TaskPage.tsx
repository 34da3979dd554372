import { Anchor, Stack, Title } from "@mantine/core";
import { useEffect } from "react";
import { Link } from "wouter";

import { useSignedIn } from "../api/session";
import { AdminTask } from "./AdminTask";
import { OwnTask } from "./OwnTask";
import { useText } from "./texts";

/** One task: everything for an administrator; for a key what it may know of its own. */
export default function TaskPage({ id }: { id: string }) {
  const text = useText();
  const session = useSignedIn();
  useEffect(() => {
    document.title = `${id} · Image gateway`;
  }, [id]);
  return (
    <Stack>
      <Anchor component={Link} href="/tasks" size="sm">
        ← {text.back}
      </Anchor>
      <Title order={1} fz="lg" ff="monospace" className="verbatim">
        {id}
      </Title>
      {session.administrator === null ? <OwnTask id={id} /> : <AdminTask id={id} />}
    </Stack>
  );
}
