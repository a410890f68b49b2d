// Hash routes: one page, whose views have addresses that the back button knows.
import { useSyncExternalStore } from "react";

export const ROUTES = ["create", "voice", "history", "sent", "about"] as const;
export type Route = (typeof ROUTES)[number];

export function hrefOf(route: Route): string {
  return route === "create" ? "#/" : `#/${route}`;
}

/** The view that an address's fragment names; anything unknown is the first view. */
export function routeOf(hash: string): Route {
  return ROUTES.find((route) => hash === hrefOf(route)) ?? "create";
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}

export function useRoute(): Route {
  return routeOf(useSyncExternalStore(subscribe, () => window.location.hash));
}
