// Where an area is filled with colour on a Leaflet canvas and can be pointed at: places in the element, in CSS pixels.
(canvas) => {
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const box = canvas.getBoundingClientRect();
  const step = 4;
  const coloured = (column, row) => {
    const [red, green, blue, alpha] = data.subarray(4 * (row * width + column));
    return alpha > 0 && Math.max(red, green, blue) - Math.min(red, green, blue) > 40;
  };
  const places = [];
  for (let row = step; row < height - step; row += step) {
    for (let column = step; column < width - step; column += step) {
      const x = (column / width) * box.width;
      const y = (row / height) * box.height;
      const shown = [box.left + x, innerWidth - box.left - x, box.top + y, innerHeight - box.top - y];
      const around = [[0, 0], [step, 0], [-step, 0], [0, step], [0, -step]];
      if (Math.min(...shown) > step && around.every(([right, down]) => coloured(column + right, row + down)))
        places.push([x, y]);
    }
  }
  return places;
}
