/** Asks again and again while the page is looked at, never twice at a time; ends with the function that it returns. */
export function every(ms: number, look: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout>;
  let isOver = false;
  const round = async () => {
    if (document.visibilityState === "visible") await look();
    if (!isOver) timer = setTimeout(() => void round(), ms);
  };
  void round();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
