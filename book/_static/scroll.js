// Lets the keyboard reach formulas that are wider than the page and scroll inside themselves.
function makeWideFormulasFocusable() {
  for (const formula of document.querySelectorAll('mjx-container[display="true"]')) {
    if (formula.scrollWidth > formula.clientWidth) {
      formula.tabIndex = 0;
    } else {
      formula.removeAttribute("tabindex");
    }
  }
}
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  makeWideFormulasFocusable();
});
window.addEventListener("resize", makeWideFormulasFocusable);

// Gives the focus back to the button that opened the sidebar of a small screen: the theme loses it.
document.getElementById("pst-primary-sidebar-modal")?.addEventListener("close", () => {
  document.querySelector("button.primary-toggle").focus();
});
