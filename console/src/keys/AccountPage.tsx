export default function AccountPage({ id }: { id: string }) {
  return <>{id}</>;
}
