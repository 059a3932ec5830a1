import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"

const subject = JSON.stringify(join(import.meta.dirname, "RestCollection.ts"))

/** V8 looks after two seconds here, instead of eight. */
const flags = ["--gc-memory-reducer-start-delay-ms=2000", "--input-type=module", "--eval"]

/** MB of garbage that are left to a process of its own 4 s after it was made, or as soon as it is collected. */
const left = async (first: string): Promise<number> => {
  const program = `
    import v8 from "node:v8"
    import { collectAtRest } from ${subject}
    ${first}
    const used = () => v8.getHeapStatistics().used_heap_size / 1e6
    const before = used()
    let pieces = Array.from({ length: 60_000 }, (_, i) => ({ i, text: "piece " + i }))
    if (used() - before < 4) throw new Error("there is no garbage: " + pieces.length)
    pieces = undefined
    const end = performance.now() + 4_000
    const look = setInterval(() => {
      const left = used() - before
      if (left > 2 && performance.now() < end) return
      clearInterval(look)
      console.log(left)
    }, 50)
  `
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program])
  return Number(stdout)
}

describe("the garbage of a thread that rests", () => {
  it("is collected though nothing more is allocated", { timeout: 60_000 }, async () => {
    const [told, untold] = await Promise.all([left("collectAtRest()"), left("")])
    expect(told).toBeLessThan(2)
    // Otherwise V8 does it by itself now, and need not be told.
    expect(untold).toBeGreaterThan(2)
  })
})
