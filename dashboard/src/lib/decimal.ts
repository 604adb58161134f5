/** Decimal strings as the API has them: money is never a binary fraction, and never of two currencies at once. */

const WHOLE = new Set(["JPY", "KRW"]);
const CENTS = new Set(
  "USD EUR GBP CHF AUD CAD NZD SEK NOK DKK SGD HKD CNH PLN CZK HUF MXN ZAR TRY USDT USDC BUSD TUSD FDUSD DAI".split(" "),
);
const MOST_DIGITS = 8;

interface Decimal {
  units: bigint;
  digits: number;
}

function parse(text: string): Decimal {
  const plain = /^[+-]?\d+(\.\d+)?$/.test(text) ? text : Number(text).toFixed(MOST_DIGITS);
  const point = plain.indexOf(".");
  const digits = point < 0 ? 0 : plain.length - point - 1;
  return { units: BigInt(plain.replace(".", "")), digits };
}

function scaled({ units, digits }: Decimal, to: number): bigint {
  if (to >= digits) return units * 10n ** BigInt(to - digits);
  const step = 10n ** BigInt(digits - to);
  const half = units < 0n ? -step / 2n : step / 2n;
  return (units + half) / step;
}

function written(units: bigint, digits: number): string {
  const text = (units < 0n ? -units : units).toString().padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits).replace(/\B(?=(\d{3})+$)/g, ",");
  return digits ? `${whole}.${text.slice(-digits)}` : whole;
}

/** The sum, with the digits of the longest. */
export function sum(values: string[]): string {
  const parsed = values.map(parse);
  const digits = Math.max(0, ...parsed.map((one) => one.digits));
  const units = parsed.reduce((total, one) => total + scaled(one, digits), 0n);
  const sign = units < 0n ? "-" : "";
  return sign + written(units, digits).replaceAll(",", "");
}

/** `a` less `b`, with the digits of the longer. */
export function less(a: string, b: string): string {
  return sum([a, b.startsWith("-") ? b.slice(1) : `-${b}`]);
}

export function signOf(text: string): -1 | 0 | 1 {
  const { units } = parse(text);
  return units > 0n ? 1 : units < 0n ? -1 : 0;
}

/** `1,234.50`, with a true minus; `isSigned` puts a plus before what is more than nothing. */
export function amount(text: string, currency = "", isSigned = false): string {
  const parsed = parse(text);
  const wanted = WHOLE.has(currency) ? 0 : CENTS.has(currency) ? 2 : Math.min(Math.max(parsed.digits, 2), MOST_DIGITS);
  const units = scaled(parsed, wanted);
  const sign = units < 0n ? "−" : isSigned && units > 0n ? "+" : "";
  return sign + written(units, wanted);
}

/** Beside an axis, where there is no room for more digits than tell one line from the next. */
export function onAxis(tick: number, currency = ""): string {
  return Math.abs(tick) < 1e5 ? amount(String(tick), currency) : printed(String(Math.round(tick)));
}

/** As it was printed, with all of its digits, in groups of three; what is no plain number stays as it is. */
export function printed(text: string): string {
  if (!/^[+-]?\d+(\.\d+)?$/.test(text)) return text;
  const { units, digits } = parse(text);
  return (units < 0n ? "−" : "") + written(units, digits);
}

/** Sums by currency, the largest currency names first by the alphabet. */
export function totals(maps: Iterable<Record<string, string>>): [string, string][] {
  const found = new Map<string, string[]>();
  for (const map of maps) {
    for (const [currency, value] of Object.entries(map)) {
      found.set(currency, [...(found.get(currency) ?? []), value]);
    }
  }
  return [...found].map(([currency, values]): [string, string] => [currency, sum(values)]).sort(([a], [b]) => (a < b ? -1 : 1));
}
