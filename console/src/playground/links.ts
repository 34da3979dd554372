/** A link of this gateway by its path alone, so that it is of this page's origin however the gateway is called; other links as they are. */
export function shownLink(link: string): string {
  try {
    const url = new URL(link, window.location.origin);
    return url.pathname.startsWith("/v1/results/") ? `${url.pathname}${url.search}` : link;
  } catch {
    return link;
  }
}
