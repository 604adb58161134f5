/** Where we are: `#/engine/x?tab=logs`. The part behind `?` is the view, so that an address can be shared. */

export const PAGES = ["fleet", "ledger", "start", "backtests", "studies", "data", "logs", "hosts", "alerts", "audit", "doctor"] as const;
export type Page = (typeof PAGES)[number] | "engine";

interface Route {
  page: Page;
  id: string;
  view: Record<string, string>;
}

function read(): Route {
  const [path = "", query = ""] = location.hash.slice(1).split("?");
  const [, page = "", id = ""] = path.split("/");
  const known = [...PAGES, "engine"].find((one) => one === page) as Page | undefined;
  return { page: known ?? "fleet", id: decodeURIComponent(id), view: Object.fromEntries(new URLSearchParams(query)) };
}

export const route = $state(read());

export function watchRoute(): () => void {
  const take = () => Object.assign(route, read());
  addEventListener("hashchange", take);
  return () => removeEventListener("hashchange", take);
}

export function linkTo(page: Page, id = ""): string {
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ""}`;
}

export function go(page: Page, id = ""): void {
  location.hash = linkTo(page, id);
}

/** Puts a part of the view into the address without a step in the browser's history; an empty one goes out of it. */
export function setView(name: string, value: string): void {
  const view = { ...route.view };
  if (value) view[name] = value;
  else delete view[name];
  route.view = view;
  const query = new URLSearchParams(view).toString();
  history.replaceState(null, "", linkTo(route.page, route.id) + (query ? `?${query}` : ""));
}
