/** Puts a plot into the page, where it takes the colour of the text around it; what it says is text, as SVG has it. */
export default function ({ data, parentElement }) {
  const svg = new DOMParser().parseFromString(data.svg, "image/svg+xml").documentElement;
  parentElement.querySelector("div").replaceChildren(document.importNode(svg, true));
}
