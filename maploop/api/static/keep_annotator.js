/** Tells annotator.js, which a page that is none of Maploop's lacks, whom the page was drawn for. */
window.maploopKeepAnnotator?.(document.currentScript.dataset.annotator);
