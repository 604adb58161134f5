/** Which dialog is open; one at a time, above whatever page is below. */

export type Open =
  | { kind: "stop"; ids: string[] }
  | { kind: "start"; id: string; isRestart: boolean }
  | { kind: "brake"; id: string; verb: "flatten" | "cancel-orders" | "accept" }
  | { kind: "emergency"; id: string | null }
  | { kind: "find" }
  | { kind: "keys" };

export const dialogs = $state({ open: null as Open | null });

export function open(what: Open): void {
  dialogs.open = what;
}

export function close(): void {
  dialogs.open = null;
}
