/** An account's id as people say it: `acme/design/ci`; a key without a team is `acme/ci`. */
export function accountName(id: string): string {
  return id.replace(/^(org|team|key|upstream):/, "").replace("//", "/");
}
