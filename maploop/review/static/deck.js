/**
 * The entry: a classic script, because that is what folium loads. It brings in the modules beside it, once, and hands
 * them every configuration that the page gives.
 */
(() => {
  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  let review = null;

  window.maploopDeck = {
    /**
     * Show what `configuration` asks for; an equal one (token apart) changes nothing. See docs/review-map.md.
     * @param {L.Map} map
     * @param {object} configuration
     */
    load(map, configuration) {
      review ??= import(`${folder}review.js`).then((module) => module.createReview(map));
      review
        .then((each) => each.load(configuration))
        .catch((error) => {
          const text = document.createElement("p");
          text.className = "maploop-fatal";
          text.textContent = `The review map could not start: ${error.message}. Reload the page.`;
          document.body.append(text);
          throw error;
        });
    },
  };
})();
