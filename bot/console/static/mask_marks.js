// What lies over the picture: the rim of the mask, points, box, the pen.

/** A line around the mask: the mask moved to all sides, without itself. `rim`: a canvas of the view's size. */
export function outline(view, rim, mask, [x, y, w, h], wide) {
  const context = rim.getContext("2d");
  context.globalCompositeOperation = "source-over";
  context.clearRect(0, 0, rim.width, rim.height);
  for (const [right, down] of [[1, 0], [-1, 0], [0, 1], [0, -1], [0.7, 0.7], [-0.7, 0.7], [0.7, -0.7], [-0.7, -0.7]]) context.drawImage(mask, x + right * wide, y + down * wide, w, h);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(mask, x, y, w, h);
  view.drawImage(rim, 0, 0);
}

/** Box [x0, y0, x1, y1], points {x, y, object} and pen {at, radius; 0: a cross}, each where `place` puts it. */
export function marks(view, place, { box, points, pen }) {
  const line = (colour, wide, path) => { view.beginPath(); path(); view.strokeStyle = colour; view.lineWidth = wide; view.stroke(); };
  const both = (path) => { line("rgb(0 0 0 / .75)", 3.5, path); line("#fff", 1.5, path); };
  if (box) {
    const [a, b] = [place(box.slice(0, 2)), place(box.slice(2))];
    both(() => view.rect(Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(b[0] - a[0]), Math.abs(b[1] - a[1])));
  }
  for (const point of points) {
    const [x, y] = place([point.x, point.y]);
    view.beginPath();
    view.arc(x, y, 7, 0, 7);
    view.fillStyle = point.object ? "#1d7a45" : "#b3362b";
    view.fill();
    line("#fff", 2, () => { view.arc(x, y, 7, 0, 7); });
    line("#fff", 2, () => { view.moveTo(x - 3.5, y); view.lineTo(x + 3.5, y); if (point.object) { view.moveTo(x, y - 3.5); view.lineTo(x, y + 3.5); } });
  }
  if (!pen) return;
  const [x, y] = place(pen.at);
  if (pen.radius) both(() => view.arc(x, y, pen.radius, 0, 7));
  else both(() => { view.moveTo(x - 11, y); view.lineTo(x + 11, y); view.moveTo(x, y - 11); view.lineTo(x, y + 11); });
}
