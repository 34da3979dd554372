export default function KeyPage({ id }: { id: string }) {
  return <>{id}</>;
}
