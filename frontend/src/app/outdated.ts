// Recovery from a deployment: an open page may ask for a chunk of the release before.
const RELOADED = "snap2caption.reloaded";

/** Reload the page once when a chunk is gone. A second failure in the same minute is not the deployment's. */
export function reloadOnceIfOutdated(): void {
  window.addEventListener("vite:preloadError", (event) => {
    const last = Number(sessionStorage.getItem(RELOADED) ?? 0);
    if (Date.now() - last < 60_000) return;
    sessionStorage.setItem(RELOADED, String(Date.now()));
    event.preventDefault();
    window.location.reload();
  });
}
