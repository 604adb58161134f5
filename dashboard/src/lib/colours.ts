/** Colours of the page for what is drawn on a canvas, which knows neither variables nor `light-dark()`. */

export function colourOf(place: HTMLElement, name: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  place.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
