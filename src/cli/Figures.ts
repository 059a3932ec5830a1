/** Numbers as an operator reads them at a glance. `-` is: not known. */

export const missing = "-"

const orMissing = (value: number | null, show: (value: number) => string): string =>
  value === null ? missing : show(value)

/** Three significant digits, three places at most, no exponent: 0.42, 12.3, 1234. */
const three = (value: number): string => {
  if (value >= 100) return String(Math.round(value))
  return String(value < 0.1 ? Number(value.toFixed(3)) : Number(value.toPrecision(3)))
}

/** Milliseconds as `0.42ms`, `12.3ms`, `1.23s`. */
export const latency = (ms: number | null): string =>
  orMissing(ms, (ms) => (ms < 1_000 ? `${three(ms)}ms` : `${three(ms / 1_000)}s`))

/** A length of time by its two greatest units: `26h` is `1d2h`. */
export const span = (ms: number | null): string =>
  orMissing(ms, (ms) => {
    if (ms < 0) return `-${span(-ms)}`
    if (ms < 1_000) return `${Math.round(ms)}ms`
    const units = [
      ["d", 86_400],
      ["h", 3_600],
      ["m", 60],
      ["s", 1]
    ] as const
    let rest = Math.floor(ms / 1_000)
    const parts: Array<string> = []
    for (const [unit, size] of units) {
      const count = Math.floor(rest / size)
      rest -= count * size
      if (count > 0) parts.push(`${count}${unit}`)
      else if (parts.length > 0) break
      if (parts.length === 2) break
    }
    return parts.join("")
  })

/** A share, 0–1, as `99.87%`; 100 % only when nothing failed. */
export const share = (value: number | null): string =>
  orMissing(value, (value) => {
    if (value >= 1) return "100%"
    return `${(Math.floor(value * 10_000) / 100).toFixed(2)}%`
  })

export const rate = (perSecond: number | null): string =>
  orMissing(perSecond, (value) => (value === 0 ? "0" : value.toFixed(1)))

/** `1.5KiB` */
export const bytes = (count: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"]
  let value = count
  let unit = 0
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024
    unit++
  }
  return `${unit === 0 ? value : three(value)}${units[unit]}`
}

/** `1 member`, `2 members` */
export const counted = (count: number, word: string): string =>
  `${count} ${word}${count === 1 ? "" : "s"}`

/** As many as a line has room for, and how many more there are. */
export const firstOf = (all: ReadonlyArray<string>, separator = ", "): string =>
  all.length <= 3
    ? all.join(separator)
    : `${all.slice(0, 3).join(separator)}${separator}and ${all.length - 3} more`

/** A peer id, short enough for a table and long enough to be found again. */
export const shortPeer = (peer: string): string =>
  peer.length <= 16 ? peer : `${peer.slice(0, 8)}…${peer.slice(-6)}`
