/**
 * The last part of the window's address, as it was before it was escaped: an id. The router's own parameters are unescaped
 * by half (of `50%25%2Fa` they leave `50%%2Fa`), which nobody can undo. What is no escape is left as it is.
 */
export function lastPart(path: string = window.location.pathname): string {
  const part = path.split("/").at(-1) ?? "";
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
