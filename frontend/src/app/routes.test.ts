import { expect, it } from "vitest";
import { hrefOf, ROUTES, routeOf } from "./routes";

it("finds each view by its address", () => {
  expect(ROUTES.map((route) => routeOf(hrefOf(route)))).toEqual([...ROUTES]);
});

it("shows the first view for anything else", () => {
  expect(["", "#", "#/nowhere", "#main"].map(routeOf)).toEqual(["create", "create", "create", "create"]);
});
