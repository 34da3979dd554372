import { Center, Loader } from "@mantine/core";
import { lazy, type ReactNode, Suspense } from "react";
import { Redirect, Route, Switch } from "wouter";

import type { Session } from "../api/session";
import { lastPart } from "./address";
import { Crash } from "./Crash";
import { NotFound } from "./NotFound";

// Each page comes with its first visit: charts and the mask painter are not for everybody.
const Playground = lazy(() => import("../playground/Playground"));
const Overview = lazy(() => import("../overview/Overview"));
const TaskList = lazy(() => import("../tasks/TaskList"));
const TaskPage = lazy(() => import("../tasks/TaskPage"));
const Callbacks = lazy(() => import("../callbacks/Callbacks"));
const Accounts = lazy(() => import("../keys/Accounts"));
const AccountPage = lazy(() => import("../keys/AccountPage"));
const KeyPage = lazy(() => import("../keys/KeyPage"));
const Upstreams = lazy(() => import("../upstreams/Upstreams"));

export function Pages({ session }: { session: Session }) {
  const administers = session.administrator !== null;
  const administrators = (page: ReactNode) => (administers ? page : <NotFound />);
  return (
    <Crash>
      <Suspense
        fallback={
          <Center mih="50vh">
            <Loader aria-label="…" />
          </Center>
        }
      >
        <Switch>
          <Route path="/">
            <Redirect to={administers && session.key === null ? "/overview" : "/playground"} replace />
          </Route>
          <Route path="/playground" component={Playground} />
          <Route path="/overview" component={Overview} />
          <Route path="/tasks" component={TaskList} />
          <Route path="/tasks/:id">{() => <TaskPage id={lastPart()} />}</Route>
          <Route path="/callbacks">{administrators(<Callbacks />)}</Route>
          <Route path="/keys">{administrators(<Accounts />)}</Route>
          <Route path="/keys/account/:id">{() => administrators(<AccountPage id={lastPart()} />)}</Route>
          <Route path="/keys/:id">{() => administrators(<KeyPage id={lastPart()} />)}</Route>
          <Route path="/upstreams">{administrators(<Upstreams />)}</Route>
          <Route component={NotFound} />
        </Switch>
      </Suspense>
    </Crash>
  );
}
