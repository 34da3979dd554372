import { Center, Loader } from "@mantine/core";

import { useSession } from "../api/session";
import { Failure } from "../parts/Failure";
import { Pages } from "./Pages";
import { Shell } from "./Shell";
import { SignIn } from "./SignIn";

/** The pages for who is signed in, the sign-in for everybody else. */
export function Gate() {
  const { data: session, error, refetch } = useSession();
  if (session === undefined) {
    return (
      <Center mih="100vh" p="md" component="main">
        {error === null ? <Loader aria-label="…" /> : <Failure error={error} retry={() => void refetch()} />}
      </Center>
    );
  }
  if (!session.signed_in) return <SignIn />;
  return (
    <Shell session={session}>
      <Pages session={session} />
    </Shell>
  );
}
