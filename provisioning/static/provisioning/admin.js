// Copies what a button names, and says so to eyes and to screen readers.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = "Copied";
  } catch {
    // No clipboard without TLS: select it, so that Ctrl+C is enough.
    getSelection().selectAllChildren(source);
    button.textContent = "Press Ctrl+C";
  }
  button.setAttribute("role", "status");
  setTimeout(() => (button.textContent = "Copy"), 2500);
});

// The second half of a double click would find done what the first has done, and show that there is nothing any more.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});

addEventListener("pageshow", (event) => {
  for (const form of document.forms) delete form.dataset.sent;
  // A page from the back-forward cache would show a secret again.
  if (event.persisted && document.querySelector("[data-once]")) location.reload();
});
