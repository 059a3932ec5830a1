/** How a mesh found together again, as a picture: a few curves over the same time, in plain SVG. */
import type { Sample } from "./Facts.ts"

interface Curve {
  readonly title: string
  readonly of: (sample: Sample) => number
  /** The top of its scale is at least this. */
  readonly least: number
  readonly unit: string
}

const curves: ReadonlyArray<Curve> = [
  {
    title: "nodes that hold the same catalogue",
    of: ({ agreement }) => 100 * agreement,
    least: 100,
    unit: "%"
  },
  {
    title: "wrong beliefs (suspect, dead, or alive of one that is gone)",
    of: ({ dead, missed, suspected }) => suspected + dead + missed,
    least: 1,
    unit: ""
  },
  { title: "connections missing", of: ({ missingLinks }) => missingLinks, least: 1, unit: "" },
  { title: "handshakes", of: ({ handshakes }) => handshakes, least: 1, unit: "" },
  { title: "processor load", of: ({ load }) => 100 * load, least: 1, unit: "%" },
  { title: "lateness of the worst loop", of: ({ lateness }) => lateness, least: 10, unit: "ms" },
  { title: "traffic a node", of: ({ traffic }) => traffic, least: 1, unit: "kB/s" }
]

const width = 900
const height = 84
const left = 70
const gap = 30

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const number = (value: number): string =>
  value >= 100 ? Math.round(value).toString() : Number(value.toPrecision(3)).toString()

/** `marks`: what happened, and when, ms. */
export const convergenceChart = (
  title: string,
  samples: ReadonlyArray<Sample>,
  marks: ReadonlyArray<{ readonly at: number; readonly what: string }> = []
): string => {
  const end = Math.max(1, samples.at(-1)?.at ?? 1)
  const x = (at: number): string => (left + (width * at) / end).toFixed(1)
  const total = 60 + curves.length * (height + gap)
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${left + width + 20} ${total}" font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<text x="${left}" y="20" font-size="15">${escape(title)}</text>`
  ]
  for (const [index, { least, of, title: name, unit }] of curves.entries()) {
    const top = 50 + index * (height + gap)
    const most = Math.max(least, ...samples.map(of))
    const y = (value: number): string => (top + height - (height * value) / most).toFixed(1)
    for (const { at, what } of marks) {
      lines.push(
        `<line x1="${x(at)}" x2="${x(at)}" y1="${top}" y2="${top + height}" stroke="#c60" stroke-dasharray="3 3"><title>${escape(what)}</title></line>`
      )
    }
    lines.push(
      `<rect x="${left}" y="${top}" width="${width}" height="${height}" fill="none" stroke="#ccc"/>`,
      `<text x="${left}" y="${top - 5}">${escape(name)}</text>`,
      `<text x="${left - 5}" y="${top + 9}" text-anchor="end">${number(most)} ${unit}</text>`,
      `<text x="${left - 5}" y="${top + height}" text-anchor="end">0</text>`,
      `<polyline fill="none" stroke="#06c" stroke-width="1.5" points="${samples.map((sample) => `${x(sample.at)},${y(of(sample))}`).join(" ")}"/>`
    )
  }
  lines.push(
    `<text x="${left + width}" y="${total - 5}" text-anchor="end">${number(end / 1_000)} s</text>`,
    "</svg>"
  )
  return `${lines.join("\n")}\n`
}
