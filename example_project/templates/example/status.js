// Fetches this page again every two seconds and swaps the parts that carry data-live.
// Without scripts the page is complete, and its reload link does the same by hand.
(() => {
  const SECONDS = 2;
  const pause = document.getElementById("pause");
  const told = document.getElementById("told");
  let paused = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let timer = 0;

  async function refresh() {
    try {
      const response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      swap(new DOMParser().parseFromString(await response.text(), "text/html"));
      tell("");
    } catch {
      if (!paused) tell("The site does not answer. Trying again.");
    }
    schedule();
  }

  function swap(fresh) {
    for (const part of document.querySelectorAll("[data-live]")) {
      const replacement = fresh.getElementById(part.id);
      // Whoever is on a link inside keeps it.
      if (paused || !replacement || part.contains(document.activeElement)) continue;
      part.replaceChildren(...replacement.childNodes);
    }
  }

  function tell(text) {
    if (told.textContent !== text) told.textContent = text;
  }

  function schedule() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(refresh, SECONDS * 1000);
  }

  function show() {
    pause.textContent = paused ? "Resume updates" : "Pause updates";
    tell(paused ? "Updates are paused." : "");
    schedule();
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    show();
  });
  document.addEventListener("visibilitychange", schedule);
  pause.hidden = false;
  show();
})();
