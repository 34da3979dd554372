export default function TaskPage({ id }: { id: string }) {
  return <>{id}</>;
}
