// Copies and prints recovery codes. Without scripts there is the button that downloads them.
"use strict";
{
  const codes = [...document.querySelectorAll("#codes code")].map((code) => code.textContent);
  const copy = document.getElementById("codes-copy");
  const print = document.getElementById("codes-print");
  if (navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(codes.join("\n"));
      document.getElementById("codes-said").textContent = copy.dataset.done;
    });
  }
  print.hidden = false;
  print.addEventListener("click", () => window.print());
}
